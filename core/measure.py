"""Measures how long two ways of doing the same take: interleaved, so that what else the machine does falls on both alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .job import Job

T = TypeVar("T")
ENOUGH = 15  # rounds at least: the interval of a median needs a handful
SECONDS = 3.0  # of measuring at most, once there are enough rounds


@dataclass(frozen=True)
class Timed:
    """Seconds of one call: the median and its 95 % interval from order statistics."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Faster:
    """Two callables beside each other; `ratio` = first / second of the same round, so above 1 the second is faster."""

    first: Timed
    second: Timed
    ratio: Timed
    rounds: int


def interleaved(first: Callable[[], object], second: Callable[[], object], job: Job, seconds: float = SECONDS) -> Faster:
    """Run both by turns until the time is spent."""
    rows = turns(first, second, _once, job, ENOUGH, seconds)
    return Faster(timed([a for a, _ in rows]), timed([b for _, b in rows]), timed([a / b for a, b in rows]), len(rows))


def turns(
    first: Callable[[], object], second: Callable[[], object], gauge: Callable[[Callable[[], object]], T], job: Job, enough: int,
    seconds: float,
) -> list[tuple[T, T]]:  # fmt: skip
    """What `gauge` makes of both, by turns in changing order, until there is enough and the time is spent; one round first warms the
    caches and does not count."""
    rows: list[tuple[T, T]] = []
    first(), second()
    end = time.perf_counter() + seconds
    while len(rows) < enough or time.perf_counter() < end:
        job.check()
        if len(rows) % 2:
            b, a = gauge(second), gauge(first)
        else:
            a, b = gauge(first), gauge(second)
        rows.append((a, b))
    return rows


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def timed(values: Sequence[float]) -> Timed:
    """The median with the order statistics that enclose it with 95 % (the binomial's normal approximation)."""
    found = sorted(values)
    n = len(found)
    reach = 0.98 * n**0.5
    low, high = max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))
    return Timed((found[(n - 1) // 2] + found[n // 2]) / 2, found[low], found[high])
