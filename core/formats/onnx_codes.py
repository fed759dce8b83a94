"""A layer's values as its form in an ONNX file holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..stored import Quantized, Stored
from .onnx_forms import Form
from .safetensors_file import TORCH

if TYPE_CHECKING:
    from torch import Tensor


def packed(form: Form, stored: Stored) -> dict[str, Tensor]:
    """What follows the tensor's name -> its values, of the types and shapes that the form says."""
    import torch

    if form.kind == "dense" or not isinstance(stored, Quantized):
        found = {next(iter(form.tensors())): stored.dense()}
    else:
        codes, zero, scale = _grid(form, stored)
        found = {"nbits": _nbits, "integer": _integer, "folded": _folded}.get(form.kind, _static)(form, codes, zero, scale)
    kinds = form.tensors()
    return {end: t.to(getattr(torch, TORCH[kinds[end][0]])).reshape(kinds[end][1]).contiguous() for end, t in found.items()}


def _grid(form: Form, q: Quantized) -> tuple[Tensor, Tensor | None, Tensor]:
    """Codes (out, in) uint8, zero points (out, groups) or None, scales (out, groups): a scale that serves a whole row is repeated for its
    blocks, and codes about a middle move to the middle of their wider field."""
    times = form.groups // q.scale.shape[1]
    scale = q.scale.expand(len(q.codes), -1).repeat_interleave(times, 1)
    if q.zero is not None:
        return q.codes, q.zero.repeat_interleave(times, 1), scale
    return q.codes + (2 ** (form.bits - 1) - 2 ** (q.bits - 1)), None, scale


def _nbits(form: Form, codes: Tensor, zero: Tensor | None, scale: Tensor) -> dict[str, Tensor]:
    found = {"_codes": _fields(codes.view(len(codes), form.groups, form.block), form.bits), "_scale": scale}
    return found if zero is None else {**found, "_zero": _fields(zero, form.bits)}


def _fields(codes: Tensor, bits: int) -> Tensor:
    """Two codes a byte along the last axis, the first in the lower half; 8 bits as they are."""
    import torch

    if bits == 8:
        return codes
    even = torch.nn.functional.pad(codes, (0, codes.shape[-1] % 2))
    return even[..., ::2] | (even[..., 1::2] << 4)


def _integer(form: Form, codes: Tensor, zero: Tensor | None, scale: Tensor) -> dict[str, Tensor]:
    """Signed: 128 less than the quantizer's."""
    found = {"_codes": codes.T.short() - 128, "_scale": scale}
    return found if zero is None else {**found, "_zero": zero.short() - 128}


def _folded(form: Form, codes: Tensor, zero: Tensor | None, scale: Tensor) -> dict[str, Tensor]:
    import torch

    found = {"_codes": codes, "_scale": scale, "_zero": _middle(form) if zero is None else zero}
    return {**found, "_shape": torch.tensor(form.shape)} if form.groups > 1 else found


def _static(form: Form, codes: Tensor, zero: Tensor | None, scale: Tensor) -> dict[str, Tensor]:
    """Without a convolution's bias, which hangs on the range of its input."""
    found = {"_codes": codes if form.kind != "static" else codes.T, "_scale": scale}
    return {**found, "_zero": _middle(form).expand(len(codes))}


def _middle(form: Form) -> Tensor:
    import torch

    return torch.tensor(2 ** (form.bits - 1), dtype=torch.uint8)
