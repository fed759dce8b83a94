"""After GPTQ: coordinate descent over the codes and a closed-form refit of the scales, both on the full second moments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..job import Job
from .grid import Grid, Points
from .obs import BLOCK, LOOK
from .scales import rounded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FAR = 3.0  # a refit scale further than this from the old one is not believed
CHUNK = 1 << 21  # numbers of the rows' normal equations held at once


def loss(w: Tensor, q: Tensor, h: Tensor) -> Tensor:
    """tr((W - Q) H (W - Q)^T) for q (..., out, in): one number each, in float64."""
    import torch

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


def refit(w: Tensor, codes: Tensor, grid: Grid, h: Tensor, dtype: torch.dtype, job: Job) -> Grid:
    """The scales that are best for these codes, all groups of a row at once, rounded to `dtype`; `h` damped, in natural order.

    Per row A s = b with A_ab = sum B_i H_ik B_k over the two groups and b_a = sum B_i (W H)_i, B = code - zero.
    """
    import torch

    groups = grid.scale.shape[1]
    level = codes.unflatten(1, (groups, -1)) - grid.zero.unsqueeze(-1)  # (out, groups, size)
    scale = grid.scale.clone()
    step = max(1, CHUNK // max(groups * groups, len(h)))
    for a in range(0, len(w), step):
        job.check()
        part = level[a : a + step]
        normal = part.new_empty(len(part), groups, groups)
        for g in range(groups):
            reach = part[:, g] @ h[g * grid.size : (g + 1) * grid.size]
            normal[:, g] = reach.unflatten(1, (groups, -1)).mul_(part).sum(-1)
        right = (w[a : a + step] @ h).unflatten(1, (groups, -1)).mul_(part).sum(-1)
        scale[a : a + step] = _solved(normal, right, scale[a : a + step])
    return replace(grid, scale=torch.where(scale > 0, rounded(scale, dtype), grid.scale))


def _solved(normal: Tensor, right: Tensor, old: Tensor) -> Tensor:
    """Batched solve in float64, with a whiff of ridge; groups without a single code off zero, and wild solutions, keep the old scale."""
    import torch

    normal, right = normal.double(), right.double()
    d = normal.diagonal(dim1=1, dim2=2)
    d.mul_(1 + 1e-5).add_(d.amax(1, keepdim=True).mul(1e-9).clamp(min=1e-30))
    found = torch.linalg.solve(normal, right).float()
    sane = found.isfinite() & (found > old / FAR) & (found < old * FAR)
    return torch.where(sane, found, old)
