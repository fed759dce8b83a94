"""A checkpoint with what the worker has built for it: network, reference, calibration, and what a plan's walk begins with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import rotate
from core.compress import Compressed, needs, original
from core.cut import cut, cut_of
from core.errors import CannotRun
from core.formats.imatrix_file import is_imatrix
from core.job import Job
from core.layers import layers as layers_of
from core.lessons import Leg
from core.networks import Network, attach, runnable
from core.plans import legs, resolve
from core.store import Store
from core.types import Calibration, Checkpoint, Layer, Plan, Score

from .snapshot import Calibrated, Feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.data import Batches
    from core.evaluate import Reference
    from core.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """How the earlier stages of a plan are come by."""

    anew: bool = False  # train what was never trained; else only what an earlier run left is taken
    told: Callable[[Plan, Compressed, Score], None] | None = None  # hears the score of each, except of the `known` ones
    known: Sequence[Plan] = ()


FOUND = Run()


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
            threads()
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

    def turned(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Opened:
        """Cut, then turned, as the plan says; this very model where it says neither."""
        slim = self.cut(plan, data, limit, job)
        if not plan.rotate:
            return slim
        if slim._kept.get("turned as") != plan.seed:
            turned = rotate.rotated(slim.checkpoint, plan.seed, job)
            slim._kept["turned"], slim._kept["turned as"] = Opened(turned, tuple(layers_of(turned)), self.store), plan.seed
        slim._kept["turned"].feed = self.feed
        return slim._kept["turned"]

    def made(self, plan: Plan, data: Path | None, limit: int | None, job: Job, run: Run = FOUND) -> Opened:
        """What the walk begins with: cut, turned, then what the plan's earlier stages leave; NotTrained where one of them is to be trained
        and `run` does not say so."""
        slim, stages = self.turned(plan, data, limit, job), tuple(legs(plan))
        for n, leg in enumerate(stages[:-1], 1):
            stamp = (leg, data, limit, self.feed)
            if slim._kept.get("left as") != stamp:
                job.point(Leg(n, len(stages), leg.name))
                left = self._left(slim, leg, data, limit, job.within(n, len(stages), leg.name), run)
                slim._kept["left"], slim._kept["left as"] = left, stamp
            slim = slim._kept["left"]
            slim.feed = self.feed
        return slim

    def _left(self, slim: Opened, leg: Plan, data: Path | None, limit: int | None, job: Job, run: Run) -> Opened:
        """What one stage leaves, with the network that runs it."""
        from core.legs import leg as carry
        from core.stage import Stage

        network, net = self.network(job), slim.network(job)
        whole = original(self.checkpoint, self.layers, self.store)
        reference = self.reference(data, limit, job) if data is not None else None
        recipe = self._recipe(leg, data, limit)
        s = Stage(recipe, None, self.store, whole, network, reference, slim.checkpoint, net, slim.layers)
        left = carry(s, job, run.told, known=run.known, anew=run.anew)
        return Opened(left, tuple(layers_of(left)), self.store, _kept={"network": net})

    def _recipe(self, plan: Plan, data: Path | None, limit: int | None) -> Recipe:
        """A plan with what it is calibrated on, learns from and is scored on, as a recipe says it."""
        from core.recipe import Recipe

        feed = self.feed
        return Recipe(
            self.checkpoint.path, plan, data, limit, calibrate=feed.path, tokens=feed.tokens, order=feed.order, block=feed.block,
            train=feed.train, lessons=feed.lessons, teacher=feed.teacher,
        )  # fmt: skip

    def teaching(self, plan: Plan, data: Path | None, limit: int | None, job: Job) -> Batches:
        """What a compressed model is tuned and trained on: the training data, else all calibration data."""
        from core.stage import lessons_of

        if self.feed == self.feed.calibrating and plan.recovery.get("partition") != "folders":
            return self._calibrating(data, limit, job)[0].whole
        return lessons_of(self._recipe(plan, data, limit), self.network(job), self.checkpoint, job)

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


def threads() -> None:
    """All cores but one, so that the window stays quick."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
