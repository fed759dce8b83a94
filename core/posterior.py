"""What real evaluations teach of the prices: a Gaussian process over log KL, whose features are layers, buckets of layers and plans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Standard deviations of log KL before anything was evaluated.
ALL = 0.09  # the calibration text is not the scored one: one factor for everything
FAMILY = 0.08  # methods that err alike are off alike
BUCKET = 0.12  # a third of the depth x a kind of layer x a family
SLOPE = 0.06  # per unit of log x: the sum is not exactly linear
PLAN = 0.07  # of one plan, shared by plans near it
OWN = 0.05  # of one plan, shared by none
TOGETHER = 0.5  # how much layers whose alpha was not measured are off together
WORTH = 6  # evaluations the prior spread counts for
MANY = 12  # evaluations from which the spread is conformal
KEPT = 60  # evaluations learned from, newest last: enough for every bucket, and a tick stays under a millisecond
ROUNDS = 8  # of Gauss-Newton
Z90 = 1.6449


@dataclass(frozen=True)
class Parts:
    """One plan as the process sees it."""

    prices: Array  # (2, layers): of pruning and of quantizing, before anything is learned
    buckets: NDArray[np.intp]  # (2, layers)
    sampling: float | None = None  # relative standard error of their sum, where it was foretold on the scored samples themselves
    tight: float = 1.0  # factor on all of the standard deviations above


@dataclass(frozen=True)
class Posterior:
    """`families` (buckets,) numbers each bucket's family; `doubt` (layers,) the deviation of log alpha; `guessed` where it is a prior's."""

    families: NDArray[np.intp]
    doubt: Array
    guessed: NDArray[np.bool_]
    centre: float  # log of the price at which the slope turns nothing
    plans: tuple[Parts, ...] = ()
    theta: Array = field(default_factory=lambda: np.zeros(0))  # (buckets,) learned log factors
    delta: Array = field(default_factory=lambda: np.zeros(0))  # (layers,) learned log alpha
    weight: Array = field(default_factory=lambda: np.zeros(0))  # (n,) C^-1 residual
    inverse: Array = field(default_factory=lambda: np.zeros((0, 0)))
    seen: tuple[Array, ...] = ()  # features of the evaluated plans
    evidence: float = 0.0  # log marginal likelihood of the evaluations, but for constants
    spread: float = 1.0  # how much wider or narrower than foretold the past was
    quantile: float = Z90 * (1 + (Z90**2 + 1) / (4 * WORTH))  # Student's, in units of the foretold deviation

    @cached_property
    def _kernel(self) -> Array:
        """(buckets, buckets) prior covariance of log factors."""
        alike = self.families[:, None] == self.families[None, :]
        found: Array = ALL**2 + FAMILY**2 * alike + BUCKET**2 * np.eye(len(self.families))
        return found

    def learned(self, plans: tuple[Parts, ...], logs: Array, noise: Array) -> Posterior:
        """With evaluations: log values (n,) and their deviations (n,). MAP by Gauss-Newton, the spread from leave-one-out residuals."""
        plans, logs, noise = plans[-KEPT:], logs[-KEPT:], noise[-KEPT:]
        theta, delta = np.zeros(len(self.families)), np.zeros(len(self.doubt))
        if not plans:
            return replace(self, plans=(), theta=theta, delta=delta)
        kernel = self._kernel
        near = None
        for _ in range(ROUNDS):
            rows = [self._features(p, theta, delta) for p in plans]
            seen = tuple(np.stack([r[k] for r in rows]) for k in range(len(rows[0])))
            near = _near(seen, seen) if near is None else near  # hangs on nothing that is learned
            covariance = self._covariance(seen, seen, kernel) + near + np.diag(noise**2 + (seen[5] * OWN) ** 2)
            inverse = np.asarray(np.linalg.inv(covariance), np.float64)
            shares, layers = seen[0], seen[1] * self.doubt
            residual = logs - seen[2] + shares @ theta + seen[1] @ delta
            weight = inverse @ residual
            theta = kernel @ (shares.T @ weight)
            delta = self.doubt * (layers.T @ weight)
            loose = self.doubt * self.guessed
            delta = (1 - TOGETHER * self.guessed) * delta + TOGETHER * loose * float(weight @ (seen[1] @ loose))
        spread, quantile = _calibrated(weight, inverse, self.spread)
        evidence = -0.5 * (float(residual @ weight) + float(np.linalg.slogdet(covariance)[1]))
        return replace(
            self, plans=plans, theta=theta, delta=delta, weight=weight, inverse=inverse, seen=seen, evidence=evidence, spread=spread,
            quantile=quantile,
        )

    def doubts(self) -> Array:
        """(layers,) what is left of the deviation of log alpha after the evaluations."""
        if not self.plans:
            return self.doubt
        reach = self.seen[1] * self.doubt**2  # (n, layers) covariance of each evaluation with each layer's log alpha
        left = self.doubt**2 - np.einsum("nl,nm,ml->l", reach, self.inverse, reach)
        return np.asarray(np.sqrt(np.maximum(left, (0.3 * self.doubt) ** 2)))

    def features(self, plan: Parts) -> tuple[Array, ...]:
        theta = self.theta if len(self.theta) else np.zeros(len(self.families))
        delta = self.delta if len(self.delta) else np.zeros(len(self.doubt))
        return self._features(plan, theta, delta)

    def _features(self, plan: Parts, theta: Array, delta: Array) -> tuple[Array, ...]:
        """(share of each bucket, of each layer, log of the sum; before learning: the layers' shares by half, log of the sum; tightness).
        Shares of buckets and layers are times that: by so much the sum follows what is learned of them."""
        raw = plan.prices
        x = raw * np.exp(plan.tight * (delta + theta[plan.buckets]))
        total = max(float(x.sum()), 1e-12)
        shares = np.bincount(plan.buckets.ravel(), (x / total).ravel(), len(theta)).astype(float)
        whole = max(float(raw.sum()), 1e-12)
        own, t = x.sum(0) / total, plan.tight
        return t * shares, t * own, np.asarray(np.log(total)), (raw / whole).ravel(), np.asarray(np.log(whole)), np.asarray(t)

    def _covariance(self, a: tuple[Array, ...], b: tuple[Array, ...], kernel: Array) -> Array:
        """(n, m) of log KL between plans, but for what `_near` ones share."""
        la, lb = a[1] * self.doubt, b[1] * self.doubt
        loose = 1 - TOGETHER * self.guessed
        out = a[0] @ kernel @ b[0].T + (la * loose) @ lb.T
        out += TOGETHER * np.outer(la @ self.guessed, lb @ self.guessed)
        return out + SLOPE**2 * np.outer(a[5] * (a[4] - self.centre), b[5] * (b[4] - self.centre))

    def foretold(self, plan: Parts, sampling: float) -> tuple[float, float]:
        """(log value, half-width of its 90 % interval in logs) of a plan; `sampling` is the evaluator's relative standard error."""
        f = self.features(plan)
        one = tuple(np.asarray(v)[None] for v in f)
        kernel = self._kernel
        prior = float(self._covariance(one, one, kernel)[0, 0]) + (plan.tight * PLAN) ** 2
        mean, variance = float(f[2]), prior
        if self.plans:
            across = (self._covariance(one, self.seen, kernel) + _near(one, self.seen))[0]
            # the learned part of buckets and layers is in the mean already
            linear = self.theta @ f[0] + self.delta @ f[1]
            mean += float(across @ self.weight - linear)
            variance = max(prior - float(across @ self.inverse @ across), 0.0)
        return mean, self.quantile * self.spread * sqrt(variance + (plan.tight * OWN) ** 2 + sampling**2)


def _near(a: tuple[Array, ...], b: tuple[Array, ...]) -> Array:
    """(n, m) covariance of what a plan shares with plans that price the same layers alike."""
    apart = np.stack([np.abs(b[3] - row).sum(1) for row in a[3]]) + np.abs(np.subtract.outer(a[4], b[4]))
    return PLAN**2 * np.outer(a[5], b[5]) * np.exp(-apart)


def _calibrated(weight: Array, inverse: Array, before: float) -> tuple[float, float]:
    """(spread, quantile) out of leave-one-out residuals, which the inverse has ready: a shrunk normal with few, conformal with many."""
    n = len(weight)
    z = weight / np.sqrt(np.maximum(np.diag(inverse), 1e-12))  # (residual without it) / (its foretold deviation)
    if n >= MANY:
        return 1.0, float(np.sort(np.abs(z))[min(ceil(0.9 * (n + 1)), n) - 1])
    known = WORTH + n
    return sqrt((WORTH * before**2 + float(z @ z)) / known), Z90 * (1 + (Z90**2 + 1) / (4 * known))
