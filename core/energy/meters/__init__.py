"""Energy meters, one a file: what a machine's own counters say, and a sentence where they say nothing.

A meter is a frozen dataclass with `title`, `covers` (what its joules are of) and `tick` (seconds between updates of its counters);
`why()` says in one sentence why it can't be read here ("" = it can), a call reads every counter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ...errors import SlimError
from ...registry import Registry


class MeterLost(SlimError):
    """A counter that could be read can't be read any more."""


@dataclass(frozen=True, slots=True)
class Counter:
    """Joules on one counter; at `range` it starts again from zero (0 = never)."""

    joules: float
    range: float = 0.0


class Meter(Protocol):
    title: ClassVar[str]
    covers: ClassVar[str]
    tick: ClassVar[float]

    def why(self) -> str: ...
    def __call__(self) -> Mapping[str, Counter]: ...


meters = Registry("core.energy.meters")


def spent(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> float:
    """Joules between two readings, each counter wrapped at most once; MeterLost when a counter has gone."""
    if gone := before.keys() - after.keys():
        raise MeterLost(f"The energy counter {min(gone)} has gone while it was read; measure again, or go without a meter")
    total = 0.0
    for name, start in before.items():
        delta = after[name].joules - start.joules
        if delta < 0:
            if delta + start.range < 0 or not start.range:
                raise MeterLost(f"The energy counter {name} went backwards; the machine slept or was reset: measure again")
            delta += start.range
        total += delta
    return total


class Tally:
    """Joules since it was made; read it at least once while a counter goes round (minutes, on a busy server)."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self._last, self._sum = meter, meter(), 0.0

    def joules(self) -> float:
        now = self._meter()
        self._sum += spent(self._last, now)
        self._last = now
        return self._sum


def available() -> tuple[Meter, ...]:
    """Every meter that can be read here, the finest first; milliseconds."""
    return tuple(sorted((m for kind in meters.values() if not (m := kind()).why()), key=lambda m: m.tick))


def reasons() -> dict[str, str]:
    """Meter -> why it can't be read here."""
    return {kind.title: why for kind in meters.values() if (why := kind().why())}


def meter() -> Any:
    """The meter to use for work on the processor, or None: RAPL before the battery; a GPU's counter sees none of it."""
    kinds = [kind() for key, kind in meters.items() if key != "nvml"]
    return next((m for m in sorted(kinds, key=lambda m: m.tick) if not m.why()), None)
