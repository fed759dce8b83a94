"""Structured pruning: neurons, heads, channels and blocks are cut out, and a smaller checkpoint stands where the larger one stood."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..derived import derive
from ..errors import BadPlan
from ..formats import read
from ..graph import Slice, graph
from ..job import Job
from ..layers import layers
from ..types import Checkpoint, Entry, Layer, Plan
from .plan import FRESH, Cut, Widths, cut_of, kept, planned, planned_layers, renumbered, small, why_not, widths

if TYPE_CHECKING:
    from torch import Tensor

    from ..data import Batches
    from ..networks import Network
    from .engine import State

__all__ = ["Cut", "Widths", "cut", "cut_of", "fitting", "planned", "planned_layers", "small", "why_not", "widths"]

DRAWN = 0  # the seed of a fresh network
CODE = "3"  # raise it when a cut's result changes


def cut(checkpoint: Checkpoint, how: Cut, network: Network | None, batches: Batches | None, job: Job) -> Checkpoint:
    """The checkpoint with units and blocks cut out, in the cache under a hash of what made it; it opens like any other.

    `batches` calibrate: give others than those a variant is scored on. Without network and data only `method = magnitude` with
    `compensate = false` is possible; a BadPlan says so."""
    slim = planned(checkpoint, how)
    if how.idle:
        return checkpoint
    if how.looks and (network is None or batches is None):
        raise BadPlan(
            "Cutting looks at what goes through the network, and it can't run or there is no data; "
            'open a folder with config.json and give data, or set method = "magnitude", compensate = false and blocks = 0'
        )
    said = {"cut": asdict(how), "code": CODE, "data": batches.fingerprint if how.looks and batches else ""}
    made: list[_Made | _Drawn] = []

    def one() -> _Made | _Drawn:
        if not made:
            made.append(_draw(slim, how) if how.method == FRESH else _make(checkpoint, slim, how, network, batches, job))
        return made[0]

    def texts() -> dict[str, str]:
        told = {"kept": one().kept, "dropped": one().dropped, **said}
        return {"cut.json": json.dumps(told, indent=1), "config.json": json.dumps(dict(slim.config), indent=2)}

    entries = [Entry(n, t.dtype, t.shape, n) for n, t in slim.tensors.items()]
    found = derive(checkpoint, said, entries, lambda n: {n: one().tensor(n)}, job, texts, config=slim.config)
    _tell(checkpoint, found, how, job)
    return found


def fitting(plan: Plan, found: Iterable[Layer]) -> Plan:
    """The plan without what it says of layers that were dropped."""
    names = {x.name for x in found}
    return replace(plan, layers={k: v for k, v in plan.layers.items() if k in names})


@dataclass(frozen=True)
class _Drawn:
    """A network of the smaller shape whose weights nobody has trained yet."""

    tensors: Mapping[str, Tensor]
    dropped: list[int]
    kept: Mapping[str, list[int]]  # nothing

    def tensor(self, name: str) -> Tensor:
        return self.tensors[name]


def _draw(slim: Checkpoint, how: Cut) -> _Drawn:
    """As transformers initialises it, from a generator of its own; BadPlan for a network that has no such beginning."""
    import torch

    from ..formats.safetensors_file import TORCH
    from ..networks.transformers_folder import matched, skeleton

    if not slim.config.get("model_type"):
        raise BadPlan("Only networks with a config.json can be drawn afresh; choose another importance for the cut")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(DRAWN)
        module = skeleton(slim, drawn=True)
    values, out = module.state_dict(), {}
    for path, tensor in matched(module, slim).items():
        out[tensor] = values[path].to(getattr(torch, TORCH[slim.tensors[tensor].dtype])).contiguous()
    spare = {n: torch.zeros(t.shape, dtype=getattr(torch, TORCH[t.dtype])) for n, t in slim.tensors.items() if n not in out}
    return _Drawn({**out, **spare}, list(range(how.blocks)), {})


@dataclass(frozen=True)
class _Made:
    """A finished cut in memory: what it changed, and where the rest is read."""

    source: Checkpoint
    slim: Checkpoint
    names: Mapping[str, str]  # tensor of the cut checkpoint -> tensor of the source
    state: State
    dropped: list[int]

    @property
    def kept(self) -> Mapping[str, list[int]]:
        return self.state.kept

    def tensor(self, name: str) -> Tensor:
        """One tensor of the cut checkpoint; what the cut does not touch keeps its bits."""
        import torch

        from ..formats.safetensors_file import TORCH

        t = self.state.weights[name] if name in self._touched else read(self.source.tensors[self.names[name]])
        for s, units in self._cuts.get(name, []):
            t = t.index_select(s.axis, (torch.tensor(units)[:, None] * s.span + torch.arange(s.span)).flatten())
        return t.to(getattr(torch, TORCH[self.slim.tensors[name].dtype]))

    @property
    def _cuts(self) -> dict[str, list[tuple[Slice, list[int]]]]:
        out: dict[str, list[tuple[Slice, list[int]]]] = {}
        for d in self.state.dimensions:
            for s in (*d.made, *d.used):
                out.setdefault(s.tensor, []).append((s, self.state.kept[d.name]))
        return out

    @property
    def _touched(self) -> set[str]:
        """Also the biases and running means that took up what was lost."""
        refitted = [s for d in self.state.dimensions for s in d.used]
        return {*self._cuts, *(s.bias for s in refitted), *(f"{s.norm}.running_mean" for s in refitted)}


def _make(checkpoint: Checkpoint, slim: Checkpoint, how: Cut, network: Network | None, batches: Batches | None, job: Job) -> _Made:
    """Drop blocks, then cut dimensions."""
    from ..calibrate import gradients
    from . import engine
    from .blocks import staying

    weights = {n: _floats(read(t)) for n, t in checkpoint.tensors.items()}
    names, shorter, depth = {n: n for n in checkpoint.tensors}, checkpoint, graph(checkpoint).depth
    stay = list(range(depth))
    if how.blocks and network and batches:
        from ..networks import attach

        stay = staying(checkpoint, network, weights, batches, depth, how.blocks, job)
        names, shorter = renumbered(checkpoint, stay), planned(checkpoint, Cut(blocks=how.blocks))
        network = attach(shorter, Job())
    state = engine.State(graph(shorter), how, kept(checkpoint, how), {new: weights[old] for new, old in names.items()})
    grads = {}
    if how.method == "taylor" and network and batches and state.dimensions:
        gradients.check(network)
        grads = gradients.collect(network, state.weights, batches, layers(shorter), job)
    if network and batches and (how.method == "obs" or how.compensate) and state.dimensions:
        engine.with_data(state, network, batches, grads, job)
    else:
        engine.without_data(state, grads, job)
    return _Made(checkpoint, slim, names, state, [i for i in range(depth) if i not in stay])


def _tell(checkpoint: Checkpoint, found: Checkpoint, how: Cut, job: Job) -> None:
    """A line of what was cut, also when it came out of the cache."""
    shares, offered = kept(checkpoint, how), widths(checkpoint)
    parts = [f"{kind} {offered[kind].size} → {round(offered[kind].size * share)}" for kind, share in shares.items()]
    if how.method == FRESH:
        parts.append("all weights drawn anew")
    elif how.blocks and found.weights:
        dropped: Any = json.loads((found.weights / "cut.json").read_text(encoding="utf-8"))["dropped"]
        parts.append(f"blocks {offered['blocks'].size} → {offered['blocks'].size - how.blocks}, without {', '.join(map(str, dropped))}")
    job.note(f"Cut: {'; '.join(parts) or 'nothing: every share rounds to the full width'}")


def _floats(t: Tensor) -> Tensor:
    return t.float() if t.is_floating_point() else t
