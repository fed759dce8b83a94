"""Carries out a recipe: open, compress, measure, export, verify, report; all of it headless."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from . import compress, report
from .carbon import chosen
from .cluster import Cluster
from .cut import cut, cut_of, fitting, planned
from .data import default
from .data.calibration import Calibrating
from .energy import estimate
from .errors import BadPlan, CannotRun, DoesNotFit
from .formats import open_checkpoint, targets
from .job import Job
from .latency import latency
from .layers import layers
from .ledger import accounted
from .networks import Network, runnable
from .plans import resolve
from .preflight import Preflight, measured_speed, preflight
from .recipe import Recipe, check, save
from .recover import recovered
from .registry import make
from .rotate import price, rotated
from .size import size
from .store import Store
from .types import Checkpoint, Layer, Plan, Report, Score, Size, Variant


@dataclass(frozen=True)
class Result:
    """All a run made, for those who go on with it."""

    report: Report
    compressed: compress.Compressed


def foresee(recipe: Recipe, checkpoint: Checkpoint, found: Iterable[Layer]) -> Preflight:
    """What the run will take of this machine; from headers alone."""
    scored = not runnable(checkpoint) and (recipe.data or default(checkpoint)) is not None
    return preflight(checkpoint, found, recipe.plan, recipe.tokens, scored, block=recipe.block)


def run(recipe: Recipe, job: Job, store: Store | None = None, on: Cluster | None = None) -> Result:
    """Open, compress, measure, export, verify, report. A network that can't run is still slimmed and exported; a run that would not fit
    the machine's memory is refused with what would (BadPlan). `on` a cluster layers and evaluations are its tasks, to the same bytes."""
    from . import evaluate
    from .export import export
    from .int8 import running

    start, store = time.monotonic(), store or Store.default()
    checkpoint, found, target, flight = _begun(recipe, job)
    whole = compress.original(checkpoint, found, store)
    network = _network(checkpoint, job)
    reference = _reference(recipe, network, whole, flight, job) if network else None
    slim, net = _turned(recipe.plan, *_cut(recipe, checkpoint, network, job), job)
    plan, found = fitting(recipe.plan, layers(slim)), tuple(layers(slim))
    done = compress.compress(slim, found, plan, _calibration(recipe, net, found, slim, job), store, job, on)
    made = time.monotonic()
    scores: list[Score | None] = [None, None]
    timed = None
    if reference and network and net:
        weights = _weights(done, reference) if slim is checkpoint else done.weights(job)
        done, weights = recovered(done, net, weights, reference, lambda: _data(recipe, network, checkpoint, job).whole, job)
        runs = running(done, net)
        scores = [evaluate.judge(reference, None, job, on=on), evaluate.judge(reference, weights, job, runs, on)]
        if slim is not checkpoint or runs is not net:
            timed = latency((network, reference.weights), (runs, weights), reference.batches, job)
    elif plan.tune:
        raise BadPlan("Tuning needs a network that runs and data to score it on; switch tune off, or open the folder with config.json")
    judged = time.monotonic()
    batches = reference.batches if reference else None
    verdict = export(done, recipe.out, target, net if batches else None, batches, job) if recipe.out else None
    took = {"compressing": made - start, "evaluating": judged - made, "exporting": time.monotonic() - judged}
    before, after = _variant(whole, target, scores[0]), _variant(done, target, scores[1])
    after = replace(after, size=replace(after.size, original=before.size.original))  # a cut's own files are no original
    where = str(recipe.out or "")
    told = Report(str(recipe.source), before, after, recipe.target, where, verdict, tuple(job.notes), report.versions(), took, timed)
    told = accounted(told)
    if recipe.out:
        report.write(told, recipe.out)
        if recipe.out.is_dir():
            save(recipe, recipe.out / "recipe.toml")
    return Result(told, done)


def _begun(recipe: Recipe, job: Job) -> tuple[Checkpoint, tuple[Layer, ...], Any, Preflight]:
    """The opened checkpoint, its layers, the export's format and what the run will take; what must be refused is, before any work."""
    checkpoint = replace(open_checkpoint(recipe.source, job), factory=recipe.factory)
    found = tuple(layers(checkpoint))
    check(recipe.plan)
    compress.check(recipe.plan, found)
    planned(checkpoint, cut_of(recipe.plan))  # refuses widths this model can't have before any work is done
    target = make(targets[recipe.target], recipe.target_knobs)
    measured_speed()
    flight = foresee(recipe, checkpoint, found)
    job.point(flight)
    if not flight.fits:
        raise BadPlan(f"This run {flight.told}: {flight.proposal}")
    return checkpoint, found, target, flight


def _network(checkpoint: Checkpoint, job: Job) -> Network | None:
    """The network; None, with a note why, when it can't run."""
    from . import networks

    try:
        return networks.attach(checkpoint, job)
    except DoesNotFit:
        raise
    except CannotRun as e:
        job.note(str(e))
        return None


def _reference(recipe: Recipe, network: Network, whole: compress.Compressed, flight: Preflight, job: Job) -> Any:
    """What variants are held against; None, with a note, when there is nothing to run it on."""
    from . import data, evaluate

    path = recipe.data or default(whole.checkpoint)
    if path is None:
        job.note("Accuracy was not measured: there is no held-out data; give the recipe [evaluate] data")
        return None
    if not flight.scores:
        job.note("Accuracy was not measured: the original and the slimmed model would not fit into memory together")
        return None
    return evaluate.Reference(network, whole.weights(job), data.load(path, network, recipe.limit, job))


def _weights(done: compress.Compressed, reference: Any) -> dict[str, Any]:
    """The variant's weights; what the plan leaves alone is the original's, in memory already."""
    import torch

    changed = (x for x in done.layers if x.name in done.outcomes)
    return {**reference.weights, **{x.tensor.name: done.stored(x).dense().to(torch.float32) for x in changed}}


def _cut(recipe: Recipe, checkpoint: Checkpoint, net: Network | None, job: Job) -> tuple[Checkpoint, Network | None]:
    """The checkpoint the plan's cuts leave, and the network that runs it."""
    from . import networks

    how = cut_of(recipe.plan)
    if how.idle:
        return checkpoint, net
    data = _data(recipe, net, checkpoint, job).whole if net and how.looks else None
    slim = cut(checkpoint, how, net, data, job)
    return slim, networks.attach(slim, job) if net else None


def _turned(plan: Plan, slim: Checkpoint, net: Network | None, job: Job) -> tuple[Checkpoint, Network | None]:
    """The checkpoint rotated where the plan says so, and the network that runs it."""
    from . import networks

    if not plan.rotate:
        return slim, net
    if price(slim):
        job.note(f"Rotation adds {price(slim):,} bytes: the output layer can't share the embedding any more")
    slim = rotated(slim, plan.seed, job)
    return slim, networks.attach(slim, job) if net else None


def _data(recipe: Recipe, network: Any, checkpoint: Checkpoint, job: Job) -> Calibrating:
    """What is calibrated on: never what the variants are scored on."""
    from .data.calibration import calibrating

    data = calibrating(recipe.calibrate, network, recipe.data or default(checkpoint), recipe.limit, recipe.tokens, recipe.block)
    if (said := f"{data.told}: {data.size}") not in job.notes:
        job.note(said)
    return data


def _calibration(recipe: Recipe, network: Network | None, found: tuple[Layer, ...], checkpoint: Checkpoint, job: Job) -> Any:
    """What the plan's methods ask for, or None."""
    from .calibrate import kept, observe

    asked = compress.needs(recipe.plan, found)
    if not asked:
        return None
    if network is None:
        raise BadPlan("The plan's methods look at data, which needs a network that runs; open a folder with config.json, or choose others")
    data = _data(recipe, network, checkpoint, job)
    settings = resolve(recipe.plan, found)
    busy = [x for x in found if not settings[x.name].idle]
    order: Any = recipe.order
    return observe(network, checkpoint, data, busy, asked, job, order, kept.default())


def _variant(c: compress.Compressed, target: Any, score: Score | None) -> Variant:
    """One side of the report; the original's size is that of the opened files."""
    if c.settings:
        bytes_ = size(c.checkpoint, c.layers, c.settings, target)
    else:
        opened = sum(f.stat().st_size for f in {t.file for t in c.checkpoint.tensors.values()})
        bytes_ = Size(opened, {x.name: x.tensor.nbytes for x in c.layers}, opened)
    aim, scene = target if c.settings else None, chosen().scene
    energy = estimate(c.checkpoint, c.layers, c.settings, bytes_, aim, score.task, scene) if score else None
    return report.variant(c.plan, bytes_, energy, score, c.outcomes)
