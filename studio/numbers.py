"""How numbers are written: three significant digits, SI units, MB = 10^6 bytes."""

from __future__ import annotations

from math import floor, log10


def digits(x: float, n: int = 3) -> str:
    """Three significant digits without an exponent where people would not write one."""
    if x == 0 or x != x:
        return "0" if x == 0 else "–"
    e = floor(log10(abs(x)))
    return f"{x:.{n - 1}e}" if e < -4 or e > 6 else f"{x:.{max(0, n - 1 - e)}f}"


def nbytes(n: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{digits(n / size)} {unit}"
    return f"{n:.0f} B"


def count(n: float) -> str:
    for unit, size in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if n >= size:
            return f"{digits(n / size)}{unit}"
    return f"{n:.0f}"


def joules(j: float) -> str:
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6)):
        if j >= size:
            return f"{digits(j / size)} {unit}"
    return f"{digits(j / 1e-9)} nJ"


def seconds(s: float) -> str:
    return f"{s:.0f} s" if s < 90 else f"{s / 60:.0f} min" if s < 5400 else f"{s / 3600:.1f} h"
