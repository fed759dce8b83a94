"""Writes model.onnx: the traced graph with the layers of a plan in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compress import Compressed
from .data import Batches
from .errors import CannotWrite
from .formats.onnx_file import put
from .formats.onnx_graph import rounding, traced
from .formats.onnx_static import Site, Static
from .job import Job
from .onnx_ranges import ranges, shifts
from .size import size
from .types import Setting
from .verify import Written

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

Tensors = Callable[[str], "dict[str, Tensor]"]


def write_onnx(
    compressed: Compressed, file: Path, target: Any, settings: Mapping[str, Setting], tensors: Tensors, job: Job,
    plain: Path | None = None, batches: Batches | None = None,
) -> Written:  # fmt: skip
    """The file of an already traced network; `tensors` gives a layer's by name. The whole of it is in memory once, and as bytes once.

    Static activations look at calibration `batches` through the original in float32, `plain`; CannotWrite without."""
    checkpoint = compressed.checkpoint
    graph = traced(checkpoint)
    if graph is None:
        raise CannotWrite("The traced network is gone from the cache; export again")
    forms = target.forms(checkpoint, compressed.layers, settings)
    static = graph.static(forms)
    model, sums = graph.assembled(forms), dict[str, int]()
    held = {t.name: t for t in model.graph.initializer}
    for x in job.track([x for x in compressed.layers if x.tensor.name in forms], "Writing"):
        for name, t in tensors(x.name).items():
            held[name].raw_data = _raw(t)
    if static:
        if plain is None or batches is None:
            raise CannotWrite("Static activations are measured on data, and this network can't be run here; choose other activations")
        _rounded(compressed, static, model, file, plain, target.limit, batches, job)
    entries = tuple(target.entries(checkpoint, compressed.layers, settings))
    for e in entries:
        sums[e.name] = zlib.crc32(held[e.name].raw_data)
    job.check()
    put(model, file, target.limit)
    return Written((file.name,), entries, size(checkpoint, compressed.layers, settings, target).total, sums)


def _raw(t: Tensor) -> bytes:
    import torch

    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def _rounded(
    compressed: Compressed, static: Static, model: ModelProto, file: Path, plain: Path, limit: int, batches: Batches, job: Job
) -> None:
    """Ranges first; then, with the model as it is by then, what rounding takes from each channel's mean goes into the biases."""
    held = {t.name: t for t in model.graph.initializer}
    for v, (scale, zero) in (found := ranges(plain, static, batches, job)).items():
        for t in rounding(v, scale, zero):
            held[t.name].CopyFrom(t)
    for name, s in static.sites.items():
        if s.conv:
            _normed(compressed, name, s, held)
            _biased(compressed, name, s, held, found[s.x][0], None)
    put(model, file, limit)
    for name, shift in shifts(plain, file, static, batches, job).items():
        _biased(compressed, name, static.sites[name], held, found[static.sites[name].x][0], shift)


def dense(compressed: Compressed, tensor: str) -> Tensor:
    """A tensor as the plan leaves it, float32."""
    import torch

    return compressed.stored(next(x for x in compressed.layers if x.tensor.name == tensor)).dense(torch.float32)


def factor(compressed: Compressed, s: Site) -> Tensor | float:
    """What batch normalisation multiplies each channel by."""
    if not s.norm:
        return 1.0
    scale, _, _, variance = (dense(compressed, t) for t in s.norm)
    return scale / (variance + s.epsilon).sqrt()


def _normed(compressed: Compressed, name: str, s: Site, held: Mapping[str, Any]) -> None:
    import torch

    scale = torch.frombuffer(bytearray(held[f"{name}_scale"].raw_data), dtype=torch.float32)
    held[f"{name}_scale"].raw_data = _raw(scale * factor(compressed, s))


def _biased(compressed: Compressed, name: str, s: Site, held: Mapping[str, Any], step: float, shift: list[float] | None) -> None:
    """A convolution's bias in steps of input times weight; a linear layer's is added in floats."""
    import torch

    more = torch.tensor(shift) if shift is not None else 0.0
    if not s.conv:
        if s.bias and shift is not None:
            t = held[s.bias] if s.bias in held else held[f"{s.bias}_stored"]
            kind = {1: torch.float32, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16}[t.data_type]
            t.raw_data = _raw((torch.frombuffer(bytearray(t.raw_data), dtype=kind).float() + more).to(kind))
        return
    bias = dense(compressed, s.bias) if s.bias else torch.zeros(held[f"{name}_bias"].dims[0])
    if s.norm:
        _, offset, mean, _ = (dense(compressed, t) for t in s.norm)
        bias = (bias - mean) * factor(compressed, s) + offset
    scale = torch.frombuffer(bytearray(held[f"{name}_scale"].raw_data), dtype=torch.float32) * step
    scale = torch.where(scale.abs() < 1e-30, torch.full_like(scale, 1e-30), scale)
    held[f"{name}_bias_scale"].raw_data = _raw(scale)
    held[f"{name}_bias"].raw_data = _raw(((bias + more) / scale).round().clamp(-(2**30), 2**30).to(torch.int32))
