"""What a plan does to a classifier's answers, image by image: the sum of what its layers do alone, and the divergence that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, sqrt
from typing import TYPE_CHECKING

import numpy as np

from .curves import Curves, Key
from .sensed import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

POWER = 0.5  # of the relative size of a sum of changes, in what is lost of it: 8 to 30 % of sums between 0.1 and 1 (digits)
LOOSE = 0.25  # deviation of the logarithm of a divergence so foretold, times the root of that size (digits, 64 plans: 0.07 to 0.25)

Ladder = tuple["Array", "NDArray[np.intp]"]  # roots of an option's errors, rising, and where its changes lie; -1: no change
Row = tuple[Key | None, Key | None, float, int]


class Sum:
    """All changes in one matrix; a plan is a few of its rows, weighed and added to the original's answers."""

    def __init__(self, answers: Answers, curves: Curves) -> None:
        self.answers, self.curves = answers, curves
        self.rows = np.concatenate([m for _, m in answers.moved.values()]).astype(np.float32)
        self.before = answers.before.astype(np.float32)
        self.likely = np.exp(self.before)
        self.size = max(float(np.linalg.norm(self.before - self.before.mean(1, keepdims=True))), 1e-9)
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

    def loss(self, rows: Sequence[Row], errors: Array) -> tuple[float, float] | None:
        """(mean divergence, deviation of its logarithm) of a plan with these methods and errors (2, layers), by pruning and
        by rounding; None where some layer's options were not run."""
        weights: dict[str, dict[int, float]] = {}  # by method
        for i, (pruner, quantizer, amount, _) in enumerate(rows):
            beyond = self._beyond.get((pruner, quantizer, i)) if pruner and quantizer else None
            for rounds, k in ((False, pruner), (True, quantizer)):
                error = float(errors[int(rounds), i])
                if k is None or error <= 0:
                    continue
                own = weights.setdefault(k[0], {})
                ladder = self._ladder(rounds, k, i)
                if ladder is None:
                    return None
                if beyond is None or not rounds:
                    _climb(own, ladder, sqrt(error), 1.0)
                    continue
                # between rounding alone and the pair as it was tried, straight; beyond that, as fewer weights are left to be rounded
                place, tried, full = beyond
                part, alone = min(amount / tried, 1.0), error / (1 - amount)
                own[place] = part * sqrt(alone / full) * sqrt(min(1.0, (1 - amount) / (1 - tried)))
                if part < 1:
                    _climb(own, ladder, sqrt(alone), 1 - part)
        if not weights:
            return 0.0, 0.0
        change = self._bent({m: self._moved(w) for m, w in weights.items()})
        each = self._apart(change)
        mean = float(each.mean())
        sampling = float(each.std()) / max(mean, 1e-12) * sqrt((1 - self.answers.share) / len(each))
        return mean, hypot(sampling, LOOSE * sqrt(float(np.linalg.norm(change)) / self.size))

    def _error(self, rounds: bool, k: Key, i: int, at: float) -> float:
        e = self.curves.table(rounds, k).errors
        return float(e[i, int(at) if rounds else round(at * (e.shape[1] - 1))])

    def _moved(self, weights: dict[int, float]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = (
            np.fromiter(weights.values(), np.float32, len(weights)) @ self.rows[np.fromiter(weights, np.intp, len(weights))]
        )
        return found

    def _bent(self, parts: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The sum of all methods' changes, less what does not show of it: the larger it is, the more."""
        whole: NDArray[np.float32] = np.sum(list(parts.values()), axis=0)
        sizes = np.array([float(p @ p) for p in parts.values()])
        usual = float(np.mean(list(self.answers.bend.values()))) if self.answers.bend else 0.0
        bend = float(np.array([self.answers.bend.get(m, usual) for m in parts]) @ sizes) / max(float(sizes.sum()), 1e-30)
        return whole / np.float32(1 + bend * (float(np.linalg.norm(whole)) / self.size) ** POWER)

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
        return np.array([0.0, *(r for r, _ in found)]), np.array([-1, *(row for _, row in found)], np.intp)


def _climb(weights: dict[int, float], ladder: Ladder, root: float, factor: float) -> None:
    """Between two rungs a straight line in the root of the error, above the highest in proportion."""
    roots, places = ladder
    j = int(np.searchsorted(roots, root))
    if j == len(roots):
        parts = [(int(places[-1]), root / max(float(roots[-1]), 1e-9))]
    else:
        j = max(j, 1)
        t = (root - float(roots[j - 1])) / max(float(roots[j] - roots[j - 1]), 1e-12)
        parts = [(int(places[j - 1]), 1 - t), (int(places[j]), t)]
    for place, weight in parts:
        if place >= 0 and weight:
            weights[place] = weights.get(place, 0.0) + factor * weight
