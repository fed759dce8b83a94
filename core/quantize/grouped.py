"""What quantizers on an even grid have in common: groups or channels, symmetric or not, and how the result is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadPlan
from ..job import Job
from ..registry import knob
from ..solve.grid import Grid
from ..solve.rounding import fitted
from ..solve.scales import Levels
from ..stored import Quantized

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grouped:
    """The knobs of the grid."""

    bits: int = 4
    granularity: str = knob("group", choices=("group", "channel"))
    group_size: int = knob(32, choices=(16, 32, 64, 128))
    symmetric: bool = knob(False)

    def groups(self, width: int) -> int:
        """Groups in a row of `width` inputs; a size that does not divide it is refused."""
        if self.granularity != "group":
            return 1
        if width % self.group_size:
            raise BadPlan(f"groups of {self.group_size} don't divide its {width} inputs; choose another group size or per channel")
        return width // self.group_size

    def fit(self, rows: Tensor, dtype: torch.dtype, job: Job) -> Callable[[Tensor], Grid]:
        """Importance (in,) or (out, in) -> the weighted grid of these rows."""
        levels, groups = Levels.of(self.bits, self.symmetric), self.groups(rows.shape[1])
        return lambda importance: fitted(rows, importance, groups, levels, dtype, job)

    def stored(self, codes: Tensor, grid: Grid, shape: tuple[int, ...], dtype: torch.dtype) -> Quantized:
        """codes (out, in) with their grid, as the layer store and the exports hold them."""
        import torch

        zero = None if self.symmetric else grid.zero.to(torch.uint8).contiguous()
        return Quantized(codes.to(torch.uint8), grid.scale.to(dtype), zero, self.bits, grid.size, tuple(shape), self.granularity)


def scale_type(w: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """What scales are stored in: what was asked, else the weight's own half type, else float32."""
    import torch

    return dtype or (w.dtype if w.dtype in (torch.float16, torch.bfloat16) else torch.float32)
