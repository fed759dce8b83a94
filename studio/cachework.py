"""What runs on the worker for the cache: emptied and capped behind whatever reads it."""

from __future__ import annotations

from core import cached
from core.job import Job
from core.store import Store

from .opened import Opened


def clear_cache(opened: Opened | None, name: str, job: Job) -> int:
    """Empty a part of the cache on the worker, so that nothing is taken from under a running job; the bytes that were freed."""
    freed = cached.clear(name)
    for kept in ("cut as", "turned as") if opened is not None and name in ("", "checkpoints") else ():
        assert opened is not None
        opened._kept.pop(kept, None)
    return freed


def set_cap(opened: Opened | None, name: str, nbytes: int, job: Job) -> None:
    """Another cap for a part of the cache; what is over goes at once."""
    cached.set_cap(name, nbytes)
    if opened is not None:
        opened.store = Store.default()
