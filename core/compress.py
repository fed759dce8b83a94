"""The walk: every planned layer pruned, then quantized, then kept in the layer store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .calibrate import Statistics
from .cluster import Cluster
from .errors import BadFile, BadPlan
from .formats import read
from .job import Job
from .layers import layers as layers_of
from .plans import resolve
from .prune import pruners
from .prune.keep import histogram, spread
from .quantize import quantizers
from .registry import make
from .solve.correct import corrected
from .store import Store, key
from .stored import Dense, Quantized, Stored
from .types import Calibration, Checkpoint, Layer, Outcome, Plan, Seen, Setting

if TYPE_CHECKING:
    import torch
    from torch import Tensor

ROWS = 1 << 20  # weights decoded at once to see what compression left of a layer
TENSORS = ("grads", "hessian", "held", "mean", "drift", "held_drift")  # of Seen
SCALES = {"F16": "float16", "BF16": "bfloat16", "F64": "float32", "F32": "float32"}


@dataclass(frozen=True)
class Compressed:
    """A slimmed model: what was left alone is read from the checkpoint, the rest mapped from the layer store."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    plan: Plan
    settings: Mapping[str, Setting]
    outcomes: Mapping[str, Outcome]
    store: Store

    def stored(self, layer: Layer) -> Stored:
        """The layer as compression left it."""
        at = self.outcomes[layer.name].key if layer.name in self.outcomes else ""
        found = self.store.get(at) if at else Dense(read(layer.tensor))
        if found is None:
            raise BadFile(f"{layer.name} is no longer in the layer store; evaluate the plan again")
        return found

    def weights(self, job: Job) -> dict[str, Tensor]:
        """Every tensor by name, float32, ready to run."""
        import torch

        out = {}
        for layer in job.track(self.layers, "Loading"):
            t = self.stored(layer).dense()
            out[layer.tensor.name] = t.to(torch.float32) if t.is_floating_point() else t
        return out


def original(checkpoint: Checkpoint, layers: Iterable[Layer], store: Store) -> Compressed:
    """The checkpoint as it is, in the same shape as a slimmed one."""
    return Compressed(checkpoint, tuple(layers), Plan(), {}, {}, store)


def check(plan: Plan, layers: Iterable[Layer]) -> None:
    """Every method and knob the plan speaks of exists and every knob is in range; BadPlan otherwise."""
    for choice in (plan.model, *plan.groups.values(), *plan.layers.values()):
        if choice.amount is not None and not 0 <= choice.amount <= 0.95:
            raise BadPlan(f"amount = {choice.amount} is outside 0 to 0.95")
        if choice.bits is not None and choice.bits not in (2, 3, 4, 5, 6, 7, 8, 16):
            raise BadPlan(f"bits = {choice.bits}: choose 2 to 8, or 16 to leave the layer as it is")
        for name in choice.knobs:
            method, _, knob = name.partition(".")
            where = pruners if method in pruners else quantizers
            make(where[method], {knob: choice.knobs[name]})
    unknown = set(plan.layers) - {x.name for x in layers}
    if unknown:
        raise BadPlan(f"the plan speaks of {min(unknown)!r}, which this model doesn't have; remove it or open the model it was made for")
    for s in resolve(plan, layers).values():
        _ = (pruners[s.prune] if s.prune else None, quantizers[s.quantize] if s.quantize else None)


def needs(plan: Plan, layers: Iterable[Layer]) -> frozenset[str]:
    """The statistics the plan's methods ask for."""
    used = {(s.prune, s.quantize) for s in resolve(plan, layers).values()}
    asked = [pruners[p].needs for p, _ in used if p] + [quantizers[q].needs for _, q in used if q]
    return frozenset().union(*asked)


def fits(layer: Layer, setting: Setting) -> str:
    """Why this layer can't take this setting ("" = it can); torch-free, for the window."""
    width = layer.tensor.parameters // max(1, layer.tensor.shape[0]) if layer.tensor.shape else 0
    if setting.quantize:
        method = replace(make(quantizers[setting.quantize], setting.quantize_knobs), bits=setting.bits)
        if layer.kind not in (kinds := getattr(method, "kinds", (layer.kind,))):
            return f"{method.title} is for {' and '.join(kinds)} layers, this is {layer.kind}; choose another quantizer or 16 bits for it"
        if hasattr(method, "groups"):
            try:
                method.groups(width)
                if setting.prune and hasattr(method, "keeping"):
                    method.keeping(width)
            except BadPlan as e:
                return str(e)
        if setting.bits not in getattr(method, "widths", range(2, 9)):
            return f"{method.title} has no {setting.bits}-bit form; set its bits to {' or '.join(map(str, method.widths))}"
    pattern = str(getattr(make(pruners[setting.prune], setting.prune_knobs), "pattern", "")) if setting.prune else ""
    if ":" in pattern and width % (m := int(pattern.split(":")[1])):
        return f"N:M needs an input width divisible by {m}, this layer has {width}"
    return ""


def compress(
    checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan, calibration: Calibration | None, store: Store, job: Job,
    on: Cluster | None = None,
) -> Compressed:  # fmt: skip
    """Walk the layers; a layer already in the store is reused. Streams (name, Outcome) points. `on` a cluster each layer is a task: this
    process still reads the weights, collects the statistics and keeps what comes back, so that no machine needs its disk."""
    layers = tuple(layers)
    check(plan, layers_of(checkpoint))  # of the whole model: `layers` may be the one being inspected
    settings = resolve(plan, layers)
    busy = [x for x in layers if not settings[x.name].idle]
    for x in busy:
        if why := fits(x, settings[x.name]):
            raise BadPlan(f"{x.name}: {why}")
    walk = _Walk(store, job, calibration)
    settings = {**settings, **_spread(busy, settings, walk)}
    keys = walk.keys(busy, settings)
    outcomes: dict[str, Outcome] = {}
    for x, outcome in job.track(walk.all(walk.ordered(busy, settings, keys), settings, keys, on), "Compressing", len(busy)):
        outcomes[x.name] = outcome
        job.point((x.name, outcome))
    if blind := [n for n, o in outcomes.items() if o.blind]:
        job.note(f"{len(blind)} layers met no calibration data and were compressed without: {', '.join(sorted(blind)[:3])}")
    if reused := sum(o.reused for o in outcomes.values()):
        job.note(f"{reused} of {len(outcomes)} layers were taken from the layer store")
    return Compressed(checkpoint, layers, plan, settings, {x.name: outcomes[x.name] for x in busy}, store)


class _Walk:
    """One walk's statistics and what it has made so far."""

    def __init__(self, store: Store, job: Job, calibration: Calibration | None) -> None:
        self.store, self.job = store, job
        self.calibration = calibration.fingerprint if calibration else ""
        self._made: dict[str, str] = {}  # tensor name -> key of what stands for it
        seen: Mapping[str, Seen] = calibration.seen if calibration else {}
        self.seen = seen.under(job, self._changed) if isinstance(seen, Statistics) else seen
        self.sequential = isinstance(seen, Statistics) and seen.order != "parallel"

    def _changed(self, tensor: str) -> Tensor | None:
        found = self.store.get(self._made[tensor]) if tensor in self._made else None
        return None if found is None else found.dense()

    def place(self, x: Layer) -> tuple[int, int]:
        return self.seen.turn(x.name) if isinstance(self.seen, Statistics) else (0, 0)

    def keys(self, busy: list[Layer], settings: Mapping[str, Setting]) -> dict[str, str]:
        """The store's key of every layer; in any order but parallel it takes in what stands before the layer."""
        if not self.sequential:
            return {x.name: self._key(x, settings[x.name], self.calibration) for x in busy}
        out: dict[str, str] = {}
        before, prefix, at = "", self.calibration, (-1, 0)
        for x in sorted(busy, key=self.place):
            if self.place(x) != at:
                at, prefix = self.place(x), f"{self.calibration}:{sha256(before.encode()).hexdigest()}"
            out[x.name] = self._key(x, settings[x.name], prefix)
            before += out[x.name]
        return out

    @staticmethod
    def _key(x: Layer, setting: Setting, calibration: str) -> str:
        return key(x.tensor, setting, calibration if layer_needs(setting) else "")

    def ordered(self, busy: list[Layer], settings: Mapping[str, Setting], keys: Mapping[str, str]) -> list[Layer]:
        """By block where statistics will be collected, so that every block is run once."""
        if self.sequential or any(layer_needs(settings[x.name]) and self.store.said(keys[x.name]) is None for x in busy):
            return sorted(busy, key=self.place)
        return busy

    def all(
        self, ordered: list[Layer], settings: Mapping[str, Setting], keys: Mapping[str, str], on: Cluster | None
    ) -> Iterator[tuple[Layer, Outcome]]:
        """Every layer through the store: one after the other, or many at a time on a cluster; in any order but parallel turn after turn."""
        if on is None:
            yield from ((x, self.one(x, settings[x.name], keys[x.name])) for x in ordered)
            return
        for _, block in groupby(ordered, self.place if self.sequential else lambda x: (0, 0)):
            missing: dict[str, Layer] = {}
            for x in block:
                if self._said(keys[x.name]) is None:
                    missing[x.name] = x
                else:
                    yield x, self.one(x, settings[x.name], keys[x.name])
            sent = self._sent(missing.values(), settings, on)
            for name, (found, said) in on.each("core.compress:solved_apart", sent, self.job):
                self.store.put(keys[name], found, said)
                yield missing[name], self._outcome(missing[name], settings[name], keys[name], said, False)

    def _sent(self, layers: Iterable[Layer], settings: Mapping[str, Setting], on: Cluster) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """What each task needs: its weight and its statistics; what layers of one block share is sent once."""
        shared: dict[int, tuple[Tensor, Any]] = {}
        at = (-1, 0)
        for x in layers:
            if self.place(x) != at:
                at = self.place(x)
                shared.clear()
            seen = self._seen(x, settings[x.name])
            for t in (t for t in (getattr(seen, f) for f in TENSORS) if t is not None and id(t) not in shared):
                shared[id(t)] = (t, on.share(t))
            parts = [None if (t := getattr(seen, f)) is None else shared[id(t)][1] for f in TENSORS]
            yield x.name, (x, settings[x.name], weight_of(x), seen.samples, *parts)

    def _said(self, at: str) -> dict[str, str] | None:
        said = self.store.said(at)
        return said if said is not None and "error" in said else None

    def one(self, x: Layer, setting: Setting, at: str) -> Outcome:
        """One layer through the store."""
        said = self._said(at)
        reused = said is not None
        if said is None:
            found, said = solved(x, setting, weight_of(x), self._seen(x, setting), self.job)
            self.store.put(at, found, said)
        return self._outcome(x, setting, at, said, reused)

    def _outcome(self, x: Layer, setting: Setting, at: str, said: Mapping[str, str], reused: bool) -> Outcome:
        self._made[x.tensor.name] = at
        return Outcome(setting, float(said["error"]), float(said["sparsity"]), at, reused, bool(said["blind"]))

    def _seen(self, x: Layer, setting: Setting) -> Seen:
        return self.seen.get(x.name, Seen()) if layer_needs(setting) else Seen()

    def histogram(self, x: Layer, setting: Setting) -> Tensor:
        """How a layer's scores are spread under a global threshold; kept in the store like a layer, so that it too is made once."""
        at = self._key(x, Setting(setting.prune, prune_knobs={"scope": "histogram"}), self.calibration)
        found = self.store.find(at)
        if found is None:
            pruner = make(pruners[setting.prune], {"scope": "global"})
            counts = histogram(pruner.score(weight_of(x), self.seen.get(x.name, Seen())))
            self.store.keep(at, {"counts": counts}, {})
            return counts
        return found[0]["counts"]


def solved(x: Layer, setting: Setting, w: Tensor, seen: Seen, job: Job) -> tuple[Stored, dict[str, str]]:
    """One layer compressed, and what the store notes beside it."""
    found = _make(w, x, setting, seen, job)
    error, zeros = _left(w, found, job)
    blind = "yes" if layer_needs(setting) and seen.samples == 0 else ""
    return found, {"error": repr(error), "sparsity": repr(zeros / w.numel()), "blind": blind}


def solved_apart(x: Layer, setting: Setting, w: Tensor, samples: int, *parts: Any) -> tuple[Stored, dict[str, str]]:
    """The same as a task (Seen's tensors, then the job last): what came over is read-only memory, and a method may write into its own."""
    own = [None if t is None else t.clone() for t in parts[:-1]]
    return solved(x, setting, w.clone(), Seen(**dict(zip(TENSORS, own, strict=True)), samples=samples), parts[-1])


def _left(w: Tensor, stored: Stored, job: Job) -> tuple[float, int]:
    """(||W - Q||^2 / ||W||^2, exact zeros of Q), a few rows at a time: the walk itself holds no second copy of a layer."""
    apart, whole, zeros = 0.0, 0.0, 0
    step = max(1, ROWS // max(1, w[0].numel()))
    rows = _rows(stored)
    for a in range(0, len(w), step):
        job.check()
        x, q = w[a : a + step].float(), rows(slice(a, a + step)).float()
        apart += float((x - q).square().sum())
        whole += float(x.square().sum())
        zeros += q.numel() - int(q.count_nonzero())
    return apart / max(whole, 1e-30), zeros


def _rows(stored: Stored) -> Callable[[slice], Tensor]:
    """Decodes some rows of a layer; all at once where its codes are not laid out by rows."""
    if not isinstance(stored, Quantized) or {len(stored.codes), len(stored.scale)} != {stored.shape[0]}:
        return stored.dense().__getitem__
    q = stored

    def decoded(at: slice) -> Tensor:
        codes, zero = q.codes[at], None if q.zero is None else q.zero[at]
        return replace(q, codes=codes, scale=q.scale[at], zero=zero, shape=(len(codes), *q.shape[1:])).dense()

    return decoded


def layer_needs(setting: Setting) -> frozenset[str]:
    """The statistics one layer's methods ask for."""
    prune = pruners[setting.prune].needs if setting.prune else frozenset()
    return prune | (quantizers[setting.quantize].needs if setting.quantize else frozenset())


def weight_of(x: Layer) -> Tensor:
    """The layer's tensor, refused by name when it holds no numbers one could compress."""
    w = read(x.tensor)
    if w.numel() == 0:
        raise BadFile(f"{x.name} is empty; exclude it from the plan (16 bits, 0 % pruning)")
    if not all(bool(part.isfinite().all()) for part in w.flatten().split(ROWS)):
        raise BadFile(f"{x.name} holds NaN or infinite weights; repair the checkpoint or exclude this layer from the plan")
    return w


def _make(w: Tensor, x: Layer, setting: Setting, seen: Seen, job: Job) -> Stored:
    """Corrected, pruned, then quantized: a quantizer keeps the zeros it is given, and the pruned weights are the best on their mask
    already, so that rounding against them is rounding against the original."""
    said = len(job.notes)
    w = corrected(w, seen, job)
    if setting.prune:
        pruner = make(pruners[setting.prune], setting.prune_knobs)
        w = replace(pruner, amount=setting.amount, seed=_seed(setting.seed, x.name))(w, seen, job)
    out: Stored = Dense(w)
    if setting.quantize:
        job.check()
        out = replace(make(quantizers[setting.quantize], setting.quantize_knobs), bits=setting.bits)(w, seen, _scale_dtype(x), job)
    job.notes[said:] = [f"{x.name}: {note}" for note in job.notes[said:]]
    return out


def _seed(seed: int, name: str) -> int:
    """A layer's own seed, so that its result does not depend on which layers came before it; torch's generator hears only 32 bits."""
    import zlib

    return zlib.crc32(f"{seed}:{name}".encode())


def _scale_dtype(x: Layer) -> torch.dtype:
    import torch

    return getattr(torch, SCALES.get(x.tensor.dtype, "float16"))


def _spread(busy: list[Layer], settings: Mapping[str, Setting], walk: _Walk) -> dict[str, Setting]:
    """Global scope becomes each layer's own amount: the share of its scores under one common threshold."""
    out: dict[str, Setting] = {}
    alike: dict[tuple[str, float], list[Layer]] = {}
    for x in busy:
        if settings[x.name].prune_knobs.get("scope") == "global":
            alike.setdefault((settings[x.name].prune, settings[x.name].amount), []).append(x)
    for (_, amount), members in alike.items():
        counts = [walk.histogram(x, settings[x.name]) for x in walk.job.track(members, "Ranking weights")]
        for x, n in zip(members, spread(counts, amount)):
            out[x.name] = replace(settings[x.name], amount=n / x.tensor.parameters)
    return out
