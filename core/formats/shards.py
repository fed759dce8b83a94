"""Splits an export over files: which tensor goes where, and the index that says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..types import Checkpoint, Entry
from .safetensors_write import header_bytes

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Shard:
    """One weight file and what it holds."""

    file: str
    entries: tuple[Entry, ...]


def limit(checkpoint: Checkpoint, target: Any) -> float:
    """Bytes of tensors one file may hold; weights without a config have nobody who would read an index, so they stay one file."""
    return target.shard_gb * 1e9 if checkpoint.config else float("inf")


def shards(entries: Iterable[Entry], most: float) -> list[Shard]:
    """Files of at most `most` bytes of tensors, filled in the order given; a layer's tensors stay together (one alone may be larger)."""
    parts: list[list[Entry]] = [[]]
    held = 0
    for _, group in groupby(entries, lambda e: e.layer):
        layer = list(group)
        nbytes = sum(e.nbytes for e in layer)
        if parts[-1] and held + nbytes > most:
            parts.append([])
            held = 0
        parts[-1] += layer
        held += nbytes
    if len(parts) == 1:
        return [Shard(WHOLE, tuple(parts[0]))]
    return [Shard(f"model-{i:05}-of-{len(parts):05}.safetensors", tuple(p)) for i, p in enumerate(parts, 1)]


def index(found: Iterable[Shard]) -> bytes:
    """model.safetensors.index.json as transformers reads it."""
    entries = [(e, s.file) for s in found for e in s.entries]
    table = {"metadata": {"total_size": sum(e.nbytes for e, _ in entries)}, "weight_map": {e.name: file for e, file in entries}}
    return (json.dumps(table, indent=2, sort_keys=True) + "\n").encode()


def nbytes(entries: Iterable[Entry], most: float) -> int:
    """All bytes of the weight files, their headers and the index."""
    found = shards(entries, most)
    inside = sum(len(header_bytes(s.entries)) + sum(e.nbytes for e in s.entries) for s in found)
    return inside + (len(index(found)) if len(found) > 1 else 0)
