"""Writes model.onnx: the traced graph with the layers of a plan in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compress import Compressed
from .errors import CannotWrite
from .formats.onnx_graph import traced
from .job import Job
from .size import size
from .types import Setting
from .verify import Written

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "model.onnx"


def write_onnx(
    compressed: Compressed, file: Path, target: Any, settings: Mapping[str, Setting], tensors: Callable[[str], dict[str, Tensor]], job: Job
) -> Written:
    """The file of an already traced network; `tensors` gives a layer's by name. The whole of it is in memory once, and as bytes once."""
    checkpoint = compressed.checkpoint
    graph = traced(checkpoint)
    if graph is None:
        raise CannotWrite("The traced network is gone from the cache; export again")
    model = graph.assembled(target.forms(checkpoint, compressed.layers, settings))
    waiting = {t.name: t for t in model.graph.initializer if not t.HasField("raw_data") and t.name.startswith(_stems(compressed))}
    sums: dict[str, int] = {}
    for x in job.track([x for x in compressed.layers if x.tensor.name in graph.weights], "Writing"):
        for name, t in tensors(x.name).items():
            raw = _raw(t)
            waiting[name].raw_data, sums[name] = raw, zlib.crc32(raw)
    job.check()
    file.write_bytes(model.SerializeToString(deterministic=True))
    file.chmod(0o644)
    entries = tuple(target.entries(checkpoint, compressed.layers, settings))
    return Written((file.name,), entries, size(checkpoint, compressed.layers, settings, target).total, sums)


def _stems(compressed: Compressed) -> tuple[str, ...]:
    return tuple(x.tensor.name for x in compressed.layers)


def _raw(t: Tensor) -> bytes:
    import torch

    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""
