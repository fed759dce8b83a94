"""The layer store: every compressed layer on disk under a hash of what made it, least recently used out first."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CannotWrite
from .resources import cache_root, cap
from .stored import Stored, whole
from .types import Setting, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

CODE = "7"  # raise it when a method's result changes
CAP = 20_000_000_000  # bytes


@dataclass(frozen=True)
class Store:
    """Compressed layers by key; files are written aside and renamed, so a key that exists is whole."""

    root: Path
    cap: int = CAP
    _counted: list[int] = field(default_factory=list, compare=False, repr=False)  # bytes at the last count and since

    @staticmethod
    def default() -> Store:
        return Store(cache_root() / "layers", cap("layers", CAP))

    def get(self, key: str) -> Stored | None:
        """The layer, mapped from disk; None when it is not there (or was cut off by another hand)."""
        found = self.find(key)
        return whole(*found) if found is not None and "kind" in found[1] else None

    def said(self, key: str) -> dict[str, str] | None:
        """What was noted with a layer, from the file's header alone; None when the layer is not there."""
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        try:
            with safe_open(path, "pt") as f:
                found = dict(f.metadata())
            os.utime(path)
        except (OSError, SafetensorError, TypeError):
            return None
        return found

    def has(self, key: str) -> bool:
        """Whether the layer is there, from the folder alone; its last use stays what it was."""
        return self._path(key).is_file()

    def put(self, key: str, stored: Stored, said: Mapping[str, str] | None = None) -> None:
        """Write durably under the key, with a few words beside it, then evict what was not used longest."""
        tensors, meta = stored.parts()
        self.keep(key, tensors, {**(said or {}), **meta})

    def find(self, key: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Tensors and words under a key, mapped from disk; None when they are not there."""
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        try:
            with safe_open(path, "pt") as f:
                found = {k: f.get_tensor(k) for k in f.keys()}, dict(f.metadata())  # noqa: SIM118 (not a dict)
            os.utime(path)
        except (OSError, SafetensorError, TypeError):
            return None
        return found

    def keep(self, key: str, tensors: dict[str, Tensor], said: dict[str, str]) -> None:
        """Write aside and rename, so that a key that exists is whole whatever happens to the process."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._path(key)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, aside, said)
            size = aside.stat().st_size
            os.replace(aside, path)
        except (OSError, SafetensorError) as e:
            aside.unlink(missing_ok=True)
            raise CannotWrite(
                f"The layer store {self.root} can't be written ({e}); free some space or set SLIM_CACHE to another folder"
            ) from None
        if not self._counted:
            self._counted.append(self.stats()[1])
        else:
            self._counted[0] += size
        if self._counted[0] > self.cap:
            self.evict()

    def drop(self, key: str) -> None:
        """What lies under a key is wanted no more."""
        with suppress(OSError):  # in use elsewhere (Windows), or not there
            self._path(key).unlink()

    def clear(self) -> tuple[int, int]:
        """Drop everything; (layers, bytes) that were there."""
        found = self.stats()
        for _, _, path in list(self._files()):
            with suppress(OSError):
                path.unlink()
        self._counted[:] = [0]
        return found

    def evict(self) -> None:
        """Drop the least recently used until nine tenths of the cap hold, so that not every further write counts all files."""
        total = 0
        for _, size, path in sorted(self._files(), reverse=True):
            total += size
            if total > self.cap * 0.9:
                with suppress(OSError):  # in use elsewhere (Windows), or already gone
                    path.unlink()
                    total -= size
        self._counted[:] = [total]

    def stats(self) -> tuple[int, int]:
        """(layers kept, bytes)"""
        sizes = [size for _, size, path in self._files() if path.suffix == ".safetensors"]
        return len(sizes), sum(sizes)

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """(last use, bytes, path), with what a crash left half-written."""
        for path in self.root.glob("*/*"):
            with suppress(OSError):
                stat = path.stat()
                yield stat.st_mtime_ns, stat.st_size, path

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.safetensors"


def key(info: TensorInfo, setting: Setting, calibration: str) -> str:
    """What a compressed layer depends on: the file's identity and place, the setting, the calibration, the code."""
    stat = info.file.stat()
    source = [str(info.file), stat.st_size, stat.st_mtime_ns, info.offset, info.nbytes, info.dtype, list(info.shape)]
    said = {k: v for k, v in asdict(setting).items() if k not in ("origin", "protected")}
    text = json.dumps([CODE, source, {**said, "tensor": info.name}, calibration], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
