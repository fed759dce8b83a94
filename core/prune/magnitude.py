"""Magnitude pruning: the smallest weights go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..types import Seen
from . import pruners
from .keep import keep_top

if TYPE_CHECKING:
    from torch import Tensor


@pruners("magnitude")
@dataclass(frozen=True, slots=True)
class Magnitude:
    """Zero the weights of smallest absolute value, layer by layer or over the whole model (Han et al. 2015)."""

    title: ClassVar[str] = "L1 magnitude"
    needs: ClassVar[frozenset[str]] = frozenset()
    amount: float = 0.0
    seed: int = 0
    scope: str = knob("layer", choices=("layer", "global"))

    def score(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        return w.abs()

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        return keep_top(w, self.score(w, seen), self.amount)
