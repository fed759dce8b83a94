"""Whole plans run on calibration samples: how steeply the loss rises with the sum of prices, and what each family's errors really cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, log

import numpy as np

from ..curves import FAMILIES
from ..posterior import Z90
from ..predict import UNIT, Predictor
from ..sensed import Evaluation, Option, Sensitivity
from ..types import Setting

COUNT, SMALL = 48, 20_000_000  # plans, for networks of at most so many parameters: they run in a blink, and their prices add up least
KINDS = (("rtn",), ("magnitude", "wanda"), ("rtn", "magnitude", "wanda"))
SLOPES = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5)
LOOSER = (1.0, 2.0, 4.0)  # prices measured where hardly an answer changes may say little of where many do
LOW, HIGH = 0.01, 10.0  # of the unit: losses that plans are chosen among; below they hang on single samples
SCATTER = 0.1  # of one plan's loss on a handful of samples, relative


def designs(
    options: Mapping[str, Sequence[Option]], count: int, seed: int, kinds: Sequence[tuple[str, ...]] = KINDS,
    most: float = 1.0,
) -> list[dict[str, Setting]]:
    """Plans with a level of its own for every layer (errors below `most`), each plan leaning to one end of the sliders."""
    out = []
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        lean = rng.dirichlet(np.ones(6))
        plan = {}
        for n, found in options.items():
            of = kinds[k % len(kinds)]
            pool = [o for o in found if (o.setting.quantize or o.setting.prune) in of and "pattern" not in o.setting.prune_knobs]
            pool = sorted((o for o in pool if 1e-3 < o.error < most), key=lambda o: o.error)
            if pool:
                at = min(int(rng.choice(6, p=lean) / 6 * len(pool)), len(pool) - 1)
                plan[n] = pool[at].setting
        out.append(plan)
    return out


def fitted(s: Sensitivity, ran: Sequence[Evaluation]) -> Sensitivity:
    """The sensitivity with slope, prices and family factors that are most likely in the light of whole plans (empirical Bayes)."""
    unit = UNIT[s.currency]
    usable = [e for e in ran if unit * LOW < e.value < unit * HIGH]
    if len(usable) < 12:
        return s
    told = [replace(e, error=2 * SCATTER * e.value) for e in usable]  # halved again as what plans share
    best: tuple[float, Sensitivity, Predictor] | None = None
    for slope in SLOPES:
        for looser in LOOSER:
            tried = _scaled(_loosened(replace(s, slope=slope), looser), told, unit)
            p = Predictor.of(tried, told)
            likely = p.posterior.evidence - len(told) * log(slope)
            if best is None or likely > best[0]:
                best = likely, tried, p
    assert best is not None
    return _learned(best[1], best[2])


def _loosened(s: Sensitivity, looser: float) -> Sensitivity:
    return replace(s, layers={n: replace(x, doubt=x.doubt * looser) for n, x in s.layers.items()})


def _scaled(s: Sensitivity, told: Sequence[Evaluation], unit: float) -> Sensitivity:
    """Prices in the unit that goes with the slope: on average over the plans their sum is right."""
    p = Predictor.of(s)
    off = np.median([log(unit * (e.value / unit) ** (1 / s.slope)) - log(max(sum(p.prices(e.settings)), 1e-30)) for e in told])
    return replace(s, layers={n: replace(x, alpha=x.alpha * exp(float(off))) for n, x in s.layers.items()})


def _learned(s: Sensitivity, p: Predictor) -> Sensitivity:
    """What the plans taught written into the layers: prices, their doubts, and factors of families relative to rounding."""
    post = p.posterior
    out = {}
    for (n, x), delta, doubt, first in zip(s.layers.items(), post.delta, post.doubts(), p.first_buckets, strict=True):
        theta = post.theta[first : first + len(FAMILIES)]
        factors = {f: exp(float(t)) for f, t in zip(FAMILIES, theta, strict=True)}
        out[n] = replace(x, alpha=x.alpha * exp(float(delta)), doubt=float(doubt), factors=factors)
    return replace(s, layers=out, spread=max(1.0, post.quantile / Z90))
