"""The exact bytes an export will write, known before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .formats.safetensors_write import header_bytes
from .types import Checkpoint, Layer, Setting, Size


def size(checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], target: Any) -> Size:
    """Bytes of the weight file with its header, and of each layer within it; the original is what the opened files take."""
    entries = target.entries(checkpoint, layers, settings)
    per: dict[str, int] = {}
    for e in entries:
        per[e.layer] = per.get(e.layer, 0) + e.nbytes
    original = sum(f.stat().st_size for f in {t.file for t in checkpoint.tensors.values()})
    return Size(len(header_bytes(entries)) + sum(per.values()), per, original)
