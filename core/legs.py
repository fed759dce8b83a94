"""Pipelines: a plan that begins with what an earlier plan was trained to. Each leg is compressed, scored, trained, scored, and written
once into the cache as the checkpoint the next leg begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from .cluster import Cluster
from .compress import Compressed, compress
from .cut import fitting
from .derived import derive
from .errors import BadPlan
from .evaluate import judge
from .job import Job
from .layers import layers
from .plans import legs
from .recover import recovered
from .stage import Stage, calibration, learned_from
from .types import FLOATS, ITEM_BYTES, Checkpoint, Entry, Plan, Score, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when what a leg leaves is written otherwise
Told = Callable[[Plan, Compressed, Score], None]


def bare(plan: Plan) -> Plan:
    """The plan without its training."""
    return replace(plan, recover="", recovery={})


def carried(s: Stage, job: Job, told: Told, on: Cluster | None = None) -> Stage:
    """All legs but the last carried out; the stage the last one begins with. `told` hears every stage with its score."""
    for plan in list(legs(s.recipe.plan))[:-1]:
        if s.reference is None or s.net is None or s.network is None:
            raise BadPlan("A plan in several stages needs a network that runs and data to score it on")
        leg = replace(s, recipe=replace(s.recipe, plan=plan))
        found = walked(leg, job, on)
        made = found.weights(job)
        if plan.recover:
            told(bare(plan), found, judge(s.reference, made, job, s.net, on))
        done, made = recovered(found, s.net, made, s.reference, partial(learned_from, leg, job), job)
        told(plan, done, judge(s.reference, made, job, s.net, on))
        slim = left(done, job)
        s = replace(s, slim=slim, layers=tuple(layers(slim)))
    return s


def walked(s: Stage, job: Job, on: Cluster | None = None) -> Compressed:
    """The walk of one leg."""
    plan = fitting(s.recipe.plan, s.layers)
    return compress(s.slim, s.layers, plan, calibration(s.recipe, s.net, s.layers, s.slim, job), s.store, job, on)


def left(done: Compressed, job: Job) -> Checkpoint:
    """What a leg leaves, as a checkpoint of plain tensors in the cache: codes become the values they stand for."""
    stored = {x.tensor.name: x for x in done.layers}
    tensors = {n: _plain(t) for n, t in done.checkpoint.tensors.items()}
    said = {"leg": {n: o.key for n, o in sorted(done.outcomes.items())}, "code": CODE}

    def values(name: str) -> dict[str, Tensor]:
        import torch

        from .formats.safetensors_file import TORCH

        return {name: done.stored(stored[name]).dense().to(getattr(torch, TORCH[tensors[name].dtype]))}

    entries = [Entry(n, t.dtype, t.shape, n) for n, t in tensors.items()]
    return derive(done.checkpoint, said, entries, values, job)


def _plain(t: TensorInfo) -> TensorInfo:
    """GGUF's blocks become half precision, as what they were trained to no longer fits their codes."""
    dtype = t.dtype if t.dtype in ITEM_BYTES else "F16"
    assert dtype in FLOATS or t.dtype in ITEM_BYTES
    return TensorInfo(t.name, t.shape, dtype, ITEM_BYTES[dtype] * prod(t.shape), t.file, t.offset)


def named(plan: Plan) -> str:
    """A stage in a few words, for tables and the log."""
    return ", ".join(_said(plan)) or "as it is"


def _said(plan: Plan) -> Iterator[str]:
    m = plan.model
    if m.amount:
        yield f"{m.prune} {m.amount:.0%}"
    if m.bits is not None and m.bits < 16:
        yield f"{m.quantize} {m.bits} bits"
    if plan.cuts:
        yield "cut"
    if plan.recover:
        yield plan.recover
