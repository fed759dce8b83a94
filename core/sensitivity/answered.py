"""What every option of every layer does, alone, to the answers of a small classifier; and how much of their sum shows in whole plans."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..answers import POWER
from ..compress import layer_needs, solved, weight_of
from ..data import Batches
from ..job import Job
from ..sensed import Answers, Option
from ..store import Store, key
from ..types import CLASSIFIERS, Layer, Seen, Setting
from .alpha import Probe
from .anchors import designs
from .options import FEW

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluate import Reference

CODE = "1"  # raise it when a change of answers changes
WORK = 2e9  # weights x pixels, about multiplications an image: every option is run once, which a larger network would take hours for
IMAGES, LEAST = 512, 64  # scored images, evenly spread, that answers are watched on
OWN = 64  # calibration images that whole plans are run on
TICK = 2_000_000  # images x classes x layers: multiplications of one prediction
WHOLE, MILD = 4, 0.1  # plans of each method, of options with errors below that: where a plan is still of use
BETWEEN = 0.4  # an amount between the options', where changes differ most from a mean of theirs
HALF = 0.5, 3  # amount and bits of the one cell in which both are tried together


@dataclass
class Answering:
    """One pass over the options of all layers; what is finished is kept in the store."""

    reference: Reference
    calibration: Batches
    layers: Sequence[Layer]
    options: Mapping[str, Sequence[Option]]
    seen: Callable[[Layer], Seen]
    pairs: Sequence[tuple[Setting, Setting]]  # a pruner and a quantizer that one layer may be given together
    fingerprint: str
    seed: int
    job: Job
    store: Store | None
    _made: dict[tuple[str, str], Tensor] = field(default_factory=dict)  # layers that whole plans are put together of

    def __post_init__(self) -> None:
        self.images = min(IMAGES, _count(self.reference.batches))

    @property
    def possible(self) -> bool:
        """Whether the network is a classifier small enough for it, and its answers few enough to be added up at every tick."""
        network = self.reference.network
        if network.task not in CLASSIFIERS or network.module is None or not self.options:
            return False
        shape = _pixels(self.reference.batches.items[0]).shape[1:]
        work = sum(x.tensor.parameters for x in self.layers) * prod(shape[-2:])
        self.images = min(self.images, TICK // (len(self.layers) * max(len(network.labels), 2)))
        return work <= WORK and self.images >= LEAST

    def run(self) -> Answers:
        """Every option of every layer, then a few whole plans on the calibration images alone."""
        probe = self.probe
        classes, own = probe.before[0].shape[1], self.own * probe.before[0].shape[1]
        plans = self._plans()
        wanted = {(n, str(s)) for p in plans for n, s in p.items()}
        found = {x.name: self._moved(x, wanted) for x in self.job.track(self.layers, "Sensing: what each option does to the answers")}
        singles = {x.name: self._singles(x) for x in self.layers}
        moved = {n: m[: len(singles[n]), :own] for n, m in found.items()}
        bend = self._bend(plans, moved, singles)
        told = {x.name: self._told(x, found[x.name][:, own:], singles[x.name]) for x in self.layers}
        before = probe.before[0][self.own :].numpy().reshape(-1, classes)
        return Answers(before, told, bend, self.images / _count(self.reference.batches))

    @property
    def probe(self) -> Probe:
        import torch

        if not hasattr(self, "_probe"):
            own, scored = _spread(self.calibration, OWN), _spread(self.reference.batches, self.images)
            self.own, self._item = len(own), {CLASSIFIERS[self.reference.network.task]: torch.cat([own, scored])}
            self._probe = Probe(self.reference.network, self.reference.weights, [self._item], self.job)
        return self._probe

    def _singles(self, x: Layer) -> tuple[Setting, ...]:
        """The options that differ most, and of each pruner one more amount; for others a method's changes are scaled by the errors."""
        found = [o.setting for o in self.options[x.name] if o.setting.bits in FEW or (o.setting.prune and not _patterned(o.setting))]
        more = {s.prune: replace(s, amount=BETWEEN) for s in found if s.prune}
        return (*found, *more.values())

    def _told(self, x: Layer, moved: np.ndarray, singles: tuple[Setting, ...]) -> tuple[tuple[Setting, ...], np.ndarray]:
        """Settings and changes on the scored images; of a pair, what it does beyond its pruner alone."""
        both = self._both(x)
        pruned = [singles.index(replace(s, quantize="", bits=16, quantize_knobs={})) for s in both]
        return (*singles, *both), np.concatenate([moved[: len(singles)], moved[len(singles) :] - moved[pruned]])

    def _moved(self, x: Layer, wanted: set[tuple[str, str]]) -> np.ndarray:
        """(options and pairs, images x classes) by how much the logits move, each image's mean taken out."""
        import torch

        settings = [*self._singles(x), *self._both(x)]
        said = f"answers {CODE} {self.fingerprint} {self.reference.batches.fingerprint} {self.images} {[str(s) for s in settings]}"
        at = key(x.tensor, Setting(), said)
        done = self.store.find(at) if self.store else None
        if done is None:
            rows = []
            for s in settings:
                self.job.check()
                weight = self._dense(x, s)
                if (x.name, str(s)) in wanted:
                    self._made[x.name, str(s)] = weight
                rows.append(_centred(self.probe.changed(x, weight)).half().flatten())
            done = {"moved": torch.stack(rows)}, {}
            if self.store:
                self.store.keep(at, *done)
        return done[0]["moved"].numpy()

    def _dense(self, x: Layer, s: Setting) -> Tensor:
        found = self._made.get((x.name, str(s)))
        if found is None:
            found = solved(x, s, weight_of(x), self.seen(x) if layer_needs(s) else Seen(), self.job)[0].dense().float()
        return found

    def _both(self, x: Layer) -> list[Setting]:
        """Each pair in the one cell it is tried in, where the layer has that option of its pruner."""
        amount, bits = HALF
        found = self._singles(x)
        made = [(replace(p, amount=amount), replace(q, bits=bits)) for p, q in self.pairs]
        return [replace(q, prune=p.prune, prune_knobs=p.prune_knobs, amount=amount) for p, q in made if p in found and q in found]

    def _plans(self) -> list[dict[str, Setting]]:
        """Whole plans of one method each, levels at random."""
        tried = {x.name: self._singles(x) for x in self.layers}
        options = {n: [o for o in of if o.setting in tried[n]] for n, of in self.options.items()}
        methods = dict.fromkeys((o.setting.quantize or o.setting.prune,) for of in options.values() for o in of)
        return designs(options, WHOLE * len(methods), self.seed, tuple(methods), MILD) if methods else []

    def _bend(
        self, plans: Sequence[Mapping[str, Setting]], moved: Mapping[str, np.ndarray], singles: Mapping[str, Sequence[Setting]]
    ) -> dict[str, float]:
        """Method -> how much less of the sum of its layers' changes shows in whole plans, the larger it is (see Answers.bend)."""
        at = hashlib.sha256(f"bend {CODE} {POWER} {self.fingerprint} {self.images} {plans}".encode()).hexdigest()
        done = self.store.said(at) if self.store else None
        if done is None or "bend" not in done:
            size = float(_centred(self.probe.before[0][: self.own]).norm())
            found: dict[str, list[float]] = {}
            for plan in self.job.track(plans, "Sensing: how options add up"):
                if plan:
                    told = sum(moved[n][singles[n].index(s)].astype(np.float64) for n, s in plan.items())
                    shows = float(self._real(plan) @ told) / max(float(told @ told), 1e-30)
                    method = next(iter(plan.values()))
                    bend = (1 / max(shows, 0.3) - 1) / (float(np.linalg.norm(told)) / size) ** POWER
                    found.setdefault(method.quantize or method.prune, []).append(bend)
            done = {"bend": json.dumps({m: max(float(np.mean(of)), 0.0) for m, of in found.items()})}
            if self.store:
                self.store.keep(at, {}, done)
        said: dict[str, float] = json.loads(done["bend"])
        return said

    def _real(self, plan: Mapping[str, Setting]) -> np.ndarray:
        """(own images x classes) by how much a whole plan moves the logits, on calibration images alone."""
        import torch

        by_name = {x.name: x for x in self.layers}
        weights = {**self.reference.weights, **{by_name[n].tensor.name: self._dense(by_name[n], s) for n, s in plan.items()}}
        own = {k: v[: self.own] for k, v in self._item.items()}
        with torch.inference_mode():
            out = torch.log_softmax(self.reference.network.forward(weights, own).float(), -1)
        return _centred(out - self.probe.before[0][: self.own]).flatten().double().numpy()


def _patterned(s: Setting) -> bool:
    return "pattern" in s.prune_knobs or s.prune == "nm"


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _pixels(item: Mapping[str, Tensor]) -> Tensor:
    """(samples, ...) of whatever a classifier is given."""
    return next(item[k] for k in CLASSIFIERS.values() if k in item)


def _count(batches: Batches) -> int:
    return sum(len(_pixels(i)) for i in batches.items)


def _spread(batches: Batches, most: int) -> Tensor:
    """(at most so many, ...) images evenly over all of them."""
    import torch

    whole = torch.cat([_pixels(i) for i in batches.items])
    return whole[torch.linspace(0, len(whole) - 1, min(most, len(whole))).round().long()]


def pairs(options: Mapping[str, Sequence[Option]], pruner: str, quantizer: str) -> Iterator[tuple[Setting, Setting]]:
    """The pruners and quantizers worth trying together: the plan's own, and the quick ones."""
    found = [o.setting for of in options.values() for o in of if not _patterned(o.setting)]
    for p, q in dict.fromkeys(((pruner, quantizer), (pruner, "rtn"), ("wanda", "rtn"))):
        first = next((s for s in found if s.prune == p and not s.quantize), None)
        second = next((s for s in found if s.quantize == q and not s.prune), None)
        if first is not None and second is not None:
            yield first, second
