"""Pipelines: a plan that begins with what an earlier plan was trained to. Each leg is compressed, scored, trained, scored, and written
once into the cache as the checkpoint the next leg begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from .cluster import Cluster
from .compress import Compressed, compress
from .cut import fitting
from .derived import derive
from .errors import BadPlan, NotTrained
from .evaluate import judge
from .job import Job
from .layers import layers
from .lessons import Leg
from .plans import legs
from .recover import free, trained, tuned
from .recover.fit import Learned
from .recover.tune import wanted
from .stage import Stage, calibration, learned_from
from .types import FLOATS, ITEM_BYTES, Checkpoint, Entry, Layer, Plan, Score, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when what a leg leaves is written otherwise
Told = Callable[[Plan, Compressed, Score], None]


def bare(plan: Plan) -> Plan:
    """The plan without its training."""
    return replace(plan, recover="", recovery={})


def untrained(plan: Plan, found: Iterable[Layer]) -> Plan:
    """The plan of what the walk leaves, before anything is recovered: neither trained nor tuned."""
    without = bare(plan)
    return replace(without, tune=False) if wanted(without, tuple(found)) or free.wanted(without) else without


def within(job: Job, plan: Plan, n: int, of: int) -> Job:
    """The job of one stage, which says so in all its phases; of a single one the job itself."""
    return job.within(n, of, plan.name) if of > 1 else job


def last(job: Job, plan: Plan) -> Job:
    """The job of a plan's last stage, which begins."""
    of = len(list(legs(plan)))
    if of > 1:
        job.point(Leg(of, of, plan.name))
    return within(job, plan, of, of)


def carried(s: Stage, job: Job, told: Told, on: Cluster | None = None) -> Stage:
    """All legs but the last carried out; the stage the last one begins with. `told` hears every stage with its score."""
    plans = list(legs(s.recipe.plan))
    for n, plan in enumerate(plans[:-1], 1):
        job.point(Leg(n, len(plans), plan.name))
        slim = leg(replace(s, recipe=replace(s.recipe, plan=plan)), within(job, plan, n, len(plans)), told, on)
        s = replace(s, slim=slim, layers=tuple(layers(slim)))
    return s


def leg(
    s: Stage, job: Job, told: Told | None, on: Cluster | None = None, known: Sequence[Plan] = (), anew: bool = True
) -> Checkpoint:
    """What one leg's plan leaves, as the checkpoint the next begins with; `told` hears its scores, except of plans that are `known`.

    Not `anew`: nothing is trained; NotTrained where a training that the plan wants was never carried out to its end."""
    plan = s.recipe.plan
    if s.reference is None or s.net is None or s.network is None:
        raise BadPlan("A plan in several stages needs a network that runs and data to score it on")
    found = walked(s, job, on)
    made, first, learned = found.weights(job), untrained(plan, found.layers), [not plan.recover or anew]
    if told and plan.recover and first not in known:
        told(first, found, judge(s.reference, made, job, s.net, on))

    def hear(point: object) -> None:
        learned.append(isinstance(point, Learned))
        job.point(point)

    inner, lessons = job.into(hear), partial(learned_from, s, job)
    done, made = trained(*tuned(found, s.net, made, s.reference, lessons, inner), s.net, s.reference, lessons, inner, anew)
    if not any(learned):
        raise NotTrained("A stage before this one was not trained yet: Run the stages, under Recovery, trains it")
    if told and plan not in known:
        told(plan, done, judge(s.reference, made, job, s.net, on))
    return left(done, job)


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


def planned(checkpoint: Checkpoint) -> Checkpoint:
    """How a leg's checkpoint will be laid out, from headers alone: for exact sizes before anything is done."""
    return replace(checkpoint, tensors={n: _plain(t) for n, t in checkpoint.tensors.items()})


def _plain(t: TensorInfo) -> TensorInfo:
    """GGUF's blocks become half precision, as what they were trained to no longer fits their codes."""
    dtype = t.dtype if t.dtype in ITEM_BYTES else "F16"
    assert dtype in FLOATS or t.dtype in ITEM_BYTES
    return TensorInfo(t.name, t.shape, dtype, ITEM_BYTES[dtype] * prod(t.shape), t.file, t.offset)


def named(plan: Plan) -> str:
    """A stage in a few words, for tables and the log."""
    what = ", ".join(_said(plan)) or "as it is"
    return f"{plan.name}: {what}" if plan.name else what


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
