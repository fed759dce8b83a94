"""Gradient pruning: what the loss would not miss goes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..job import Job
from ..registry import knob
from ..types import Seen
from . import pruners
from .keep import keep_top

if TYPE_CHECKING:
    from torch import Tensor


@pruners("gradient")
@dataclass(frozen=True, slots=True)
class Gradient:
    """Zero the weights with the smallest |w * dL/dw| summed over batches: a first-order estimate of the loss (Molchanov et al. 2017)."""

    title: ClassVar[str] = "Gradient"
    needs: ClassVar[frozenset[str]] = frozenset({"grads"})
    amount: float = 0.0
    seed: int = 0
    scope: str = knob("layer", choices=("layer", "global"))

    def score(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        if seen.grads is None:
            raise BadPlan("Gradient pruning needs a network that runs and data with labels; choose magnitude instead")
        return seen.grads

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        return keep_top(w, self.score(w, seen), self.amount)
