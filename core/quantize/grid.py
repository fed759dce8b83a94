"""Choosing scale and zero point of each group: by its extremes, or by the smallest squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..job import Job

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHRINK = 24  # clip candidates between 1.0 and 0.4 of the range; below that the clipped mass outweighs the finer grid


def extremes(x: Tensor, bits: int, symmetric: bool, dtype: torch.dtype, job: Job) -> tuple[Tensor, Tensor]:
    """x (rows, groups, size) -> scale and zero (rows, groups, 1) in float32; the scale is already rounded to `dtype`."""
    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    return _fit(low, high, bits, symmetric, dtype)


def _fit(low: Tensor, high: Tensor, bits: int, symmetric: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    import torch

    top = 2**bits - 1
    span = 2 * torch.maximum(-low, high) if symmetric else high - low
    least = torch.finfo(dtype).tiny
    scale = (span / top).clamp(min=least, max=torch.finfo(dtype).max).to(dtype).float()
    half = torch.full_like(scale, 2 ** (bits - 1))
    return scale, half if symmetric else (-low / scale).round().clamp(0, top)


def codes(x: Tensor, scale: Tensor, zero: Tensor, bits: int) -> Tensor:
    """Nearest code, ties to even, in 0 ... 2^bits - 1."""
    return (x / scale).add_(zero).round_().clamp_(0, 2**bits - 1)


def searched(x: Tensor, bits: int, symmetric: bool, dtype: torch.dtype, job: Job) -> tuple[Tensor, Tensor]:
    """The extremes shrunk by the factor with the least squared error, per group."""
    import torch

    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    scale, zero = _fit(low, high, bits, symmetric, dtype)
    best = _loss(x, scale, zero, bits)
    for k in range(1, SHRINK + 1):
        job.check()
        f = 1 - 0.6 * k / SHRINK
        s, z = _fit(low * f, high * f, bits, symmetric, dtype)
        loss = _loss(x, s, z, bits)
        better = loss < best
        scale, zero, best = torch.where(better, s, scale), torch.where(better, z, zero), torch.where(better, loss, best)
    return scale, zero


def _loss(x: Tensor, scale: Tensor, zero: Tensor, bits: int) -> Tensor:
    return ((codes(x, scale, zero, bits) - zero) * scale - x).square().sum(-1, keepdim=True)
