"""Splits an export over files: which tensor goes where, and the index that says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from ..types import Checkpoint, Entry

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


def cuts(sizes: Iterable[int], most: float) -> list[int]:
    """Which layers begin a file, when files of at most `most` bytes are filled in order and a layer is never cut."""
    starts, held = [0], 0
    for i, nbytes in enumerate(sizes):
        if held and held + nbytes > most:
            starts.append(i)
            held = 0
        held += nbytes
    return starts


def names(count: int) -> list[str]:
    """File names of so many shards."""
    return [WHOLE] if count == 1 else [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]


def shards(entries: Iterable[Entry], most: float) -> list[Shard]:
    """Files of at most `most` bytes of tensors, filled in the order given; a layer's tensors stay together (one alone may be larger)."""
    layers = [tuple(group) for _, group in groupby(entries, lambda e: e.layer)]
    starts = cuts((sum(e.nbytes for e in layer) for layer in layers), most)
    parts = [layers[i:j] for i, j in zip(starts, [*starts[1:], len(layers)])]
    return [Shard(file, tuple(chain.from_iterable(part))) for file, part in zip(names(len(parts)), parts)]


def index(found: Iterable[Shard]) -> bytes:
    """model.safetensors.index.json as transformers reads it."""
    entries = [(e, s.file) for s in found for e in s.entries]
    table = {"metadata": {"total_size": sum(e.nbytes for e, _ in entries)}, "weight_map": {e.name: file for e, file in entries}}
    return (json.dumps(table, indent=2, sort_keys=True) + "\n").encode()
