"""Error curves of every layer over bits and amount: from the few options that were computed to any setting a slider can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from .prune import pruners
from .quantize import quantizers
from .registry import Registry, knobs
from .sensed import Family, Option, Sensed
from .types import Setting, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FAMILIES: tuple[Family, ...] = ("obs", "round", "prune", "structured", "activation")
SOLVED = ("gptq", "slim", "codebook", "sparsegpt", "admm")  # methods that let later weights make up for earlier errors
STEPS = 200  # of the amount, 0.5 % each; straight between
AMOUNTS = np.linspace(0.0, 1.0, STEPS + 1)
BITS = np.arange(17)
PER_BIT = -2 * log(2)  # a bit more halves the step: a quarter of the squared error
ROUGH = 2.0  # squared error of rounding in groups, relative, is about this times 4^-bits
SAVED = 0.3  # what the later columns leave of it

Key = tuple[str, frozenset[tuple[str, Value]]]  # a method with all its knobs


def family_of(method: str) -> Family:
    """Which methods err alike: one offset and one spread each."""
    if method == "int8dynamic":
        return "activation"
    return "obs" if method in SOLVED else "round" if method in quantizers else "prune"


def family(setting: Setting) -> Family:
    """Of a whole setting; where a layer is pruned and quantized, the quantizer's."""
    return family_of(setting.quantize or setting.prune)


def key(method: str, given: Mapping[str, Value], registry: Registry) -> Key:
    """The method with its knobs, defaults filled in."""
    known: dict[str, Value] = {k.name: k.default for k in knobs(registry[method])} if method in registry else {}
    return method, frozenset({**known, **given}.items())


@dataclass(frozen=True)
class Table:
    """Relative output error of every layer at every step of one method's slider."""

    errors: Array  # (layers, 17) by bits, or (layers, STEPS + 1) by amount
    spoken: NDArray[np.bool_]  # (layers,) an option of that layer speaks for this method with these knobs
    family: Family


class Curves:
    """Tables by method, made when first asked for; layers in the order given."""

    def __init__(self, layers: Sequence[Sensed]) -> None:
        self.layers = tuple(layers)
        self._keys: dict[Any, Key] = {}
        self._points: dict[bool, dict[Key, dict[int, dict[float, float]]]] = {True: {}, False: {}}
        for i, x in enumerate(self.layers):
            for o in x.options:
                self._add(i, o)
        self._tables: dict[tuple[bool, Key], Table] = {}

    def _add(self, i: int, o: Option) -> None:
        s = o.setting
        if bool(s.quantize) == bool(s.prune):
            return
        k = self.key(s.quantize, s.quantize_knobs, True) if s.quantize else self.key(s.prune, s.prune_knobs, False)
        at = self._points[bool(s.quantize)].setdefault(k, {}).setdefault(i, {})
        at[float(s.bits if s.quantize else s.amount)] = max(o.error, 1e-12)

    def key(self, method: str, given: Mapping[str, Value], rounds: bool) -> Key:
        """The method with its knobs, the same object every time."""
        said = (method, *given.items()) if given else method
        found = self._keys.get(said)
        if found is None:
            made = key(method, given, quantizers if rounds else pruners)
            found = self._keys[said] = self._keys.setdefault(made, made)
        return found

    def usual(self, rounds: bool) -> Key:
        """The quantizer (or pruner) most layers have options for, solved ones first: what a layer that names none would be given."""
        found = self._points[rounds]
        if not found:
            return self.key("rtn" if rounds else "magnitude", {}, rounds)
        return max(found, key=lambda k: (len(found[k]), family_of(k[0]) == "obs", k[0]))

    def table(self, rounds: bool, k: Key) -> Table:
        """Of a quantizer over bits, or of a pruner over amounts."""
        if (rounds, k) not in self._tables:
            self._tables[rounds, k] = self._made(rounds, k)
        return self._tables[rounds, k]

    def _made(self, rounds: bool, k: Key) -> Table:
        """What the method's own options say; where a layer has none, another method's curve of that layer, scaled as in layers that have
        both; else what is typical of the method; else the textbook's."""
        own, spoken = self._spoken(rounds, k)
        if not spoken.all():
            missing = ~spoken
            own[missing] = self._typical(rounds, k, own, spoken)[missing]
            for other in sorted(self._points[rounds], key=lambda o: self.apart(k, o), reverse=True):
                if other != k:
                    theirs, there = self._spoken(rounds, other)
                    fill = missing & there
                    own[fill] = theirs[fill] * self._ratio(rounds, k, other, own, spoken, theirs, there)
        if rounds:
            own[:, 16] = 0.0
        else:
            own[:, 0] = 0.0
        return Table(own, spoken, family_of(k[0]))

    def _spoken(self, rounds: bool, k: Key) -> tuple[Array, NDArray[np.bool_]]:
        """Curves through the options of one method; rows of layers without any are NaN."""
        out = np.full((len(self.layers), 17 if rounds else STEPS + 1), np.nan)
        alike: dict[tuple[float, ...], list[int]] = {}
        points = self._points[rounds].get(k, {})
        for i, found in points.items():
            alike.setdefault(tuple(sorted(found)), []).append(i)
        for xs, rows in alike.items():
            ys = np.array([[points[i][x] for x in xs] for i in rows])
            out[rows] = by_bits(np.array(xs), ys) if rounds else by_amount(np.array(xs), ys, _fixed(k))
        return out, ~np.isnan(out[:, 2])

    @staticmethod
    def apart(k: Key, other: Key) -> tuple[bool, bool, int]:
        """How unlike two methods are, least first: another method, another family, other knobs."""
        return k[0] != other[0], family_of(k[0]) != family_of(other[0]), len(k[1] ^ other[1])

    @staticmethod
    def _ratio(rounds: bool, k: Key, other: Key, own: Array, spoken: NDArray[np.bool_], theirs: Array, there: NDArray[np.bool_]) -> Array:
        """(steps,) the geometric mean of own / theirs over layers that have both; the textbook's ratio where none has."""
        both = spoken & there
        if not both.any():
            return law(rounds, k) / np.maximum(law(rounds, other), 1e-12)
        return np.exp((np.log(np.maximum(own[both], 1e-12)) - np.log(np.maximum(theirs[both], 1e-12))).mean(0))

    @staticmethod
    def _typical(rounds: bool, k: Key, own: Array, spoken: NDArray[np.bool_]) -> Array:
        """(layers, steps) the geometric mean of the layers that have options of this method, or the textbook's curve."""
        row = np.exp(np.log(np.maximum(own[spoken], 1e-12)).mean(0)) if spoken.any() else law(rounds, k)
        return np.broadcast_to(row, own.shape)


def law(rounds: bool, k: Key) -> Array:
    """The textbook's curve of a method: a quarter of the error per bit; of Gaussian weights the smallest are dropped."""
    saved = SAVED if family_of(k[0]) == "obs" else 1.0
    if rounds:
        group = dict(k[1]).get("group_size", 64) if dict(k[1]).get("granularity", "group") == "group" else 1024
        wide = log(max(float(group), 2.0)) / log(64.0)  # the extremes of n Gaussian weights lie sqrt(2 ln n) apart
        return np.minimum(saved * ROUGH * wide * np.exp(PER_BIT * BITS), 1.0)
    if _fixed(k):
        return np.full(STEPS + 1, saved * float(GAUSSIAN[STEPS // 2]))
    return np.minimum(saved * GAUSSIAN + (1 - saved) * AMOUNTS**8, 1.0)


def _gaussian() -> Array:
    """Share of a Gaussian's energy in its smallest weights: a - 2 z pdf(z) with z = cdf^-1((1 + a) / 2)."""
    n = NormalDist()
    return np.array([a - 2 * (z := n.inv_cdf((1 + a) / 2)) * n.pdf(z) if a < 1 else 1.0 for a in AMOUNTS.tolist()])


GAUSSIAN = _gaussian()


def _fixed(k: Key) -> bool:
    """N:M patterns: the amount says only that the pattern is on."""
    return ":" in str(dict(k[1]).get("pattern", ""))


def by_bits(xs: Array, ys: Array) -> Array:
    """Errors ys (layers, points) at xs bits -> (layers, 17): log-linear between points, a quarter per bit beyond them, never rising."""
    logs = np.minimum.accumulate(np.log(ys), 1)
    out = np.empty((len(ys), 17))
    for b in range(17):
        j = int(np.searchsorted(xs, b))
        if j == 0:
            out[:, b] = logs[:, 0] + PER_BIT * (b - xs[0])
        elif j == len(xs):
            out[:, b] = logs[:, -1] + PER_BIT * (b - xs[-1])
        else:
            t = (b - xs[j - 1]) / (xs[j] - xs[j - 1])
            out[:, b] = (1 - t) * logs[:, j - 1] + t * logs[:, j]
    return np.exp(out)


def by_amount(xs: Array, ys: Array, fixed: bool = False) -> Array:
    """Errors ys (layers, points) at xs amounts -> (layers, STEPS + 1): 0 at nothing, 1 at everything, monotone cubic in the root of the
    error between (Fritsch & Carlson 1980). `fixed`: a pattern, the same at any amount above 0."""
    if fixed:
        return np.repeat(ys[:, -1:], STEPS + 1, 1)
    inner = (xs > 0) & (xs < 1)
    full = np.concatenate([[0.0], xs[inner], [1.0]])
    roots = np.sqrt(np.minimum(np.maximum.accumulate(ys[:, inner], 1), 1.0))
    values = np.concatenate([np.zeros((len(ys), 1)), roots, np.ones((len(ys), 1))], 1)
    return pchip(full, values, AMOUNTS) ** 2


def pchip(x: Array, y: Array, at: Array) -> Array:
    """Piecewise cubic Hermite interpolation that keeps monotone data monotone: x (points,), y (rows, points), at (n,) -> (rows, n)."""
    h, slope = np.diff(x), np.diff(y, axis=1) / np.diff(x)
    d = np.zeros_like(y)
    before, after = slope[:, :-1], slope[:, 1:]
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    same = before * after > 0
    safe_before, safe_after = np.where(same, before, 1.0), np.where(same, after, 1.0)
    d[:, 1:-1] = np.where(same, (w1 + w2) / (w1 / safe_before + w2 / safe_after), 0.0)
    d[:, 0], d[:, -1] = _end(h, slope), _end(h[::-1], slope[:, ::-1])
    j = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(h) - 1)
    t = (at - x[j]) / h[j]
    a, b = (1 + 2 * t) * (1 - t) ** 2, t**2 * (3 - 2 * t)
    return a * y[:, j] + t * (1 - t) ** 2 * h[j] * d[:, j] + b * y[:, j + 1] + t**2 * (t - 1) * h[j] * d[:, j + 1]


def _end(h: Array, slope: Array) -> Any:
    """The one-sided derivative at an end, cut back where it would overshoot."""
    if len(h) == 1:
        return slope[:, 0]
    d = ((2 * h[0] + h[1]) * slope[:, 0] - h[0] * slope[:, 1]) / (h[0] + h[1])
    d = np.where(d * slope[:, 0] <= 0, 0.0, d)
    turn = (slope[:, 0] * slope[:, 1] <= 0) & (np.abs(d) > 3 * np.abs(slope[:, 0]))
    return np.where(turn, 3 * slope[:, 0], d)
