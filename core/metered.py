"""Joules of the original and of a variant from a meter: by turns, with what the machine draws while it does nothing told apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .energy.meters import Tally
from .job import Job
from .measure import turns
from .types import Measured

ROUNDS = 6  # of each side at least, so that there is a standard error
WINDOW = 1.0  # s a reading lasts at least, and 100 updates of the counter
SECONDS = 20.0  # of measuring in all, at least
IDLE = 3.0  # s of doing nothing first
INSTRUMENT = 0.05  # share by which a counter itself is off (RAPL and NVML against a wall meter; systematic, so it cancels in the ratio)


@dataclass(frozen=True, slots=True)
class Metered:
    """Joules a unit (token, image, sentence) with their standard errors over the rounds; `idle` is watts of the machine at rest."""

    before: Measured
    after: Measured
    before_net: Measured  # above what the machine draws at rest
    after_net: Measured
    ratio: Measured  # before / after, round by round: how many times less the variant takes
    idle: float
    meter: str
    covers: str
    rounds: int
    seconds: tuple[float, float]  # of one unit, before and after


def metered(
    first: Callable[[], object], second: Callable[[], object], units: float, meter: Any, job: Job, seconds: float = SECONDS
) -> Metered:
    """Both by turns on one meter; `units` are done by one call. MeterLost when a counter goes away meanwhile."""
    window = max(WINDOW, 100 * meter.tick)
    at_rest = resting(meter, job, max(IDLE, 10 * meter.tick))

    def gauge(call: Callable[[], object]) -> tuple[float, float]:
        """Joules and seconds of one unit, over a window long enough for the counter."""
        tally, start, calls = Tally(meter), time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - start < window:
            job.check()
            call()
            calls += 1
        return tally.joules() / (calls * units), (time.perf_counter() - start) / (calls * units)

    rows = turns(first, second, gauge, job, ROUNDS, seconds)
    before, after = ([r[i][0] for r in rows] for i in (0, 1))
    net = [[j - at_rest * s for j, s in (r[i] for r in rows)] for i in (0, 1)]
    times = [sum(r[i][1] for r in rows) / len(rows) for i in (0, 1)]
    ratio = mean([a / b if b else math.nan for a, b in zip(before, after)])
    return Metered(
        mean(before), mean(after), mean(net[0]), mean(net[1]), ratio, at_rest, meter.title, meter.covers, len(rows), (times[0], times[1])
    )


def resting(meter: Any, job: Job, seconds: float) -> float:
    """Watts while this process does nothing."""
    tally, start = Tally(meter), time.perf_counter()
    while time.perf_counter() - start < seconds:
        job.check()
        time.sleep(0.02)
    return tally.joules() / (time.perf_counter() - start)


def mean(values: Sequence[float]) -> Measured:
    """The mean with its standard error."""
    n = len(values)
    middle = math.fsum(values) / n
    spread = math.fsum((v - middle) ** 2 for v in values) / max(1, n - 1)
    return Measured(middle, math.sqrt(spread / n))
