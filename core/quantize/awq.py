"""AWQ: weights that meet large activations keep more of the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.factor import alive
from ..solve.polish import loss
from ..solve.rounding import kept, signal
from ..spans import diagonal
from ..stored import Quantized
from ..types import Seen
from . import quantizers
from .grouped import Grouped, scale_type

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("awq")
@dataclass(frozen=True, slots=True)
class AWQ(Grouped):
    """Activation-aware scale and clip search, the strength chosen by the layer's output error (after Lin et al. 2023, arXiv 2306.00978).

    The original multiplies salient input channels by s_j = a_j^alpha and folds 1 / s_j into the norm before them. That changes another
    layer, which one layer's plan must not; so here a_j^(2 alpha) weighs the error in the search of each group's scale, zero point and
    clipping, which stays within this layer's own grid. Without calibration data alpha is 0.
    """

    title: ClassVar[str] = "AWQ (activation-aware scales)"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    steps: int = knob(10, 2, 20, 1, label="Values of alpha tried")

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in ...) -> codes with scales in `dtype`."""
        import torch

        dtype, job, rows = scale_type(w, dtype), job or Job(), w.flatten(1).float()
        fit = self.fit(rows, dtype, job)
        h = signal(seen, rows.shape[1], job)
        h = None if h is None else alive(h)
        size = torch.ones(rows.shape[1]) if h is None else diagonal(h) / diagonal(h).mean()
        keep = kept(rows)
        best, least = None, None
        for k in range(self.steps + 1 if h is not None else 1):
            weight = size ** (k / self.steps)
            grid = fit(weight if keep is None else weight * keep)
            codes = grid.direct(rows)
            error = float(loss(rows, grid.decode(codes), h)) if h is not None else 0.0
            if least is None or error < least:
                best, least = (codes, grid), error
        assert best is not None
        return self.stored(*best, w.shape, dtype)
