"""Prices before and after they are measured: a prior by kind of layer and depth, and measured ones pulled towards what is typical."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ..predict import sort
from ..types import Layer

if TYPE_CHECKING:
    from ..posterior import Array

NUMBER = re.compile(r"\.(\d+)\.")
# nats (or 1 - cosine) per unit of error: bundled and real models
PRIOR = {"causal-lm": 0.12, "image-classification": 0.3, "audio-classification": 0.3, "encoder": 0.03}
LOOSE = 0.9  # deviation of its logarithm
STRAYS = 0.15  # deviation of log alpha that remains however well it is measured: other methods err in other directions
LEAST = 0.3  # layers of one kind differ at least that much in log alpha


def prior(layers: Sequence[Layer], task: str) -> dict[str, float]:
    """Layer.name -> what a unit of error costs, before anything was run: the same for all but that early blocks cost more."""
    depths = depth(layers)
    return {x.name: PRIOR.get(task, 0.1) * (1.5 if d < 0.15 else 1.0) for x, d in zip(layers, depths)}


def depth(layers: Sequence[Layer]) -> list[float]:
    """Where each layer stands, 0 to 1: by the number in its name, else by its place in the file."""
    found = [int(m.group(1)) if (m := NUMBER.search(x.name)) else None for x in layers]
    deepest = max((n for n in found if n is not None), default=0)
    return [n / max(deepest, 1) if n is not None else i / max(len(layers) - 1, 1) for i, n in enumerate(found)]


def settled(
    layers: Sequence[Layer], measured: Mapping[str, tuple[float, float]], before: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Layer.name -> (alpha, deviation of its logarithm) out of measured ones (alpha, its relative standard error) and the prior.

    log alpha = mean + kind of layer + depth and its square, by ridge regression on what is measured; each measured alpha is pulled
    towards that by its own noise (James & Stein 1961), so that an optimiser finds no bargain that is only luck."""
    if not measured:
        return {x.name: (before[x.name], LOOSE) for x in layers}
    features = _features(layers)
    at = np.array([i for i, x in enumerate(layers) if x.name in measured])
    y = np.array([log(max(measured[layers[i].name][0], 1e-9)) - log(before[layers[i].name]) for i in at])
    noise = np.array([min(measured[layers[i].name][1], 1.0) for i in at])
    typical, between = _regressed(features, at, y, noise)
    out = {}
    for i, x in enumerate(layers):
        base = log(before[x.name])
        if x.name not in measured:
            out[x.name] = exp(base + typical[i]), min(LOOSE, sqrt(between**2 + LOOSE**2 / (1 + len(at))))
            continue
        own, error = measured[x.name]
        error = min(error, 1.0)
        weight = between**2 / (between**2 + error**2)
        shrunk = base + typical[i] + weight * (log(max(own, 1e-9)) - base - typical[i])
        out[x.name] = exp(shrunk), sqrt(weight * error**2 + STRAYS**2)
    return out


def _features(layers: Sequence[Layer]) -> Array:
    kinds = sorted({sort(x.name) + x.role for x in layers})
    d = np.array(depth(layers))
    one = np.array([[sort(x.name) + x.role == k for k in kinds] for x in layers], float)
    return np.column_stack([np.ones(len(layers)), d, d * d, one])


def _regressed(features: Array, at: Array, y: Array, noise: Array) -> tuple[Array, float]:
    """(what is typical of every layer, how far layers stray from it beyond their noise)"""
    between = 0.6
    ridge = np.diag([1e-3, *[1.0] * (features.shape[1] - 1)])
    x = features[at]
    for _ in range(3):
        w = 1 / (between**2 + noise**2)
        found = np.linalg.solve(x.T @ (x * w[:, None]) + ridge, x.T @ (w * y))
        left = y - x @ found
        freedom = max(len(y) - features.shape[1] / 2, 1.0)
        between = sqrt(max(float((left**2 - noise**2).sum()) / freedom, LEAST**2))
    return np.asarray(features @ found, np.float64), between
