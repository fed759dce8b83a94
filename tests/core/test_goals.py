"""What may be asked of the solver, and how real evaluations improve on its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadPlan
from core.job import Job
from core.plans import resolve
from core.search import Goal, best, budget
from core.search.goal import goal
from core.search.refine import refine
from core.sensed import Evaluation, Front
from core.types import Plan
from tests.core.deals import Case


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"size": "60 parsecs"}, "A size is"), ({"size": "-5"}, "A size is"), ({"size": "0 MB"}, "leaves no room"),
        ({"worse": -0.1}, "above 0"), ({"size": "60 MB", "worse": 0.1}, "size and worse"), ({"alike": True}, "none of them"),
        ({"weights": [1, 2]}, "can't be"), ({"weights": [0, 1, 1]}, "give three"), ({"smaller": 1}, "unknown key"),
        ({"worse": "much"}, "can't be"), ({"alike": 1}, "can't be"), ({"energy": float("nan")}, "above 0"), ({"size": True}, "can't be"),
    ],
)  # fmt: skip
def test_a_goal_that_says_nothing_sensible_is_refused_by_name(said: dict[str, Any], why: str) -> None:
    with pytest.raises(BadPlan, match=why):
        goal(said)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("60 MB", 60_000_000), ("60MB", 60_000_000), ("1.5 GiB", 3 * 2**29), ("0.5x", 500), ("50 %", 500), (1234, 1234), ("1_000", 1000),
        (".5 kB", 500),
    ],
)  # fmt: skip
def test_budgets_parse(text: int | str, nbytes: int) -> None:
    assert budget(text, 1000) == nbytes


def world(case: Case, secret: dict[str, float]) -> Any:
    """Evaluations of a world in which every layer's price is off by a secret factor; 16 windows with common noise."""
    common = np.exp(np.random.default_rng(5).normal(0, 0.3, 16))

    def evaluate(plan: Plan) -> list[float]:
        parts = case.predictor.contributions(resolve(plan, case.layers))
        return (sum(x * secret[n] for n, x in parts.items()) * common).tolist()

    return evaluate


def test_refining_moves_bytes_to_where_real_evaluations_want_them(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table()
    rng = np.random.default_rng(4)
    secret = {n: float(np.exp(0.5 * rng.standard_normal())) for n in case.predictor.sensitivity.layers}
    start = best(t, Goal(case.uniform(3)[0]))
    heard: list[object] = []
    found = refine(t, start, world(case, secret), Job(point=heard.append))
    assert found.accepted > 0
    assert found.won.value < -2 * found.won.error
    assert found.loss.value == pytest.approx(np.mean(world(case, secret)(found.front.plan)))
    assert found.front.size.total <= start.size.total * 1.001
    assert sum(isinstance(x, Evaluation) for x in heard) == len(found.evaluations)
    assert sum(isinstance(x, Front) for x in heard) == found.accepted


def test_a_plan_solved_anew_at_what_its_layers_really_cost_is_the_best_there_is(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table()
    rng = np.random.default_rng(4)
    secret = {n: float(np.exp(0.5 * rng.standard_normal())) for n in case.predictor.sensitivity.layers}
    start = best(t, Goal(case.uniform(3)[0]))

    def dealt(plan: Plan) -> dict[str, tuple[float, float]]:
        parts = case.predictor.contributions(resolve(plan, case.layers))
        return {n: (x * secret[n], 0.01 * x) for n, x in parts.items()}

    evaluate = world(case, secret)
    anew = refine(t, start, evaluate, Job(), tried=0, shares=dealt)
    swapped = refine(t, start, evaluate, Job())
    assert anew.loss.value < swapped.loss.value < swapped.before.value
    assert len(anew.evaluations) < len(swapped.evaluations)
    assert anew.front.size.total <= start.size.total * 1.001


def test_refining_accepts_nothing_that_noise_alone_would_explain(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t, rng = case.table(), np.random.default_rng(6)
    start = best(t, Goal(case.uniform(3)[0]))

    def noise(plan: Plan) -> list[float]:
        return rng.normal(1.0, 0.2, 64).tolist()

    found = refine(t, start, noise, Job(), rounds=2)
    assert found.accepted <= 1  # four tries a round at two standard errors
    if not found.accepted:
        assert found.front.plan == start.plan


def test_a_cancelled_refinement_stops_at_once(tmp_path: Path) -> None:
    from core.errors import Cancelled

    case = Case(tmp_path)
    t, job, count = case.table(), Job(), []
    start = best(t, Goal(case.uniform(3)[0]))

    def evaluate(plan: Plan) -> list[float]:
        count.append(plan)
        job.cancel()
        return [1.0, 1.0]

    with pytest.raises(Cancelled):
        refine(t, start, evaluate, job)
    assert len(count) == 1
