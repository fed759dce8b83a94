"""Ternary weights: minus, zero or plus one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..job import Job
from ..registry import knob
from ..solve.grid import Grid
from ..solve.rounding import blind, fitted, signal, solved
from ..solve.scales import TERNARY
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grouped import Grouped, scale_type

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("ternary")
@dataclass(frozen=True, slots=True)
class Ternary:
    """Every weight -s, 0 or s with one s per group, kept as 2-bit codes (Li et al. 2016, arXiv 1605.04711), solved like `slim`.

    A quarter of the 2-bit codes stays unused: choose `slim` at 2 bits unless the target wants ternary weights.
    """

    title: ClassVar[str] = "Ternary"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    widths: ClassVar[tuple[int, ...]] = (2,)
    symmetric: ClassVar[bool] = True
    bits: int = 2
    granularity: str = knob("group", choices=("group", "channel"))
    group_size: int = knob(32, choices=(16, 32, 64, 128))
    rounds: int = knob(3, 0, 6, 1, label="Polishing rounds")

    def groups(self, width: int) -> int:
        """Groups in a row; a size that does not divide it is refused."""
        return Grouped(2, self.granularity, self.group_size, True).groups(width)

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in ...) -> codes 1, 2, 3 with scales in `dtype`."""
        if self.bits != 2:
            raise BadPlan(f"Ternary weights are stored in 2 bits, not {self.bits}; set the bits to 2 or choose another method")
        dtype, job, rows = scale_type(w, dtype), job or Job(), w.flatten(1).float()
        groups = self.groups(rows.shape[1])
        h = signal(seen, rows.shape[1], job)

        def fit(importance: Tensor) -> Grid:
            return fitted(rows, importance, groups, TERNARY, dtype, job)

        found = blind(rows, fit) if h is None else solved(rows, h, seen, fit, self.rounds, dtype, job)
        return Grouped(2, self.granularity, self.group_size, True).stored(*found, w.shape, dtype)
