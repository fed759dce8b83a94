"""What runs on the worker: opening, measuring, looking inside and exporting; plain functions that end with a job."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import rotate
from core.compress import Compressed, compress, fits, layer_needs
from core.coverage import Asked, Coverage, coverage
from core.cut import cut_of, fitting, planned, planned_layers
from core.data.calibration import calibratable
from core.energy import Scene, estimate
from core.errors import BadFile, BadPlan, CannotRun, NotTrained
from core.formats import open_checkpoint, read, targets
from core.job import Job
from core.layers import layers as layers_of
from core.lessons import Freed
from core.networks import runnable, task_of
from core.plans import resolve
from core.preflight import Preflight, measured_speed, preflight
from core.quantize import quantizers
from core.recover.costs import kept, memory
from core.recover.tune import steps
from core.registry import knobs
from core.size import size
from core.store import Store, key
from core.types import Checkpoint, Energy, Layer, Plan, Score, Setting, Size, Task, Variant

from .opened import Opened, threads
from .scene import scene
from .snapshot import bare

if TYPE_CHECKING:
    from core.evaluate import Reference
    from core.inspection import Inspection

BEST, PLAIN = ("admm", "slim"), ("magnitude", "rtn")  # pruner and quantizer a new plan begins with
BEARABLE = 60.0  # seconds a first preview with the best methods may take, estimated
COUNTED = 2_000_000_000  # bytes: up to here the zeros of a model are counted when it is opened
PIECE = 1 << 22  # weights between two looks at the job


def open_model(path: Path, factory: str, job: Job) -> Opened:
    """Headers only: the tree shows within a moment, torch is not imported."""
    checkpoint = open_checkpoint(Path(path), job)
    if not checkpoint.tensors:
        raise BadFile(f"{Path(path).name} holds no tensors; choose a file with weights.")
    checkpoint = replace(checkpoint, factory=factory) if factory else checkpoint
    return Opened(checkpoint, tuple(layers_of(checkpoint)), Store.default())


def runs(checkpoint: Checkpoint) -> tuple[Task, str]:
    """What the model is for, from its headers alone, and why it can't be scored ("" when it can)."""
    try:
        return task_of(checkpoint), ""
    except CannotRun as e:
        return "other", str(e)


def figures(
    checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], target: Any, task: Task, at: Scene | None = None
) -> tuple[Size, Energy]:
    """Exact bytes and modelled energy of a plan; a few milliseconds."""
    found = tuple(layers)
    exact = size(checkpoint, found, settings, target)
    return exact, estimate(checkpoint, found, settings, exact, target, task, at or scene())


def priced(checkpoint: Checkpoint, layers: tuple[Layer, ...], plan: Plan, target: Any, task: Task, at: Any = None) -> dict[str, Any]:
    """What a plan makes of the snapshot at once: settings, exact size, modelled energy, and the shapes its cuts leave."""
    settings, how, shapes = resolve(plan, layers), cut_of(plan), {}
    if plan.before is not None:
        from core.legs import planned as left

        checkpoint = left(checkpoint)
        layers = tuple(layers_of(checkpoint))
    if not how.idle:
        checkpoint = planned(checkpoint, how)
        was, layers = {x.name: x.tensor.shape for x in layers}, tuple(planned_layers(checkpoint, layers))
        shapes = {x.name: x.tensor.shape for x in layers if x.tensor.shape != was.get(x.name)}
        shapes |= dict.fromkeys(was.keys() - {x.name for x in layers}, ())
    if plan.rotate:
        checkpoint = rotate.planned(checkpoint)
        layers = tuple(layers_of(checkpoint))
    inside = settings if how.idle and not plan.rotate else {**settings, **resolve(plan, layers)}
    exact, energy = figures(checkpoint, layers, inside, target, task, at)
    return {"settings": settings, "size": exact, "energy": energy, "cut": shapes}


def first_plan(opened: Opened, target: Any, task: Task, data: Path | None, limit: int | None) -> tuple[Plan, float | None]:
    """The idle plan: the best methods where there is data for them and they take less than a minute, else those that need none; and the
    seconds the best ones were estimated to take (None = there is no data).

    Grids are asymmetric where the format can hold them, in the largest groups up to 64 that divide every free layer, else per channel."""
    looks = not runnable(opened.checkpoint) and calibratable(task, opened.feed.path, data, limit)
    if looks:
        best = _begun(opened, target, *BEST)
        flight = foretold(opened, replace(best, model=replace(best.model, amount=0.5, bits=4)), data is not None)
        if flight.fits and flight.seconds < BEARABLE:
            return best, flight.seconds
    return _begun(opened, target, *PLAIN), flight.seconds if looks else None


def _begun(opened: Opened, target: Any, prune: str, quantize: str) -> Plan:
    """An idle plan with these methods and a grid that fits every free layer and that the format can hold."""
    free = [x for x in opened.layers if x.prunable and not x.protected]
    default = {k.name: k.default for k in knobs(quantizers[quantize])}
    grids: list[dict[str, Any]] = [{"granularity": "group", "group_size": n} for n in (64, 32, 16) if n <= int(default["group_size"])]
    grid = next((g for g in grids if not any(fits(x, _four(quantize, g)) for x in free)), {"granularity": "channel"})
    uneven, even = ({**grid, "symmetric": on} for on in (False, True))
    refused = {on: any(target.refuses(opened.checkpoint, x, _four(quantize, g)) for x in free) for on, g in ((False, uneven), (True, even))}
    grid = even if refused[False] and not refused[True] else grid
    own = {f"{quantize}.{k}": v for k, v in grid.items() if default[k] != v}
    return Plan(replace(Plan().model, prune=prune, quantize=quantize, knobs=own))


def _four(quantize: str, grid: Mapping[str, Any]) -> Setting:
    return Setting(quantize=quantize, bits=4, quantize_knobs=grid)


def original_variant(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> Variant:
    """The opened model as it is: its own bytes and energy, no score yet."""
    nbytes = sum(f.stat().st_size for f in {t.file for t in checkpoint.tensors.values()})
    exact = Size(nbytes, {x.name: x.tensor.nbytes for x in layers}, nbytes)
    energy = estimate(checkpoint, layers, {}, exact, None, task, scene())
    return Variant(Plan(), exact, energy, None, {}, "", now())


def first_score(opened: Opened, data: Path, limit: int | None, job: Job) -> Any:
    """Score the original itself; streams partial Scores."""
    from core.evaluate import judge

    return judge(opened.reference(data, limit, job), None, job)


def allowed(opened: Opened, plan: Plan, scored: bool, job: Job) -> Preflight:
    """What the plan will take, at this machine's speed, told to the job; BadPlan where it would not fit this machine."""
    measured_speed()
    flight = foretold(opened, plan, scored)
    job.point(flight)
    if not flight.fits:
        raise BadPlan(f"This plan {flight.told}: {flight.proposal}")
    return flight


def foretold(opened: Opened, plan: Plan, scored: bool) -> Preflight:
    """Memory and time the plan will take, at the speed known so far: torch-free, a few milliseconds, for the window's own thread."""
    x, feed = opened, opened.feed
    samples = feed.lessons or (None if feed.train else feed.tokens)
    later = {"steps": steps(plan, x.layers), "training": memory(x.checkpoint, x.layers, plan), "kept": kept(x.checkpoint, plan, samples)}
    return preflight(x.checkpoint, x.layers, plan, feed.tokens, scored, block=feed.block, order=feed.order, **later)


def cover(opened: Opened, plan: Plan, data: Path | None, limit: int | None, name: str, reach: bool, job: Job) -> Coverage:
    """How well the calibration data covers the free layers of the model as it is stored; streams what core.coverage finds."""
    from core.calibrate import kept

    threads()
    network = opened.network(job)
    settings = resolve(plan, opened.layers)
    free = tuple(x for x in opened.layers if x.prunable and not settings[x.name].protected)
    found, _ = opened._calibrating(data, limit, job)
    return coverage(network, opened.checkpoint, found, Asked(free, settings, name, reach), job, kept.default())


def in_store(opened: Opened, x: Layer, setting: Setting, calibrated: str, order: str) -> bool | None:
    """Whether the layer store has a layer's result under a setting; None where its key is known only while measuring."""
    looks = bool(layer_needs(setting))
    if setting.prune_knobs.get("scope") == "global" or (looks and (order != "parallel" or not calibrated)):
        return None
    return opened.store.has(key(x.tensor, setting, calibrated if looks else ""))


def preview(opened: Opened, plan: Plan, target: Any, task: Task, data: Path | None, limit: int | None, job: Job) -> Variant:
    """Compress and, where the network runs, score; streams the Preflight, (layer, Outcome) and Score points. Training never begins here."""
    threads()
    scored = data is not None and not runnable(opened.checkpoint)
    flight = allowed(opened, bare(plan), scored, job)
    slim = opened.made(plan, data, limit, job)
    found = _compressed(slim, plan, data, limit, job)
    price = priced(opened.checkpoint, opened.layers, plan, target, task)
    score, (heard, freed) = None, listening(job)
    if data is not None and scored and flight.scores:
        found, score = _scored(opened, slim, found, data, limit, heard)
    plan = plan if score is not None and found.plan.recover else bare(plan)
    gain = freed[-1].steps if freed else None
    return Variant(plan, price["size"], price["energy"], score, found.outcomes, "", now(), gain)


def rested(opened: Opened, plan: Plan, target: Any, task: Task, data: Path | None, limit: int | None, job: Job) -> Variant | None:
    """The plan measured; None where a stage before it was never trained: a rest trains nothing."""
    try:
        return preview(opened, plan, target, task, data, limit, job)
    except NotTrained:
        return None


def listening(job: Job) -> tuple[Job, list[Freed]]:
    """The same work, and what it will have told of free recovery."""
    freed: list[Freed] = []

    def hear(point: Any) -> None:
        if isinstance(point, Freed):
            freed.append(point)
        job.point(point)

    return job.into(hear), freed


def _scored(opened: Opened, slim: Opened, found: Compressed, data: Path, limit: int | None, job: Job) -> tuple[Compressed, Score]:
    """Score what the walk made, then tuned where the plan wants that: a first answer need not wait for the second. Training never begins
    here: where no earlier one left its result in the store, what comes back has a plan without."""
    from core.evaluate import judge
    from core.int8 import running
    from core.recover import trained, tuned

    reference, network = opened.reference(data, limit, job), slim.network(job)
    first = running_weights(opened, slim, found, reference, job)
    score = judge(reference, first, job, running(found, network))
    done, weights = tuned(found, network, first, reference, lambda: opened.teaching(found.plan, data, limit, job), job)
    last, weights = trained(done, weights, network, reference, lambda: opened.teaching(found.plan, data, limit, job), job, False)
    plan = found.plan if last is not done else bare(found.plan)
    if last is done and found.plan.recover:  # free recovery may come before a training: without one, the plan is what it is by itself
        found = replace(found, plan=plan)
        last, weights = tuned(found, network, first, reference, lambda: opened.teaching(plan, data, limit, job), job)
    return replace(last, plan=plan), score if last is found else judge(reference, weights, job, running(last, network))


def inspect(opened: Opened, layer: Layer, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Inspection:
    """One layer before and after; only this layer is compressed."""
    from core.inspection import inspect as look

    threads()
    opened = opened.made(plan, data, limit, job)
    plan, name = fitting(plan, opened.layers), layer.name
    layer = next((x for x in opened.layers if x.name == name), layer)
    if layer not in opened.layers:
        raise BadPlan(f"{name} belongs to a block that is cut out; choose another layer, or keep more blocks")
    before = read(layer.tensor)
    if resolve(plan, opened.layers)[layer.name].idle:
        return look(layer, before, None, job)
    if any(s.prune_knobs.get("scope") == "global" for s in resolve(plan, opened.layers).values()):
        found = _compressed(opened, plan, data, limit, job)  # where the zeros fall depends on every layer
    else:
        found = compress(opened.checkpoint, (layer,), plan, opened.calibration(plan, data, limit, job), opened.store, job)
    return look(layer, before, found.stored(layer).dense(), job)


def suited(target: Any, checkpoint: Checkpoint) -> Any:
    """The target last chosen where it can hold this model, else the plainest of its kind."""
    target = target if checkpoint.config else targets["pt2" if checkpoint.format == "pt2" else "dense"]()
    unfit = hasattr(target, "unfit") and target.unfit(checkpoint)
    return targets["packed" if checkpoint.config else "dense"]() if unfit else target


def trace(opened: Opened, format: str, data: Path | None, limit: int | None, job: Job) -> None:
    """The network's graph, which the file carries and whose bytes its exact size needs; kept in the cache."""
    from core.onnx_trace import trace as traced
    from core.traced import prepare

    if format == "pt2":
        prepare(opened.checkpoint, job)
        return
    traced(opened.checkpoint, opened.reference(data, limit, job).batches if data is not None else None, job)


def zeros(opened: Opened, job: Job) -> None:
    """Stream {layer: share of exact zeros as stored}, a few layers at a time; tensors are read in pieces of their mapped file."""
    found: dict[str, float] = {}
    told = time.monotonic()
    for x in job.track([x for x in opened.layers if x.prunable], "Counting"):
        t, nonzero = read(x.tensor), 0
        for part in t.flatten().split(PIECE):
            job.check()
            nonzero += int(part.count_nonzero())
        found[x.name] = 1 - nonzero / max(1, t.numel())
        if time.monotonic() - told > 0.3:
            job.point(found)
            found, told = {}, time.monotonic()
    job.point(found)


def now() -> str:
    """ISO 8601 with offset."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _compressed(opened: Opened, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Compressed:
    plan = fitting(plan, opened.layers)
    return compress(opened.checkpoint, opened.layers, plan, opened.calibration(plan, data, limit, job), opened.store, job)


def running_weights(opened: Opened, slim: Opened, found: Compressed, reference: Reference, job: Job) -> dict[str, Any]:
    """Every tensor of the compressed model, float32; what the plan leaves alone is the original's, in memory already."""
    return {**reference.weights, **_changed(found)} if slim is opened else found.weights(job)


def _changed(found: Compressed) -> dict[str, Any]:
    """Only the tensors the plan touches; the rest is the original's, in memory already."""
    import torch

    by_name = {x.name: x for x in found.layers}
    return {by_name[n].tensor.name: found.stored(by_name[n]).dense().to(torch.float32) for n in found.outcomes}
