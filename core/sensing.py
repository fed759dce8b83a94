"""A recipe's model opened, run and sensed: what the command line and the benchmarks share before a plan is priced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .compress import Compressed, check, compress, original
from .cut import cut, cut_of, fitting
from .data.calibration import Calibrating, calibrating
from .errors import BadData
from .formats import open_checkpoint
from .job import Job
from .layers import layers
from .networks import Network
from .recipe import Recipe
from .rotate import rotated
from .sensed import Sensitivity
from .sensitivity import sense, sensible
from .stage import weights
from .store import Store
from .types import Calibration, Checkpoint, Layer, Plan, Score

if TYPE_CHECKING:
    from .evaluate import Reference


@dataclass(frozen=True)
class Opened:
    """A model that runs, with what it is scored and calibrated on."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    plan: Plan
    network: Network
    reference: Reference
    data: Calibrating
    calibration: Calibration
    store: Store

    def sense(
        self, job: Job, methods: Collection[str] | None = None, most: int | None = None, answers: bool = False, groups: Collection[int] = ()
    ) -> Sensitivity:
        """The pass over every layer the plan may change."""
        o = self
        return sense(o.network, o.checkpoint, o.layers, o.plan, o.calibration, o.reference, job, o.store, methods, most, answers, groups)

    def compressed(self, plan: Plan, job: Job) -> Compressed:
        """A plan carried out; layers that are in the store already cost nothing."""
        return compress(self.checkpoint, self.layers, plan, self.calibration, self.store, job)

    def judged(self, plan: Plan, job: Job) -> Score:
        """A plan carried out and really run on the held-out data."""
        from .evaluate import judge

        return judge(self.reference, weights(self.compressed(plan, job), self.reference), job)


def opened(recipe: Recipe, job: Job, store: Store | None = None) -> Opened:
    """The recipe's model, cut and rotated where its plan says so; CannotRun or BadData where it can't be run and scored."""
    from . import data, networks
    from .calibrate import kept, observe
    from .evaluate import Reference

    store = store or Store.default()
    checkpoint = replace(open_checkpoint(recipe.source, job), factory=recipe.factory)
    check(recipe.plan, layers(checkpoint))
    path = recipe.data or data.default(checkpoint)
    if path is None:
        raise BadData("There are no held-out samples to measure prices on; give --data or put heldout.txt beside the model")
    network = networks.attach(checkpoint, job)
    samples = calibrating(recipe.calibrate, network, path, recipe.limit, recipe.tokens, recipe.block)
    shaped = _shaped(recipe.plan, checkpoint, network, samples, job)
    if shaped is not checkpoint:
        network = networks.attach(shaped, job)
    found, plan = tuple(layers(shaped)), fitting(recipe.plan, layers(shaped))
    reference = Reference(network, original(shaped, found, store).weights(job), data.load(path, network, recipe.limit, job))
    calibration = observe(network, shaped, samples, sensible(found, plan), {"inputs", *_more(plan, found)}, job, store=kept.default())
    return Opened(shaped, found, plan, network, reference, samples, calibration, store)


def _more(plan: Plan, found: tuple[Layer, ...]) -> frozenset[str]:
    """What the plan's own methods ask for beside second moments, whether or not they are switched on."""
    from .prune import pruners
    from .sensitivity.options import chosen

    own = (chosen(x, plan) for x in found if x.prunable)
    asked: Mapping[str, frozenset[str]] = {s.prune: pruners[s.prune].needs for s in own if s and s.prune}
    return frozenset().union(*asked.values())


def _shaped(plan: Plan, checkpoint: Checkpoint, network: Network, data: Calibrating, job: Job) -> Checkpoint:
    """What is sensed is the model the plan's cuts and its rotation leave."""
    how = cut_of(plan)
    out = checkpoint if how.idle else cut(checkpoint, how, network, data.whole if how.looks else None, job)
    return rotated(out, plan.seed, job) if plan.rotate else out
