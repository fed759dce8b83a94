"""Local search with real evaluations: a plan solved anew at what each layer was found to cost in it, then single swaps of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from ..errors import BadPlan
from ..job import Job
from ..plans import resolve
from ..sensed import Evaluation, Front, Sensitivity
from ..sensitivity.shares import Share, leaned
from ..types import Measured, Plan, Setting
from .compact import compact, same
from .fronts import point
from .knapsack import Floats, Ints, exact
from .table import Table

SURE = 2.0  # standard errors of the paired difference a swap must win by
RANKED = 200  # swaps the predictor ranks
TRIED = 4  # of them really run in a round
ROUNDS = 5


@dataclass(frozen=True)
class Refined:
    """Where the search ended."""

    front: Front
    loss: Measured  # measured, on the windows of the search
    before: Measured  # the same for the plan it began with
    won: Measured  # the paired difference of both; 0 where nothing was accepted
    evaluations: tuple[Evaluation, ...]  # what the predictor can learn from
    accepted: int


def refine(
    t: Table, front: Front, evaluate: Callable[[Plan], Sequence[float]], job: Job, rounds: int = ROUNDS, tried: int = TRIED,
    learned: Sequence[Evaluation] = (), shares: Callable[[Plan], Mapping[str, Share]] | None = None,
) -> Refined:  # fmt: skip
    """A round solves the plan anew at the `shares` its layers were found to have of its loss, and keeps that where it lost less when both
    were run; then tries size-neutral swaps (one layer up, another down), ranked by what they may win, the best few really run: one of many
    is kept when the paired difference is below -2 standard errors. `evaluate` gives a plan's loss on every window, always the same
    windows. Every evaluation is told to the job as an Evaluation, every better plan as a Front; what was run teaches the ranking too.
    Stops after a round without a gain. Raises BadPlan when the front's plan is not made of the table's options."""
    search = _Search(t, chosen(t, resolve(front.plan, t.layers)), evaluate, job, list(learned))
    budget = t.knapsack.total(search.at)[0]
    first = search.losses
    for _ in job.track(range(rounds), "Refining the plan", rounds):
        anew = shares is not None and search.again(budget, shares)
        if not search.round(budget, tried) and not anew:
            break
    gain = paired(search.losses, first)
    end = point(search.t, search.at, front.shadow / 1e6)
    return Refined(end, mean(search.losses), mean(first), gain, tuple(search.evaluations[len(learned) :]), search.accepted)


class _Search:
    """The plan in hand, its measured losses, and what has been learned on the way."""

    def __init__(self, t: Table, at: Ints, evaluate: Callable[[Plan], Sequence[float]], job: Job, learned: list[Evaluation]) -> None:
        self.t, self.at, self.evaluate, self.job, self.evaluations = t, at, evaluate, job, learned
        self.seen = {at.tobytes()}
        self.accepted = 0
        self.losses = self.run(at)

    def plan(self, at: Ints) -> Plan:
        return compact(self.t.plan, self.t.layers, self.t.settings(at), self.t.free)

    def run(self, at: Ints) -> Floats:
        """The losses of one choice of options, and what they teach."""
        self.job.check()
        settings = self.t.settings(at)
        found = np.array(self.evaluate(self.plan(at)))
        told, got = self.t.predictor.estimate(settings), mean(found)
        e = Evaluation(settings, got.value, got.error, (told.low, told.high))
        self.evaluations.append(e)
        self.job.point(e)
        self._learn(self.t.predictor.sensitivity)
        return found

    def _learn(self, sensitivity: Sensitivity) -> None:
        self.t = taught(self.t, type(self.t.predictor).of(sensitivity, self.evaluations))

    def _keep(self, at: Ints, losses: Floats) -> None:
        self.at, self.losses = at, losses
        self.accepted += 1
        self.job.point(point(self.t, self.at, 0.0))

    def again(self, budget: float, shares: Callable[[Plan], Mapping[str, Share]]) -> bool:
        """Whether the plan solved anew at what its layers were found to cost is better; one plan, foretold to be: its mean decides."""
        self._learn(leaned(self.t.predictor.sensitivity, self.t.settings(self.at), shares(self.plan(self.at))))
        at = exact(self.t.knapsack, self.t.sweep, budget)
        if at.tobytes() in self.seen:
            return False
        self.seen.add(at.tobytes())
        found = self.run(at)
        if better := found.mean() < self.losses.mean():
            self._keep(at, found)
        return bool(better)

    def round(self, budget: float, tried: int) -> bool:
        """Whether one of the swaps tried was better."""
        won: tuple[float, Ints, Floats] | None = None
        for at in swaps(self.t, self.at, budget, self.seen)[:tried]:
            self.seen.add(at.tobytes())
            found = self.run(at)
            d = paired(found, self.losses)
            if d.value < -SURE * d.error and (won is None or d.value < won[0]):
                won = d.value, at, found
        if won is None:
            return False
        self._keep(*won[1:])
        return True


def swaps(t: Table, at: Ints, budget: float, seen: set[bytes]) -> list[Ints]:
    """Choices of options that differ in two groups and cost no more, those first that may win most: predicted difference less one standard
    deviation of what is not known of the two layers' prices (at the optimum every foretold difference is a loss)."""
    k = t.knapsack
    dearer, gain = k.cost - k.cost[at][k.group], k.value - k.value[at][k.group]
    doubts = np.array([t.predictor.sensitivity.layers[t.layers[g[0]].name].doubt for g in t.members])[k.group] * np.abs(gain)
    up, down = np.flatnonzero((gain < 0) & (dearer >= 0)), np.flatnonzero(dearer < 0)
    up, down = up[np.argsort(gain[up] - doubts[up])[:RANKED]], down[np.argsort(gain[down] - doubts[down])[:RANKED]]
    if not len(up) or not len(down):
        return []
    left = budget - k.total(at)[0]
    apart = gain[up][:, None] + gain[down] - np.hypot(doubts[up][:, None], doubts[down])
    apart[(dearer[up][:, None] + dearer[down] > left) | (k.group[up][:, None] == k.group[down])] = np.inf
    out = []
    for place in np.argsort(apart, axis=None)[:RANKED]:
        i, j = np.unravel_index(place, apart.shape)
        if not np.isfinite(apart[i, j]):
            break
        other = at.copy()
        other[k.group[up[i]]], other[k.group[down[j]]] = up[i], down[j]
        if other.tobytes() not in seen:
            out.append(other)
    return out


def taught(t: Table, predictor: object) -> Table:
    """The same options at a wiser predictor's prices."""
    fresh = replace(t, predictor=predictor, kept={})  # type: ignore[arg-type]
    values = np.zeros(len(t.values))
    for j, places in enumerate(t.members):
        a, b = int(t.start[j]), int(t.start[j + 1])
        values[a:b] = sum(fresh.predictor.values(t.layers[i].name, t.ways[a:b]) for i in places)
    return replace(fresh, values=np.maximum(values, 0.0))


def chosen(t: Table, settings: Mapping[str, Setting]) -> Ints:
    """(groups,) = the options these settings are; BadPlan when one is none."""
    return np.array(list(_places(t, settings)), np.int64)


def _places(t: Table, settings: Mapping[str, Setting]) -> Iterator[int]:
    for j, places in enumerate(t.members):
        name = t.layers[places[0]].name
        wanted = same(settings[name])
        found = next((i for i in range(int(t.start[j]), int(t.start[j + 1])) if same(t.ways[i]) == wanted), -1)
        if found < 0:
            raise BadPlan(f"{name}: the plan gives it what is not among its options; search a plan for the goal first")
        yield found


def mean(losses: Floats) -> Measured:
    """The mean over windows with its standard error."""
    n = len(losses)
    return Measured(float(losses.mean()), float(losses.std(ddof=1)) / sqrt(n) if n > 1 else 0.0)


def paired(a: Floats, b: Floats) -> Measured:
    """The mean of a - b, window by window, with its standard error; a single window proves nothing."""
    d = a - b
    return Measured(float(d.mean()), float(d.std(ddof=1)) / sqrt(len(d)) if len(d) > 1 else float("inf"))
