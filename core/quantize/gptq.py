"""GPTQ as published, with act-order and static groups: what others are measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.factor import strength
from ..solve.grid import Grid
from ..solve.obs import apart
from ..solve.rounding import kept, signal
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grid import extremes, searched
from .grouped import Grouped, scale_type

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("gptq")
@dataclass(frozen=True, slots=True)
class GPTQ(Grouped):
    """Round column by column, most active inputs first, the later columns making up for the error (Frantar et al. 2022, arXiv 2210.17323).

    Without calibration data it rounds to nearest on the same grid.
    """

    title: ClassVar[str] = "GPTQ"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    grid: str = knob("minmax", choices=("minmax", "mse", "weighted"))
    damping: float = knob(0.01, 0.001, 1.0, 0.001)

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in ...) -> codes with scales in `dtype`."""
        dtype, job, rows = scale_type(w, dtype), job or Job(), w.flatten(1).float()
        groups = self.groups(rows.shape[1])
        h = signal(seen, rows.shape[1], job)
        grid = self._grid(rows, h, groups, dtype, job)
        codes = grid.direct(rows) if h is None else apart(rows, h, self.damping, job, grid, keep=kept(rows))
        return self.stored(codes, grid, w.shape, dtype)

    def _grid(self, rows: Tensor, h: Tensor | None, groups: int, dtype: torch.dtype, job: Job) -> Grid:
        if self.grid == "weighted" and h is not None:
            return self.fit(rows, dtype, job)(strength(h))
        found = (extremes if self.grid == "minmax" else searched)(rows.unflatten(1, (groups, -1)), self.bits, self.symmetric, dtype, job)
        return Grid(found[0].squeeze(-1), found[1].squeeze(-1), rows.shape[1] // groups, 2**self.bits - 1)
