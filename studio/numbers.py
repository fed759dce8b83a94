"""Numbers as people read them: three significant digits, SI units, MB = 10^6 bytes."""

from __future__ import annotations

import math

UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def significant(x: float, digits: int = 3) -> str:
    """Three significant digits without an exponent where that stays short."""
    if not math.isfinite(x):
        return "∞" if x > 0 else "−∞" if x < 0 else "–"
    if x == 0:
        return "0"
    if abs(x) >= 1e6 or abs(x) < 1e-4:
        return f"{x:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e")
    places = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    return f"{x:.{places}f}"


def si(x: float, unit: str = "") -> str:
    """ "134 M", "0.31 J" with the prefix that leaves one to three digits before the point."""
    if x == 0 or not math.isfinite(x):
        return f"{significant(x)} {unit}".strip()
    scale, prefix = next(((s, p) for s, p in UNITS if abs(x) >= s * 0.9995), UNITS[-1])
    return f"{significant(x / scale)} {prefix}{unit}".strip()


def size(nbytes: float) -> str:
    """Bytes with MB = 10^6."""
    return f"{nbytes:.0f} B" if abs(nbytes) < 1000 else si(nbytes, "B").replace(" kB", " kB")


def exact(nbytes: int) -> str:
    """Every byte, with thin grouping: for tooltips."""
    return f"{nbytes:,}".replace(",", "\u202f") + " B"


def percent(share: float) -> str:
    """A share of 1 as per cent."""
    return f"{significant(100 * share)} %"


def duration(seconds: float) -> str:
    """ "9 s", "2 min 5 s", "1 h 3 min"."""
    s = max(0, round(seconds))
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s"
    return f"{s // 3600} h {s % 3600 // 60} min"


def ratio(before: float, after: float) -> str:
    """ "÷3.2" when it shrank, "×1.4" when it grew, "=" when it did not move."""
    if not before or not after or before == after:
        return "="
    return f"÷{significant(before / after)}" if after < before else f"×{significant(after / before)}"


def change(before: float, after: float, how: object = size) -> str:
    """ "538 MB → 78 MB (÷6.9)"."""
    show = how if callable(how) else size
    return f"{show(before)} → {show(after)} ({ratio(before, after)})"


def measured(value: float, error: float = 0.0) -> str:
    """ "0.410 ± 0.020": the value to the digit where its error begins to speak."""
    if not error or not math.isfinite(error):
        return significant(value)
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{min(places, 6)}f} ± {error:.{min(places, 6)}f}"
