"""ADMM pruning: mask and remaining weights found together, then the weights solved for exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.masked import refined, searched
from ..solve.rounding import signal
from ..spans import each
from ..types import Seen
from . import pruners
from .keep import PATTERNS, dealt, fits, lowest, thinned

if TYPE_CHECKING:
    from torch import Tensor


@pruners("admm")
@dataclass(frozen=True, slots=True)
class ADMM:
    """Find the mask by ADMM on a cubic schedule, then solve for the weights that stay; the best pruning here (Boža 2024, arXiv 2401.02938).

    The last step is conjugate gradients on the fixed mask (as ALPS, Meng et al. 2024, arXiv 2406.07831), with the damping that held-out
    inputs like best. Without calibration data: magnitude.
    """

    title: ClassVar[str] = "ADMM (mask and weights)"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    amount: float = 0.0
    seed: int = 0
    pattern: str = knob("unstructured", choices=PATTERNS)
    steps: int = knob(20, 5, 60, 1)

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        import torch

        job, rows = job or Job(), w.flatten(1).float()
        fits(rows.shape[1], self.pattern)
        h = signal(seen, rows.shape[1], job)
        if h is None or self.amount <= 0:
            return thinned(w, w.abs(), self.amount, self.pattern)
        out = torch.empty_like(rows)
        for j, (at, part) in enumerate(each(h)):
            some = rows[:, at]
            amount, held = self.amount, seen.held
            if h.ndim == 3:
                amount, held = dealt(self.amount, len(rows), at), None if held is None else held[j]
            drop = searched(some, part, self.steps, partial(self._lowest, amount), job)
            out[:, at] = refined(some, part, replace(seen, held=held), ~drop, job)
        return out.reshape(w.shape).to(w.dtype)

    def _lowest(self, amount: float, score: Tensor, share: float) -> Tensor:
        return lowest(score, amount * share, self.pattern)
