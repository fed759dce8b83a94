"""The points a weight may be rounded to: an even grid per group, or a table of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Protocol, Self

from ..job import Job
from .scales import rounded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FAR = 3.0  # a refit scale further than this from the old one is not believed
CHUNK = 1 << 21  # numbers of the rows' normal equations held at once
Nearest = Callable[["Tensor", int], tuple["Tensor", "Tensor"]]  # (weights (..., out), place in the order) -> codes, values


class Points(Protocol):
    """What the column loops must know of a grid."""

    def nearest(self, order: Tensor) -> Nearest:
        """Rounds one column of the given order after the other."""
        ...

    def zeros(self, order: Tensor) -> Tensor:
        """(in, out) the codes that stand for exactly 0, in the given order."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """codes (..., out, in) in natural order -> values."""
        ...

    def direct(self, w: Tensor) -> Tensor:
        """w (out, in) in natural order -> the nearest codes, each weight by itself."""
        ...

    def refit(self, w: Tensor, codes: Tensor, h: Tensor, dtype: torch.dtype, job: Job) -> Self:
        """The points of this kind that are best for these codes, stored in `dtype`; `h` (in, in) damped, in natural order."""
        ...

    def part(self, at: slice) -> Self:
        """The points of these inputs alone, one of several blocks of as many."""
        ...

    def joined(self, parts: list[Self]) -> Self:
        """From the points of all blocks the points of the whole; itself where a group of inputs reaches over a block."""
        ...


@dataclass(frozen=True)
class Grid:
    """x = (code - zero) * scale per group of `size` inputs; codes from `low` to `top`."""

    scale: Tensor  # (out, groups) float32
    zero: Tensor  # (out, groups) float32, whole numbers
    size: int
    top: int
    low: int = 0

    def nearest(self, order: Tensor) -> Nearest:
        """Four small operations a column: on a layer of some hundred rows each costs what calling it costs."""
        import torch

        group = (order // self.size).tolist()
        s, z = self.scale.T.contiguous(), self.zero.T.contiguous()
        scale, zero, inverse, least = (t.unbind() for t in (s, z, s.reciprocal(), s * -z))
        low, top = float(self.low), float(self.top)

        def at(column: Tensor, j: int) -> tuple[Tensor, Tensor]:
            g = group[j]
            code = torch.addcmul(zero[g], column, inverse[g]).round_().clamp_(low, top)
            return code, torch.addcmul(least[g], code, scale[g])

        return at

    def zeros(self, order: Tensor) -> Tensor:
        return self.zero.T[order // self.size]

    def decode(self, codes: Tensor) -> Tensor:
        x = codes.unflatten(-1, (self.scale.shape[1], -1))
        return ((x - self.zero.unsqueeze(-1)) * self.scale.unsqueeze(-1)).flatten(-2)

    def direct(self, w: Tensor) -> Tensor:
        """w (out, in) -> the nearest codes, each weight by itself, ties to even."""
        x = w.unflatten(-1, (self.scale.shape[1], -1))
        return (x / self.scale.unsqueeze(-1) + self.zero.unsqueeze(-1)).round_().clamp_(self.low, self.top).flatten(-2)

    def refit(self, w: Tensor, codes: Tensor, h: Tensor, dtype: torch.dtype, job: Job) -> Grid:
        return _refit(w, codes, self, h, dtype, job)

    def part(self, at: slice) -> Grid:
        size, groups = shared(self.size, at)
        some = slice(at.start // size, at.stop // size)
        return replace(self, scale=groups(self.scale)[:, some], zero=groups(self.zero)[:, some], size=size)

    def joined(self, parts: list[Grid]) -> Grid:
        import torch

        if any(p.size != self.size for p in parts):
            return self
        return replace(self, scale=torch.cat([p.scale for p in parts], 1), zero=torch.cat([p.zero for p in parts], 1))


def shared(size: int, at: slice) -> tuple[int, Callable[[Tensor], Tensor]]:
    """The largest group that both groups of `size` and these inputs consist of, and what repeats a table (out, groups ...) for it."""
    least = gcd(size, at.stop - at.start)
    return least, lambda t: t if least == size else t.repeat_interleave(size // least, 1)


def _refit(w: Tensor, codes: Tensor, grid: Grid, h: Tensor, dtype: torch.dtype, job: Job) -> Grid:
    """The scales that are best for these codes, all groups of a row at once, rounded to `dtype`; `h` damped, in natural order.

    Per row A s = b with A_ab = sum B_i H_ik B_k over the two groups and b_a = sum B_i (W H)_i, B = code - zero.
    """
    import torch

    groups = grid.scale.shape[1]
    level = codes.unflatten(1, (groups, -1)) - grid.zero.unsqueeze(-1)  # (out, groups, size)
    scale = grid.scale.clone()
    step = max(1, CHUNK // max(groups * groups, len(h)))
    for a in range(0, len(w), step):
        part = level[a : a + step]
        normal = part.new_empty(len(part), groups, groups)
        for g in range(groups):
            job.check()
            at = g * grid.size
            reach = part[:, g] @ h[at : at + grid.size, at:]  # the groups before have said it already: A is symmetric
            normal[:, g, g:] = normal[:, g:, g] = reach.unflatten(1, (groups - g, -1)).mul_(part[:, g:]).sum(-1)
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
