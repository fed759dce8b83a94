"""The winner's curse: a plan chosen for its low prediction is one whose prediction errs low; by how much, and an interval that says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..sensed import Estimate
from .table import Table

LEAST = 0.12  # what optimised plans were off at 3.0 and 2.5 bits before any was evaluated: 0.394 against 0.451, 0.783 against 0.892
DRAWS, PLACES = 16, 9  # of the bootstrap, and points of the front it is made at


def chosen_low(t: Table, price: float) -> float:
    """Share by which plans optimised at this price are foretold too low, on average (parametric bootstrap: prices of layers are drawn anew
    within their doubt, the plan is chosen by the draw, and paid at the prices that were sensed)."""
    if "curse" not in t.kept:
        t.kept["curse"] = _along(t)
    prices, shares = t.kept["curse"]
    return float(np.interp(-np.log(max(price, 1e-300)), -np.log(prices), shares)) if len(prices) else 0.0


def widened(t: Table, estimate: Estimate, price: float) -> Estimate:
    """The estimate of an optimised plan: raised by what such plans are foretold too low, its upper end by twice that."""
    off = chosen_low(t, price)
    learned = min(1.0, t.predictor.record.of / 8)  # what was evaluated near here has corrected the predictor already
    more = max(off, LEAST * (1 - learned))
    return replace(estimate, value=estimate.value * (1 + off), high=estimate.high * (1 + off) * (1 + more))


def _along(t: Table) -> tuple[np.ndarray, np.ndarray]:
    """(prices, shares) at some places of the front, dear to cheap."""
    found = t.sweep.price[t.sweep.price > 0]
    prices = np.unique(found[np.linspace(0, len(found) - 1, min(PLACES, len(found))).astype(int)])[::-1] if len(found) else found
    doubts = np.array([t.predictor.sensitivity.layers[t.layers[g[0]].name].doubt for g in t.members])
    draws = np.random.default_rng(0).standard_normal((DRAWS, len(doubts)))
    shares = [np.mean([_off(t, price, np.exp(doubts * z)) for z in draws]) for price in prices]
    return prices, np.maximum(np.array(shares), 0.0)


def _off(t: Table, price: float, factor: np.ndarray) -> float:
    k = t.knapsack
    believed = k.value * factor[k.group]
    least = np.minimum.reduceat(believed + price * k.cost, k.start[:-1])
    at = np.flatnonzero(believed + price * k.cost == least[k.group])
    chosen = at[np.unique(k.group[at], return_index=True)[1]]
    told = float(believed[chosen].sum())
    return float(k.value[chosen].sum()) / told - 1 if told > 0 else 0.0
