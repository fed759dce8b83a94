"""What slimming itself has cost, by a meter where there is one, and after how many inferences it has paid for itself."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Self

from .carbon import Place, carbon, chosen
from .energy.devices import HERE, device
from .energy.levels import INSTRUMENT
from .energy.meters import MeterLost, Tally, meter
from .types import LEVELS, Energy, Report, Spent

LOOK = 60.0  # s between readings: the counter of a processor under full load goes round in half an hour at the earliest
COARSE = 1.0  # s between updates from which a counter (a battery's moves every 30 s) says nothing of work that may take two


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of work, the part of them a meter saw, and its joules: of all it covers, rest and other programs included."""

    seconds: float = 0.0
    metered: float = 0.0
    joules: float = 0.0
    meter: str = ""

    def __add__(self, other: Took) -> Took:
        return Took(
            self.seconds + other.seconds, self.metered + other.metered, self.joules + other.joules, other.meter or self.meter
        )  # fmt: skip


class Bill:
    """Keeps count from `with` on; a counter that goes away or backwards meanwhile leaves what was read before it."""

    def __init__(self, of: Any = None) -> None:
        found = of or meter()
        self._meter: Any = found if found and found.tick < COARSE else None
        self._over, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="slim-meter", daemon=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._seen, self._joules, self._tally = self._start, 0.0, None
        with contextlib.suppress(MeterLost):
            self._tally = Tally(self._meter) if self._meter else None
        if self._tally:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._tally:
            self._thread.join()

    def took(self) -> Took:
        """Up to now."""
        with self._lock:
            self._read()
            seconds, seen = time.monotonic() - self._start, self._seen - self._start
        return Took(seconds, seen, self._joules, f"{self._meter.title}, {self._meter.covers}" if seen else "")

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            with self._lock:
                self._read()

    def _read(self) -> None:
        if self._tally is None:
            return
        try:
            self._joules, self._seen = self._tally.joules(), time.monotonic()
        except MeterLost:
            self._tally = None


def spent(took: Took, before: Energy | None = None, after: Energy | None = None) -> Spent:
    """What the work took, metered where that was seen and else modelled at this machine's full load, and the tokens or samples after which
    it is won back (None: never)."""
    d = device(HERE)
    watts, rest = d.computing * d.factor, max(0.0, took.seconds - took.metered)
    joules = took.joules + rest * watts
    low = took.joules * (1 - INSTRUMENT) + rest * watts / d.range
    high = took.joules * (1 + INSTRUMENT) + rest * watts * d.range
    saved = before.joules - after.joules if before and after else 0.0
    seen = took.metered > rest  # the greater part
    how = f"{took.seconds:.3g} s of this machine"
    how += f", {took.metered:.3g} s of them metered ({took.meter})" if took.metered else f" at {watts:.3g} W"
    unit = after.unit if after else ""
    return Spent(took.seconds, joules, low, high, "A" if seen else d.level, joules / saved if saved > 0 else None, unit, how)


def paid(s: Spent) -> str:
    """The ledger in one sentence."""
    back = f"paid back after {s.payback:.3g} {s.unit}s" if s.payback is not None else "not paid back: the variant saves no energy there"
    return f"{s.how}: {s.joules:.3g} J ({s.low:.3g} to {s.high:.3g}), {LEVELS.get(s.level, 'modelled')}; {back}"


def accounted(report: Report, took: Took | None = None, place: Place | None = None) -> Report:
    """The report with its grams there (None: the place chosen on this machine) and with what the work took (None: its phases' seconds)."""
    before, after = report.original.energy, report.variant.energy
    grams = carbon(before, after, place or chosen()) if before and after else None
    took = took or Took(sum(report.seconds.values()))
    return replace(report, carbon=grams, spent=spent(took, before, after) if took.seconds else None)
