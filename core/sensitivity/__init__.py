"""The sensitivity pass: what an error of each layer costs the network, and what errors each method makes there; most important first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..calibrate import Statistics
from ..compress import layer_needs, solved, weight_of
from ..data.calibration import Calibrating
from ..errors import SlimError
from ..job import Job
from ..networks import Network
from ..sensed import Answers, Evaluation, How, Option, Sensed, Sensitivity
from ..store import Store, key
from ..types import CLASSIFIERS, Calibration, Checkpoint, Layer, Plan, Seen, Setting
from .alpha import Probe, samples
from .anchors import COUNT, SMALL, designs, fitted
from .answered import Answering, pairs
from .gradient import prices
from .options import Bench, Row, chosen, keep, kept, rows
from .shrink import prior, settled

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluate import Reference

__all__ = ["sense", "sensible"]

CODE = "1"  # raise it when a price changes


def sensible(layers: Iterable[Layer], plan: Plan) -> list[Layer]:
    """The layers a pass speaks of: those the plan may change."""
    return [x for x in layers if x.prunable and chosen(x, plan) is not None]


def sense(
    network: Network | None, checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan, calibration: Calibration | None,
    reference: Reference | None, job: Job, store: Store | None = None, methods: Collection[str] | None = None,
    most: int | None = None, answers: bool = False, groups: Collection[int] = (),
) -> Sensitivity:  # fmt: skip
    """Options and prices of every layer the plan may change, for the plan's methods with their knobs, the quick ones and a solver.

    `calibration` observed with "inputs"; without one errors are the weights' alone. `reference` lends the original's weights; without
    it (a model too large to be held) prices stay priors. Tells the job a growing Sensitivity after every layer. In `store` everything
    found is kept: a pass that was cancelled goes on where it stopped, and the same pass again takes a moment. `methods`: only these.
    `most`: so many layers are perturbed, evenly over the depth; the others' prices are the backward pass's, corrected by those.
    `groups`: sizes of groups that the plan's quantizer is tried in beside its own.
    `answers`: of a small classifier every option is run once more, alone and a few of them in pairs, on the scored images (without
    their labels), to foretell whole plans.
    """
    work = _Pass(network, tuple(sensible(layers, plan)), plan, calibration, reference, job, store, methods, groups)
    work.choose(most)
    for x in job.track(work.walked(), "Sensing: rounding and dropping"):
        work.options(x, solving=False)
        work.tell()
    work.derive()
    for x in job.track(work.ranked(), "Sensing: one layer perturbed at a time"):
        work.price(x)
        work.options(x, solving=True)
        work.tell()
    work.anchor()
    if answers:
        work.answer()
    return work.now


@dataclass
class _Pass:
    """What is known so far."""

    network: Network | None
    layers: tuple[Layer, ...]
    plan: Plan
    calibration: Calibration | None
    reference: Reference | None
    job: Job
    store: Store | None
    methods: Collection[str] | None = None
    groups: Collection[int] = ()
    found: dict[str, list[Option]] = field(default_factory=dict)
    prices: dict[str, tuple[float, float]] = field(default_factory=dict)  # (alpha, relative standard error) as measured
    derived: dict[str, float] = field(default_factory=dict)  # alpha by one backward pass
    ceiling: float = float("inf")
    anchors: list[Evaluation] = field(default_factory=list)
    answers: Answers | None = None
    chosen: frozenset[str] = frozenset()  # layers that are perturbed
    made: dict[str, Tensor] = field(default_factory=dict)  # the one last perturbed: an option is read off it
    _probe: Probe | None = None
    _bench: Bench | None = None

    def __post_init__(self) -> None:
        self.task = self.network.task if self.network else "other"
        wanted = self.methods
        self.rows = {x.name: [r for r in rows(x, self.plan, self.groups) if wanted is None or r.method in wanted] for x in self.layers}
        self.before = prior(self.layers, self.task)
        seen: Mapping[str, Seen] = self.calibration.seen if self.calibration else {}
        self.seen = seen.under(self.job) if isinstance(seen, Statistics) else seen
        self.print = self.calibration.fingerprint if self.calibration else ""

    @property
    def data(self) -> Calibrating | None:
        """What prices are measured on: calibration samples, never the scored ones unless there are no others."""
        if isinstance(self.seen, Statistics):
            return self.seen.data
        return Calibrating(self.reference.batches, self.reference.batches, "") if self.reference else None

    @property
    def now(self) -> Sensitivity:
        """Everything found so far; prices that are not measured yet follow those that are."""
        alphas = settled(self.layers, self.prices, self.before)

        def how(x: Layer) -> How:
            return "measured" if x.name in self.prices else "gradient" if x.name in self.derived else "prior"

        found = {x.name: Sensed(x.name, *alphas[x.name], how(x), tuple(self.found.get(x.name, ()))) for x in self.layers}
        done, total = len(self.prices), len(self.layers)
        s = Sensitivity(found, self.fingerprint, "1-cosine" if self.task == "encoder" else "kl", self.ceiling, done, total)
        s = fitted(s, self.anchors) if self.anchors else s
        return replace(s, answers=self.answers) if self.answers else s

    @property
    def fingerprint(self) -> str:
        said = [[x.name, [[str(s) for s in r.settings] for r in self.rows[x.name]]] for x in self.layers]
        return hashlib.sha256(json.dumps([CODE, self.print, said]).encode()).hexdigest()

    def derive(self) -> None:
        """Prices of all layers from one backward pass, where the network can be run: better than a prior, and at once."""
        if not isinstance(self.seen, Statistics) or self.reference is None or self.network is None:
            return
        at = hashlib.sha256(f"gradient {CODE} {self.print} {sorted(self.found)}".encode()).hexdigest()
        said = self.store.said(at) if self.store else None
        if said is None or "prices" not in said:
            modules = {n: m for n, m in self.seen.modules.items() if n in self.rows}
            found = prices(self.network, self.reference.weights, samples(self.network, self.seen.data), modules, self.job)
            said = {"prices": json.dumps(found)}
            if self.store:
                self.store.keep(at, {}, said)
        self.derived = json.loads(said["prices"])
        self.before |= {n: v for n, v in self.derived.items() if n in self.before}

    def anchor(self) -> None:
        """Whole plans of quick methods on the calibration samples, for classifiers small enough to run in a blink; their results outlive
        a cancel. Language models' prices add up as they are: there plans on another text took the error from 8 to 14 % (sotu-lm)."""
        small = self.task in CLASSIFIERS and sum(x.tensor.parameters for x in self.layers) <= SMALL
        if not self.prices or not small:
            return
        plans = designs({x.name: self.found.get(x.name, ()) for x in self.layers}, COUNT, self.plan.seed)
        for plan in self.job.track(plans, "Sensing: whole plans"):
            self.anchors.append(self._ran(plan))
        self.tell()

    def answer(self) -> None:
        """What every option does to the answers, where the network is small enough for that."""
        if self.reference is None:
            return
        model, usual = self.plan.model, Plan().model
        both = pairs(self.found, model.prune or usual.prune or "", model.quantize or usual.quantize or "")
        work = Answering(self.reference, self.layers, self.found, self._seen, tuple(both), self.print, self.job, self.store)
        if work.possible:
            self.answers = work.run()
            self.tell()

    def _ran(self, plan: Mapping[str, Setting]) -> Evaluation:
        by_name = {x.name: x for x in self.layers}
        said = sorted([n, s.quantize or s.prune, s.bits, s.amount, sorted(s.quantize_knobs.items())] for n, s in plan.items())
        at = hashlib.sha256(json.dumps(["plan", CODE, self.print, said]).encode()).hexdigest()
        done = self.store.said(at) if self.store else None
        if done is None or "loss" not in done:
            changed = {}
            for n, s in plan.items():
                self.job.check()
                x = by_name[n]
                seen = self._seen(x) if layer_needs(s) else Seen()
                changed[x.tensor.name] = solved(x, s, weight_of(x), seen, self.job)[0].dense().float()
            done = {"loss": json.dumps(self.probe.plan(changed))}
            if self.store:
                self.store.keep(at, {}, done)
        return Evaluation(plan, *json.loads(done["loss"]))

    def tell(self) -> None:
        self.job.point(self.now)

    def walked(self) -> list[Layer]:
        """In the order of the blocks, so that statistics which are not on disk yet take one pass."""
        return sorted(self.layers, key=self._place)

    def _place(self, x: Layer) -> int:
        return self.seen.place(x.name) if isinstance(self.seen, Statistics) else 0

    def ranked(self) -> list[Layer]:
        """Blocks whose layers are likely to cost most first: by the prior times what 3 bits leave of them. Layers of a block stay
        together, as they share moments and their factors."""
        weight: dict[int, float] = {}
        for x in self.layers:
            third = [o.error for o in self.found.get(x.name, ()) if o.setting.bits == 3]
            weight[self._place(x)] = weight.get(self._place(x), 0.0) + self.before[x.name] * min([*third, 1.0])
        return sorted(self.layers, key=lambda x: (-weight[self._place(x)], self._place(x)))

    def choose(self, most: int | None) -> None:
        """Which layers are perturbed: all that can be, or `most` of them evenly over the file, so that every kind is among them."""
        n, can = len(self.layers), self.network is not None and self.network.module is not None and self.reference is not None
        few = range(n) if most is None or most >= n else {round((i + 0.5) * n / most - 0.5) for i in range(most)}
        self.chosen = frozenset(self.layers[i].name for i in few) if can else frozenset()

    def options(self, x: Layer, solving: bool) -> None:
        """The quick rows, or those that are solved for."""
        for row in self.rows[x.name]:
            if row.solved == solving:
                self.found.setdefault(x.name, []).extend(self._row(x, row))

    def _row(self, x: Layer, row: Row) -> list[Option]:
        setting = self._perturbation(x) if x.name in self.chosen else None
        whole = setting if setting in row.settings and layer_needs(row.settings[0]) else None
        fingerprint = self.print if whole else f"{self.print} sampled"
        done = kept(x, row, fingerprint, self.store)
        if done is None:
            done = []
            for s in row.settings:
                self.job.check()
                done.append(self.bench(x).option(s, self.whole(x, s) if s == whole else None))
            keep(x, row, fingerprint, self.store, done)
        return done

    def bench(self, x: Layer) -> Bench:
        if self._bench is None or self._bench.x.name != x.name:
            self._bench = Bench(x, weight_of(x), self._seen(x), self.job)
        return self._bench

    def _seen(self, x: Layer) -> Seen:
        return self.seen.get(x.name, Seen())

    def price(self, x: Layer) -> None:
        """What a unit of error of this layer costs: the network's answers with its own perturbation, over that perturbation's error."""
        setting = self._perturbation(x) if x.name in self.chosen and self.data is not None else None
        if setting is None:
            return
        at = key(x.tensor, setting, f"price {CODE} {self.print}")
        said = self.store.said(at) if self.store else None
        if said is None or "price" not in said:
            said = self._measured(x, setting)
            if self.store:
                self.store.keep(at, {}, said)
        cost, error, apart, self.ceiling = json.loads(said["price"])
        if cost > 0 and apart > 0:
            self.prices[x.name] = (cost / apart, error / cost)

    def _measured(self, x: Layer, setting: Setting) -> dict[str, str]:
        """The whole layer perturbed and run, and the perturbation's error on the bench's rows."""
        found = self.whole(x, setting)
        cost, error = self.probe.cost(x, found)
        return {"price": json.dumps([cost, error, self.bench(x).option(setting, found).error, self.probe.ceiling])}

    def whole(self, x: Layer, setting: Setting) -> Tensor:
        """The whole layer as a plan would leave it, and kept for such a plan."""
        if x.name not in self.made:
            at = key(x.tensor, setting, self.print if layer_needs(setting) else "")
            found = self.store.get(at) if self.store else None
            if found is None:
                found, said = solved(x, setting, weight_of(x), self._seen(x) if layer_needs(setting) else Seen(), self.job)
                if self.store:
                    self.store.put(at, found, said)
            self.made = {x.name: found.dense()}
        return self.made[x.name]

    @property
    def probe(self) -> Probe:
        if self._probe is None:
            if self.network is None or self.reference is None or self.data is None:
                raise SlimError("Prices are measured by running the network; it can't run here")
            self._probe = Probe(self.network, self.reference.weights, samples(self.network, self.data), self.job)
        return self._probe

    def _perturbation(self, x: Layer) -> Setting | None:
        """Mid-range: 3 bits of the plan's solver; where the layer's shape has none, of another quantizer, or half of its weights gone."""
        images = self.task in CLASSIFIERS  # their answers are so sure that small errors change none
        bits, amount = (2, 0.7) if images else (3, 0.5)
        usable = [s for row in self.rows[x.name] for s in row.settings if s.bits == bits or s.amount == amount]
        if images:
            usable = [
                s for s in usable if not layer_needs(s)
            ]  # all calibration images are used: what is fitted to them would look too good
        return min(usable, key=_preferred, default=None)


def _preferred(s: Setting) -> tuple[bool, bool, str]:
    return not s.quantize, not layer_needs(s), s.quantize or s.prune
