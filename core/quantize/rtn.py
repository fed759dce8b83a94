"""Round to nearest: the quantizer everybody starts from, with a searched grid as an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..job import Job
from ..registry import knob
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grid import codes, extremes, searched

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STEP = 1 << 17  # elements at a time: 0.5 MB of float32, which stays in the cache from pass to pass (2^20 took 1.3 times as long)


@quantizers("rtn")
@dataclass(frozen=True, slots=True)
class RTN:
    """Round every weight to the nearest point of an even grid, per tensor, channel or group (Jacob et al. 2018)."""

    title: ClassVar[str] = "Round to nearest"
    needs: ClassVar[frozenset[str]] = frozenset()
    bits: int = 8
    granularity: str = knob("group", choices=("group", "channel", "tensor"))
    group_size: int = knob(32, choices=(16, 32, 64, 128))
    symmetric: bool = knob(True)
    grid: str = knob("minmax", choices=("minmax", "mse"))

    def groups(self, width: int) -> int:
        """Groups in a row of `width` inputs; a size that does not divide it is refused."""
        if self.granularity != "group":
            return 1
        if width % self.group_size:
            raise BadPlan(f"groups of {self.group_size} don't divide its {width} inputs; choose another group size or per channel")
        return width // self.group_size

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in ...); scales are kept in `dtype` and rounded to it before the codes are chosen."""
        import torch

        dtype = dtype or (w.dtype if w.dtype in (torch.float16, torch.bfloat16) else torch.float32)
        job, rows = job or Job(), w.flatten(1)
        groups = self.groups(rows.shape[1])
        if self.granularity == "tensor":
            c, s, z = self._coded(rows.reshape(1, 1, -1), dtype, job)
            s, z = s.expand(len(rows), 1), z.expand(len(rows), 1)
        else:
            parts = rows.split(max(1, STEP // rows.shape[1]))
            c, s, z = (torch.cat(t) for t in zip(*(self._coded(p.unflatten(1, (groups, -1)), dtype, job) for p in parts)))
        size = w.numel() if self.granularity == "tensor" else rows.shape[1] // groups
        zero = None if self.symmetric else z.contiguous()
        return Quantized(c.view(rows.shape), s.contiguous(), zero, self.bits, size, tuple(w.shape), self.granularity)

    def _coded(self, x: Tensor, dtype: torch.dtype, job: Job) -> tuple[Tensor, Tensor, Tensor]:
        """x (rows, groups, size) -> its codes, scales and zero points."""
        import torch

        job.check()
        x = x.float()
        scale, zero = (searched if self.grid == "mse" else extremes)(x, self.bits, self.symmetric, dtype, job)
        c = codes(x, scale, zero, self.bits).to(torch.uint8)
        return c, scale.squeeze(-1).to(dtype), zero.squeeze(-1).to(torch.uint8)
