"""From the currency of prices to the figures people read: perplexity, accuracy, agreement, cosine, each with what the conversion adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, sqrt

from .errors import BadPlan
from .sensed import Estimate
from .types import METRICS, Score

RATIO = 0.98  # ln(perplexity) rises by this times KL: 40 GGUF variants of Llama-3-8B and 25 of SmolLM2-135M
SMALL, KNEE = 0.85, 0.06  # and by a little less where KL is small
LOOSE = 0.05  # standard deviation of that ratio
FLIPS, MOST = 0.54, 0.9  # changed answers against sqrt(KL): 0.0054/0.031/0.445 -> 4.0/8.1/28.9 % (same table)
FLIPS_LOOSE = 0.25  # of the logarithm of that
LOST = 0.7  # of the changed answers that were right, those that are wrong now


def human(estimate: Estimate, original: Score, metric: str, past: Sequence[tuple[float, float]] = ()) -> tuple[float, float, float]:
    """(value, low, high) of a metric at this estimate, low <= value <= high, a 90 % interval. `past` are (KL, measured metric) of earlier
    variants of this very model: with one or more the conversion of answers that change is fitted to them. BadPlan for an unknown metric."""
    if metric not in METRICS:
        raise BadPlan(f"{metric!r} is no metric; there is {', '.join(METRICS)}")
    before = original.metrics[metric].value if metric in original.metrics else _ideal(metric)
    if metric in ("kl", "cosine"):
        return _ends(lambda x, _: 1 - x if metric == "cosine" else x, estimate, 0.0)
    if metric == "perplexity":
        return _ends(lambda x, off: before * exp(min(_nats(x, off), 700.0)), estimate, LOOSE)
    if metric == "bits_per_byte":
        # nats per token -> bits per byte: both figures of the original say how many bytes a token has
        nats = log(original.metrics["perplexity"].value) if "perplexity" in original.metrics else before
        return _ends(lambda x, off: before * (1 + _nats(x, off) / max(nats, 1e-9)), estimate, LOOSE)
    scale, loose = _fitted(metric, before, past)
    return _ends(lambda x, off: max(0.0, before - scale * exp(off) * _lost(metric, before) * flips(x)), estimate, loose)


def flips(kl: float) -> float:
    """Share of answers that are another's, about."""
    return MOST * (1 - exp(-FLIPS * sqrt(max(kl, 0.0)) / MOST))


def _nats(kl: float, off: float) -> float:
    return kl * (RATIO - (RATIO - SMALL) * exp(-kl / KNEE) + off)


def _lost(metric: str, before: float) -> float:
    """What one changed answer costs: agreement all of it; accuracy only where the answer was right."""
    return 1.0 if metric == "agreement" else LOST * before


def _ideal(metric: str) -> float:
    return 0.0 if metric == "kl" else 1.0


def _fitted(metric: str, before: float, past: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(scale of the loss, deviation of its logarithm): the geometric mean over past variants, shrunk to what is usual."""
    found = [(before - y) / (_lost(metric, before) * flips(x)) for x, y in past if x > 1e-4 and y < before]
    if not found:
        return 1.0, FLIPS_LOOSE
    n = len(found)
    return exp(sum(log(max(r, 1e-3)) for r in found) / (n + 0.5)), FLIPS_LOOSE / sqrt(1 + n)


def _ends(shown: Callable[[float, float], float], e: Estimate, loose: float) -> tuple[float, float, float]:
    """The value and its ends; the conversion's own doubt joins the estimate's in quadrature, each side for itself."""
    value = shown(e.value, 0.0)
    sides = []
    for end, off in ((e.low, -1.6449 * loose), (e.high, 1.6449 * loose)):
        apart, own = shown(end, 0.0) - value, shown(e.value, off) - value
        sides.append(value + (1 if apart + own >= 0 else -1) * sqrt(apart**2 + own**2))
    return value, min(sides[0], sides[1], value), max(sides[0], sides[1], value)
