"""Chooses what goes and refits what reads it, layer by layer in the order of the network, at the original shapes: what goes is zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ..calibrate import blocks
from ..data import Batches
from ..errors import BadPlan
from ..graph import Dimension, Graph, Slice
from ..job import Job
from ..networks import Network
from . import obs, stream, watch
from .plan import Cut, left

if TYPE_CHECKING:
    from torch import Tensor

WORK = 4e12  # multiplications all passes together may take: about a minute on one core
PLACES = 64  # of a picture: what a weight of a convolution is used at on average
FEWEST = 256  # samples that are kept, however much work they are
MEMORY = 1.5e9  # bytes of second moments held at once


@dataclass
class State:
    """A network on its way to being cut: weights at their original shapes, and which units of each dimension stay."""

    graph: Graph
    cut: Cut
    shares: Mapping[str, float]
    weights: dict[str, Tensor]  # float32, changed by replacing entries
    kept: dict[str, list[int]] = field(default_factory=dict)  # Dimension.name -> units

    @property
    def dimensions(self) -> list[Dimension]:
        """Those that lose units."""
        return [d for d in self.graph.dimensions if left(d, self.shares) < d.size]


def with_data(state: State, network: Network, batches: Batches, grads: Mapping[str, Tensor], job: Job) -> None:
    """Choose and refit consumer by consumer; each sees the inputs it will have, and is fitted to the output it had."""
    original = dict(state.weights)
    reads = {s.tensor: (d, s) for d in state.dimensions for s in d.used}
    sequence = watch.order(network, original, batches, reads, job)
    for names, found in _watched(state, network, original, batches, sequence, reads, job):
        for n in names:
            job.check()
            d, s = reads[n]
            if d.name not in state.kept:
                choose(state, d, found, grads, job)
            if state.cut.compensate:
                _refit(state, d, s, found[n], job)
    assert len(state.kept) == len(state.dimensions)


def _watched(
    state: State, network: Network, original: Mapping[str, Tensor], batches: Batches, sequence: list[str],
    reads: Mapping[str, tuple[Dimension, Slice]], job: Job,
) -> Iterator[tuple[list[str], Mapping[str, obs.Moments]]]:  # fmt: skip
    """(consumers whose turn it is, what they and their siblings meet): block by block in a chain of blocks, else by whole passes."""
    c = blocks.chain(network, original.__getitem__, dict(batches.items[0]), job)
    places = {stored: c.of(name) for name, stored in network.names.items()} if c else {}
    if c and all(places.get(n) is not None and len(reads[n][0].used) == 1 for n in sequence):
        names = {k: {n: reads[n][1].stream for n in sequence if places[n] == k} for k in range(len(c.blocks))}
        for n, m in stream.Walk(c, network, batches, job).along(original, state.weights, names):
            yield [n], {n: m}
        return
    batches = thinned(state, batches, sequence)
    for turn in steps(state, batches, sequence):
        yield turn, watch.moments(network, original, state.weights, batches, _with_siblings(turn, reads, state), job)


def thinned(state: State, batches: Batches, sequence: list[str]) -> Batches:
    """As many of the samples, evenly spread, as leave every consumer a pass of its own. What a consumer gains by seeing what the earlier
    ones became is worth more than data: a ResNet of 20 convolutions is 86 % right after 206 images, 60 % after 6150 in one pass for all."""
    per = 4.0 * sum(t.numel() for t in state.weights.values()) * len(sequence)
    rows, first = sum(map(_rows, batches.items)), batches.items[0]
    most = max(WORK / per, FEWEST * _rows(first) / len(next(iter(first.values()))))
    if rows <= most:
        return batches
    every = math.ceil(rows / most)
    return replace(batches, items=batches.items[::every], nbytes=())


def _rows(item: Mapping[str, Tensor]) -> int:
    """Tokens or, of pictures, places a weight is used at, roughly."""
    ids = item.get("input_ids")
    return ids.numel() if ids is not None else PLACES * len(next(iter(item.values())))


def steps(state: State, batches: Batches, sequence: list[str]) -> list[list[str]]:
    """Consumers that share a pass: as few as the work allows, so that later ones see what the earlier became."""
    size = sum(t.numel() for t in state.weights.values())
    passes = max(1, int(WORK / (4.0 * size * sum(map(_rows, batches.items)))))
    held = sum(8.0 * state.weights[n][0].numel() ** 2 for n in sequence)
    passes = min(len(sequence), max(passes, int(held / MEMORY) + 1))
    bounds = [round(i * len(sequence) / passes) for i in range(passes + 1)]
    return [sequence[a:b] for a, b in pairwise(bounds)]


def _with_siblings(names: list[str], reads: Mapping[str, tuple[Dimension, Slice]], state: State) -> list[str]:
    """A dimension is chosen by all its readers, also by those whose turn to be refitted comes later."""
    dims = [reads[n][0] for n in names if reads[n][0].name not in state.kept]
    return list(dict.fromkeys((*names, *(s.tensor for d in dims for s in d.used))))


def without_data(state: State, grads: Mapping[str, Tensor], job: Job) -> None:
    """Choose by the weights alone; nothing is refitted."""
    for d in job.track(state.dimensions, "Cutting"):
        choose(state, d, {}, grads, job)


def choose(state: State, d: Dimension, found: Mapping[str, obs.Moments], grads: Mapping[str, Tensor], job: Job) -> None:
    """Fix which units of a dimension stay, and zero the others."""
    n = left(d, state.shares)
    if state.cut.method == "obs":
        keep = obs.chosen([_consumer(state, s, found[s.tensor]) for s in d.used], d.size, n, job)
    else:
        score = _magnitude(state, d) if state.cut.method == "magnitude" else _taylor(state, d, grads)
        keep = sorted(int(i) for i in score.argsort(descending=True, stable=True)[:n])
    state.kept[d.name] = keep
    for s in (*d.made, *d.used):
        state.weights[s.tensor] = _zeroed(state.weights[s.tensor], s, d.size, keep)


def _zeroed(w: Tensor, s: Slice, units: int, keep: list[int]) -> Tensor:
    import torch

    mask = torch.zeros(units, dtype=torch.bool)
    mask[keep] = True
    shape = [1] * w.ndim
    shape[s.axis] = -1
    return w.masked_fill(~mask.repeat_interleave(s.span).view(shape), 0)


def _consumer(state: State, s: Slice, m: obs.Moments) -> obs.Consumer:
    w = state.weights[s.tensor].flatten(1).double()
    if s.norm:  # an error in a channel counts as the batch norm behind it magnifies it
        w = w * _gain(state, s)[:, None]
    a, _ = m.with_held().second(centred=bool(s.bias or s.norm))
    inverse, _ = obs.damped(a, state.cut.damping)
    return obs.Consumer(w, inverse, s.span * (w.shape[1] // state.weights[s.tensor].shape[1]), float((w @ a * w).sum()) or 1.0)


def _gain(state: State, s: Slice) -> Tensor:
    gain, var = state.weights[f"{s.norm}.weight"], state.weights[f"{s.norm}.running_var"]
    return (gain / (var + 1e-5).sqrt()).double()


def _refit(state: State, d: Dimension, s: Slice, m: obs.Moments, job: Job) -> None:
    """The consumer's columns by least squares to the original's output; the mean goes into its bias or the norm behind it."""
    import torch

    was = state.weights[s.tensor]
    w = was.flatten(1).double()
    span = s.span * (w.shape[1] // was.shape[1])
    keep = (torch.tensor(state.kept[d.name])[:, None] * span + torch.arange(span)).flatten()
    new = obs.best(w, m, keep, state.cut.damping, bool(s.bias or s.norm), job)
    state.weights[s.tensor] = new.to(was.dtype).view(was.shape)
    m = m.with_held()
    rest = m.y / m.n - new @ (m.x / m.n)  # what the new weight leaves of the output's mean
    if s.bias:
        state.weights[s.bias] = rest.to(was.dtype)
    elif s.norm:
        state.weights[f"{s.norm}.running_mean"] = state.weights[f"{s.norm}.running_mean"] - rest.to(was.dtype)


def _units(t: Tensor, s: Slice) -> Tensor:
    """(units,) = sums of t over all but the axis, and over each unit's span."""
    flat = t.movedim(s.axis, 0).flatten(1).sum(1) if t.ndim > 1 else t
    return flat.unflatten(0, (-1, s.span)).sum(1)


def _magnitude(state: State, d: Dimension) -> Tensor:
    """Squared L2 norm of all that goes with a unit, each member over its own mean (Torch-Pruning, Fang et al. 2023)."""
    import torch

    parts = [_units(state.weights[s.tensor].square(), s) for s in (*d.made, *d.used) if state.weights[s.tensor].ndim > 1]
    return torch.stack([p / p.mean().clamp(min=1e-30) for p in parts]).sum(0)


def _taylor(state: State, d: Dimension, grads: Mapping[str, Tensor]) -> Tensor:
    """Sum of |w * dL/dw| over all that goes with a unit (Molchanov et al. 2019)."""
    import torch

    found = [_units(g, s) for s in (*d.made, *d.used) if (g := grads.get(s.tensor.removesuffix(".weight"))) is not None]
    if not found:
        raise BadPlan("method = taylor needs gradients: a network that runs, and data with labels or text; choose obs or magnitude")
    return torch.stack(found).sum(0)
