"""A checkpoint made out of another: its weights are written once into the cache, under a hash of what made them, and mapped like any."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CannotWrite
from .formats.safetensors_file import header
from .formats.safetensors_write import write
from .job import Job
from .resources import cache_root, cap
from .types import Checkpoint, Entry

if TYPE_CHECKING:
    from torch import Tensor

FILE = "model.safetensors"
CAP = 20_000_000_000  # bytes of derived weights that are kept, the latest used longest


def identity(checkpoint: Checkpoint) -> str:
    """SHA-256 of where every tensor lies and of the files' sizes and times: what a derived checkpoint depends on."""
    files = {f: f.stat() for f in {t.file for t in checkpoint.tensors.values()}}
    rows = [
        [t.name, str(t.file), files[t.file].st_size, files[t.file].st_mtime_ns, t.offset, t.nbytes, t.dtype, list(t.shape)]
        for t in sorted(checkpoint.tensors.values(), key=lambda t: t.name)
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def derive(
    source: Checkpoint, how: Mapping[str, Any], entries: Iterable[Entry], tensors: Callable[[str], dict[str, Tensor]],
    job: Job, texts: Callable[[], Mapping[str, str]] | None = None, **changes: Any,
) -> Checkpoint:  # fmt: skip
    """`source` with other weights: `entries` say what is stored, `tensors(layer)` makes a layer's tensors by name when they are missing.

    `how` (JSON) says what was done and by which code; `texts` gives further files to lie beside the weights, by name; `changes` are fields
    of Checkpoint, such as a new config. Path and side files stay the source's. Raises CannotWrite; a half-written folder never gets its
    name."""
    text = json.dumps([identity(source), how], sort_keys=True)
    folder = cache_root() / "derived" / hashlib.sha256(text.encode()).hexdigest()
    if not (folder / FILE).is_file():
        _fill(folder, list(entries), tensors, texts or dict, job)
        evict(folder.parent, cap("checkpoints", CAP), folder)
    with suppress(OSError):
        os.utime(folder)
    return replace(source, tensors=header(folder / FILE), weights=folder, **changes)


def _fill(
    folder: Path, entries: list[Entry], tensors: Callable[[str], dict[str, Tensor]], texts: Callable[[], Mapping[str, str]], job: Job
) -> None:
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        write(aside / FILE, entries, tensors, job)
        for name, text in texts().items():
            (aside / name).write_text(text, encoding="utf-8")
        with suppress(FileExistsError):
            os.rename(aside, folder)
    except OSError as e:
        if not (folder / FILE).is_file():  # another process may have been first
            raise CannotWrite(f"{folder.parent} can't be written ({e.strerror or e}); free some space or set SLIM_CACHE") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def evict(root: Path, nbytes: int, kept: Path | None = None) -> None:
    """Drop what was not used longest until so many bytes hold; `kept` stays."""
    total = 0
    for folder in sorted(root.glob("[0-9a-f]*"), key=lambda p: p.stat().st_mtime, reverse=True):
        total += sum(f.stat().st_size for f in folder.iterdir())
        if total > nbytes and folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
