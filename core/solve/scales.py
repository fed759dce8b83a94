"""Scale and zero point of each group by the smallest importance-weighted squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..job import Job

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STEP = 1 << 17  # weights searched at once: all temporaries stay in the cache, and some 10 ms pass between two looks at the job
TRIES = 12  # evenly spaced shares of the range, from `_least` to 1.1 of it
SHIFTS = (0, -1, 1)  # zero points tried around the one that spans the range


@dataclass(frozen=True)
class Levels:
    """Which codes a grid has, and where its zero point lies (None: wherever each group wants it)."""

    low: int
    top: int
    zero: int | None = None

    @staticmethod
    def of(bits: int, symmetric: bool) -> Levels:
        return Levels(0, 2**bits - 1, 2 ** (bits - 1) if symmetric else None)


TERNARY = Levels(1, 3, 2)


def rounded(scale: Tensor, dtype: torch.dtype) -> Tensor:
    """A positive scale as `dtype` can hold it, in float32."""
    import torch

    info = torch.finfo(dtype)
    return scale.clamp(min=info.tiny, max=info.max).to(dtype).float()


def weighted(x: Tensor, h: Tensor, levels: Levels, dtype: torch.dtype, job: Job) -> tuple[Tensor, Tensor]:
    """x (out, groups, size), importance h (out or 1, groups, size) -> scale and zero (out, groups) float32, the scale rounded to `dtype`.

    For every tried scale and zero point the codes are fixed and the scale solved for in closed form, as llama.cpp's make_qx_quants and
    make_qkx3_quants do; the zero point stays an integer, so that 0 is a point of the grid.
    """
    import torch

    step = max(1, STEP // x[0].numel())
    found = [_weighted(part, h if len(h) == 1 else h[i * step : (i + 1) * step], levels, job) for i, part in enumerate(x.split(step))]
    scale, zero = (torch.cat(t) for t in zip(*found))
    return rounded(scale, dtype), zero


def _weighted(x: Tensor, h: Tensor, levels: Levels, job: Job) -> tuple[Tensor, Tensor]:
    import torch

    hx = h * x
    span, zeros = _start(x, levels)
    best = torch.full_like(span, -1.0)
    scale, zero = span.clone(), zeros[0].clone()
    for z in zeros:
        job.check()
        for share in _shares(levels):
            level = (x / (span * share)).round_().clamp_(levels.low - z, levels.top - z)
            hit = (hx * level).sum(-1, keepdim=True)
            norm = level.square_().mul_(h).sum(-1, keepdim=True)
            fit = torch.where((hit > 0) & (norm > 0), hit / norm.clamp(min=1e-38), 0)
            gain = hit * fit
            better = gain > best
            best, zero = torch.where(better, gain, best), torch.where(better, z, zero)
            scale = torch.where(better & (fit > 0), fit, scale)
    return scale.squeeze(-1), zero.squeeze(-1)


def _shares(levels: Levels) -> list[float]:
    low = {2: 0.3, 3: 0.45, 7: 0.55, 15: 0.65}.get(levels.top - levels.low, 0.75)
    return sorted({1.0, *(low + (1.1 - low) * k / (TRIES - 1) for k in range(TRIES))})


def _start(x: Tensor, levels: Levels) -> tuple[Tensor, list[Tensor]]:
    """The scale that spans each group (groups kept as a last axis of one), and the zero points to try with it."""
    import torch

    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    if levels.zero is not None:
        span = torch.maximum(-low / (levels.zero - levels.low), high / (levels.top - levels.zero)).clamp(min=1e-30)
        return span, [torch.full_like(span, levels.zero)]
    span = ((high - low) / (levels.top - levels.low)).clamp(min=1e-30)
    middle = (-low / span).round() + levels.low
    return span, [(middle + d).clamp(levels.low, levels.top) for d in SHIFTS]
