"""Zero-byte tuning: norm gains, biases and one factor per output row follow the original's answers; codes, masks and bytes stay."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ..compress import Compressed
from ..data import Batches
from ..errors import CannotRun
from ..evaluate import Reference, answer, heard
from ..formats import read
from ..job import Job
from ..networks import Network
from ..plans import BY_USER, resolve
from ..registry import knob, make
from ..store import key
from ..stored import Dense, Quantized, Stored
from ..types import FLOATS, Layer, Outcome, Plan, Setting

if TYPE_CHECKING:
    from torch import Tensor, nn

CODE = "1"  # raise it when the result changes
TOKENS = 256  # of a step; a cancel is heard between the blocks of its forward and backward pass
SAMPLES = 16  # images or sentences of a step
HELD = 8  # every eighth piece of the calibration data is kept for the check and never trained on
LOW_BITS, MUCH = 3, 0.5  # at so few bits, or so many zeros, tuning is on by itself
HUGE = 1_500_000_000  # parameters: above, 56 steps take over half an hour on a laptop, so tuning waits to be asked for
SMALLEST = 0.02  # the unit of a bias that begins at zero
BOUNDS = (0.25, 4.0)  # of a row's factor: the stored scale stays far from under- and overflow


@dataclass(frozen=True, slots=True)
class Tuning:
    """Trains norm gains, biases and one factor per output row by the KL divergence to the original for a few small steps: no byte is
    added, as the factors fold into the scales (norm tweaking, Li et al. 2023, arXiv:2309.02784, with the row scales beside it)."""

    title: ClassVar[str] = "Zero-byte tuning"
    steps: int = knob(56, 8, 480, 8)
    rate: float = knob(0.004, 0.0002, 0.02, 0.0002, label="Learning rate")


@dataclass(frozen=True)
class Live:
    """What is trained: values = start + unit * step, so that one learning rate fits tensors of every size."""

    rows: Mapping[str, Tensor]  # Layer.name -> step of the factor of each output row (factor 1 + step)
    small: Mapping[str, Tensor]  # tensor name of a norm gain or bias -> step
    start: Mapping[str, Tensor]
    unit: Mapping[str, float]

    def factor(self, name: str) -> Tensor:
        return (1 + self.rows[name]).clamp(*BOUNDS)

    def value(self, name: str) -> Tensor:
        return self.start[name] + self.unit[name] * self.small[name]

    def all(self) -> list[Tensor]:
        return [*self.rows.values(), *self.small.values()]


def wanted(plan: Plan, layers: tuple[Layer, ...]) -> bool:
    """Whether this plan is tuned: as it says, or by itself at 3 bits and below, at half the weights gone, unless the model is huge."""
    settings = [s for s in resolve(plan, layers).values() if not s.idle]
    if plan.tune is not None:
        return plan.tune and bool(settings)
    return any(s.bits <= LOW_BITS or s.amount >= MUCH for s in settings) and not too_large(layers)


def steps(plan: Plan, layers: tuple[Layer, ...]) -> int:
    """How many steps this plan is tuned for."""
    return make(Tuning, plan.tuning).steps if wanted(plan, layers) else 0


def too_large(layers: tuple[Layer, ...]) -> str:
    """Why tuning is not on by itself ("" = it is): both models lie in memory as float32, beside the activations of one step."""
    import psutil

    count = sum(x.tensor.parameters for x in layers)
    need, free = 2.3 * 4 * count, psutil.virtual_memory().available
    if need > free:
        return f"tuning needs about {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
    return f"tuning {count / 1e9:.1f} billion parameters takes long; switch it on if you have the time" if count > HUGE else ""


def tune(compressed: Compressed, network: Network, weights: Mapping[str, Tensor], reference: Reference, job: Job) -> Compressed:
    """The compressed model tuned on the reference's (calibration) data, or itself where that was no better on pieces kept apart.

    `network` and `weights` (float32, by tensor name) run the compressed model. CannotRun when the network has no module to listen in."""
    if network.module is None:
        raise CannotRun("Tuning trains inside the network, and this one can't be looked into; set tune to off")
    pieces = replace(reference.batches, items=tuple(cut(reference.batches)), nbytes=())
    if len(pieces.items) < 2:
        job.note("Tuning was left out: the calibration data are too short to keep a part for the check; choose a longer file")
        return compressed
    teacher = Reference(reference.network, reference.weights, pieces)
    base = _base(compressed, pieces)
    known = _known(compressed, network, base)
    tuned, before, after = known or _trained(compressed, network, weights, teacher, base, job)
    word = "kept" if tuned is not compressed else "refused, as it was no better"
    job.note(f"Tuning was {word}: distance to the original on calibration data it did not see {before:.4g} -> {after:.4g}, measured")
    return tuned


def cut(batches: Batches) -> Iterator[dict[str, Tensor]]:
    """The calibration data as the pieces of one step each."""
    text = batches.kind == "text"
    for item in batches.items:
        parts = {k: v.split(TOKENS if text else SAMPLES, 1 if text else 0) for k, v in item.items()}
        for i in range(len(next(iter(parts.values())))):
            piece = {k: v[i] for k, v in parts.items()}
            if not text or piece["input_ids"].shape[1] >= TOKENS // 4:
                yield piece


def _trained(
    compressed: Compressed, network: Network, weights: Mapping[str, Tensor], teacher: Reference, base: str, job: Job
) -> tuple[Compressed, float, float]:
    """Train, fold, and hold the folded model against the untuned one on the pieces kept apart."""
    import torch

    plan, count = compressed.plan, len(teacher.batches.items)
    how = make(Tuning, plan.tuning)
    held = list(range(0, count, HELD))
    trained = [i for i in range(count) if i % HELD]
    before = apart(network, weights, teacher, held, job)
    live = _live(compressed, network, {**weights, **_corrected(compressed, network, weights, teacher, trained[:8], job)})
    _steps(live, network, compressed, dict(weights), teacher, shuffled(trained, how.steps, plan.seed), how, job)
    tuned = _folded(compressed, network, live, base)
    after = apart(network, {**weights, **changed(tuned)}, teacher, held, job)
    compressed.store.put(_verdict(base), Dense(torch.tensor([before, after], dtype=torch.float64)))
    return (tuned if after < before else compressed), before, after


def shuffled(trained: list[int], steps: int, seed: int) -> list[int]:
    """Pieces in random order, every one once before any comes again."""
    import torch

    g = torch.Generator().manual_seed(seed)
    epochs = math.ceil(steps / len(trained))
    return [trained[i] for _ in range(epochs) for i in torch.randperm(len(trained), generator=g).tolist()][:steps]


def apart(network: Network, weights: Mapping[str, Tensor], teacher: Reference, pieces: list[int], job: Job) -> float:
    """Mean distance to the original over these pieces: KL per token or image, 1 - cosine per sentence."""
    import torch

    told = []
    for i in job.track(pieces, "Checking the tuning"):
        found = answer(network, dict(weights), teacher.batches.items[i], job)
        told.append(distance(network.task, teacher.answer(i, job), found))
    return float(torch.cat(told).double().mean())


def distance(task: str, before: Tensor, after: Tensor) -> Tensor:
    """One value a row: KL(original, other) of log-probabilities, or 1 - cosine of normalised embeddings."""
    if task == "encoder":
        return 1 - (before * after).sum(-1)
    return (before.exp() * (before - after)).sum(-1)


def _steps(
    live: Live, network: Network, compressed: Compressed, weights: dict[str, Tensor], teacher: Reference, order: list[int],
    how: Tuning, job: Job,
) -> None:  # fmt: skip
    """Adam, its rate falling along a cosine to a tenth."""
    import torch

    modules = _modules(network, compressed)
    adam = torch.optim.Adam(live.all(), lr=how.rate)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: 0.55 + 0.45 * math.cos(math.pi * t / len(order)))
    for i in job.track(order, "Tuning"):
        target = teacher.answer(i, job).clone()  # out of inference mode, so that the loss may keep it
        with _factored(live, modules, job), heard(network, job):
            loss = _loss(network, {**weights, **_values(live, compressed)}, teacher.batches.items[i], target)
            adam.zero_grad()
            loss.backward()
        if not all(bool(p.grad.isfinite().all()) for p in live.all() if p.grad is not None):
            raise CannotRun("Tuning met infinite gradients: these weights are broken; use more bits or prune less")
        adam.step()
        falling.step()
        job.detail(f"distance {float(loss.detach()):.3g}")


def _loss(network: Network, weights: dict[str, Tensor], item: dict[str, Tensor], target: Tensor) -> Tensor:
    import torch

    out = network.forward(weights, dict(item)).float()
    rows = out[0, :-1] if network.task == "causal-lm" else out
    rows = rows if network.task == "encoder" else torch.log_softmax(rows, -1)
    return distance(network.task, target, rows).mean()


def _values(live: Live, compressed: Compressed) -> dict[str, Tensor]:
    """Gains and biases as they stand; a bias before a row's factor is divided by it, as the factor multiplies the whole output."""
    out = {name: live.value(name) for name in live.small}
    for name in live.rows:
        bias = f"{name}.bias"
        if bias in out:
            out[bias] = out[bias] / live.factor(name)
    return out


@contextmanager
def _factored(live: Live, modules: Mapping[str, nn.Module], job: Job) -> Iterator[None]:
    """Each compressed layer's output times its rows' factors: cheaper than scaled weights, whose gradient would cost a product more."""

    def hook(name: str, ndim: int) -> object:
        def scaled(_m: nn.Module, _i: object, out: Tensor) -> Tensor:
            f = live.factor(name)
            out = out * (f.view(-1, *[1] * (ndim - 2)))
            if out.requires_grad:
                out.register_hook(lambda _: job.check())
            return out

        return scaled

    handles = [m.register_forward_hook(hook(name, m.weight.ndim)) for name, m in modules.items()]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for h in handles:
            h.remove()


def _modules(network: Network, compressed: Compressed) -> dict[str, nn.Module]:
    """Layer.name -> the one linear or convolution that runs it, for layers whose rows can take a factor."""
    from torch import nn

    assert network.module is not None
    users: dict[str, list[str]] = {}
    for path, tensor in network.names.items():
        users.setdefault(tensor, []).append(path)
    out: dict[str, nn.Module] = {}
    for x in compressed.layers:
        inside = users.get(x.tensor.name, [])
        if x.name not in compressed.outcomes or len(inside) != 1 or not inside[0].endswith(".weight") or not _takes(compressed, x):
            continue
        module = network.module.get_submodule(inside[0].removesuffix(".weight"))
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            out[x.name] = module
    return out


def _takes(compressed: Compressed, x: Layer) -> bool:
    """Whether its rows can be scaled without a byte more: one scale for a whole tensor can't hold a factor a row."""
    stored = compressed.stored(x)
    return not isinstance(stored, Quantized) or stored.granularity != "tensor"


def _live(compressed: Compressed, network: Network, weights: Mapping[str, Tensor]) -> Live:
    """Everything at its start, listening for gradients; what the user excluded is not among it."""
    import torch

    sizes = {x.name: x.tensor.shape[0] for x in compressed.layers if x.tensor.shape}
    start = {x.tensor.name: weights[x.tensor.name].float() for x in _small(compressed, network)}
    unit = {n: float(t.square().mean().sqrt()) or SMALLEST for n, t in start.items()}
    rows = {n: torch.zeros(sizes[n], requires_grad=True) for n in _modules(network, compressed)}
    return Live(rows, {n: torch.zeros_like(t, requires_grad=True) for n, t in start.items()}, start, unit)


def _small(compressed: Compressed, network: Network) -> list[Layer]:
    """Norm gains and biases the network uses and the user did not exclude."""
    resolved, run = resolve(compressed.plan, compressed.layers), set(network.names.values())
    free = [x for x in compressed.layers if resolved[x.name].protected != BY_USER]
    return [x for x in free if x.kind in ("norm", "bias") and x.tensor.name in run and x.tensor.dtype in FLOATS]


def _corrected(
    compressed: Compressed, network: Network, weights: Mapping[str, Tensor], teacher: Reference, pieces: list[int], job: Job
) -> dict[str, Tensor]:
    """Biases that take up the mean error of their layer, b + E[(W - Q) x], where that brings the pieces nearer (Nagel et al. 2019)."""
    modules = {n: m for n, m in _modules(network, compressed).items() if f"{n}.bias" in weights}
    if not modules:
        return {}
    means = _means(network, weights, modules, teacher, pieces, job)
    tensors = {x.name: x.tensor for x in compressed.layers}
    out = {}
    for name, mean in means.items():
        gone = read(tensors[name]).float() - weights[tensors[name].name]
        wide = gone.flatten(2).sum(-1) if gone.ndim > 2 else gone
        if wide.shape[1] == len(mean):  # a grouped convolution's inputs are split among its rows
            out[f"{name}.bias"] = weights[f"{name}.bias"] + wide @ mean
    better = apart(network, {**weights, **out}, teacher, pieces, job) < apart(network, weights, teacher, pieces, job)
    return out if better else {}


def _means(
    network: Network, weights: Mapping[str, Tensor], modules: Mapping[str, nn.Module], teacher: Reference, pieces: list[int], job: Job
) -> dict[str, Tensor]:
    """E[x] of each input feature or channel, over real tokens only."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    mask: list[Tensor | None] = [None]

    def hook(name: str) -> object:
        def see(m: nn.Module, args: tuple[Tensor, ...]) -> None:
            x = args[0].detach()
            convolved = m.weight.ndim > 2  # type: ignore[operator]
            x = x.movedim(1, -1) if convolved else x
            x = x[mask[0].bool()] if mask[0] is not None and x.shape[:2] == mask[0].shape else x.reshape(-1, x.shape[-1])
            sums[name] = sums.get(name, 0) + x.double().sum(0)
            counts[name] = counts.get(name, 0) + len(x)

        return see

    handles = [m.register_forward_pre_hook(hook(n)) for n, m in modules.items()]  # type: ignore[arg-type]
    try:
        for i in pieces:
            item = teacher.batches.items[i]
            mask[0] = item.get("attention_mask")
            answer(network, dict(weights), item, job)
    finally:
        for h in handles:
            h.remove()
    return {n: (s / counts[n]).float() for n, s in sums.items()}


def _folded(compressed: Compressed, network: Network, live: Live, base: str) -> Compressed:
    """Factors into scales or rows, gains and biases into their tensors, all in the types they are stored in; kept in the store."""
    import torch

    outcomes = dict(compressed.outcomes)
    with torch.no_grad():
        for x, setting in _tuned(compressed, network):
            if x.name in live.rows:
                stored: Stored = compressed.stored(x).scaled(live.factor(x.name))
            else:
                stored = Dense(live.value(x.tensor.name).to(read(x.tensor).dtype))
            at = key(x.tensor, setting, base)
            compressed.store.put(at, stored)
            outcomes[x.name] = _outcome(x, setting, stored, at, reused=False)
    return replace(compressed, outcomes=outcomes)


def _tuned(compressed: Compressed, network: Network) -> list[tuple[Layer, Setting]]:
    """Every layer that tuning changes, with its setting."""
    settings = {**resolve(compressed.plan, compressed.layers), **compressed.settings}
    names = {*_modules(network, compressed), *(x.name for x in _small(compressed, network))}
    return [(x, settings[x.name]) for x in compressed.layers if x.name in names]


def _outcome(x: Layer, setting: Setting, stored: Stored, at: str, reused: bool) -> Outcome:
    w, q = read(x.tensor).float(), stored.dense().float()
    error = float((w - q).square().sum() / w.square().sum().clamp(min=1e-30))
    return Outcome(setting, error, 1 - float(q.count_nonzero()) / max(1, q.numel()), at, reused)


def _base(compressed: Compressed, pieces: Batches) -> str:
    """What a tuned tensor depends on beside its own source: every layer's result, the data, the settings, this code."""
    outcomes = sorted((n, o.key) for n, o in compressed.outcomes.items())
    how = asdict(make(Tuning, compressed.plan.tuning))
    data = hashlib.sha256()
    for item in pieces.items:
        for name in sorted(item):
            data.update(item[name].contiguous().numpy().tobytes())
    text = json.dumps([CODE, outcomes, data.hexdigest(), how, compressed.plan.seed])
    return "tuned:" + hashlib.sha256(text.encode()).hexdigest()


def _verdict(base: str) -> str:
    return hashlib.sha256(f"{base}:verdict".encode()).hexdigest()


def _known(compressed: Compressed, network: Network, base: str) -> tuple[Compressed, float, float] | None:
    """An earlier tuning of the same plan on the same data out of the layer store, whole or not at all."""
    verdict = compressed.store.get(_verdict(base))
    if verdict is None:
        return None
    before, after = verdict.dense().tolist()
    if not after < before:
        return compressed, before, after
    outcomes = dict(compressed.outcomes)
    for x, setting in _tuned(compressed, network):
        at = key(x.tensor, setting, base)
        if (stored := compressed.store.get(at)) is None:
            return None
        outcomes[x.name] = _outcome(x, setting, stored, at, reused=True)
    return replace(compressed, outcomes=outcomes), before, after


def changed(compressed: Compressed) -> dict[str, Tensor]:
    """Only the tensors compression or tuning touched, float32, by tensor name."""
    tensors = {x.name: x for x in compressed.layers}
    return {tensors[n].tensor.name: compressed.stored(tensors[n]).dense().float() for n in compressed.outcomes}
