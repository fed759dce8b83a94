"""The exact bytes an export will write, known before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .formats.shards import limit, nbytes
from .types import Checkpoint, Layer, Setting, Size


def size(checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], target: Any) -> Size:
    """Bytes of the weight files with headers and index, and of each layer within them; the original is what the opened files take."""
    entries = target.entries(checkpoint, layers, settings)
    per: dict[str, int] = {}
    for e in entries:
        per[e.layer] = per.get(e.layer, 0) + e.nbytes
    original = sum(f.stat().st_size for f in {t.file for t in checkpoint.tensors.values()})
    return Size(nbytes(entries, limit(checkpoint, target)), per, original)
