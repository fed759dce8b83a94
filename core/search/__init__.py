"""The budget solver: the whole front of size against predicted loss, the exact plan for a goal, and what real evaluations then improve."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..sensed import Front
from ..types import Checkpoint, Layer, Plan, Score, Task
from .fronts import near, points
from .goal import Goal, budget
from .solve import OutOfReach, best
from .table import Allowed, Table, table

if TYPE_CHECKING:
    from ..predict import Predictor

__all__ = ["Goal", "OutOfReach", "Table", "best", "budget", "front", "near", "points", "solve", "table"]


def front(
    checkpoint: Checkpoint, layers: Collection[Layer], plan: Plan, target: Any, predictor: Predictor, task: Task = "causal-lm", *,
    allowed: Allowed | None = None, pins: Collection[str] | None = None,
) -> tuple[Front, ...]:  # fmt: skip
    """Plans from the smallest to the best, evenly apart in bytes (`table` and `near` for any point of it, at once)."""
    return points(table(checkpoint, layers, plan, target, predictor, task, allowed=allowed, pins=pins))


def solve(
    checkpoint: Checkpoint, layers: Collection[Layer], plan: Plan, target: Any, predictor: Predictor, goal: Goal, task: Task = "causal-lm",
    *, allowed: Allowed | None = None, pins: Collection[str] | None = None, original: Score | None = None,
) -> Front:  # fmt: skip
    """The plan that meets the goal; `worse` needs the original's score. OutOfReach says how near one comes where none does."""
    return best(table(checkpoint, layers, plan, target, predictor, task, allowed=allowed, pins=pins, alike=goal.alike), goal, original)
