"""N:M pruning: the pattern that sparse tensor cores execute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..types import Seen
from . import pruners
from .keep import thinned

if TYPE_CHECKING:
    from torch import Tensor


@pruners("nm")
@dataclass(frozen=True, slots=True)
class NM:
    """Keep the N largest of every M neighbouring weights (Mishra et al. 2021); any amount above 0 turns the pattern on."""

    title: ClassVar[str] = "N:M pattern"
    needs: ClassVar[frozenset[str]] = frozenset()
    amount: float = 0.0
    seed: int = 0
    pattern: str = knob("2:4", choices=("1:4", "2:4", "4:8", "3:4"))

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        return thinned(w, w.abs(), 1.0, self.pattern)
