"""The multiple-choice knapsack: one option per group, the least value under a cost; its whole front, and its exact answer to one budget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
STATES = 4096  # partial plans kept at most: one, the best, in each 1/4096 of the budget that is still open
ROUNDING = 1e-9  # relative: what float sums may differ by without a difference being meant


@dataclass(frozen=True, eq=False)
class Knapsack:
    """Options of all groups in one row: those of group j stand at `start[j]` to `start[j + 1]`."""

    start: Ints  # (groups + 1,)
    cost: Floats  # (options,): bytes, joules or seconds
    value: Floats  # (options,): what each is predicted to lose

    @cached_property
    def group(self) -> Ints:
        """(options,) = the group each belongs to."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def total(self, chosen: Ints) -> tuple[float, float]:
        """Cost and value of one option per group."""
        return float(self.cost[chosen].sum()), float(self.value[chosen].sum())

    def cheapest(self) -> Ints:
        """(groups,) = the least costly option of each group, the better of two that cost the same."""
        order = np.lexsort((self.value, self.cost, self.group))
        return order[self.start[:-1]]

    def best(self, price: float) -> Ints:
        """(groups,) = each group's option with the least value + price * cost, the cheapest of those."""
        order = np.lexsort((self.cost, self.value + price * self.cost, self.group))
        return order[self.start[:-1]]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Every plan on the lower convex hull, from the cheapest to the best: one step of one group further each."""

    knapsack: Knapsack
    first: Ints  # (groups,) = the options of the cheapest plan
    to: Ints  # (steps,) = the option each step goes to
    cost: Floats  # (steps + 1,)
    value: Floats  # (steps + 1,)
    price: Floats  # (steps,) = value won per cost, falling

    def at(self, step: int) -> Ints:
        """(groups,) = the options after so many steps."""
        chosen = self.first.copy()
        chosen[self.knapsack.group[self.to[:step]]] = self.to[:step]  # of several steps of one group the last counts
        return chosen

    def under(self, budget: float) -> int:
        """The furthest step within the budget; -1 when even the cheapest plan costs more."""
        return int(np.searchsorted(self.cost, budget * (1 + ROUNDING), "right")) - 1


def sweep(k: Knapsack) -> Sweep:
    """Lagrangian relaxation for all prices at once: the hull segments of all groups, steepest first."""
    hulls = [_hull(k, j) for j in range(len(k.start) - 1)]
    first = np.array([h[0] for h in hulls], np.int64)
    before = np.array([a for h in hulls for a in h[:-1]], np.int64)
    after = np.array([b for h in hulls for b in h[1:]], np.int64)
    dearer, won = k.cost[after] - k.cost[before], k.value[before] - k.value[after]
    price = won / np.maximum(dearer, 1e-300)
    order = np.argsort(-price, kind="stable")  # a group's own steps stay in their order: along a hull prices fall
    cost, value = k.total(first)
    return Sweep(
        k, first, after[order], np.concatenate(([cost], cost + dearer[order].cumsum())),
        np.concatenate(([value], value - won[order].cumsum())), price[order],
    )  # fmt: skip


def _hull(k: Knapsack, group: int) -> list[int]:
    """Options of one group on the lower left convex hull of (cost, value), cheapest first (Andrew's monotone chain)."""
    a, b = int(k.start[group]), int(k.start[group + 1])
    found = sorted(zip(k.cost[a:b].tolist(), k.value[a:b].tolist(), range(a, b)))
    out: list[tuple[float, float, int]] = []
    for c, v, i in found:
        if out and v >= out[-1][1]:
            continue  # dominated: costs as much or more and is no better
        if out and c <= out[-1][0]:
            out.pop()
        while len(out) > 1 and (out[-1][1] - v) * (out[-1][0] - out[-2][0]) >= (out[-2][1] - out[-1][1]) * (c - out[-1][0]):
            out.pop()
        out.append((c, v, i))
    return [i for *_, i in out]


def filled(k: Knapsack, along: Sweep, budget: float) -> Ints:
    """The furthest step of the sweep, and the rest of the budget spent on the single changes that win most per cost, until none fits."""
    chosen = along.at(along.under(budget))
    left = budget - k.total(chosen)[0]
    for _ in range(4 * len(chosen)):
        dearer, won = k.cost - k.cost[chosen][k.group], k.value[chosen][k.group] - k.value
        fits = np.flatnonzero((won > 0) & (dearer <= left))
        if not len(fits):
            break
        i = fits[np.argmax(won[fits] / np.maximum(dearer[fits], 1e-12))]
        left -= dearer[i]
        chosen[k.group[i]] = i
    return chosen


def exact(k: Knapsack, along: Sweep, budget: float) -> Ints:
    """The least value whose cost is within the budget; the caller has seen to it that the cheapest plan is.

    Dynamic programme over partial plans (cost, value) with dominance, on the core of the problem: an option whose reduced cost
    value + price * cost exceeds its group's least by more than the gap between the greedy plan and the Lagrangian bound can't be part of a
    better plan, nor can a partial plan whose options exceed theirs by more together (Pisinger 1995). Only where more than `STATES` partial
    plans stay is it thinned to the best in each 1/4096 of what is still open; costs are exact throughout."""
    step = along.under(budget)
    chosen = filled(k, along, budget)
    if step >= len(along.price):
        return chosen
    price = float(along.price[step])
    reduced = k.value + price * k.cost
    least = np.minimum.reduceat(reduced, k.start[:-1])
    over = reduced - least[k.group]
    gap = k.total(chosen)[1] - (float(least.sum()) - price * budget)
    if gap <= ROUNDING * abs(float(least.sum())):
        return chosen
    core = over < gap
    better = _programme(k, core, over, gap, budget)
    return chosen if better is None or k.total(better)[1] >= k.total(chosen)[1] else better


def _programme(k: Knapsack, core: NDArray[np.bool_], over: Floats, gap: float, budget: float) -> Ints | None:
    """One option per group out of the core, or None when no partial plan stays under the gap."""
    options = [np.flatnonzero(core[a:b]) + a for a, b in zip(k.start[:-1], k.start[1:])]
    open_ = sorted(range(len(options)), key=lambda j: len(options[j]))
    rest = np.cumsum([0.0, *[float(k.cost[options[j]].min()) for j in reversed(open_)]])[::-1]  # the least that what follows costs
    cost, value, beyond = np.zeros(1), np.zeros(1), np.zeros(1)
    trail: list[tuple[Ints, Ints]] = []
    for j, after in zip(open_, rest[1:]):
        ways = options[j]
        c, v, r = ((old[:, None] + new[ways]).ravel() for old, new in ((cost, k.cost), (value, k.value), (beyond, over)))
        kept = np.flatnonzero((c + after <= budget) & (r < gap))
        kept = kept[_fronted(c[kept], v[kept], budget - after)]
        if not len(kept):
            return None
        trail.append((kept // len(ways), ways[kept % len(ways)]))
        cost, value, beyond = c[kept], v[kept], r[kept]
    chosen = np.zeros(len(options), np.int64)
    at = int(np.argmin(value))
    for j, (parents, ways) in zip(reversed(open_), reversed(trail)):
        chosen[j], at = ways[at], int(parents[at])
    return chosen


def _fronted(cost: Floats, value: Floats, budget: float) -> Ints:
    """Places of the partial plans no other one beats in cost and value, at most `STATES` of them."""
    order = np.lexsort((value, cost))
    lowest = np.minimum.accumulate(value[order])
    order = order[np.concatenate(([True], value[order][1:] < lowest[:-1]))] if len(order) else order
    if len(order) <= STATES:
        return order
    low = float(cost[order[0]])
    bucket = ((cost[order] - low) * (STATES / max(budget - low, 1e-300))).astype(np.int64)
    return order[np.flatnonzero(np.diff(bucket, append=-1))]  # along the front the last of a bucket is its best
