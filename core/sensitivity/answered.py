"""What every option of every layer does to the answers of a small classifier, alone and beside another layer's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ..compress import layer_needs, solved, weight_of
from ..data import Batches
from ..job import Job
from ..sensed import Answers, Option
from ..store import Store, key
from ..types import CLASSIFIERS, Layer, Seen, Setting
from .options import FEW
from .replay import Replay

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluate import Reference

CODE = "2"  # raise it when a change of answers changes
WORK = 2e9  # weights x pixels, about multiplications an image: every option is run once, which a larger network would take hours for
IMAGES, LEAST = 512, 64  # scored images, evenly spread, that answers are watched on
BATCH = 64  # images at a time, as all that modules give is kept
TICK = 6_000_000  # images x classes x (layers and pairs of options): multiplications of one prediction
BETWEEN = 0.4  # an amount between the options', where changes differ most from a mean of theirs
HALF = 0.5, 3  # amount and bits of the one cell in which both are tried together
# Options of each layer that are run beside those of other layers: as many of these as a tick has time for. Any option is then taken as a
# mixture of them; with one that rounds alone, plans of 2 bits came out up to twice too dear (digits).
TRIED = (("magnitude", 0.5), ("rtn", 2), ("rtn", 3))
FEWEST = 2


@dataclass
class Answering:
    """One pass over the options of all layers; what is finished is kept in the store."""

    reference: Reference
    layers: Sequence[Layer]
    options: Mapping[str, Sequence[Option]]
    seen: Callable[[Layer], Seen]
    pairs: Sequence[tuple[Setting, Setting]]  # a pruner and a quantizer that one layer may be given together
    fingerprint: str
    job: Job
    store: Store | None
    images: int = 0
    tried: tuple[tuple[str, float], ...] = TRIED
    _made: dict[tuple[str, str], Tensor] = field(default_factory=dict)  # what is tried in pairs, compressed

    @property
    def possible(self) -> bool:
        """Whether the network is a classifier small enough for it, and its answers few enough to be added up at every tick; of how many
        images, and of how many kinds of pairs."""
        network, n = self.reference.network, len(self.layers)
        if network.task not in CLASSIFIERS or network.module is None or not self.options:
            return False
        shape = _pixels(self.reference.batches.items[0]).shape[1:]
        work = sum(x.tensor.parameters for x in self.layers) * prod(shape[-2:])
        most = {k: TICK // ((n + k * k * n * (n - 1) // 2) * max(len(network.labels), 2)) for k in range(FEWEST, len(TRIED) + 1)}
        images = min(IMAGES, _count(self.reference.batches))
        kinds = max((k for k in most if most[k] >= images), default=FEWEST)
        self.images, self.tried = min(images, most[kinds]), TRIED[:kinds]
        return work <= WORK and self.images >= LEAST

    def run(self) -> Answers:
        """Every option of every layer alone; then a few of each beside those of every other layer."""
        layers, job = self.layers, self.job
        whole = _spread(self.reference.batches, self.images)
        self._batches = [{CLASSIFIERS[self.reference.network.task]: x} for x in whole.split(BATCH)]
        moved = {x.name: self._moved(x) for x in job.track(layers, "Sensing: what each option does to the answers")}
        tried = {x.name: self._tried(x) for x in layers}
        beside = {x.name: layers[i + 1 :] for i, x in enumerate(layers)}
        pairs = {x.name: self._beside(x, beside[x.name], moved, tried) for x in job.track(layers, "Sensing: what two layers do together")}
        before = np.concatenate([self._first(b).answer.numpy() for b in self._batches])
        return Answers(before, moved, tried, pairs, self.images / _count(self.reference.batches))

    def _first(self, batch: dict[str, Tensor]) -> Replay:
        return Replay.of(self.reference.network, self.reference.weights, batch, self.job)

    def _singles(self, x: Layer) -> tuple[Setting, ...]:
        """The options that differ most, and of each pruner one more amount; for others a method's changes are scaled by the errors."""
        found = [o.setting for o in self.options[x.name] if o.setting.bits in FEW or (o.setting.prune and not _patterned(o.setting))]
        more = {s.prune: replace(s, amount=BETWEEN) for s in found if s.prune}
        return (*found, *more.values())

    def _both(self, x: Layer) -> list[Setting]:
        """Each pair in the one cell it is tried in, where the layer has that option of its pruner."""
        amount, bits = HALF
        found = self._singles(x)
        made = [(replace(p, amount=amount), replace(q, bits=bits)) for p, q in self.pairs]
        return [replace(q, prune=p.prune, prune_knobs=p.prune_knobs, amount=amount) for p, q in made if p in found and q in found]

    def _tried(self, x: Layer) -> tuple[Setting, ...]:
        """Its options among those that are run in pairs."""
        found = self._singles(x)
        kinds = [[s for s in found if (s.quantize or s.prune, s.bits if s.quantize else s.amount) == t] for t in self.tried]
        return tuple(of[0] for of in kinds if of)

    def _moved(self, x: Layer) -> tuple[tuple[Setting, ...], np.ndarray]:
        """Settings, and (settings, images x classes) by how much each moves the logits, each image's mean taken out; of what is both
        pruned and rounded, what it does beyond its pruner alone."""
        singles, both = self._singles(x), self._both(x)
        settings = (*singles, *both)

        def worked() -> np.ndarray:
            made = [self._dense(x, s) for s in settings]
            return _centred([[f.changed(x.tensor.name, w, self.job).answer - f.answer for w in made] for f in self._firsts()])

        moved = self._kept(x, f"{[str(s) for s in settings]}", worked)
        pruned = [singles.index(replace(s, quantize="", bits=16, quantize_knobs={})) for s in both]
        return settings, np.concatenate([moved[: len(singles)], moved[len(singles) :] - moved[pruned]])

    def _firsts(self) -> Iterator[Replay]:
        return (self._first(b) for b in self._batches)

    def _beside(
        self, x: Layer, others: Sequence[Layer], moved: Mapping[str, tuple[tuple[Setting, ...], np.ndarray]],
        tried: Mapping[str, tuple[Setting, ...]],
    ) -> np.ndarray:  # fmt: skip
        """(settings tried of x, settings tried of the others, images x classes) by how much both together move the logits beyond the sum
        of what they do alone."""
        ours, theirs = tried[x.name], [(y, s) for y in others for s in tried[y.name]]

        def alone(y: Layer, s: Setting) -> np.ndarray:
            settings, changes = moved[y.name]
            return changes[settings.index(s)].astype(np.float32)

        def worked() -> np.ndarray:
            found = []
            for f in self._firsts():
                one = [f.changed(x.tensor.name, self._again(x, s), self.job, keep=True) for s in ours]
                found.append([o.changed(y.tensor.name, self._again(y, s), self.job).answer - f.answer for o in one for y, s in theirs])
            each = [alone(x, s) + alone(y, t) for s in ours for y, t in theirs]
            return _centred(found) - np.array(each, np.float32)

        if not ours or not theirs:
            return np.zeros((len(ours), len(theirs), moved[x.name][1].shape[1]), np.float16)
        said = f"{[str(s) for s in ours]} beside {[key(y.tensor, s, '') for y, s in theirs]}"
        return self._kept(x, said, worked).reshape(len(ours), len(theirs), -1)

    def _kept(self, x: Layer, said: str, worked: Callable[[], np.ndarray]) -> np.ndarray:
        """Out of the store, or worked out and kept there."""
        import torch

        at = key(x.tensor, Setting(), f"answers {CODE} {self.fingerprint} {self.reference.batches.fingerprint} {self.images} {said}")
        done = self.store.find(at) if self.store else None
        if done is None:
            found = worked().astype(np.float16)
            if self.store:
                self.store.keep(at, {"moved": torch.from_numpy(found)}, {})
            return found
        return done[0]["moved"].numpy()

    def _dense(self, x: Layer, s: Setting) -> Tensor:
        return solved(x, s, weight_of(x), self.seen(x) if layer_needs(s) else Seen(), self.job)[0].dense().float()

    def _again(self, x: Layer, s: Setting) -> Tensor:
        """The same, remembered."""
        if (x.name, str(s)) not in self._made:
            self._made[x.name, str(s)] = self._dense(x, s)
        return self._made[x.name, str(s)]


def _patterned(s: Setting) -> bool:
    return "pattern" in s.prune_knobs or s.prune == "nm"


def _centred(batches: Sequence[Sequence[Tensor]]) -> np.ndarray:
    """(rows, images x classes) out of batches of rows, each image's mean taken out."""
    import torch

    found = torch.cat([torch.stack(list(rows)) for rows in batches], 1)
    return (found - found.mean(-1, keepdim=True)).flatten(1).numpy()


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
