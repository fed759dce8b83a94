"""Carries out a recipe: open, compress, measure, export, verify, report; all of it headless."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import compress, report
from .aim import aimed, verified
from .cluster import Cluster
from .energy import estimate
from .errors import BadPlan
from .evaluate import judge
from .job import Job
from .latency import latency
from .ledger import Bill, accounted
from .legs import carried, last, untrained, walked
from .recipe import Recipe, save
from .recover import recovered
from .size import size
from .stage import Stage, data_of, foresee, learned_from, staged, weights
from .store import Store
from .types import Checkpoint, Latency, Report, Score, Size, Variant
from .use import Use, use

if TYPE_CHECKING:
    from torch import Tensor

    from .networks import Network

__all__ = ["Result", "foresee", "run"]


@dataclass(frozen=True)
class Result:
    """All a run made, for those who go on with it."""

    report: Report
    compressed: compress.Compressed


def run(
    recipe: Recipe, job: Job, store: Store | None = None, on: Cluster | None = None, crowd: Callable[[Checkpoint], Any] | None = None
) -> Result:
    """Open, search for the goal if there is one, compress, measure, export, verify, report. A network that can't run is still slimmed and
    exported; a run that would not fit the machine's memory is refused with what would (BadPlan). `on` a cluster layers and evaluations are
    its tasks, to the same bytes. `crowd`: the clients of a federation that is no simulation."""
    with Bill() as bill:
        return _run(recipe, job, store, on, crowd, bill)


def _run(
    recipe: Recipe, job: Job, store: Store | None, on: Cluster | None, crowd: Callable[[Checkpoint], Any] | None, bill: Bill
) -> Result:
    from .export import export

    start = time.monotonic()
    s, stages, its = replace(staged(recipe, job, store), crowd=crowd), list[Variant](), use(recipe.energy)
    s = carried(s, job, lambda plan, c, score: stages.append(_variant(replace(c, plan=plan), s.target, score, its)), on)
    job = last(job, recipe.plan)
    found = aimed(s, job) if recipe.goal else None
    if found:
        recipe = found.recipe
        s = replace(s, recipe=recipe)
    done = walked(s, job, on)
    if stages and recipe.plan.recover and s.reference and s.net:
        score = judge(s.reference, done.weights(job), job, s.net, on)
        stages.append(_variant(replace(done, plan=untrained(recipe.plan, done.layers)), s.target, score, its))
    made = time.monotonic()
    done, scores, timed = _judged(s, done, job, on)
    if found and found.front:
        job.note(verified(found.front, found.table, scores[1]))
    judged = time.monotonic()
    batches = s.reference.batches if s.reference else None
    net, checkpoint = s.net if batches else None, s.whole.checkpoint
    taught = lambda: data_of(recipe, net, checkpoint, job).whole  # noqa: E731
    verdict = export(done, recipe.out, s.target, net, batches, job, taught) if recipe.out else None
    took = {"compressing": made - start, "evaluating": judged - made, "exporting": time.monotonic() - judged}
    where = str(recipe.out or "")
    before, after = _variant(s.whole, s.target, scores[0], its), _variant(done, s.target, scores[1], its)
    after = replace(after, size=replace(after.size, original=before.size.original))  # a cut's own files are no original
    told = Report(str(recipe.source), before, after, recipe.target, where, verdict, tuple(job.notes), report.versions(), took, timed)
    told = replace(told, stages=(*stages, after) if stages else ())
    told = accounted(told, bill.took(), its.place)
    if recipe.out:
        report.write(told, recipe.out)
        if recipe.out.is_dir():
            save(recipe, recipe.out / "recipe.toml")
    return Result(told, done)


def _judged(
    s: Stage, done: compress.Compressed, job: Job, on: Cluster | None
) -> tuple[compress.Compressed, list[Score | None], Latency | None]:
    """The variant tuned if its plan wants that, with both scores; and timed where it runs otherwise than the original."""
    from . import evaluate

    if not (s.reference and s.network and s.net):
        if s.recipe.plan.tune or s.recipe.plan.recover:
            raise BadPlan("Training needs a network that runs and data to score it on; leave it out, or open the folder with config.json")
        return done, [None, None], None
    network = s.network
    done, runs, made = ready(s, done, job)
    scores: list[Score | None] = [
        evaluate.judge(s.reference, None, job, on=on), evaluate.judge(s.reference, made, job, runs, on)
    ]  # fmt: skip
    if not s.changed and runs is s.net:
        return done, scores, None
    return done, scores, latency((network, s.reference.weights), (runs, made), s.reference.batches, job)


def ready(s: Stage, done: compress.Compressed, job: Job) -> tuple[compress.Compressed, Network, dict[str, Tensor]]:
    """What the walk made, tuned if its plan wants that and there is something to score it on: the network that runs it and its weights."""
    from .int8 import running

    assert s.net is not None
    assert s.network is not None
    if s.reference is None:
        return done, running(done, s.net), done.weights(job)
    made = done.weights(job) if s.changed else weights(done, s.reference)
    done, made = recovered(done, s.net, made, s.reference, lambda: learned_from(s, job), job)
    return done, running(done, s.net), made


def _variant(c: compress.Compressed, target: Any, score: Score | None, at: Use) -> Variant:
    """One side of the report; the original's size is that of the opened files."""
    if c.settings:
        bytes_ = size(c.checkpoint, c.layers, c.settings, target)
    else:
        opened = sum(f.stat().st_size for f in {t.file for t in c.checkpoint.tensors.values()})
        bytes_ = Size(opened, {x.name: x.tensor.nbytes for x in c.layers}, opened)
    aim = target if c.settings else None
    energy = estimate(c.checkpoint, c.layers, c.settings, bytes_, aim, score.task, at.scene) if score else None
    return report.variant(c.plan, bytes_, energy, score, c.outcomes)
