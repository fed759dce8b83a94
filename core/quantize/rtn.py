"""Round to nearest: the quantizer everybody starts from, with a searched grid as an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..registry import knob
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grid import codes, extremes, searched

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("rtn")
@dataclass(frozen=True, slots=True)
class RTN:
    """Round every weight to the nearest point of an even grid, per tensor, channel or group (Jacob et al. 2018)."""

    title: ClassVar[str] = "Round to nearest"
    needs: ClassVar[frozenset[str]] = frozenset()
    bits: int = 8
    granularity: str = knob("group", choices=("group", "channel", "tensor"))
    group_size: int = knob(64, choices=(16, 32, 64, 128))
    symmetric: bool = knob(True)
    grid: str = knob("minmax", choices=("minmax", "mse"))

    def groups(self, width: int) -> int:
        """Groups in a row of `width` inputs; a size that does not divide it is refused."""
        if self.granularity != "group":
            return 1
        if width % self.group_size:
            raise BadPlan(f"groups of {self.group_size} don't divide its {width} inputs; choose another group size or per channel")
        return width // self.group_size

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None) -> Quantized:
        """w (out, in ...); scales are kept in `dtype` and rounded to it before the codes are chosen."""
        import torch

        dtype = dtype or (w.dtype if w.dtype in (torch.float16, torch.bfloat16) else torch.float32)
        rows = w.float().flatten(1)
        x = rows.unflatten(1, (self.groups(rows.shape[1]), -1))
        x = x.reshape(1, 1, -1) if self.granularity == "tensor" else x
        fit = searched if self.grid == "mse" else extremes
        scale, zero = fit(x, self.bits, self.symmetric, dtype)
        c = codes(x, scale, zero, self.bits).to(torch.uint8).view(rows.shape)
        s, z = (t.squeeze(-1).expand(len(rows), -1).contiguous() for t in (scale, zero))
        return Quantized(
            c, s.to(dtype), None if self.symmetric else z.to(torch.uint8), self.bits, x.shape[-1], tuple(w.shape), self.granularity
        )
