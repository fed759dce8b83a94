"""What the user wants of a plan, in the words of a recipe: a size, a loss, joules, or a weighing of all three."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..errors import BadPlan

UNITS = {
    "": 1, "b": 1, "byte": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
AMOUNT = re.compile(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:e[0-9]+)?|\.[0-9]+)\s*([a-z]*|x|%)\s*", re.IGNORECASE)


AIMS = ("size", "worse", "kl", "energy", "time", "weights")


@dataclass(frozen=True)
class Goal:
    """One wish; shares are of the original. Alone or with `weights` nothing else is asked for."""

    size: int | str = ""  # the best plan within so many bytes: 60000000, "60 MB", "0.5x", "50 %"
    worse: float | None = None  # the smallest plan whose figure is at most this share worse, with 90 % certainty
    kl: float | None = None  # the smallest plan whose predicted loss is at most this, in the sensitivity's currency
    energy: float | None = None  # the best plan within this share of the original's modelled joules
    time: float | None = None  # the best plan within this share of the original's modelled seconds
    weights: tuple[float, float, float] | None = None  # alpha, beta, gamma of J = alpha D + beta S/S0 + gamma E/E0
    alike: bool = False  # q, k and v, and gate and up, of a block get one setting: runtimes that fuse them need it
    refine: int = 0  # rounds of local search with real evaluations afterwards
    groups: tuple[int, ...] = ()  # group sizes tried for every layer beside its own (0: one scale a row): coarse ones leave bytes for bits

    def __post_init__(self) -> None:
        said = [n for n in AIMS if getattr(self, n) not in (None, "")]
        if len(said) != 1:
            known = ", ".join(AIMS)
            raise BadPlan(f"A goal is one of {known}; this one says {' and '.join(said) or 'none of them'}")
        if self.size != "":
            budget(self.size, 1)
        for name in ("worse", "kl", "energy", "time"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise BadPlan(f"[goal] {name} = {value}: give a number above 0, such as 0.01")
        w = self.weights
        if w is not None and not (len(w) == 3 and min(w) >= 0 and w[0] > 0 and 0 < max(w[1:]) < float("inf")):
            raise BadPlan(f"[goal] weights = {list(w)}: give three, from 0 on: of loss (above 0), size and energy (one above 0)")

    @property
    def name(self) -> str:
        return next(n for n in AIMS if getattr(self, n) not in (None, ""))

    @property
    def told(self) -> str:
        """In a few words, for the log."""
        return f"{self.name} {', '.join(f'{w:g}' for w in self.weights) if self.weights else getattr(self, self.name)}"

    def table(self) -> dict[str, Any]:
        """As a recipe's [goal] says it."""
        value = list(self.weights) if self.weights else getattr(self, self.name)
        return {self.name: value, "alike": self.alike or None, "refine": self.refine or None, "groups": list(self.groups) or None}


def budget(size: int | str, original: int) -> int:
    """Bytes of "60 MB", "0.5x" or "50 %" (of the original) or a plain number; BadPlan when it is none of these."""
    found = AMOUNT.fullmatch(str(size))
    unit = found.group(2).lower() if found else "?"
    if found is None or (unit not in UNITS and unit not in ("x", "%")):
        raise BadPlan(f'A size is a number of bytes, "60 MB", "0.5x" or "50 %" (of the original), not {size!r}')
    number = float(found.group(1).replace("_", "").replace(",", ""))
    if number <= 0:
        raise BadPlan(f"A size of {size} leaves no room for anything; give more")
    if unit in ("x", "%"):
        return int(number * (0.01 if unit == "%" else 1.0) * original)
    return int(number * UNITS[unit])


def goal(said: Mapping[str, Any]) -> Goal | None:
    """The goal of a recipe's table, None where there is none; an unknown key or a value of another kind is a BadPlan."""
    if not said:
        return None
    known = [f.name for f in fields(Goal)]
    for key, value in said.items():
        if key not in known:
            raise BadPlan(f"[goal] {key!r} is an unknown key of the recipe; there is {', '.join(known)}")
        if not _fits(key, value):
            raise BadPlan(f"[goal] {key} can't be {value!r}; see slim plan --help for what a goal may say")
    kinds: dict[str, Any] = {"weights": float, "groups": int}
    given: dict[str, Any] = {k: tuple(map(kinds[k], v)) if k in kinds else v for k, v in said.items()}
    return Goal(**given)


def _fits(key: str, value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key == "alike":
        return isinstance(value, bool)
    if key == "refine":
        return number and isinstance(value, int) and value >= 0
    if key == "groups":
        return isinstance(value, list) and all(_fits("refine", v) and v != 1 for v in value)
    if key == "weights":
        return isinstance(value, list) and len(value) == 3 and all(_fits("worse", v) for v in value)
    return number or (key == "size" and isinstance(value, str))
