"""The one loop behind GPTQ and SparseGPT: round or drop a column, let the later columns make up for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..job import Job
from ..spans import each
from .factor import Factor, factor
from .grid import Points

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 128  # columns between two updates of everything behind them
LOOK = 16  # columns between two looks at the job


@dataclass(frozen=True)
class Drop:
    """Which weights go, decided `every` so many columns on what earlier columns have made of them."""

    choose: Callable[[Tensor, int], Tensor]  # (scores (B, k, out), first column) -> True where a weight goes; low scores should
    every: int = BLOCK


def obs(w: Tensor, f: Factor, job: Job, points: Points | None = None, drop: Drop | None = None, keep: Tensor | None = None) -> Tensor:
    """w (out, in) rounded to `points`, thinned by `drop`, or both in one pass; one result per damping of `f`, (dampings, out, in) float32.

    Where `keep` (out, in) is False a weight is zero from the start. Gives codes with points, values without.
    GPTQ with static groups and act-order (Frantar et al. 2022, arXiv 2210.17323); with `drop` SparseGPT (Frantar & Alistarh 2023,
    arXiv 2301.00774).
    """
    import torch

    live = w.T[f.order].expand(len(f.upper), -1, -1).contiguous()
    out = torch.empty_like(live)
    kept = torch.ones_like(live) if drop else None
    if keep is not None:
        stays = keep.T[f.order].to(live.dtype).expand_as(live)
        kept = stays.clone() if drop else stays
    nearest = points.nearest(f.order) if points else None
    for a in range(0, live.shape[1], BLOCK):
        b = min(a + BLOCK, live.shape[1])
        part = None if kept is None else kept[:, a:b]
        error = _block(live[:, a:b], f.upper[:, a:b, a:b], out[:, a:b], part, nearest, drop, a, job)
        if b < live.shape[1]:
            live[:, b:].baddbmm_(f.upper[:, a:b, b:].transpose(1, 2), error, alpha=-1)
    if points and kept is not None:
        out = torch.where(kept > 0, out, points.zeros(f.order))
    back = torch.empty_like(out)
    back[:, f.order] = out
    return back.transpose(1, 2)


def apart(
    w: Tensor, h: Tensor, damping: float, job: Job, points: Points | None = None, drop: Drop | None = None, keep: Tensor | None = None,
    together: int = 1,
) -> Tensor:  # fmt: skip
    """`obs` at one damping with every block of inputs by itself that `h` keeps apart: (out, in). `together` = 0 leaves them in order."""
    import torch

    out = torch.empty_like(w)
    for at, part in each(h):
        own = points.part(at) if points else None
        later = Drop(partial(_from, drop.choose, at.start), drop.every) if drop else None
        f = factor(part, (damping,), job, together or len(part))
        out[:, at] = obs(w[:, at], f, job, own, later, None if keep is None else keep[:, at])[0]
    return out


def _from(choose: Callable[[Tensor, int], Tensor], start: int, score: Tensor, first: int) -> Tensor:
    return choose(score, start + first)


def _block(
    live: Tensor, upper: Tensor, out: Tensor, kept: Tensor | None, nearest: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None,
    drop: Drop | None, first: int, job: Job,
) -> Tensor:  # fmt: skip
    """Columns of one block, one after the other; returns what each left undone, (B, k, out)."""
    import torch

    error = torch.empty_like(live)
    inverse = upper.diagonal(dim1=1, dim2=2).reciprocal().unsqueeze(-1)  # (B, k, 1)
    one = len(live) == 1
    for j in range(live.shape[1]):
        if j % LOOK == 0:
            job.check()
        if drop and kept is not None and j % drop.every == 0:
            some = slice(j, min(j + drop.every, live.shape[1]))
            kept[:, some] *= ~drop.choose((live[:, some] * inverse[:, some]).square_(), first + j)
        column, e = live[:, j], error[:, j]
        code, value = nearest(column, first + j) if nearest else (column, column)
        if kept is not None:
            value = value * kept[:, j]
        out[:, j] = code if nearest else value
        torch.sub(column, value, out=e)
        e.mul_(inverse[:, j])
        if one:
            live[0, j + 1 :].addr_(upper[0, j, j + 1 :], e[0], alpha=-1)
        else:
            live[:, j + 1 :].addcmul_(upper[:, j, j + 1 :].unsqueeze(-1), e.unsqueeze(1), value=-1)
    return error
