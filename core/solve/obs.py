"""The one loop behind GPTQ and SparseGPT: round or drop a column, let the later columns make up for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..job import Job
from ..spans import each
from .factor import Factor, factor
from .grid import Nearest, Points

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 128  # columns over which an unstructured mask is chosen at once
STRIP = 32  # columns between two updates of everything behind them: what one column touches stays in the cache


@dataclass(frozen=True)
class Drop:
    """Which weights go, decided `every` so many columns (parts or multiples of a strip) on what earlier columns have made of them."""

    choose: Callable[[Tensor, int], Tensor]  # (scores (k, out), first column) -> True where a weight goes; low scores should
    every: int = BLOCK


def obs(
    w: Tensor, f: Factor, job: Job, points: Points | None = None, drop: Drop | None = None, keep: Tensor | None = None, k: int = 0
) -> Tensor:
    """w (out, in) rounded to `points`, thinned by `drop`, or both in one pass, with the k-th damping of `f`: (out, in) float32.

    Where `keep` (out, in) is False a weight is zero from the start. Gives codes with points, values without.
    GPTQ with static groups and act-order (Frantar et al. 2022, arXiv 2210.17323); with `drop` SparseGPT (Frantar & Alistarh 2023,
    arXiv 2301.00774).
    """
    import torch

    live, upper = w.T[f.order], f.upper[k]
    kept = torch.ones_like(live) if keep is None and drop else None if keep is None else keep.T[f.order].to(live.dtype)
    nearest = points.nearest(f.order) if points else None
    out: list[Tensor] = []
    for a in range(0, len(live), STRIP):
        job.check()
        b = min(a + STRIP, len(live))
        ahead = upper[a:b, a:] / upper[a:b, a:b].diagonal().unsqueeze(1)
        error = _strip(live, a, b, ahead, upper.diagonal(), kept, nearest, drop, out)
        if b < len(live):
            live[b:].addmm_(ahead[:, b - a :].T, error, alpha=-1)
    del live  # each copy of a wide layer is a quarter of a gigabyte: none is held longer than it is looked at
    found = torch.stack(out)
    del out
    if points and kept is not None:
        found = torch.where(kept > 0, found, points.zeros(f.order))
    found = found[f.natural]
    return found.T.contiguous()


def apart(
    w: Tensor, h: Tensor, damping: float, job: Job, points: Points | None = None, drop: Drop | None = None, keep: Tensor | None = None,
    together: int = 1,
) -> Tensor:  # fmt: skip
    """`obs` at one damping with every block of inputs by itself that `h` keeps apart: (out, in). `together` = 0 leaves them in order."""
    import torch

    if h.ndim == 2:
        return obs(w, factor(h, (damping,), job, together or len(h)), job, points, drop, keep)
    out = torch.empty_like(w)
    for at, part in each(h):
        own = points.part(at) if points else None
        later = Drop(partial(_from, drop.choose, at.start), drop.every) if drop else None
        f = factor(part, (damping,), job, together or len(part))
        out[:, at] = obs(w[:, at], f, job, own, later, None if keep is None else keep[:, at])
    return out


def _from(choose: Callable[[Tensor, int], Tensor], start: int, score: Tensor, first: int) -> Tensor:
    return choose(score, start + first)


def _strip(
    live: Tensor, a: int, b: int, ahead: Tensor, diagonal: Tensor, kept: Tensor | None, nearest: Nearest | None, drop: Drop | None,
    out: list[Tensor],
) -> Tensor:  # fmt: skip
    """Columns a to b, one after the other, appended to `out`; returns what each left undone (b - a, out). `ahead` (b - a, rest) is
    U_ji / U_jj: zeros up to the column itself make its update one call on the whole strip."""
    import torch

    strip = live[a:b]
    error = torch.empty_like(strip)
    for j, (column, left, later) in enumerate(zip(strip.unbind(), error.unbind(), ahead[:, : b - a].triu(1).unbind()), a):
        if drop and kept is not None and j % drop.every == 0:
            some = slice(j, min(j + drop.every, len(live)))
            kept[some] *= ~drop.choose((live[some] / diagonal[some].unsqueeze(1)).square_(), j)
        code, value = nearest(column, j) if nearest else (column, column)
        if kept is not None:
            value = value * kept[j]
        out.append(code if nearest else value)
        torch.sub(column, value, out=left)
        strip.addr_(later, left, alpha=-1)
    return error
