"""Random pruning: the floor every other method must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..types import Seen
from . import pruners
from .keep import keep_top

if TYPE_CHECKING:
    from torch import Tensor


@pruners("random")
@dataclass(frozen=True, slots=True)
class Random:
    """Zero weights drawn at random from a private generator: same seed, same zeros. A baseline, not a recommendation."""

    title: ClassVar[str] = "Random"
    needs: ClassVar[frozenset[str]] = frozenset()
    amount: float = 0.0
    seed: int = 0

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        import torch

        own = torch.Generator().manual_seed(self.seed)
        return keep_top(w, torch.rand(w.shape, generator=own), self.amount)
