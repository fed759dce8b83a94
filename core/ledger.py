"""What slimming itself has cost, and after how many inferences it has paid for itself."""

from __future__ import annotations

from dataclasses import replace

from .carbon import carbon, chosen
from .energy.devices import HERE, device
from .types import Energy, Report, Spent


def spent(seconds: float, before: Energy | None = None, after: Energy | None = None) -> Spent:
    """So many seconds of this machine at work, and the tokens or samples after which they are won back (None: never)."""
    d = device(HERE)
    joules = seconds * d.computing * d.factor
    saved = before.joules - after.joules if before and after else 0.0
    how = f"{seconds:.3g} s of this machine at {d.computing * d.factor:.3g} W"
    unit = after.unit if after else ""
    return Spent(seconds, joules, joules / d.range, joules * d.range, d.level, joules / saved if saved > 0 else None, unit, how)


def accounted(report: Report, seconds: float | None = None) -> Report:
    """The report with its grams and with what the work took (`seconds`; None: the sum of its phases)."""
    before, after = report.original.energy, report.variant.energy
    grams = carbon(before, after, chosen()) if before and after else None
    worked = sum(report.seconds.values()) if seconds is None else seconds
    return replace(report, carbon=grams, spent=spent(worked, before, after) if worked else None)
