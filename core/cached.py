"""What the studio keeps on disk to save work: how much, where, and how to let go of it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from .calibrate import kept
from .derived import CAP, evict
from .errors import BadPlan
from .resources import CAPS, cache_root, cap
from .store import Store

LEAST = 10_000_000  # bytes: less would hold no layer


@dataclass(frozen=True)
class Shelf:
    """One part of the cache; `count` pieces of `nbytes` together, kept under `cap`."""

    name: str  # "layers", "statistics", "checkpoints"
    what: str
    count: int
    nbytes: int
    cap: int
    path: Path


def shelves() -> tuple[Shelf, ...]:
    """Every part of the cache as it is now; torch-free, milliseconds."""
    layers, statistics, derived = Store.default(), kept.default(), cache_root() / "derived"
    files = [f.stat().st_size for f in derived.rglob("*") if f.is_file()] if derived.is_dir() else []
    folders = sum(1 for _ in derived.iterdir()) if derived.is_dir() else 0
    return (
        Shelf("layers", "compressed layers", *layers.stats(), layers.cap, layers.root),
        Shelf("statistics", "blocks of calibration statistics", *statistics.stats(), statistics.cap, statistics.root),
        Shelf("checkpoints", "cut or converted checkpoints", folders, sum(files), cap("checkpoints", CAP), derived),
    )


def clear(name: str = "") -> int:
    """Empty one part, or all; the bytes that were freed. Nothing in it is the only copy of anything but time."""
    found = _named(name) if name else shelves()
    for s in found:
        if s.name == "checkpoints":
            shutil.rmtree(s.path, ignore_errors=True)
        else:
            Store(s.path, s.cap).clear()
    return sum(s.nbytes for s in found)


def set_cap(name: str, nbytes: int) -> None:
    """Keep one part under so many bytes from now on; what is over goes at once, the least recently used first."""
    shelf = _named(name)[0]
    if nbytes < LEAST:
        raise BadPlan(f"{nbytes} bytes are too few for the cache's {name}; give at least {LEAST}")
    path = cache_root() / CAPS
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {}
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps({**said, name: nbytes}), encoding="utf-8")
    os.replace(aside, path)
    if shelf.nbytes <= nbytes:
        return
    if name == "checkpoints":
        evict(shelf.path, nbytes)
    else:
        Store(shelf.path, nbytes).evict()


def _named(name: str) -> tuple[Shelf, ...]:
    found = tuple(s for s in shelves() if s.name == name)
    if not found:
        raise BadPlan(f"The cache has no part {name!r}; it has {', '.join(s.name for s in shelves())}")
    return found
