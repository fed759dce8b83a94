"""Free recovery: what closed forms give back in seconds, without training; each is kept only where unseen pieces say it helps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..compress import Compressed
from ..cut import cut_of
from ..evaluate import Reference, answer
from ..job import Job
from ..lessons import Freed
from ..networks import Network
from ..plans import BY_USER, resolve
from ..stored import Dense, Quantized, Stored
from ..types import FLOATS, Layer, Plan
from . import kept
from .norms import restated, tensors
from .tune import HELD, apart, cut

if TYPE_CHECKING:
    from torch import Tensor, nn

CODE = "1"  # raise it when the result changes
LOOKED = 16  # pieces whose answers are compared inside
COUNTED = 64  # pieces that batch norms are counted over
BOUNDS = (0.5, 2.0)  # of a factor
NORMS, MEANS, SCALES, GAINS = "batch norms counted anew", "mean errors into biases", "scales refitted", "norm gains refitted"
STRENGTHS = (1.0, 0.5)  # of a correction: all layers are corrected at once, and each also makes up for those before it


@dataclass(frozen=True)
class Seen:
    """Sums over all rows (tokens, places) of what a module gives per channel, in the original (t) and in the slimmed model (y)."""

    n: float
    y: Tensor
    t: Tensor
    yy: Tensor
    yt: Tensor


def wanted(plan: Plan) -> bool:
    """Whether closed forms come first: where something is cut out or trained afterwards, unless tuning is off."""
    return plan.tune is not False and (bool(plan.recover) or not cut_of(plan).idle)


def free(
    compressed: Compressed, network: Network, weights: dict[str, Tensor], reference: Reference, job: Job
) -> tuple[Compressed, dict[str, Tensor]]:
    """The model with batch norms counted anew, mean errors taken up by biases, scales and norm gains refitted by least squares to what the
    original's layers give, each kept where it brings pieces it was not made from nearer; with the weights that run it. Masks, codes and
    bytes stay."""
    pieces = replace(reference.batches, items=tuple(cut(reference.batches)), nbytes=())
    if len(pieces.items) < 2 or network.module is None:
        return compressed, weights
    base = kept.base("free", CODE, compressed, pieces, [])
    found = kept.get(compressed, base)
    if found is None:
        steps = _Steps(compressed, network, weights, Reference(reference.network, reference.weights, pieces), job)
        told = steps.run()
        figures = [figure for _, a, b in told for figure in (a, b)]
        done = kept.put(compressed, base, steps.stored, figures or [0.0], {"steps": json.dumps([name for name, *_ in told])})
    else:
        done, figures, said = found
        told = [(name, figures[2 * i], figures[2 * i + 1]) for i, name in enumerate(json.loads(said["steps"]))]
    job.point(Freed(tuple(told)))
    for name, a, b in told:
        job.note(f"Free recovery, {name}: distance to the original on data it did not see {a:.4g} -> {b:.4g}, measured")
    tensor = {x.name: x.tensor.name for x in done.layers}
    changed = {tensor[n]: done.stored(x).dense().float() for x in done.layers if (n := x.name) in done.outcomes} if told else {}
    return done, {**weights, **changed}


class _Steps:
    """One model on its way through the closed forms; `stored` holds the layers that changed."""

    def __init__(self, compressed: Compressed, network: Network, weights: dict[str, Tensor], teacher: Reference, job: Job) -> None:
        self.of, self.network, self.weights, self.teacher, self.job = compressed, network, dict(weights), teacher, job
        self.stored: dict[str, Stored] = {}
        count = len(teacher.batches.items)
        self.held = list(range(0, count, HELD))[:COUNTED]
        self.trained = [i for i in range(count) if i % HELD]
        settings = {**resolve(compressed.plan, compressed.layers), **compressed.settings}
        free = [x for x in compressed.layers if settings[x.name].protected != BY_USER]
        self.layers = {x.tensor.name: x for x in free if x.tensor.dtype in FLOATS or x.name in compressed.outcomes}
        self.distance = apart(network, weights, teacher, self.held, job)

    def run(self) -> list[tuple[str, float, float]]:
        """(what was done, distance before, after) of every step that helped."""
        told = []
        for name, step in ((NORMS, self._norms), (MEANS, self._means), (SCALES, self._scales), (GAINS, self._gains)):
            before = self.distance
            if any(self._better(found) for found in step()):
                told.append((name, before, self.distance))
        return told

    def _better(self, found: dict[str, Stored]) -> bool:
        """Whether the model with these layers is nearer to the original; then they stay."""
        if not found:
            return False
        tensor = {x.name: n for n, x in self.layers.items()}
        weights = {**self.weights, **{tensor[n]: s.dense().float() for n, s in found.items()}}
        now = apart(self.network, weights, self.teacher, self.held, self.job)
        if not now < self.distance:
            return False
        self.weights, self.distance = weights, now
        self.stored.update(found)
        return True

    def _now(self, x: Layer) -> Stored:
        return self.stored.get(x.name) or self.of.stored(x)

    def _norms(self) -> Iterator[dict[str, Stored]]:
        items = [self.teacher.batches.items[i] for i in self.trained[:COUNTED]]
        if not (tensors(self.network) & self.layers.keys()):
            return
        fresh = restated(self.network, self.weights, items, self.job)
        own = ((self.layers[n], t) for n, t in fresh.items() if n in self.layers)
        yield {x.name: Dense(t.to(self._now(x).dense().dtype)) for x, t in own}

    def _means(self) -> Iterator[dict[str, Stored]]:
        seen = self._seen({n: m for n, m in self._modules(("linear", "conv", "head")).items() if f"{n}.bias" in self.layers})
        for strength in STRENGTHS:
            yield {b.name: s for n, x in seen.items() for b, s in self._shifted(n, strength * (x.t - x.y) / x.n)}

    def _scales(self) -> Iterator[dict[str, Stored]]:
        yield from self._refitted({n: m for n, m in self._modules(("linear", "conv")).items() if self._scaled(n)})

    def _gains(self) -> Iterator[dict[str, Stored]]:
        yield from self._refitted(self._modules(("norm",)))

    def _refitted(self, modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Stored]]:
        """Each channel's factor by least squares, about the mean where a bias takes that up."""
        seen = self._seen(modules)
        for strength in STRENGTHS if seen else ():
            out: dict[str, Stored] = {}
            for n, s in seen.items():
                biased = f"{n}.bias" in self.layers
                above, below = (s.yt - s.y * s.t / s.n, s.yy - s.y * s.y / s.n) if biased else (s.yt, s.yy)
                factor = (1 + strength * (above / below.clamp(min=1e-30) - 1)).clamp(*BOUNDS).float()
                factor[below <= 0] = 1.0
                x = self.layers[f"{n}.weight"]
                out[x.name] = self._now(x).scaled(factor)
                if biased:
                    old = self.weights[f"{n}.bias"].double()
                    out |= {b.name: d for b, d in self._shifted(n, strength * (s.t - s.y) / s.n + (factor - 1) * (old - s.y / s.n))}
            yield out

    def _shifted(self, n: str, by: Tensor) -> Iterator[tuple[Layer, Stored]]:
        """The bias of a module, moved."""
        x = self.layers[f"{n}.bias"]
        yield x, Dense((self.weights[x.tensor.name].double() + by).to(self._now(x).dense().dtype))

    def _scaled(self, n: str) -> bool:
        x = self.layers[f"{n}.weight"]
        stored = self._now(x)
        return x.name in self.of.outcomes and not (isinstance(stored, Quantized) and stored.granularity == "tensor")

    def _modules(self, kinds: tuple[str, ...]) -> dict[str, nn.Module]:
        """Tensor name without ".weight" -> the one module that runs it, where the original's has as many outputs."""
        assert self.network.module is not None
        users: dict[str, list[str]] = {}
        for path, tensor in self.network.names.items():
            users.setdefault(tensor, []).append(path)
        how = cut_of(self.of.plan)
        apart = bool(how.blocks) or how.method == "fresh"  # a name stands for another layer in the original, or for nothing of it
        original = {t: w.shape[0] for t, w in self.teacher.weights.items() if w.ndim and not apart}
        out = {}
        for tensor, paths in users.items():
            x = self.layers.get(tensor)
            if x is None or x.kind not in kinds or len(paths) != 1 or not tensor.endswith(".weight"):
                continue
            if original.get(tensor) == self.weights[tensor].shape[0] and tensor in self.teacher.network.names.values():
                out[tensor.removesuffix(".weight")] = self.network.module.get_submodule(paths[0].removesuffix(".weight"))
        return out

    def _seen(self, modules: Mapping[str, nn.Module]) -> dict[str, Seen]:
        """What these modules give, here and in the original, over a few pieces."""
        if not modules or self.teacher.network.module is None:
            return {}
        paths = {t: p for p, t in self.teacher.network.names.items()}
        others = {n: self.teacher.network.module.get_submodule(paths[f"{n}.weight"].removesuffix(".weight")) for n in modules}
        sums: dict[str, list[Any]] = {}
        for i in self.job.track(self.trained[:LOOKED], "Comparing layers"):
            item = self.teacher.batches.items[i]
            with _given(modules, item) as here:
                answer(self.network, self.weights, item, self.job)
            with _given(others, item) as there:
                answer(self.teacher.network, self.teacher.weights, item, self.job)
            for n in here.keys() & there.keys():
                y, t = here[n].double(), there[n].double()
                found = [len(y), y.sum(0), t.sum(0), (y * y).sum(0), (y * t).sum(0)]
                sums[n] = [a + b for a, b in zip(sums[n], found, strict=True)] if n in sums else found
        return {n: Seen(s[0], *(v.clone() for v in s[1:])) for n, s in sums.items()}


@contextmanager
def _given(modules: Mapping[str, nn.Module], item: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """While it lasts, what each module gives: rows (tokens without padding, places), channels last."""
    found: dict[str, Tensor] = {}
    mask = item.get("attention_mask")

    def hook(n: str) -> Any:
        def hear(m: nn.Module, _: Any, out: Tensor) -> None:
            out = out.movedim(1, -1) if out.ndim > 3 else out
            real = mask is not None and mask.shape == out.shape[:-1]
            found[n] = out[mask.bool()] if real and mask is not None else out.reshape(-1, out.shape[-1])

        return hear

    handles = [m.register_forward_hook(hook(n)) for n, m in modules.items()]
    try:
        yield found
    finally:
        for h in handles:
            h.remove()
