"""Two callables are timed by turns, and an interval comes with the median."""

from __future__ import annotations

from core.job import Job
from core.measure import interleaved, timed


def test_each_round_runs_both_in_changing_order() -> None:
    said: list[str] = []
    found = interleaved(lambda: said.append("a"), lambda: said.append("b"), Job(), 0.0)
    assert found.rounds == 15
    assert "".join(said[:8]) == "ababbaab"


def test_more_work_takes_longer_and_the_interval_holds_the_median() -> None:
    found = interleaved(lambda: sum(range(200_000)), lambda: sum(range(2_000)), Job(), 0.1)
    assert found.ratio.low > 2
    assert found.first.low <= found.first.median <= found.first.high


def test_the_interval_of_a_median_are_its_order_statistics() -> None:
    found = timed(list(range(100)))
    assert (found.median, found.low, found.high) == (49.5, 40, 59)
