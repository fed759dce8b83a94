"""Fisher pruning: what the model's own answers would not miss goes first, to second order."""

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


@pruners("fisher")
@dataclass(frozen=True, slots=True)
class Fisher:
    """Zero the weights with the smallest w^2 E[(dL/dw)^2] / 2, labels drawn from the model: optimal brain damage (LeCun et al. 1990)."""

    title: ClassVar[str] = "Fisher"
    needs: ClassVar[frozenset[str]] = frozenset({"fisher"})
    amount: float = 0.0
    seed: int = 0
    scope: str = knob("layer", choices=("layer", "global"))

    def score(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        if seen.fisher is None:
            raise BadPlan("Fisher pruning needs a network that runs and data; choose magnitude instead")
        return w.float().square() * seen.fisher / 2

    def __call__(self, w: Tensor, seen: Seen, job: Job | None = None) -> Tensor:
        return keep_top(w, self.score(w, seen), self.amount)
