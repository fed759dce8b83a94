"""What runs on the worker for prices: sensing, learning, the front, solving a budget, finding the guilty."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.compress import needs
from core.errors import CannotRun
from core.job import Job
from core.plans import another
from core.predict import Predictor
from core.sensed import Evaluation, Front, Sensitivity
from core.types import Calibration, Plan, Score, Task, Variant

from .opened import Opened, threads
from .scene import scene
from .snapshot import Fronts, bare
from .work import _compressed, foretold, preview, priced, running_weights

if TYPE_CHECKING:
    from core.guilty import Guilt
    from core.search import Goal, Table
    from core.search.refine import Refined

OFTEN, TENTH = 0.5, 10  # s between two predictors while the pass runs, and how many times as long as one takes, at least
POINTS = 40  # of the front
ROUNDS = 2  # of a local search in quiet time: the plan solved anew at what its layers cost in it, and four swaps
PRESETS = (8, 6, 5, 4, 3, 2)  # bits of the uniform plans beside the front


@dataclass(frozen=True)
class Priced:
    """What the window asks at every tick, built anew whenever something was learned."""

    sensitivity: Sensitivity
    predictor: Predictor
    table: Table  # every option of every layer with its bytes and its price: a handle slides along it
    fronts: Fronts


@dataclass(frozen=True)
class Asked:
    """What prices are for."""

    plan: Plan
    target: Any
    task: Task
    pins: Collection[str]
    lessons: Sequence[tuple[Plan, Evaluation]]  # grows while a pass runs: what is measured in between counts at once


def sense(opened: Opened, asked: Asked, data: Path, limit: int | None, answers: bool, job: Job) -> Priced:
    """The sensitivity pass; streams Priced as it grows. What is found is kept in the layer store. `answers`: of a small classifier what
    every option does to the answers, too."""
    from core.sensitivity import sense as walk

    threads()
    network = opened.network(job)
    some = replace(asked.plan, model=replace(asked.plan.model, bits=3, amount=0.5))
    fits = foretold(opened, some, True).scores  # where both models don't, prices stay what their types are known to cost
    reference = opened.reference(data, limit, job) if fits else None
    calibration = _moments(opened, some, data, limit, job)
    due = [0.0]

    def grow(found: Sensitivity) -> None:
        if (begun := time.monotonic()) > due[0]:
            job.point(price(opened, found, asked, job))
            due[0] = begun + max(OFTEN, TENTH * (time.monotonic() - begun))

    found = walk(
        network, opened.checkpoint, opened.layers, asked.plan, calibration, reference, job.into(grow), opened.store, answers=answers
    )
    return price(opened, found, asked, job)


def _moments(opened: Opened, some: Plan, data: Path, limit: int | None, job: Job) -> Calibration:
    """Second moments of every layer that may be changed, and whatever else the plan's own methods look at."""
    from core.calibrate import kept, observe
    from core.sensitivity import sensible

    found, _ = opened._calibrating(data, limit, job)
    free, asked = sensible(opened.layers, some), {"inputs", *needs(some, opened.layers)}
    return observe(opened.network(job), opened.checkpoint, found, free, asked, job, store=kept.default())


def price(opened: Opened, sensitivity: Sensitivity, asked: Asked, job: Job) -> Priced:
    """Learn from what was measured, and what may be had at every size."""
    from core.search import table

    predictor = Predictor.of(sensitivity, [e for _, e in asked.lessons])
    job.check()
    found = table(opened.checkpoint, opened.layers, asked.plan, asked.target, predictor, asked.task, pins=asked.pins, scene=scene())
    other = another(asked.plan)  # another network, of which nothing was sensed
    points = () if other else _points(found, job)
    return Priced(sensitivity, predictor, found, Fronts(points, () if other else _uniform(opened, predictor, asked)))


def _points(t: Table, job: Job) -> tuple[Front, ...]:
    """The front from its smallest plan to its best, by equal ratios of size: at the small end, where it is steep, they lie closest."""
    from core.search import near

    least, most = near(t, 0), near(t, inf)
    found = {f.size.total: f for f in (least, most)}
    steps = POINTS if most.size.total > least.size.total else 0
    for i in range(1, steps):
        job.check()
        f = near(t, least.size.total * (most.size.total / least.size.total) ** (i / steps))
        found.setdefault(f.size.total, f)
    return tuple(found[n] for n in sorted(found))


def _uniform(opened: Opened, predictor: Predictor, asked: Asked) -> tuple[Front, ...]:
    """The plan's own quantizer with the same bits everywhere, nothing pruned, each with its exact size and its prediction."""
    found = []
    for bits in PRESETS:
        even = Plan(replace(asked.plan.model, bits=bits, amount=0.0), seed=asked.plan.seed, tune=asked.plan.tune, tuning=asked.plan.tuning)
        its = priced(opened.checkpoint, opened.layers, even, asked.target, asked.task)
        found.append(Front(even, its["size"], predictor.estimate(its["settings"]), its["energy"].joules if its["energy"] else 0.0))
    return tuple(found)


def solve(table: Table, goal: Goal, original: Score | None, job: Job) -> Front:
    """The plan that meets a goal, exactly."""
    from core.search import best

    return best(table, goal, original)


@dataclass(frozen=True)
class Better:
    """What a local search ended with; where it kept a change, its plan as scored."""

    found: Refined
    variant: Variant | None


def search(opened: Opened, t: Table, front: Front, asked: Asked, data: Path, limit: int | None, job: Job) -> Better:
    """Plans of the same bytes near this one, really run on the held part of the calibration data; the one kept is then scored."""
    from core.evaluate import Reference, losses
    from core.search.refine import refine
    from core.sensitivity.shares import Share, shares

    threads()
    original, (calibrating, _) = opened.reference(data, limit, job), opened._calibrating(data, limit, job)
    judge = Reference(original.network, original.weights, calibrating.held)

    def slim(plan: Plan) -> dict[str, Any]:
        return running_weights(opened, opened, _compressed(opened, plan, data, limit, job), original, job)

    def lost(plan: Plan) -> list[float]:
        return losses(judge, slim(plan), job)

    def dealt(plan: Plan) -> dict[str, Share]:
        return shares(judge, slim(plan), opened.layers, job)

    found = refine(t, front, lost, job, ROUNDS, learned=[e for _, e in asked.lessons], shares=dealt)
    better = replace(bare(found.front.plan), tune=False) if found.accepted else None
    return Better(found, preview(opened, better, asked.target, asked.task, data, limit, job) if better else None)


def accuse(
    opened: Opened, plan: Plan, target: Any, task: Task, data: Path, limit: int | None, suspicion: Mapping[str, float], job: Job
) -> Guilt:
    """Which layers cost most, by really running the plan without some of them; streams (plan, Score)."""
    from core.guilty import guilty

    quiet = job.into(lambda _: None)

    def evaluate(tried: Plan) -> Score:
        score = preview(opened, replace(tried, tune=False), target, task, data, limit, quiet).score
        if score is None:
            raise CannotRun("This model can't be scored here, so nobody can be accused; choose a smaller one or held-out data")
        return score

    layers = opened.made(plan, data, limit, job).layers
    return guilty(layers, plan, evaluate, job, suspicion=suspicion)
