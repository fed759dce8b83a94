"""What runs on the worker: opening, measuring, looking inside and exporting; plain functions that end with a job."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import rotate
from core.compress import Compressed, compress, fits, layer_needs, needs, original
from core.coverage import Asked, Coverage, coverage
from core.cut import cut, cut_of, fitting, planned, planned_layers
from core.data.calibration import calibratable
from core.energy import Scene, estimate
from core.errors import BadFile, BadPlan, CannotRun
from core.formats import open_checkpoint, read, targets
from core.formats.imatrix_file import is_imatrix
from core.job import Job
from core.layers import layers as layers_of
from core.networks import Network, attach, runnable, task_of
from core.plans import resolve
from core.preflight import Preflight, measured_speed, preflight
from core.quantize import quantizers
from core.recover.costs import memory
from core.recover.tune import steps
from core.registry import knobs
from core.size import size
from core.store import Store, key
from core.types import Calibration, Checkpoint, Energy, Layer, Plan, Score, Setting, Size, Task, Variant

from .scene import scene
from .snapshot import Calibrated, Feed, bare

if TYPE_CHECKING:
    from core.data import Batches
    from core.evaluate import Reference
    from core.inspection import Inspection

BEST, PLAIN = ("admm", "slim"), ("magnitude", "rtn")  # pruner and quantizer a new plan begins with
BEARABLE = 60.0  # seconds a first preview with the best methods may take, estimated
COUNTED = 2_000_000_000  # bytes: up to here the zeros of a model are counted when it is opened
PIECE = 1 << 22  # weights between two looks at the job


@dataclass
class Opened:
    """A checkpoint with what the worker has built for it so far; after opening only the worker touches `_kept`."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    store: Store
    feed: Feed = field(default_factory=Feed)  # replaced as a whole by the session, read by the worker when a calibration begins
    _kept: dict[str, Any] = field(default_factory=dict)

    def network(self, job: Job) -> Network:
        """The network, built once; CannotRun stays the answer when it failed once."""
        if "network" not in self._kept:
            _threads()
            self._kept["network"] = attach(self.checkpoint, job)
        return self._kept["network"]

    def reference(self, data: Path, limit: int | None, job: Job) -> Reference:
        """The original's answers on this data; the last data set's are kept."""
        from core.data import load
        from core.evaluate import Reference

        stamp = (data, limit, data.stat().st_mtime_ns if data.exists() else 0)
        if self._kept.get("stamp") != stamp:
            network = self.network(job)
            batches = load(data, network, limit, job)
            self._kept["reference"], self._kept["stamp"] = Reference(network, self.weights(job), batches), stamp
        return self._kept["reference"]

    def weights(self, job: Job) -> dict[str, Any]:
        """The original's, in float32, read once."""
        if "weights" not in self._kept:
            self._kept["weights"] = original(self.checkpoint, self.layers, self.store).weights(job)
        return self._kept["weights"]

    def calibration(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Calibration | None:
        """What the plan's methods must have seen; None when they need nothing. Nothing is computed before a layer asks."""
        asked, feed = needs(plan, self.layers), self.feed
        if not asked:
            return None
        if data is None and feed.path is None:
            raise CannotRun("This plan's methods look at data, and none is chosen; choose a data file under Run.")
        from core.calibrate import imatrix, kept, observe

        settings = resolve(plan, self.layers)
        busy = tuple(x for x in self.layers if not settings[x.name].idle)
        given: Any = self._kept.get("calibration")
        if feed.path is not None and is_imatrix(feed.path):
            given = imatrix.calibration(feed.path, self.checkpoint, busy, asked, feed.order, job)
        else:
            found, stamp = self._calibrating(data, limit, job)
            key = (stamp, asked, tuple(x.name for x in busy))
            if self._kept.get("observed") != key:
                given = observe(self.network(job), self.checkpoint, found, busy, asked, job, feed.order, kept.default(), given)
            self._kept["calibration"], self._kept["observed"] = given, key
        job.point(Calibrated(given.fingerprint))
        return given

    def cut(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Opened:
        """What the plan's cuts leave, opened with a network of its own; this very model where nothing is cut."""
        how = cut_of(plan)
        if how.idle:
            return self
        looks = how.looks and data is not None and not runnable(self.checkpoint)
        batches, stamp = self._calibrating(data, limit, job) if looks else (None, ())
        if self._kept.get("cut as") != (how, stamp):
            slim = cut(self.checkpoint, how, self.network(job) if looks else None, batches.whole if batches else None, job)
            self._kept["cut"], self._kept["cut as"] = Opened(slim, tuple(layers_of(slim)), self.store), (how, stamp)
        self._kept["cut"].feed = self.feed
        return self._kept["cut"]

    def made(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Opened:
        """What the walk begins with: cut, then turned, as the plan says; this very model where it says neither."""
        slim = self.cut(plan, data, limit, job)
        if not plan.rotate:
            return slim
        if slim._kept.get("turned as") != plan.seed:
            turned = rotate.rotated(slim.checkpoint, plan.seed, job)
            slim._kept["turned"], slim._kept["turned as"] = Opened(turned, tuple(layers_of(turned)), self.store), plan.seed
        slim._kept["turned"].feed = self.feed
        return slim._kept["turned"]

    def teaching(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Batches:
        """What a compressed model is tuned and trained on: the training data, else all calibration data."""
        from core.recipe import Recipe
        from core.stage import lessons_of

        feed = self.feed
        if feed == feed.calibrating and plan.recovery.get("partition") != "folders":
            return self._calibrating(data, limit, job)[0].whole
        said = Recipe(self.checkpoint.path, plan, data, limit, calibrate=feed.path, tokens=feed.tokens, block=feed.block)
        said = replace(said, train=feed.train, lessons=feed.lessons, teacher=feed.teacher)
        return lessons_of(said, self.network(job), self.checkpoint, job)

    def _calibrating(self, data: Path | None, limit: int | None, job: Job) -> tuple[Any, tuple[Any, ...]]:
        """The calibration data, kept until another is asked for, and what tells it from others."""
        from core.data.calibration import calibrating

        feed = self.feed.calibrating
        stamp = (feed, data, limit, *(p.stat().st_mtime_ns for p in (feed.path, data) if p and p.exists()))
        if self._kept.get("calibrating") != stamp:
            self._kept["data"] = calibrating(feed.path, self.network(job), data, limit, feed.tokens, feed.block)
            self._kept["calibrating"] = stamp
        found = self._kept["data"]
        job.note(f"{found.told}: {found.size}")
        return found, stamp


def _threads() -> None:
    """All cores but one, so that the window stays quick."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


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
    x, feed, later = opened, opened.feed, {"steps": steps(plan, opened.layers), "training": memory(opened.layers, plan)}
    return preflight(x.checkpoint, x.layers, plan, feed.tokens, scored, block=feed.block, order=feed.order, **later)


def cover(opened: Opened, plan: Plan, data: Path | None, limit: int | None, name: str, reach: bool, job: Job) -> Coverage:
    """How well the calibration data covers the free layers of the model as it is stored; streams what core.coverage finds."""
    from core.calibrate import kept

    _threads()
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
    _threads()
    scored = data is not None and not runnable(opened.checkpoint)
    flight = allowed(opened, bare(plan), scored, job)
    slim = opened.made(plan, data, limit, job)
    found = _compressed(slim, plan, data, limit, job)
    price = priced(opened.checkpoint, opened.layers, plan, target, task)
    score = None
    if data is not None and scored and flight.scores:
        found, score = _scored(opened, slim, found, data, limit, job)
    plan = plan if score is not None and found.plan.recover else bare(plan)
    return Variant(plan, price["size"], price["energy"], score, found.outcomes, "", now())


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

    _threads()
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
