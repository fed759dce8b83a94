"""Wanda: a weight counts by its size times that of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.factor import strength
from ..solve.rounding import signal
from ..types import Seen
from . import pruners
from .keep import PATTERNS, ranks, thinned

if TYPE_CHECKING:
    from torch import Tensor


@pruners("wanda")
@dataclass(frozen=True, slots=True)
class Wanda:
    """Zero the weights with the smallest |w| times the norm of their input, each output by itself (Sun et al. 2023, arXiv 2306.11695).

    Nothing is updated. Without calibration data: magnitude within each output.
    """

    title: ClassVar[str] = "Wanda"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    amount: float = 0.0
    seed: int = 0
    pattern: str = knob("unstructured", choices=PATTERNS)

    def score(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        rows = w.flatten(1).float()
        h = signal(seen, rows.shape[1], job or Job())
        return (rows.abs() if h is None else rows.abs() * strength(h).sqrt()).view(w.shape)

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        score = self.score(w, seen, job)
        return thinned(w, ranks(score) if self.pattern == "unstructured" else score, self.amount, self.pattern)
