"""What a recipe is carried out on: the model as opened, what it is scored on, and the cut and turned model that is compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from . import compress
from .cut import cut, cut_of, planned
from .data import Batches, default
from .data.calibration import Calibrating
from .errors import BadPlan, CannotRun, DoesNotFit
from .formats import open_checkpoint, targets
from .formats.imatrix_file import is_imatrix
from .job import Job
from .layers import layers
from .networks import Network, runnable
from .plans import resolve
from .preflight import Preflight, measured_speed, preflight
from .recipe import Recipe, check
from .recover import costs
from .recover.local import apart, crowd
from .recover.teacher import teacher
from .recover.tune import steps
from .registry import make
from .rotate import price, rotated
from .search.table import rounding
from .store import Store
from .types import Checkpoint, Layer, Plan


@dataclass(frozen=True)
class Stage:
    """Built once for a recipe, before anything of it is done."""

    recipe: Recipe
    target: Any
    store: Store
    whole: compress.Compressed  # the original
    network: Network | None  # of the original
    reference: Any  # evaluate.Reference; None where nothing is scored
    slim: Checkpoint  # cut and turned
    net: Network | None  # of `slim`
    layers: tuple[Layer, ...]  # of `slim`
    crowd: Callable[[Checkpoint], Any] | None = None  # the clients of a federation that is no simulation, for the model they train

    @property
    def changed(self) -> bool:
        """Whether cuts or a rotation made another model of it."""
        return self.slim is not self.whole.checkpoint

    @property
    def opened(self) -> int:
        """Bytes of the files as opened: what shares are of."""
        return sum(f.stat().st_size for f in {t.file for t in self.whole.checkpoint.tensors.values()})

    def own(self, job: Job) -> Any:
        """`slim` before it is compressed, on the scored data: what is sensed and restored; None where nothing is scored."""
        from . import evaluate

        if self.reference is None or self.net is None or not self.changed:
            return self.reference
        return evaluate.Reference(self.net, compress.original(self.slim, self.layers, self.store).weights(job), self.reference.batches)


def foresee(recipe: Recipe, checkpoint: Checkpoint, found: Iterable[Layer]) -> Preflight:
    """What the run will take of this machine; from headers alone. With a goal, as if every layer were quantized."""
    scored = not runnable(checkpoint) and (recipe.data or default(checkpoint)) is not None
    plan = rounding(recipe.plan) if recipe.goal else recipe.plan
    layers = tuple(found)
    return preflight(
        checkpoint, layers, plan, recipe.tokens, scored, block=recipe.block, order=recipe.order, limit=recipe.limit,
        steps=steps(plan, layers), **(trained(recipe, checkpoint, layers, plan) if scored else {}),
    )  # fmt: skip


def trained(recipe: Recipe, checkpoint: Checkpoint, found: tuple[Layer, ...], plan: Plan) -> dict[str, Any]:
    """What training adds, as preflight takes it."""
    samples = recipe.lessons or (None if recipe.train else recipe.tokens)
    return {
        "training": costs.memory(checkpoint, found, plan), "trained": costs.work(checkpoint, found, plan, samples),
        "kept": costs.kept(checkpoint, plan, samples),
    }  # fmt: skip


def staged(recipe: Recipe, job: Job, store: Store | None = None) -> Stage:
    """Open, prepare to score, cut and turn; BadPlan before any work for what can't be done, such as what does not fit the memory."""
    store = store or Store.default()
    checkpoint, found, target, flight = _begun(recipe, job)
    whole = compress.original(checkpoint, found, store)
    network = _network(checkpoint, job)
    if recipe.teacher and network:
        teacher(recipe.teacher, network, checkpoint, job)  # refused before any work where it can't teach this model
    reference = _reference(recipe, network, whole, flight, job) if network else None
    slim, net = _turned(recipe.plan, *_cut(recipe, checkpoint, network, job), job)
    return Stage(recipe, target, store, whole, network, reference, slim, net, tuple(layers(slim)))


def _begun(recipe: Recipe, job: Job) -> tuple[Checkpoint, tuple[Layer, ...], Any, Preflight]:
    """The opened checkpoint, its layers, the export's format and what the run will take; what must be refused is, before any work."""
    checkpoint = replace(open_checkpoint(recipe.source, job), factory=recipe.factory)
    found = tuple(layers(checkpoint))
    check(recipe.plan)
    compress.check(recipe.plan, found)
    planned(checkpoint, cut_of(recipe.plan))  # refuses widths this model can't have before any work is done
    target = make(targets[recipe.target], recipe.target_knobs)
    if (
        recipe.out
        and not recipe.goal
        and recipe.target == "packed"
        and (why := target.clash(checkpoint, found, resolve(recipe.plan, found)))
    ):
        raise BadPlan(f"This plan can't be packed: {why}")
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


def weights(done: compress.Compressed, reference: Any) -> dict[str, Any]:
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
    data = data_of(recipe, net, checkpoint, job).whole if net and how.looks else None
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


def data_of(recipe: Recipe, network: Any, checkpoint: Checkpoint, job: Job) -> Calibrating:
    """What is calibrated on: never what the variants are scored on."""
    from .data.calibration import calibrating

    data = calibrating(recipe.calibrate, network, recipe.data or default(checkpoint), recipe.limit, recipe.tokens, recipe.block)
    if (said := f"{data.told}: {data.size}") not in job.notes:
        job.note(said)
    return data


def learned_from(s: Stage, job: Job) -> Batches:
    """What this stage's recipe tunes and trains on; with clients elsewhere, only what they are checked on."""
    assert s.network is not None
    if s.crowd is not None:
        return replace(data_of(s.recipe, s.network, s.whole.checkpoint, job).whole, crowd=s.crowd(s.slim))
    return lessons_of(s.recipe, s.network, s.whole.checkpoint, job)


def lessons_of(recipe: Recipe, network: Network, checkpoint: Checkpoint, job: Job) -> Batches:
    """What tuning and recovery learn from, and who from: the recipe's own training data, or all it is calibrated on."""
    found = _lessons(recipe, network, checkpoint, job)
    return found if recipe.teacher is None else replace(found, teacher=teacher(recipe.teacher, network, checkpoint, job))


def _lessons(recipe: Recipe, network: Network, checkpoint: Checkpoint, job: Job) -> Batches:
    from .data import load

    if apart(recipe.plan):
        return replace(data_of(recipe, network, checkpoint, job).whole, crowd=crowd(recipe.train, network, recipe.lessons, job))
    if recipe.train is None:
        return data_of(replace(recipe, tokens=recipe.lessons or recipe.tokens), network, checkpoint, job).whole
    found = load(recipe.train, network, recipe.lessons, job)
    job.note(f"Trained on {found.n:,} {found.unit} of {recipe.train.name}")
    return found


def calibration(recipe: Recipe, network: Network | None, found: tuple[Layer, ...], checkpoint: Checkpoint, job: Job) -> Any:
    """What the plan's methods ask for, or None."""
    from .calibrate import imatrix, kept, observe

    asked = compress.needs(recipe.plan, found)
    if not asked:
        return None
    settings = resolve(recipe.plan, found)
    busy = [x for x in found if not settings[x.name].idle]
    if recipe.calibrate and is_imatrix(recipe.calibrate):
        return imatrix.calibration(recipe.calibrate, checkpoint, busy, asked, recipe.order, job)
    if network is None:
        raise BadPlan("The plan's methods look at data, which needs a network that runs; open a folder with config.json, or choose others")
    data = data_of(recipe, network, checkpoint, job)
    order: Any = recipe.order
    return observe(network, checkpoint, data, busy, asked, job, order, kept.default())
