"""Points of the front as ordinary plans: exact bytes, predicted loss, modelled energy, and a reason for every layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..energy import estimate
from ..sensed import Front
from ..size import size
from ..types import Setting
from .compact import compact
from .curse import widened
from .knapsack import Ints
from .table import Table

POINTS = 33
NAMES = {"kl": "KL", "1-cosine": "1 - cosine"}


def points(t: Table, most: int = POINTS) -> tuple[Front, ...]:
    """Plans along the whole front, smallest first, evenly apart in bytes."""
    return tuple(point(t, t.sweep.at(i), price(t, i)) for i in steps(t, most))


def steps(t: Table, most: int = POINTS) -> list[int]:
    """Which steps of the sweep to show."""
    cost = t.sweep.cost
    return sorted({int(i) for i in np.searchsorted(cost, np.linspace(cost[0], cost[-1], most)).clip(0, len(cost) - 1)})


def price(t: Table, step: int) -> float:
    """What a byte less costs after so many steps; at the smallest plan, what the first byte more wins."""
    found = t.sweep.price
    return float(found[max(step - 1, 0)]) if len(found) else 0.0


def near(t: Table, nbytes: float) -> Front:
    """The point of the hull just under so many bytes (the smallest plan where there is none): for a handle that is dragged."""
    step = max(0, t.sweep.under(nbytes - t.rest - slack(t)))
    return point(t, t.sweep.at(step), price(t, step))


def slack(t: Table) -> int:
    """Bytes by which a sum over layers falls short of the exact size: the header's frame and the digits of its offsets."""
    if "slack" not in t.kept:
        chosen = t.sweep.first
        t.kept["slack"] = size(t.checkpoint, t.layers, t.settings(chosen), t.target).total - t.rest - round(t.knapsack.total(chosen)[0])
    return t.kept["slack"]


def point(t: Table, chosen: Ints, at_price: float) -> Front:
    """One choice of options as a plan that says what it will cost and why."""
    settings = t.settings(chosen)
    bytes_ = size(t.checkpoint, t.layers, settings, t.target)
    joules = estimate(t.checkpoint, t.layers, settings, bytes_, t.target, t.task, t.scene).joules
    foretold = widened(t, t.predictor.estimate(settings), at_price)
    plan = compact(t.plan, t.layers, settings, t.free)
    return Front(plan, bytes_, foretold, joules, 1e6 * at_price, Reasons(t, chosen))


class Reasons(Mapping[str, str]):
    """Layer.name -> why it is what it is: what one step less would cost for the bytes it saves; at its least, what one step more wins.
    Put into words when first asked for: a handle that is dragged asks for none."""

    def __init__(self, t: Table, chosen: Ints) -> None:
        self._of = t, chosen

    @cached_property
    def _said(self) -> dict[str, str]:
        return _reasons(*self._of)

    def __getitem__(self, name: str) -> str:
        return self._said[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._of[0].layers)


def _reasons(t: Table, chosen: Ints) -> dict[str, str]:
    k = t.knapsack
    saved, lost = k.cost[chosen][k.group] - k.cost, k.value - k.value[chosen][k.group]
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.where(saved > 0, lost / saved, np.inf)
        up = np.where((saved < 0) & (lost < 0), lost / saved, -np.inf)
    less, more = _first(t, down, np.minimum), _first(t, up, np.maximum)
    out = {x.name: _fixed(t, x.name) for x in t.layers}
    for j, (places, option) in enumerate(zip(t.members, chosen.tolist())):
        least = not np.isfinite(down[less[j]])
        other = int(more[j] if least else less[j])
        text = _worded(t, option, other, float(saved[other]), float(lost[other]))
        for i in places:
            note = t.notes.get(t.layers[i].name, "") if least else ""
            out[t.layers[i].name] = f"{text} ({note})" if note else text
    return out


def _worded(t: Table, option: int, other: int, saved: float, lost: float) -> str:
    now, then = t.ways[option], t.ways[other]
    what, instead = (told(now), told(then)) if told(now) != told(then) else (told(now, then), told(then, now))
    name = NAMES[t.predictor.sensitivity.currency]
    if saved > 0:
        return f"kept at {what}: {_plain(1e6 * lost / saved)} {name} per MB ({_bytes(saved)} less at {instead})"
    if saved < 0 and lost < 0:
        return f"down to {what}: {instead} would win {_plain(1e6 * lost / saved)} {name} per MB ({_bytes(-saved)} more)"
    return f"{what}: the only way it can be stored"


def _plain(x: float) -> str:
    """Two digits, without an exponent."""
    return f"{x:.0f}" if x >= 10 else f"{x:.2g}" if x >= 1e-4 or x <= 0 else "under 0.0001"


def _bytes(n: float) -> str:
    return f"{_plain(n / 1e6)} MB" if n >= 1e6 else f"{_plain(n / 1e3)} kB"


def _fixed(t: Table, name: str) -> str:
    return f"{told(t.fixed[name])}: {t.notes.get(name, 'this format stores it in one way only')}" if name in t.fixed else ""


def told(s: Setting, beside: Setting | None = None) -> str:
    """A setting in a few words; with its method, or the knobs in which it differs, beside another one."""
    bits = f"{s.bits} bits" if s.quantize else "full precision"
    if beside is not None and s.quantize and s.quantize != beside.quantize:
        bits += f" {s.quantize}"
    elif beside is not None:
        bits += "".join(f", {k} {v}" for k, v in sorted(s.quantize_knobs.items()) if beside.quantize_knobs.get(k) != v)
    return f"{bits}, {s.amount:.0%} zero" if s.amount else bits


def _first(t: Table, score: Any, best: Any) -> Ints:
    """(groups,) = the first option of each group with its best score."""
    k = t.knapsack
    top = best.reduceat(score, k.start[:-1]) if len(k.start) > 1 else np.zeros(0)
    at = np.flatnonzero(score == top[k.group])
    return at[np.unique(k.group[at], return_index=True)[1]]
