"""How sure a joule is: intervals of measured figures, and of the ratio of two figures that err alike."""

from __future__ import annotations

import math

from ..types import Energy, Measured, Median

INSTRUMENT = 0.05  # share by which a counter itself is off; the same for both sides, so it is not in a ratio
# x and / of a ratio on one device: power and most of the bias cancel, how well the kernels do does not
RATIO = {"B": 1.10, "C": 1.15}
# Student's t, 90 % two-sided, by degrees of freedom
T = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77, 1.76, 1.75, 1.75, 1.74, 1.73, 1.73, 1.72)


def interval(m: Measured, rounds: int, instrument: float = INSTRUMENT) -> tuple[float, float]:
    """90 % of a metered mean: its t-interval and what the instrument is off, in quadrature."""
    t = T[min(max(rounds - 1, 1), len(T)) - 1]
    reach = math.hypot(t * m.error, instrument * m.value)
    return m.value - reach, m.value + reach


def ratio(before: Energy, after: Energy) -> Median:
    """How many times less the variant takes, with the 90 % interval of a ratio, which is tighter than either side's. One for equal work."""
    if not after.joules or not before.joules:
        return Median(1.0, 1.0, 1.0)
    value = before.joules / after.joules
    if math.isclose(value, 1.0, rel_tol=1e-9):
        return Median(1.0, 1.0, 1.0)
    reach = RATIO["B" if before.level == after.level == "B" else "C"]
    return Median(value, value / reach, value * reach)
