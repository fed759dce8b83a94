"""The layer store: every compressed layer on disk under a hash of what made it, least recently used out first."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import CannotWrite
from .resources import cache_root
from .stored import Stored, whole
from .types import Setting, TensorInfo

CODE = "1"  # raise it when a method's result changes
CAP = 20_000_000_000  # bytes


@dataclass(frozen=True)
class Store:
    """Compressed layers by key; files are written aside and renamed, so a key that exists is whole."""

    root: Path
    cap: int = CAP

    @staticmethod
    def default() -> Store:
        return Store(cache_root() / "layers")

    def get(self, key: str) -> Stored | None:
        """The layer, mapped from disk; None when it is not there (or was cut off by another hand)."""
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        try:
            with safe_open(path, "pt") as f:
                found = whole({k: f.get_tensor(k) for k in f.keys()}, f.metadata())  # noqa: SIM118 (not a dict)
            os.utime(path)
        except (OSError, SafetensorError, KeyError):
            return None
        return found

    def put(self, key: str, stored: Stored) -> None:
        """Write durably under the key, then evict what was not used longest."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._path(key)
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        tensors, meta = stored.parts()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, aside, meta)
            os.replace(aside, path)
        except (OSError, SafetensorError) as e:
            aside.unlink(missing_ok=True)
            raise CannotWrite(
                f"The layer store {self.root} can't be written ({e}); free some space or set SLIM_CACHE to another folder"
            ) from None
        self.evict()

    def evict(self) -> None:
        """Drop the least recently used until the cap holds; looked at only when a write may have crossed it."""
        files = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in self.root.glob("*/*.safetensors")), reverse=True)
        total = 0
        for _, size, path in files:
            total += size
            if total > self.cap:
                path.unlink(missing_ok=True)

    def stats(self) -> tuple[int, int]:
        """(layers kept, bytes)"""
        sizes = [p.stat().st_size for p in self.root.glob("*/*.safetensors")]
        return len(sizes), sum(sizes)

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.safetensors"


def key(info: TensorInfo, setting: Setting, calibration: str) -> str:
    """What a compressed layer depends on: the file's identity and place, the setting, the calibration, the code."""
    stat = info.file.stat()
    source = [str(info.file), stat.st_size, stat.st_mtime_ns, info.offset, info.nbytes, info.dtype, list(info.shape)]
    said = {k: v for k, v in asdict(setting).items() if k not in ("origin", "protected")}
    text = json.dumps([CODE, source, {**said, "tensor": info.name}, calibration], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
