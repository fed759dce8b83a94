"""What a plan will cost before it is run: predicted KL with a 90 % interval, in well under a millisecond, wiser with every evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, hypot, isfinite, log, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from .answers import Row, Sum
from .curves import AMOUNTS, FAMILIES, STEPS, Curves, Key, Table, law
from .human import human
from .posterior import Parts, Posterior
from .sensed import Estimate, Evaluation, Record, Sensed, Sensitivity
from .types import Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Predictor", "human"]

SAMPLING = 0.04  # relative standard error of an evaluation of about 2000 tokens, until evaluations say theirs
SHARED = 0.5  # of an evaluation's standard error, what its neighbours on the same samples do not share
STRAIGHT = 0.3  # share of the ceiling up to which prices simply add up
CENTRE = {"kl": log(0.3), "1-cosine": log(0.03)}  # where most of what anyone wants to know lies
UNIT = {"kl": 0.1, "1-cosine": 0.01}  # where the sum of prices is the loss itself, whatever the slope
UNSAID = 0.4  # deviation of the log price of a setting no option speaks for
DEPTHS = 3
NUMBER = re.compile(r"\.(\d+)\.")
IDLE = (None, None, 0.0, 16)
ANSWERED = 0.02  # deviation of a layer's log price where options were run on the scored samples
LOOSE = 0.17  # deviation of one plan's log loss there, times the root of the relative size of the changes
TIGHT = 1.7  # times that root too: factor on all other deviations there
STANDARD = (2, 3, 4, 5, 6, 7, 8, 16)


@dataclass(frozen=True)
class Predictor:
    """Built once from what was sensed and evaluated; every question after that is a few vector operations."""

    sensitivity: Sensitivity
    curves: Curves
    posterior: Posterior
    record: Record
    sampling: float
    _at: Mapping[str, int] = field(repr=False)
    _alpha: Array = field(repr=False)
    _bucket: NDArray[np.intp] = field(repr=False)  # (layers,) times families: where a layer's first bucket is
    _factors: Array = field(repr=False)  # (layers, families)
    _sum: Sum | None = field(default=None, repr=False)  # of answers, where they are known

    @staticmethod
    def of(sensitivity: Sensitivity, evaluations: Sequence[Evaluation] = ()) -> Predictor:
        """Curves through the options, then whatever the evaluations teach."""
        layers = tuple(sensitivity.layers.values())
        alpha = np.array([x.alpha for x in layers])
        bucket, families = _buckets(layers)
        factors = np.array([[x.factors.get(f, 1.0) for f in FAMILIES] for x in layers]).reshape(len(layers), len(FAMILIES))
        answers, curves = sensitivity.answers, Curves(layers)
        doubt, guessed = np.array([x.doubt for x in layers]), np.array([x.how != "measured" for x in layers], bool)
        if answers:
            doubt, guessed = np.full(len(layers), ANSWERED), np.zeros(len(layers), bool)
        spread = 1.0 if answers else sensitivity.spread
        posterior = Posterior(families, doubt, guessed, CENTRE[sensitivity.currency], spread=spread)
        found = Predictor(
            sensitivity, curves, posterior, _record(evaluations), _sampling(evaluations), {x.layer: i for i, x in enumerate(layers)},
            alpha, bucket, factors, Sum(answers, curves) if answers else None,
        )  # fmt: skip
        return found._taught(evaluations) if evaluations else found

    def _taught(self, evaluations: Sequence[Evaluation]) -> Predictor:
        told = [(e, self._parts(e.settings)[0]) for e in evaluations if e.value > 0]
        told = [(e, p) for e, p in told if p.prices.any()]
        logs = np.array([log(self._straightened(e.value)) for e, _ in told])
        # they share their samples, and so most of their standard errors: what differs between plans is a part of it
        noise = np.array([self._noise(p, min(e.error / e.value, 1.0) if e.error > 0 else SAMPLING / SHARED, True) for e, p in told])
        learned = self.posterior.learned(tuple(p for _, p in told), logs, noise)
        return replace(self, posterior=learned)

    def estimate(self, settings: Mapping[str, Setting]) -> Estimate:
        """The plan's price in the sensitivity's currency. Layers without a setting are taken as left alone."""
        parts, missing, doubted = self._parts(settings)
        if not parts.prices.any():
            return Estimate(0.0, 0.0, 0.0, missing)
        sampling = self._noise(parts, self.sampling, bool(self.posterior.plans))
        mean, half = self.posterior.foretold(parts, sqrt(sampling**2 + (UNSAID * doubted) ** 2))
        value, low, high = (self._shown(exp(v)) for v in (mean, mean - half, mean + half))
        return Estimate(value, low, high, missing)

    def _noise(self, parts: Parts, sampling: float, shared: bool) -> float:
        """What the sampling of the scored data adds to a log price's deviation; where it was foretold on these very samples, its own."""
        return parts.sampling if parts.sampling is not None else (SHARED * sampling if shared else sampling) / self.slope

    @property
    def slope(self) -> float:
        return 1.0 if self._sum else self.sensitivity.slope

    def contributions(self, settings: Mapping[str, Setting]) -> dict[str, float]:
        """Layer -> its share of the loss, as learned; they add up to the loss before it saturates."""
        prices = self._learned(self._parts(settings)[0]).sum(0)
        total = float(prices.sum())
        return dict(zip(self._at, (prices * (self._risen(total, self.slope) / total if total > 0 else 0.0)).tolist()))

    def prices(self, settings: Mapping[str, Setting]) -> list[float]:
        """Each layer's price before anything was learned of it; the loss is their sum to the slope's power."""
        return self._parts(settings)[0].prices.sum(0).tolist()

    @property
    def first_buckets(self) -> list[int]:
        """Where each layer's buckets begin, one a family."""
        return self._bucket.tolist()

    def value(self, layer: str, setting: Setting) -> float:
        """What one setting of one layer adds to the price."""
        return float(self.values(layer, [setting])[0])

    def values(self, layer: str, settings: Sequence[Setting]) -> Array:
        """(settings,) what each adds to the price: many options of one layer in one go."""
        i = self._at.get(layer)
        if i is None:
            return np.array([self._unknown(s) for s in settings])
        return self._priced(np.full(len(settings), i), [self._row(s) for s in settings])

    def curve(self, layer: str, setting: Setting, axis: Literal["bits", "amount"]) -> tuple[Array, Array]:
        """(xs, prices) along one slider, the rest of the setting as it is; a method the setting does not name is the usual one."""
        pruner, quantizer, amount, bits = self._row(setting)
        usual = self.curves.usual(axis == "bits")
        rows: list[Row]
        if axis == "bits":
            xs = np.array(STANDARD, float)
            quantizer = quantizer or usual
            rows = [(pruner, quantizer, amount, b) for b in STANDARD]
        else:
            xs = AMOUNTS[: round(0.95 * STEPS) + 1 : 2]
            pruner = pruner or usual
            rows = [(pruner, quantizer, a, bits) for a in xs.tolist()]
        i = self._at.get(layer)
        return xs, np.zeros(len(xs)) if i is None else self._priced(np.full(len(rows), i), rows)

    def speaks_for(self, layer: str, setting: Setting) -> bool:
        """Whether an option of this layer was computed with this method and these knobs."""
        pruner, quantizer, *_ = self._row(setting)
        i = self._at.get(layer)
        return i is not None and all(t.spoken[i] for t in self._tables(pruner, quantizer))

    def _tables(self, pruner: Key | None, quantizer: Key | None) -> list[Table]:
        return [self.curves.table(r, k) for r, k in ((False, pruner), (True, quantizer)) if k]

    def _row(self, s: Setting) -> Row:
        """What prices hang on: methods with their knobs, amount and bits."""
        pruner = self.curves.key(s.prune, s.prune_knobs, False) if s.prune else None
        quantizer = self.curves.key(s.quantize, s.quantize_knobs, True) if s.quantize else None
        return pruner, quantizer, s.amount if pruner else 0.0, s.bits if quantizer else 16

    def _parts(self, settings: Mapping[str, Setting]) -> tuple[Parts, int, float]:
        """(prices and buckets of all layers, how many no option speaks for, what share of the price they put in doubt)"""
        rows: list[Row] = []
        memo: dict[int, Row] = {}
        for name in self._at:
            s = settings.get(name)
            if s is None:
                rows.append(IDLE)
                continue
            row = memo.get(id(s))
            if row is None:
                row = memo[id(s)] = self._row(s)
            rows.append(row)
        errors, families, spoken = self._errors(np.arange(len(rows)), rows)
        prices = errors * self._alpha * self._factors[np.arange(len(rows)), families]
        unknown = [s for n, s in settings.items() if not s.idle and n not in self._at] if len(settings) > len(rows) else []
        missing = int((~spoken).sum()) + len(unknown)
        found = Parts(prices, self._bucket + families)
        if self._sum is not None:
            found = self._answered(self._sum, rows, errors, found)
            prices = found.prices
        if not missing:
            return found, 0, 0.0
        if unknown and len(rows):
            # they have no bucket of their own: spread over those that are known, so that nothing is priced at nothing
            extra = sum(self._unknown(s) for s in unknown)
            prices = prices * (1 + extra / max(float(prices.sum()), 1e-12)) if prices.any() else np.full_like(prices, extra / prices.size)
        shares = np.where(spoken, 0.0, prices.sum(0)) / max(float(prices.sum()), 1e-12)
        # one method without options is off alike everywhere, one layer by itself: half and half
        apart, together = float(shares @ shares), float(shares.sum()) ** 2
        return replace(found, prices=prices), missing, min(1.0, sqrt((apart + together) / 2) + (0.5 if unknown else 0.0))

    def _answered(self, of: Sum, rows: Sequence[Row], errors: Array, parts: Parts) -> Parts:
        """The prices so that their sum is the loss: the answers'; where some layer's are not known, that of the prices as they were."""
        total, told = float(parts.prices.sum()), of.loss(rows, errors)
        if total <= 0:
            return parts
        if told is None:
            return replace(parts, prices=parts.prices * (self._bent(total, self.sensitivity.slope) / total))
        loss, size, sampling = told
        return replace(parts, prices=parts.prices * (loss / total), sampling=hypot(sampling, LOOSE * sqrt(size)), tight=TIGHT * sqrt(size))

    def _errors(self, at: NDArray[np.intp], rows: Sequence[Row]) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
        """Relative output errors (2, n) of pruning and of rounding, their families (2, n), and where options speak (n,)."""
        n = len(rows)
        out, families, spoken = np.zeros((2, n)), np.zeros((2, n), np.intp), np.ones(n, bool)
        amounts = np.fromiter((r[2] for r in rows), float, n)
        bits = np.fromiter((r[3] for r in rows), np.intp, n)
        place = amounts * STEPS
        low = np.minimum(place.astype(np.intp), STEPS - 1)
        for at_key, j in _grouped(r[0] for r in rows):
            t = self.curves.table(False, at_key)
            part = place[j] - low[j]
            out[0, j] = (1 - part) * t.errors[at[j], low[j]] + part * t.errors[at[j], low[j] + 1]
            families[0, j] = FAMILIES.index("prune")  # solved for or not: what is dropped shrinks the outputs, and that costs more
            spoken[j] &= t.spoken[at[j]]
        for at_key, j in _grouped(r[1] for r in rows):
            t = self.curves.table(True, at_key)
            out[1, j] = t.errors[at[j], bits[j]] * (1 - amounts[j])  # a weight that is zero is not rounded
            families[1, j] = FAMILIES.index(t.family)
            spoken[j] &= t.spoken[at[j]]
        return out, families, spoken

    def _priced(self, at: NDArray[np.intp], rows: Sequence[Row]) -> Array:
        errors, families, _ = self._errors(at, rows)
        p = self.posterior
        factor = np.exp(p.delta[at] + p.theta[self._bucket[at] + families]) if len(p.theta) else 1.0
        out: Array = (errors * self._alpha[at] * self._factors[at, families] * factor).sum(0)
        return out

    def _learned(self, parts: Parts) -> Array:
        p = self.posterior
        return parts.prices * np.exp(parts.tight * (p.delta + p.theta[parts.buckets])) if len(p.theta) else parts.prices

    def _unknown(self, s: Setting) -> float:
        """A layer that was never sensed: the textbook's error at the median price."""
        pruner, quantizer, amount, bits = self._row(s)
        error = float(law(False, pruner)[round(amount * STEPS)]) if pruner else 0.0
        error += float(law(True, quantizer)[bits]) * (1 - amount) if quantizer else 0.0
        return error * (float(np.median(self._alpha)) if len(self._alpha) else 1.0)

    def _shown(self, x: float) -> float:
        """The loss at this sum of prices; answers that were added up bend by themselves."""
        return x if self._sum is not None else self._bent(x, self.slope)

    def _risen(self, x: float, slope: float) -> float:
        """The loss at this sum of prices: steeper than the sum where answers are so sure that small errors change none."""
        unit = UNIT[self.sensitivity.currency]
        return unit * (x / unit) ** slope if slope != 1 else x

    def _bent(self, x: float, slope: float) -> float:
        """The sum as it shows: the answers can't get further away than their ceiling."""
        x = self._risen(x, slope)
        top = self.sensitivity.ceiling
        if not isfinite(top) or x <= STRAIGHT * top:
            return x
        return top * (STRAIGHT + (1 - STRAIGHT) * (1 - exp(-(x / top - STRAIGHT) / (1 - STRAIGHT))))

    def _straightened(self, y: float) -> float:
        """The inverse; what lies at the ceiling or above it is taken as just below."""
        top, unit = self.sensitivity.ceiling, UNIT[self.sensitivity.currency]
        if self._sum is not None:
            return y
        if isfinite(top) and y > STRAIGHT * top:
            left = max((1 - y / top) / (1 - STRAIGHT), 0.02)
            y = top * (STRAIGHT - (1 - STRAIGHT) * log(left))
        return unit * (y / unit) ** (1 / self.slope)


def _buckets(layers: Sequence[Sensed]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(layers,) a bucket for each third of the depth and each kind of layer, and (buckets,) the family of each: families vary fastest."""
    found: dict[tuple[int, str], int] = {}
    numbers = [int(m.group(1)) if (m := NUMBER.search(x.layer)) else None for x in layers]
    deepest = max((n for n in numbers if n is not None), default=0)
    out = []
    for i, (x, n) in enumerate(zip(layers, numbers)):
        depth = n / (deepest + 1) if n is not None else i / len(layers)
        out.append(found.setdefault((int(depth * DEPTHS), sort(x.layer)), len(found)) * len(FAMILIES))
    return np.array(out, np.intp), np.tile(np.arange(len(FAMILIES)), max(1, len(found)))


def sort(layer: str) -> str:
    """What kind of layer a name speaks of: attention, feed-forward, or its own last part."""
    role = layer.rsplit(".", 1)[-1].lower()
    if re.search(r"attn|attention|\b[qkvo]_proj|query|key|value", layer.lower()):
        return "attention"
    return "feed-forward" if re.search(r"mlp|ffn|ff\b|intermediate|fc\d|up_proj|down_proj|gate_proj|output", layer.lower()) else role


def _grouped(keys: Iterable[Key | None]) -> list[tuple[Key, NDArray[np.intp]]]:
    """Each method with the places it stands at."""
    found: dict[int, tuple[Key, list[int]]] = {}
    for i, k in enumerate(keys):
        if k is not None:
            if (at := found.get(id(k))) is None:  # keys are made once, so that an identity will do
                at = found[id(k)] = (k, [])
            at[1].append(i)
    return [(k, np.array(which, np.intp)) for k, which in found.values()]


def _record(evaluations: Iterable[Evaluation]) -> Record:
    """How many measured figures lay in the interval that was shown before."""
    held = [e.foretold[0] <= e.value <= e.foretold[1] for e in evaluations if e.foretold is not None]
    return Record(sum(held), len(held))


def _sampling(evaluations: Sequence[Evaluation]) -> float:
    found = [e.error / e.value for e in evaluations if e.value > 0 and e.error > 0]
    return min(float(np.median(found)), 0.5) if found else SAMPLING
