"""Jobs report every step, stop between steps, and say how long is left."""

from __future__ import annotations

import time

import pytest

from core.errors import Cancelled
from core.job import Job, Progress


def test_a_walk_is_told_before_the_first_step_and_after_each() -> None:
    told: list[Progress] = []
    assert list(Job(tell=told.append).track("abc", "Reading")) == ["a", "b", "c"]
    assert [(p.phase, p.done, p.total) for p in told] == [("Reading", n, 3) for n in range(4)]


def walk(job: Job, until: int, seen: list[int]) -> None:
    """Walks ten steps and cancels itself in one of them."""
    for x in job.track(range(10), "Walking"):
        seen.append(x)
        if x == until:
            job.cancel()


@pytest.mark.parametrize("until", [2, 9])
def test_a_cancelled_walk_stops_before_the_next_item_and_never_ends_as_done(until: int) -> None:
    seen: list[int] = []
    with pytest.raises(Cancelled):
        walk(Job(), until, seen)
    assert seen == list(range(until + 1))


def test_an_iterator_of_unknown_length_has_no_eta() -> None:
    job = Job()
    list(job.track(iter("abc"), "Reading"))
    assert (job.progress.total, job.progress.eta, job.progress.share) == (0, None, 0.0)


def test_the_time_left_is_in_proportion() -> None:
    left = Progress("x", 2, 6, started=time.monotonic() - 10).eta
    assert left == pytest.approx(20, abs=0.5)


def test_points_and_notes_reach_who_watches() -> None:
    points: list[object] = []
    job = Job(point=points.append)
    job.point(1)
    job.note("so")
    assert (points, job.notes) == ([1], ["so"])


def test_a_detail_stays_within_its_phase() -> None:
    job = Job()
    for _ in job.track([1, 2], "A"):
        job.detail("window 1")
    assert job.progress.detail == "window 1"
    list(job.track([1], "B"))
    assert job.progress.detail == ""
