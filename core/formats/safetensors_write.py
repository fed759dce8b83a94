"""Writes safetensors one tensor at a time; the header, and so the file's size, follows from the entries alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..job import Job
from ..types import ITEM_BYTES, Entry

if TYPE_CHECKING:
    from torch import Tensor


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """Widest items first, so that every tensor is aligned to its type (as the reference writer does)."""
    return sorted(entries, key=lambda e: (-ITEM_BYTES[e.dtype], e.name))


def header_bytes(entries: Iterable[Entry]) -> bytes:
    """Length and JSON header, padded with spaces to 8 bytes."""
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for e in ordered(entries):
        table[e.name] = {"dtype": e.dtype, "shape": list(e.shape), "data_offsets": [at, at + e.nbytes]}
        at += e.nbytes
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write(path: Path, entries: Iterable[Entry], tensors: Callable[[str], dict[str, Tensor]], job: Job, phase: str = "Writing") -> None:
    """Stream the file; `tensors(layer)` gives a layer's tensors by entry name. Raises OSError as the disk does."""
    import torch

    entries = list(entries)
    layer, have = "", dict[str, torch.Tensor]()
    with path.open("wb") as f:
        f.write(header_bytes(entries))
        for e in job.track(ordered(entries), phase):
            if e.layer != layer or e.name not in have:
                layer, have = e.layer, tensors(e.layer)
            t = have[e.name]
            raw = t.contiguous().flatten().view(torch.uint8) if t.numel() else torch.empty(0, dtype=torch.uint8)
            if tuple(t.shape) != e.shape or raw.numel() != e.nbytes:
                raise ValueError(f"{e.name}: planned {e.shape} in {e.nbytes} bytes, made {tuple(t.shape)} in {raw.numel()}")
            for part in raw.split(1 << 24):
                job.check()
                f.write(memoryview(part.numpy()))
        f.flush()
        os.fsync(f.fileno())
