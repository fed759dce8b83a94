"""After GPTQ: coordinate descent over the codes, on the full second moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..job import Job
from ..spans import each
from .grid import Points
from .obs import STRIP

if TYPE_CHECKING:
    from torch import Tensor


def loss(w: Tensor, q: Tensor, h: Tensor) -> Tensor:
    """tr((W - Q) H (W - Q)^T) for q (..., out, in): one number each, in float64."""
    import torch

    if h.ndim == 3:
        return torch.stack([loss(w[..., at], q[..., at], part) for at, part in each(h)]).sum(0)
    r = w - q
    return (r @ h).mul_(r).sum((-1, -2), dtype=torch.float64)


def sweep(w: Tensor, codes: Tensor, points: Points, h: Tensor, order: Tensor, keep: Tensor | None, job: Job, first: int = 0) -> Tensor:
    """One pass over the columns from place `first` of the order, each code put at the minimum of the loss given all others: the loss
    never rises.

    `h` (in, in) is damped and in `order`; codes (out, in). QuantEase (Behdin et al. 2023, arXiv 2309.01885).
    """
    import torch

    now, code = points.decode(codes).T[order], codes.T[order]
    gap = w.T[order].sub_(now)
    pull, now = h[first:] @ gap, now[first:].clone()  # half the gradient
    del gap  # as large as the layer, as all of these are: on a wide one none is held longer than it is looked at
    h, some = h[first:, first:], order[first:]
    stays = None if keep is None else keep.T[some].to(w.dtype)
    nearest, inverse = points.nearest(some), h.diagonal().reciprocal().tolist()
    found: list[Tensor] = []
    for a in range(0, len(h), STRIP):
        job.check()
        b = min(a + STRIP, len(h))
        strip, moved = pull[a:b], torch.empty_like(pull[a:b])
        columns = zip(now[a:b].unbind(), strip.unbind(), moved.unbind(), h[a:b, a:b].triu(1).unbind())
        for j, (old, here, to, later) in enumerate(columns, a):
            # the weight this column should have: what it has now, less the gradient over the curvature
            best, value = nearest(torch.add(old, here, alpha=inverse[j]), j)
            if stays is not None:
                value.mul_(stays[j])
            found.append(best)
            torch.sub(old, value, out=to)
            strip.addr_(later, to)
        if b < len(h):
            pull[b:].addmm_(h[b:, a:b], moved)
    code[first:] = torch.stack(found)
    if stays is not None:
        code[first:] = torch.where(stays > 0, code[first:], points.zeros(some))
    out = torch.empty_like(code)
    out[order] = code
    return out.T.contiguous()
