"""What a plan does to a classifier's answers, image by image: what its layers do alone and in pairs, and the divergence that makes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from .curves import Curves, Key
from .sensed import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Ladder = tuple[list[float], list[int]]  # roots of an option's errors, rising, and where its changes lie; -1: no change
Row = tuple[Key | None, Key | None, float, int]


class Sum:
    """All changes in one matrix; a plan is a few of its rows, weighed and added to the original's answers."""

    def __init__(self, answers: Answers, curves: Curves) -> None:
        self.answers, self.curves = answers, curves
        self.rows = np.concatenate([m for _, m in answers.moved.values()]).astype(np.float32)
        self.before = answers.before.astype(np.float32)
        self.likely = np.exp(self.before)
        self.size = max(float(np.linalg.norm(self.before - self.before.mean(1, keepdims=True))), 1e-9)
        self._layer, self._like = _likened(answers, self.rows)
        self._pairs = _Pairs(answers)
        self._points: dict[tuple[bool, Key], dict[int, list[tuple[float, int]]]] = {}
        self._beyond: dict[tuple[Key, Key, int], tuple[int, float, float]] = {}  # where, at which amount, error of rounding alone
        at = 0
        where = {x.layer: i for i, x in enumerate(curves.layers)}
        for name, (settings, _) in answers.moved.items():
            for s in settings:
                if name in where and s.quantize and s.prune:
                    k = curves.key(s.quantize, s.quantize_knobs, True)
                    pair = curves.key(s.prune, s.prune_knobs, False), k, where[name]
                    self._beyond[pair] = at, s.amount, max(self._error(True, k, where[name], s.bits), 1e-30)
                elif name in where:
                    rounds = bool(s.quantize)
                    method, given = (s.quantize, s.quantize_knobs) if rounds else (s.prune, s.prune_knobs)
                    k = curves.key(method, given, rounds)
                    self._points.setdefault((rounds, k), {}).setdefault(where[name], []).append((s.bits if rounds else s.amount, at))
                at += 1
        self._ladders: dict[tuple[bool, Key, int], Ladder | None] = {}

    def loss(self, rows: Sequence[Row], errors: Array) -> tuple[float, float, float] | None:
        """(mean divergence, relative size of the changes, deviation by the images left out of its logarithm) of a plan with these methods
        and errors (2, layers), by pruning and by rounding; None where some layer's options were not run."""
        weights: dict[int, float] = {}
        for i, (pruner, quantizer, amount, _) in enumerate(rows):
            beyond = self._beyond.get((pruner, quantizer, i)) if pruner and quantizer else None
            for rounds, k in ((False, pruner), (True, quantizer)):
                error = float(errors[int(rounds), i])
                if k is None or error <= 0:
                    continue
                ladder = self._ladder(rounds, k, i)
                if ladder is None:
                    return None
                if beyond is None or not rounds:
                    _climb(weights, ladder, sqrt(error), 1.0)
                    continue
                # between rounding alone and the pair as it was tried, straight; beyond that, as fewer weights are left to be rounded
                place, tried, full = beyond
                part, alone = min(amount / tried, 1.0), error / (1 - amount)
                weights[place] = part * sqrt(alone / full) * sqrt(min(1.0, (1 - amount) / (1 - tried)))
                if part < 1:
                    _climb(weights, ladder, sqrt(alone), 1 - part)
        if not weights:
            return 0.0, 0.0, 0.0
        change = self._moved(weights)
        each = self._apart(change)
        mean = float(each.mean())
        sampling = float(each.std()) / max(mean, 1e-12) * sqrt((1 - self.answers.share) / len(each))
        return mean, float(np.linalg.norm(change)) / self.size, sampling

    def _error(self, rounds: bool, k: Key, i: int, at: float) -> float:
        e = self.curves.table(rounds, k).errors
        return float(e[i, int(at) if rounds else round(at * (e.shape[1] - 1))])

    def _moved(self, weights: dict[int, float]) -> NDArray[np.float32]:
        """The sum of what layers do alone, and of what two do beyond it: a series cut off after its second order, so that less of that
        shows the larger it is beside the first (Pade 1892)."""
        places, w = np.fromiter(weights, np.intp, len(weights)), np.fromiter(weights.values(), np.float32, len(weights))
        first = w @ self.rows[places]
        amounts = np.zeros((len(self.answers.moved), self._like.shape[1]), np.float32)
        np.add.at(amounts, self._layer[places], w[:, None] * self._like[places])
        second = self._pairs.beyond(amounts)
        found: NDArray[np.float32] = first + second / (1 + float(np.linalg.norm(second)) / max(float(np.linalg.norm(first)), 1e-9))
        return found

    def _apart(self, change: NDArray[np.float32]) -> NDArray[np.float32]:
        """(images,) divergence of the answers so moved."""
        after = self.before + change.reshape(self.before.shape)
        after -= after.max(1, keepdims=True)
        after -= np.log(np.exp(after).sum(1, keepdims=True))
        found: NDArray[np.float32] = np.maximum((self.likely * (self.before - after)).sum(1), 0.0)
        return found

    def _ladder(self, rounds: bool, k: Key, i: int) -> Ladder | None:
        """The options of a layer by this method, or by the most alike that was run, from no change at all upwards."""
        at = rounds, k, i
        if at not in self._ladders:
            known = [o for r, o in self._points if r == rounds and i in self._points[r, o]]
            like = min(known, key=lambda o: self.curves.apart(k, o), default=None) if k not in known else k
            self._ladders[at] = self._made(rounds, like, i) if like else None
        return self._ladders[at]

    def _made(self, rounds: bool, k: Key, i: int) -> Ladder:
        found = sorted((sqrt(self._error(rounds, k, i, x)), row) for x, row in self._points[rounds, k][i])
        return [0.0, *(r for r, _ in found)], [-1, *(row for _, row in found)]


class _Pairs:
    """What two layers do together beyond the sum of what they do alone: bilinear in how much of each kind of change they undergo."""

    def __init__(self, answers: Answers) -> None:
        kinds = {n: range(len(of)) for n, of in answers.tried.items()}
        names = list(kinds)
        at = [(i, s, j, t) for i, n in enumerate(names) for s in kinds[n] for j in range(i + 1, len(names)) for t in kinds[names[j]]]
        self._one, self._kind, self._other, self._its = np.array(at, np.intp).reshape(-1, 4).T
        width = answers.before.size
        self._rows = np.concatenate([answers.pairs[n].reshape(-1, width) for n in names]).astype(np.float32)

    def beyond(self, amounts: NDArray[np.float32]) -> NDArray[np.float32]:
        """(images x classes) of all pairs, at these amounts (layers, kinds)."""
        weights: NDArray[np.float32] = amounts[self._one, self._kind] * amounts[self._other, self._its]
        return np.asarray(weights @ self._rows, np.float32)


def _likened(answers: Answers, rows: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(rows,) the layer of each change, and (rows, kinds) how much of its layer's tried ones it is like, by least squares."""
    layer = np.repeat(np.arange(len(answers.moved)), [len(s) for s, _ in answers.moved.values()])
    like = np.zeros((len(rows), max((len(of) for of in answers.tried.values()), default=0)), np.float32)
    for i, (name, (settings, _)) in enumerate(answers.moved.items()):
        mine = np.flatnonzero(layer == i)
        basis = rows[mine[[settings.index(s) for s in answers.tried[name]]]]
        if len(basis):
            like[mine, : len(basis)] = np.linalg.lstsq(basis.T, rows[mine].T, rcond=1e-4)[0].T
    return layer, like


def _climb(weights: dict[int, float], ladder: Ladder, root: float, factor: float) -> None:
    """Between two rungs a straight line in the root of the error, above the highest in proportion."""
    roots, places = ladder
    j = bisect_left(roots, root)
    if j == len(roots):
        parts = [(places[-1], root / max(roots[-1], 1e-9))]
    else:
        j = max(j, 1)
        t = (root - roots[j - 1]) / max(roots[j] - roots[j - 1], 1e-12)
        parts = [(places[j - 1], 1 - t), (places[j], t)]
    for place, weight in parts:
        if place >= 0 and weight:
            weights[place] = weights.get(place, 0.0) + factor * weight
