"""Holds one checkpoint against another: tensor by tensor, and by its answers on held-out data where both can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import data
from .errors import BadData, CannotRun
from .formats import read
from .formats.packed import names, unpacked
from .job import Job
from .types import Checkpoint, Score

if TYPE_CHECKING:
    from torch import Tensor

    from .networks import Network


@dataclass(frozen=True, slots=True)
class Pair:
    """One tensor of both; an error of None stands for other shapes, a size of None for a tensor that is not there."""

    name: str
    error: float | None = None  # ||A - B||^2 / ||A||^2
    zeros: float | None = None  # share of exact zeros in B
    before: int | None = None  # stored bytes in A, with scales and zero points
    after: int | None = None
    shapes: tuple[tuple[int, ...], ...] = ()  # where they differ


def pairs(a: Checkpoint, b: Checkpoint, job: Job) -> Iterator[Pair]:
    """Every tensor of either, one pair in memory at a time; packed layers are unpacked and compared as the weights they stand for."""
    mine, theirs = names(a), names(b)
    for name in job.track(sorted(mine.keys() & theirs.keys()), "Comparing"):
        x, y = unpacked(a, name).float(), unpacked(b, name).float()
        before, after = _stored(a, mine[name]), _stored(b, theirs[name])
        if x.shape != y.shape:
            yield Pair(name, before=before, after=after, shapes=(tuple(x.shape), tuple(y.shape)))
            continue
        error = float((x - y).square().sum() / x.square().sum().clamp(min=1e-30))
        yield Pair(name, error, 1 - float(y.count_nonzero()) / max(1, y.numel()), before, after)
    for name in sorted(mine.keys() - theirs.keys()):
        yield Pair(name, before=_stored(a, mine[name]))
    for name in sorted(theirs.keys() - mine.keys()):
        yield Pair(name, after=_stored(b, theirs[name]))


def _stored(checkpoint: Checkpoint, parts: list[str]) -> int:
    return sum(checkpoint.tensors[n].nbytes for n in parts)


def scores(a: Checkpoint, b: Checkpoint, path: Path | None, limit: int | None, job: Job) -> tuple[Score, Score] | None:
    """Both on the data (`path`, else what lies beside A): B against A; None, with a note why, where that can't be."""
    from . import evaluate

    path = path or data.default(a)
    if path is None:
        job.note("Accuracy was not compared: there is no held-out data; give --data")
        return None
    try:
        network, weights, theirs, own = answering(a, b, job)
        reference = evaluate.Reference(network, weights, data.load(path, network, limit, job))
        return evaluate.judge(reference, None, job), evaluate.judge(reference, theirs, job, own)
    except CannotRun as e:
        job.note(f"Accuracy was not compared: {e}")
        return None
    except RuntimeError as e:
        raise BadData(f"{b.path.name} can't be scored on {path.name} ({str(e)[:90]}); compare models of one task") from None


def answering(a: Checkpoint, b: Checkpoint, job: Job) -> tuple[Network, dict[str, Tensor], dict[str, Tensor], Network | None]:
    """A's network and weights, B's weights, and B's own network where A's can't run them; CannotRun where they are for different tasks."""
    from . import networks

    network = networks.attach(a, job)
    weights = {n: _float(read(t)) for n, t in job.track(a.tensors.items(), "Loading", len(a.tensors))}
    theirs = _fitting(b, weights, job)
    own = None if theirs is not None else networks.attach(b, job)
    theirs = theirs if theirs is not None else {n: _float(read(t)) for n, t in b.tensors.items()}
    if own and own.task != network.task:
        raise CannotRun(f"{a.path.name} and {b.path.name} do different things ({network.task}, {own.task})")
    return network, weights, theirs, own


def _fitting(b: Checkpoint, weights: Mapping[str, Tensor], job: Job) -> dict[str, Tensor] | None:
    """B's weights under A's names where every one of them is there in A's shape: then A's network runs them, packed or not."""
    held = names(b)
    if not weights.keys() <= held.keys():
        return None
    out = {n: _float(unpacked(b, n)) for n in job.track(weights, "Loading", len(weights))}
    return out if all(out[n].shape == w.shape for n, w in weights.items()) else None


def _float(t: Tensor) -> Tensor:
    return t.float() if t.is_floating_point() else t
