"""A recipe's model opened, run and sensed: what the command line and the benchmarks share before a plan is priced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .compress import Compressed, compress
from .cut import fitting
from .data.calibration import Calibrating
from .errors import BadData
from .job import Job
from .networks import Network
from .recipe import Recipe
from .sensed import Sensitivity
from .sensitivity import sense, sensible
from .stage import data_of, staged, weights
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
    from . import networks
    from .calibrate import kept, observe

    s = staged(recipe, job, store)
    network = s.network or networks.attach(s.whole.checkpoint, job)  # says why it can't run
    reference = s.own(job)
    if s.net is None or reference is None:
        raise BadData("There are no held-out samples to measure prices on; give --data or put heldout.txt beside the model")
    plan, samples = fitting(recipe.plan, s.layers), data_of(recipe, network, s.whole.checkpoint, job)
    asked = {"inputs", *_more(plan, s.layers)}
    calibration = observe(s.net, s.slim, samples, sensible(s.layers, plan), asked, job, store=kept.default())
    return Opened(s.slim, s.layers, plan, s.net, reference, samples, calibration, s.store)


def _more(plan: Plan, found: tuple[Layer, ...]) -> frozenset[str]:
    """What the plan's own methods ask for beside second moments, whether or not they are switched on."""
    from .prune import pruners
    from .sensitivity.options import chosen

    own = (chosen(x, plan) for x in found if x.prunable)
    asked: Mapping[str, frozenset[str]] = {s.prune: pruners[s.prune].needs for s in own if s and s.prune}
    return frozenset().union(*asked.values())
