"""From moments and a grid to codes: GPTQ at several dampings, polished for as long as held-out inputs say it helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..job import Job
from ..spans import each, inputs
from ..types import Seen
from .factor import DAMPINGS, Factor, alive, factor, usable
from .grid import Grid, Points
from .obs import obs
from .polish import loss, sweep
from .scales import Levels, weighted

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PLAIN = 1  # the damping used when there is nothing held out to choose by
P = TypeVar("P", bound=Points)
ENOUGH = 10  # solver tokens per input from which polishing without held-out inputs is trusted (with fewer it over-fits)


def signal(seen: Seen, width: int, job: Job) -> Tensor | None:
    """The solver's moments if a layer of this width can use them; None, with a note where they are spoiled, if not."""
    h = seen.hessian
    if h is None:
        return None
    if inputs(h) != width:
        job.note(f"its calibration has {inputs(h)} inputs and its weight {width}: compressed without data")
        return None
    if not usable(h):
        job.note("its calibration inputs are all zero or not finite: compressed without data")
        return None
    return h


def fitted(rows: Tensor, h: Tensor, groups: int, levels: Levels, dtype: torch.dtype, job: Job) -> Grid:
    """The importance-weighted grid of rows (out, in); h (in,) or (out, in)."""
    h = h.expand(1 if h.ndim == 1 else len(rows), -1).unflatten(1, (groups, -1))
    scale, zero = weighted(rows.unflatten(1, (groups, -1)), h, levels, dtype, job)
    return Grid(scale, zero, rows.shape[1] // groups, levels.top, levels.low)


def kept(rows: Tensor) -> Tensor | None:
    """True where a weight is not exactly zero; None when nothing was pruned."""
    alive = rows != 0
    return None if bool(alive.all()) else alive


def blind(rows: Tensor, fit: Callable[[Tensor], P]) -> tuple[Tensor, P]:
    """Codes and grid without data: the least squared error, pruned weights not counted."""
    import torch

    keep = kept(rows)
    grid = fit(torch.ones(rows.shape[1]) if keep is None else keep.float())
    return grid.direct(rows), grid


def solved(
    rows: Tensor, h: Tensor, seen: Seen, fit: Callable[[Tensor], P], rounds: int, dtype: torch.dtype, job: Job
) -> tuple[Tensor, P]:
    """rows (out, in) float32 -> codes (out, in) and grid, never worse on the held-out inputs than GPTQ without polish.

    The scale search weighs a weight by 1 / U_jj^2, what its error costs after the later columns made up for it: closer to the loss of
    the loop that follows than the diagonal of H, and 4 % better on unseen tokens (MiniLM, 3 bits). Damping and the number of polishing
    rounds are chosen by the held-out error.
    """
    if h.ndim == 3:
        return _apart(rows, h, seen, fit, rounds, dtype, job)
    held = alive(seen.held) if usable(seen.held) and seen.held is not None else None
    f = factor(h, DAMPINGS if held is not None else DAMPINGS[PLAIN : PLAIN + 1], job)
    keep = kept(rows)
    middle = PLAIN if held is not None else 0
    weight = f.importance(middle) if keep is None else f.importance(middle) * keep
    return _walked(rows, f, fit(weight), held, seen.samples, rounds, dtype, job)


def _apart(
    rows: Tensor, h: Tensor, seen: Seen, fit: Callable[[Tensor], P], rounds: int, dtype: torch.dtype, job: Job
) -> tuple[Tensor, P]:
    """The same for a wide layer, block of inputs by block, on one grid: a single block's factors are in memory at a time.

    They are made twice (the grid wants all blocks' importance first). Groups that reach over a block keep the scales they were given.
    """
    import torch

    keep = kept(rows)
    weight = torch.cat([factor(part, DAMPINGS[PLAIN : PLAIN + 1], job).importance(0) for _, part in each(h)])
    grid = fit(weight if keep is None else weight * keep)
    held = seen.held if usable(seen.held) and seen.held is not None else None
    codes, parts = torch.empty_like(rows), []
    for j, (at, part) in enumerate(each(h)):
        own = grid.part(at)
        scored = None if held is None else alive(held[j])
        f = factor(part, DAMPINGS if held is not None else DAMPINGS[PLAIN : PLAIN + 1], job)
        codes[:, at], own = _walked(rows[:, at].contiguous(), f, own, scored, seen.samples, rounds, dtype, job)
        parts.append(own)
    return codes, grid.joined(parts)


def _walked(
    rows: Tensor, f: Factor, grid: P, held: Tensor | None, samples: int, rounds: int, dtype: torch.dtype, job: Job
) -> tuple[Tensor, P]:
    """rows (out, in) on a grid: the best damping's codes, polished."""
    keep = kept(rows)
    many = obs(rows, f, job, grid, keep=keep)
    if held is None:
        trusted = rounds if samples >= ENOUGH * rows.shape[1] else 0
        return _polished(rows, many[0].contiguous(), grid, f, 0, keep, None, trusted, dtype, job)
    k = int(loss(rows, grid.decode(many), held).argmin())
    return _polished(rows, many[k].contiguous(), grid, f, k, keep, held, rounds, dtype, job)


def _polished(
    rows: Tensor, codes: Tensor, grid: P, f: Factor, k: int, keep: Tensor | None, held: Tensor | None, rounds: int,
    dtype: torch.dtype, job: Job,
) -> tuple[Tensor, P]:  # fmt: skip
    """Sweep and refit `rounds` times; stops, and goes back to the best, when the held-out error rises."""
    if not rounds:
        return codes, grid
    h = f.damped(k)
    plain = h[f.natural][:, f.natural]
    score = loss(rows, grid.decode(codes), held) if held is not None else None
    best = codes, grid
    for _ in range(rounds):
        codes = sweep(rows, codes, grid, h, f.order, keep, job)
        grid = grid.refit(rows, codes, plain, dtype, job)
        if held is not None and score is not None:
            now = loss(rows, grid.decode(codes), held)
            if now >= score:
                return best
            score = now
        best = codes, grid
    return best
