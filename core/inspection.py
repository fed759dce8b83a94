"""Looks inside one layer, before and after: histogram, map, channels, outliers and error, as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from .errors import BadFile
from .job import Job
from .types import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]

BINS = 256
SIDE = 512  # the map's longest side: more would not fit on the screen
STEP = 1 << 20  # elements between two looks at the job: under 50 ms on one slow core
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
FAR = 6.0  # standard deviations from the mean: one in 5e8 of a normal, so what lies beyond is an outlier
MOST = 32  # outliers named, farthest first


@dataclass(frozen=True, eq=False)
class Stats:
    """One side's figures over all its weights."""

    mean: float
    std: float
    kurtosis: float  # 3 for a normal distribution; heavy tails quantize badly
    absmax: float
    zeros: float  # share of exact zeros


@dataclass(frozen=True, slots=True)
class Outlier:
    """A weight far from the rest."""

    row: int
    column: int
    value: float
    sigmas: float


@dataclass(frozen=True, eq=False)
class Channels:
    """One figure per output channel (row)."""

    low: Floats
    high: Floats
    absmax: Floats
    quantiles: Floats  # (len(QUANTILES), channels)


@dataclass(frozen=True, eq=False)
class Side:
    """What one version of the weights looks like."""

    stats: Stats
    counts: NDArray[np.int64]  # per bin of Inspection.edges
    magnitude: Floats  # mean |w| per block, at most SIDE x SIDE
    zeros: Floats  # share of exact zeros per block, the same blocks
    channels: Channels
    outliers: tuple[Outlier, ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """A layer before and after; `after` and the errors are None where the plan leaves it alone."""

    name: str
    shape: tuple[int, ...]
    edges: Floats  # BINS + 1, shared by both sides
    before: Side
    after: Side | None = None
    error: float | None = None  # ||W - Q||^2 / ||W||^2
    channel_errors: Floats | None = None  # the same per output channel; 0 where the channel is all zero


def inspect(layer: Layer, original: Tensor, compressed: Tensor | None, job: Job) -> Inspection:
    """Both versions of a layer (rows = output channels, columns = all its inputs)."""
    old = _rows(layer, original)
    new = None if compressed is None else _rows(layer, compressed)
    both = [old] if new is None else [old, new]
    low, high = min(float(t.min()) for t in both), max(float(t.max()) for t in both)
    edges = np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, high + 0.5, BINS + 1)
    sides = [_side(t, edges, job) for t in both]
    if new is None:
        return Inspection(layer.name, tuple(original.shape), edges, sides[0])
    total, each = _errors(old, new, job)
    return Inspection(layer.name, tuple(original.shape), edges, sides[0], sides[1], total, each)


def _rows(layer: Layer, t: Tensor) -> Tensor:
    """(channels, inputs) in float32; a vector is one row."""
    if t.numel() == 0:
        raise BadFile(f"{layer.name} is empty, there is nothing to look at; choose another layer")
    rows = t.float().reshape(t.shape[0] if t.ndim > 1 else 1, -1)
    if not bool(rows.isfinite().all()):
        raise BadFile(f"{layer.name} holds NaN or infinite weights; repair the checkpoint or choose another layer")
    return rows


def _blocks(n: int) -> NDArray[np.int64]:
    """First index of each of at most SIDE even blocks."""
    count = min(n, SIDE)
    return (np.arange(count, dtype=np.int64) * n) // count


def _chunks(rows: Tensor, job: Job) -> Iterator[tuple[int, int, slice]]:
    """(first row, end row, map rows), whole blocks of about STEP elements, asking the job before each."""
    starts = [*_blocks(len(rows)).tolist(), len(rows)]
    first = 0
    while first < len(starts) - 1:
        job.check()
        end = first + 1
        while end < len(starts) - 1 and (starts[end + 1] - starts[first]) * rows.shape[1] <= STEP:
            end += 1
        yield starts[first], starts[end], slice(first, end)
        first = end


def _side(rows: Tensor, edges: Floats, job: Job) -> Side:
    """Two walks: the mean first, because moments about it are exact where moments about zero cancel."""
    import torch

    n = rows.numel()
    mean = sum(float(rows[a:b].sum(dtype=torch.float64)) for a, b, _ in _chunks(rows, job)) / n
    counts, moments, nonzero = np.zeros(BINS, np.int64), np.zeros(2), 0
    shape = (min(len(rows), SIDE), min(rows.shape[1], SIDE))
    magnitude, zeros = np.empty(shape), np.empty(shape)
    for a, b, at in _chunks(rows, job):
        part = rows[a:b]
        counts += torch.histc(part, BINS, float(edges[0]), float(edges[-1])).numpy().astype(np.int64)
        square = (part.double() - mean).square()
        moments += [float(square.sum()), float(square.square().sum())]
        nonzero += int(part.count_nonzero())
        magnitude[at], zeros[at] = _mean(part.abs(), a, len(rows)), _mean((part == 0).float(), a, len(rows))
    var = float(moments[0]) / n
    stats = Stats(mean, sqrt(var), float(moments[1] / n / var**2) if var else 0.0, float(rows.abs().max()), 1 - nonzero / n)
    return Side(stats, counts, magnitude, zeros, _channels(rows, job), _outliers(rows, stats, job))


def _mean(part: Tensor, first: int, height: int) -> Floats:
    """Block means of some whole blocks of rows that begin at row `first`."""
    columns, starts = _blocks(part.shape[1]), _blocks(height)
    mine = starts[(starts >= first) & (starts < first + len(part))] - first
    sums = np.add.reduceat(np.add.reduceat(part.numpy().astype(np.float64), columns, axis=1), mine, axis=0)
    area = np.outer(np.diff([*mine, len(part)]), np.diff([*columns, part.shape[1]]))
    return sums / area


def _channels(rows: Tensor, job: Job) -> Channels:
    """Per row; quantiles are nearest-rank, out of one sort per chunk."""
    ranks = [round(q * (rows.shape[1] - 1)) for q in QUANTILES]
    found = []
    for a, b, _ in _chunks(rows, job):
        ordered = rows[a:b].sort(-1).values
        found.append(np.vstack([ordered[:, i].double().numpy() for i in (0, -1, *ranks)]))
    table = np.hstack(found)
    return Channels(table[0], table[1], np.maximum(-table[0], table[1]), table[2:])


def _outliers(rows: Tensor, stats: Stats, job: Job) -> tuple[Outlier, ...]:
    """The weights beyond FAR standard deviations, farthest first."""
    if not stats.std:
        return ()
    found: list[Outlier] = []
    for a, b, _ in _chunks(rows, job):
        far = (rows[a:b] - stats.mean).abs() / stats.std
        top = far.flatten().topk(min(MOST, far.numel()))
        for sigmas, at in zip(top.values.tolist(), top.indices.tolist()):
            row, column = divmod(at, rows.shape[1])
            if sigmas > FAR:
                found.append(Outlier(a + row, column, float(rows[a + row, column]), sigmas))
    return tuple(sorted(found, key=lambda o: -o.sigmas)[:MOST])


def _errors(old: Tensor, new: Tensor, job: Job) -> tuple[float, Floats]:
    """Squared error over squared weight, of all and per row."""
    lost, had = np.empty(len(old)), np.empty(len(old))
    for a, b, _ in _chunks(old, job):
        lost[a:b] = (old[a:b].double() - new[a:b].double()).square().sum(-1).numpy()
        had[a:b] = old[a:b].double().square().sum(-1).numpy()
    each = np.divide(lost, had, out=np.zeros_like(lost), where=had > 0)
    return float(lost.sum() / max(had.sum(), 1e-30)), each
