"""SparseGPT: prune block by block, the weights that stay making up for those that go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.obs import apart
from ..solve.rounding import signal
from ..types import Seen
from . import pruners
from .keep import PATTERNS, choose, fits, thinned

if TYPE_CHECKING:
    from torch import Tensor


@pruners("sparsegpt")
@dataclass(frozen=True, slots=True)
class SparseGPT:
    """Zero the smallest w^2 / [U_jj]^2 of every 128 inputs and update all that follow (Frantar & Alistarh 2023, arXiv 2301.00774).

    Without calibration data: magnitude.
    """

    title: ClassVar[str] = "SparseGPT"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    amount: float = 0.0
    seed: int = 0
    pattern: str = knob("unstructured", choices=PATTERNS)
    damping: float = knob(0.01, 0.001, 1.0, 0.001)

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        job, rows = job or Job(), w.flatten(1).float()
        m = fits(rows.shape[1], self.pattern)
        together = m if m > 1 else 0  # columns in their own order, as published; groups of m, the most active first
        h = signal(seen, rows.shape[1], job)
        if h is None or self.amount <= 0:
            return thinned(w, w.abs(), self.amount, self.pattern)
        drop = choose(self.pattern, self.amount, *rows.shape)
        out = apart(rows, h, self.damping, job, drop=drop, together=together)
        return out.reshape(w.shape).to(w.dtype)
