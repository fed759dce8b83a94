"""After GPTQ: coordinate descent over the codes, on the full second moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..job import Job
from ..spans import each
from .grid import Points
from .obs import BLOCK, LOOK

if TYPE_CHECKING:
    from torch import Tensor


def loss(w: Tensor, q: Tensor, h: Tensor) -> Tensor:
    """tr((W - Q) H (W - Q)^T) for q (..., out, in): one number each, in float64."""
    import torch

    if h.ndim == 3:
        return torch.stack([loss(w[..., at], q[..., at], part) for at, part in each(h)]).sum(0)
    r = w - q
    return (r @ h).mul_(r).sum((-1, -2), dtype=torch.float64)


def sweep(w: Tensor, codes: Tensor, points: Points, h: Tensor, order: Tensor, keep: Tensor | None, job: Job) -> Tensor:
    """One pass over the columns, each code put at the minimum of the loss given all others: the loss never rises.

    `h` (in, in) is damped and in `order`; codes (out, in). QuantEase (Behdin et al. 2023, arXiv 2309.01885).
    """
    import torch

    want, code = w.T[order], codes.T[order]
    left = (w - points.decode(codes)).T[order]
    pull = h @ left  # half the gradient
    stays = None if keep is None else keep.T[order].to(w.dtype)
    nearest = points.nearest(order)
    inverse = h.diagonal().reciprocal().tolist()
    for a in range(0, len(h), BLOCK):
        b = min(a + BLOCK, len(h))
        moved = torch.empty_like(left[a:b])
        for j in range(a, b):
            if j % LOOK == 0:
                job.check()
            # the weight this column should have: what it has now, less the gradient over the curvature
            best = torch.sub(want[j], left[j]).add_(pull[j], alpha=inverse[j])
            code[j], value = nearest(best, j)
            if stays is not None:
                value.mul_(stays[j])
            new = torch.sub(want[j], value, out=value)
            torch.sub(new, left[j], out=moved[j - a])
            left[j] = new
            pull[j + 1 : b].addr_(h[j, j + 1 : b], moved[j - a])
        if b < len(h):
            pull[b:].addmm_(h[b:, a:b], moved)
    if stays is not None:
        code = torch.where(stays > 0, code, points.zeros(order))
    out = torch.empty_like(code)
    out[order] = code
    return out.T.contiguous()
