"""HQQ: no data at all, but robust against outliers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.grid import Grid
from ..solve.scales import rounded
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grid import searched
from .grouped import Grouped, scale_type

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BETA, GROWTH = 10.0, 1.01  # of the half-quadratic splitting, in units of one step of the grid


@quantizers("hqq")
@dataclass(frozen=True, slots=True)
class HQQ(Grouped):
    """Half-quadratic quantization, data-free: outliers are set aside by an l_p shrinkage before the grid is fitted (Badri & Shaji 2023).

    The original moves a real-valued zero point with the scale fixed; here the zero point is an integer, as every export wants it, so it is
    the scale that is fitted. Starts from the searched grid and keeps, per group, whichever has the smaller l_p error.
    """

    title: ClassVar[str] = "HQQ (no data)"
    needs: ClassVar[frozenset[str]] = frozenset()
    power: float = knob(0.7, 0.3, 1.0, 0.05, label="p of the error norm")
    steps: int = knob(20, 1, 100, 1)

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in ...) -> codes with scales in `dtype`; `seen` is not looked at."""
        import torch

        dtype, job, rows = scale_type(w, dtype), job or Job(), w.flatten(1).float()
        groups = self.groups(rows.shape[1])
        x = rows.unflatten(1, (groups, -1))
        scale, zero = searched(x, self.bits, self.symmetric, dtype, job)
        grid = Grid(scale.squeeze(-1), zero.squeeze(-1), rows.shape[1] // groups, 2**self.bits - 1)
        best, least = grid.scale, self._error(rows, grid)
        beta = BETA
        for _ in range(self.steps):
            job.check()
            grid = replace(grid, scale=rounded(self._scale(rows, grid, beta), dtype))
            error = self._error(rows, grid)
            best, least = torch.where(error < least, grid.scale, best), torch.minimum(error, least)
            beta *= GROWTH
        grid = replace(grid, scale=best)
        return self.stored(grid.direct(rows), grid, w.shape, dtype)

    def _error(self, rows: Tensor, grid: Grid) -> Tensor:
        """(out, groups) sum of |W - Q|^p."""
        return (rows - grid.decode(grid.direct(rows))).abs_().pow_(self.power).unflatten(1, (grid.scale.shape[1], -1)).sum(-1)

    def _scale(self, rows: Tensor, grid: Grid, beta: float) -> Tensor:
        """Set aside what shrinkage calls an outlier's error, then the least-squares scale of the rest."""
        import torch

        groups = grid.scale.shape[1]
        codes = grid.direct(rows)
        step = grid.scale.repeat_interleave(grid.size, 1)
        error = (rows - grid.decode(codes)) / step
        size = error.abs()
        aside = error.sign() * (size - size.clamp(min=1e-8).pow(self.power - 1) / beta).clamp(min=0) * step
        level = codes.unflatten(1, (groups, -1)) - grid.zero.unsqueeze(-1)
        hit = (level * (rows - aside).unflatten(1, (groups, -1))).sum(-1)
        norm = level.square().sum(-1)
        return torch.where((hit > 0) & (norm > 0), hit / norm.clamp(min=1), grid.scale)
