"""Collects what data-aware methods need to know of every layer, block by block and only when a layer asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..data.calibration import Calibrating
from ..errors import CannotRun
from ..formats import read
from ..job import Job
from ..layers import layers as layers_of
from ..networks import Network
from ..spans import span
from ..store import Store
from ..types import Calibration, Checkpoint, Layer, Seen
from . import blocks, gradients, kept
from .moments import Moments, watched

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Order", "Statistics", "layer_modules", "observe"]

CODE = "4"  # raise it when statistics change
Order = Literal["parallel", "sequential", "corrected"]
Changed = Callable[[str], "Tensor | None"]  # tensor name -> its compressed values; None where it is as it was


def observe(
    network: Network, checkpoint: Checkpoint, data: Calibrating, layers: Iterable[Layer], needs: Iterable[str], job: Job,
    order: Order = "parallel", store: Store | None = None, before: Calibration | None = None,
) -> Calibration:  # fmt: skip
    """Statistics of the layers a walk may ask for: nothing is computed yet. Outside the blocks only the named `layers` are watched.

    `needs`: "inputs" (second moments), "grads", "fisher". In `store` second moments outlive the process; `before`, a calibration on the
    same data, hands on how far it has come. Neither changes a bit of the result.
    """
    wanted, asked = {x.name: x for x in layers if x.prunable}, frozenset(needs)
    if asked & {"grads", "fisher"}:
        gradients.check(network)
    fingerprint = _fingerprint(checkpoint, data, order)
    work = _Work(network, checkpoint, data, wanted, asked, fingerprint, store if order == "parallel" else None)
    if before is not None and before.fingerprint == fingerprint and isinstance(before.seen, Statistics):
        work = before.seen.handed_on(work)
    return Calibration(Statistics(work, job, order), fingerprint)


def _fingerprint(checkpoint: Checkpoint, data: Calibrating, order: Order) -> str:
    """Of the whole network's files (every layer's inputs hang on all before it), the data and the code."""
    files = sorted({t.file for t in checkpoint.tensors.values()})
    said = [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    widths = {t.parameters // max(1, t.shape[0]) for t in checkpoint.tensors.values() if len(t.shape) > 1}
    apart = sorted((w, b) for w in widths if (b := span(w, data.block)) != w)  # a block that cuts nothing changes nothing
    text = json.dumps([CODE, said, checkpoint.factory, data.fingerprint, order, *apart], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class _Work:
    """What the views of one calibration share; only the worker that walks touches it."""

    network: Network
    checkpoint: Checkpoint
    data: Calibrating
    wanted: Mapping[str, Layer]
    needs: frozenset[str]
    fingerprint: str
    store: Store | None
    modules: dict[str, tuple[str, nn.Module]] = field(default_factory=dict)  # layer -> where its weight runs
    chain: blocks.Chain | None = None
    scouted: bool = False
    turns: dict[str, int] | None = None  # in corrected order: layer -> which of its block's inputs it is given
    calls: list[blocks.Call] = field(default_factory=list)  # of the batches, solver's first
    firsts: list[blocks.Call] = field(default_factory=list)  # in corrected order: the same batches in the original
    at: int = -1  # the block whose inputs `calls` hold
    seen: dict[str, Seen] = field(default_factory=dict)  # of the block last asked for
    grads: dict[str, Tensor] = field(default_factory=dict)
    fisher: dict[str, Tensor] = field(default_factory=dict)

    @property
    def items(self) -> list[dict[str, Tensor]]:
        return [*self.data.solver.items, *self.data.held.items]


class Statistics(Mapping[str, Seen]):
    """Layer.name -> Seen, computed a block at a time when one of its layers is asked for, and kept until another block is."""

    def __init__(self, work: _Work, job: Job, order: Order = "parallel", changed: Changed | None = None) -> None:
        self.order = order
        self._work, self._job, self._changed = work, job, changed

    def under(self, job: Job, changed: Changed | None = None) -> Statistics:
        """The same statistics reporting to another job; in any order but parallel `changed` gives what is compressed already. Where nothing
        is to be compressed all orders are the same."""
        if self.order == "parallel" or changed is None:
            return Statistics(self._work, job)
        w = self._work  # what was collected behind another prefix is of no use
        fresh = _Work(w.network, w.checkpoint, w.data, w.wanted, w.needs, w.fingerprint, None, w.modules, w.chain, w.scouted, w.turns)
        return Statistics(fresh, job, self.order, changed)

    def handed_on(self, to: _Work) -> _Work:
        """Another plan's work on the same data goes on from here."""
        w = self._work
        grads = w.grads if to.wanted.keys() <= w.grads.keys() else {}
        return replace(
            to, modules=w.modules, chain=w.chain, scouted=w.scouted, turns=w.turns, calls=w.calls, firsts=w.firsts, at=w.at, seen=w.seen,
            grads=grads,
        )  # fmt: skip

    def __iter__(self) -> Iterator[str]:
        return iter(self._work.wanted)

    def __len__(self) -> int:
        return len(self._work.wanted)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Layer.name -> where its weight runs, of the layers that were asked for."""
        self._scout()
        return {n: m for n, (_, m) in self._work.modules.items() if n in self._work.wanted}

    @property
    def data(self) -> Calibrating:
        """What it is collected on."""
        return self._work.data

    def place(self, name: str) -> int:
        """The number of the block a layer belongs to; layers outside come after the last. Walk in this order."""
        self._scout()
        c, found = self._work.chain, self._work.modules.get(name)
        k = c.of(found[0]) if c and found else None
        return k if k is not None else len(c.blocks) if c else 0

    def turn(self, name: str) -> tuple[int, int]:
        """What stands before a layer when its statistics are collected: all earlier blocks, and in corrected order the layers of its own
        block that were given an earlier input."""
        k = self.place(name)
        return k, (self._work.turns or {}).get(name, 0) if self.order == "corrected" else 0

    def growing(self, name: str, shares: Iterable[float]) -> list[Seen]:
        """What a layer has met after each of these rising shares (0 to 1) of the solver's batches; [] for one that is not watched."""
        import torch

        w, k = self._work, self.place(name)
        if name not in w.modules:
            return []
        n = len(w.data.solver.items)
        marks = sorted({max(1, round(f * n)) for f in shares})
        watching, out = Moments({name: w.modules[name][1]}, most=w.data.block), []
        with torch.no_grad():
            run = self._step(k)
            for i, solver, item in self._batches("More and more samples"):
                if not solver:
                    break
                with watching.watching(item.get("attention_mask"), True, self._job):
                    run(i, item)
                if i + 1 in marks:
                    out.append(watching.copy().seen()[name])
        return out

    def _step(self, k: int) -> Callable[[int, dict[str, Tensor]], object]:
        """Runs batch i through block k (or what lies outside the blocks) and leaves the hidden states where they are."""
        w, c = self._work, self._work.chain
        if c is None:
            weights = blocks.outside(w.network, c, self._source, [], whole=True)
            return lambda i, item: w.network.forward(weights, item)
        self._reach(k)
        if k == len(c.blocks):
            weights = blocks.outside(w.network, c, self._source, [], whole=True)
            return lambda i, item: blocks.left(w.network, c, weights, w.calls[i], item)
        inside = blocks.block_weights(w.network, c, k, self._source)
        return lambda i, item: blocks.passed(c, k, inside, w.calls[i])

    def __getitem__(self, name: str) -> Seen:
        if name not in self._work.wanted:
            raise KeyError(name)
        out = self._moments(name) if "inputs" in self._work.needs else Seen()
        if "grads" in self._work.needs:
            out = replace(out, grads=self._grads().get(name), samples=out.samples or self._work.data.solver.n)
        if "fisher" in self._work.needs:
            out = replace(out, fisher=self._fisher().get(name), samples=out.samples or self._work.data.solver.n)
        return out

    def _fisher(self) -> dict[str, Tensor]:
        w = self._work
        if not w.fisher:
            weights = blocks.outside(w.network, None, self._source, [], whole=True)
            w.fisher = gradients.fisher(w.network, weights, w.data.solver, w.wanted.values(), 0, self._job)
        return w.fisher

    def _grads(self) -> dict[str, Tensor]:
        w = self._work
        if not w.grads:
            weights = blocks.outside(w.network, None, self._source, [], whole=True)
            w.grads = gradients.collect(w.network, weights, w.data.solver, w.wanted.values(), self._job)
        return w.grads

    def _source(self, name: str) -> Tensor:
        return read(self._work.checkpoint.tensors[name])

    def _settled(self, name: str) -> Tensor:
        """A tensor of a block that lies behind: compressed where the walk has compressed it."""
        found = self._changed(name) if self._changed else None
        return found if found is not None else self._source(name)

    def _scout(self) -> None:
        """Find the modules the layers run in, and the blocks."""
        w = self._work
        if w.network.module is None:
            raise CannotRun("This network can't be watched while it runs, so no statistics can be collected; choose a method without data")
        if not w.scouted:
            w.modules.update(_modules(w.network, w.checkpoint))
            w.chain = blocks.chain(w.network, self._source, w.items[0], self._job)
            w.scouted = True
        if self.order == "corrected" and w.turns is None:
            w.turns = self._turns()

    def _turns(self) -> dict[str, int]:
        """Every block runs as the first one does."""
        import torch

        w, c = self._work, self._work.chain
        if c is None:
            self._job.note("Nothing was corrected: this network is no chain of blocks, and its layers are compressed side by side")
            return {}
        inside = {n: (path, m) for n, (path, m) in w.modules.items() if c.of(path) is not None}
        first = {path.removeprefix(c.head(0)): m for path, m in inside.values() if c.of(path) == 0}
        with torch.no_grad():
            found = blocks.turns(w.network, c, self._source, w.items[0], first, self._job)
        last = max(found.values(), default=0) + 1
        return {n: found.get(path.removeprefix(c.head(c.of(path) or 0)), last) for n, (path, _) in inside.items()}

    def _moments(self, name: str) -> Seen:
        w = self._work
        self._scout()
        if name not in w.modules:
            return Seen()
        if name not in w.seen:
            w.seen.clear()
            w.seen.update(self._collected(self.turn(name)))
        return w.seen.get(name, Seen())

    def _collected(self, turn: tuple[int, int]) -> dict[str, Seen]:
        """The statistics of a block (of its layers of one turn), or of the layers outside; from the disk if they are there."""
        import torch

        w, k = self._work, turn[0]
        block = w.chain is not None and k < len(w.chain.blocks)
        names = sorted(n for n in w.modules if self.turn(n) == turn and (block or n in w.wanted))
        at = kept.key(w.fingerprint, k, names)
        found = kept.load(w.store, at) if w.store else None
        if found is None:
            with torch.no_grad():
                found = self._block(k, names) if block else self._outside(names)
            if w.store:
                kept.save(w.store, at, found, len(w.chain.blocks) if w.chain else 1)
        return found

    def _outside(self, names: list[str]) -> dict[str, Seen]:
        """Layers before and after the blocks; of a network without blocks, all layers in one go."""
        w, c = self._work, self._work.chain
        watching = Moments({n: w.modules[n][1] for n in names}, most=w.data.block)
        if c:
            self._reach(len(c.blocks))
        weights = blocks.outside(w.network, c, self._source, [], whole=True)
        for i, solver, item in self._batches("Statistics"):
            with watching.watching(item.get("attention_mask"), solver, self._job):
                if c:
                    blocks.left(w.network, c, weights, w.calls[i], item)
                else:
                    w.network.forward(weights, item)
        return watching.seen()

    def _block(self, k: int, names: list[str]) -> dict[str, Seen]:
        """Every layer of block k (of one turn), whether the plan asks for it now or later."""
        w, c = self._work, self._work.chain
        assert c is not None
        self._reach(k)
        watching = Moments({n: w.modules[n][1] for n in names}, most=w.data.block)
        if self.order == "corrected":
            self._compare(c, k, watching)
        else:
            self._pass(c, k, watching)
        return watching.seen()

    def _compare(self, c: blocks.Chain, k: int, watching: Moments) -> None:
        """All batches up to the layers of one turn, in the original and behind what is compressed; their own weights as they were."""
        w, modules = self._work, list(watching.modules.values())
        own = {w.network.names[f"{w.modules[n][0]}.weight"] for n in watching.modules}
        plain = blocks.block_weights(w.network, c, k, self._source)
        now = blocks.block_weights(w.network, c, k, lambda t: self._source(t) if t in own else self._settled(t))
        for i, solver, item in self._batches(f"Statistics, block {k + 1} of {len(c.blocks)}"):
            original = blocks.given(c, k, plain, w.firsts[i], modules)
            with watching.watching(item.get("attention_mask"), solver, self._job, original):
                blocks.given(c, k, now, w.calls[i], modules)

    def _reach(self, k: int) -> None:
        """Bring the hidden states to the input of block k."""
        w, c = self._work, self._work.chain
        assert c is not None
        if w.at < 0 or w.at > k:
            weights = blocks.outside(w.network, c, self._source, w.items)
            w.calls = [self._enter(c, weights, item) for item in self._job.track(w.items, "Reading the calibration data")]
            w.firsts = [blocks.Call(call.hidden, call.beside) for call in w.calls] if self.order == "corrected" else []
            w.at = 0
        while w.at < k:
            self._pass(c, w.at, None)

    def _enter(self, c: blocks.Chain, weights: dict[str, Tensor], item: dict[str, Tensor]) -> blocks.Call:
        found = blocks.entered(self._work.network, c, weights, item, self._job)
        if found is None:
            raise CannotRun(f"The network stopped being a chain of blocks on a batch of {self._work.data.solver.source}; choose other data")
        return found

    def _pass(self, c: blocks.Chain, k: int, watching: Moments | None) -> None:
        """All batches through block k. What is watched runs on the original's weights, so that it can't hang on which of its layers
        are compressed already; in sequential order it does not move on, as the block's outputs are not settled yet."""
        w = self._work
        weights = blocks.block_weights(w.network, c, k, self._settled if watching is None else self._source)
        after: list[Tensor] = []
        for i, solver, item in self._batches(f"{'Statistics' if watching else 'Running'}, block {k + 1} of {len(c.blocks)}"):
            if watching is None:
                after.append(blocks.passed(c, k, weights, w.calls[i]))
            else:
                with watching.watching(item.get("attention_mask"), solver, self._job):
                    after.append(blocks.passed(c, k, weights, w.calls[i]))
        if watching is not None and self.order == "sequential":
            return
        plain = blocks.block_weights(w.network, c, k, self._source) if w.firsts else {}
        before = [blocks.passed(c, k, plain, call) for call in self._job.track(w.firsts, "Running the original")] if w.firsts else []
        for call, hidden in zip((*w.calls, *w.firsts), (*after, *before), strict=True):  # all at once: a cancelled pass moves no batch
            call.hidden = hidden
        w.at = k + 1

    def _batches(self, phase: str) -> Iterator[tuple[int, bool, dict[str, Tensor]]]:
        solver = len(self._work.data.solver.items)
        for i, item in enumerate(self._job.track(self._work.items, phase)):
            yield i, i < solver, item


def layer_modules(network: Network, checkpoint: Checkpoint) -> dict[str, nn.Module]:
    """Tensor name -> the linear or convolution that holds it."""
    tensors = {x.name: x.tensor.name for x in layers_of(checkpoint)}
    return {tensors[n]: m for n, (_, m) in _modules(network, checkpoint).items()}


def _modules(network: Network, checkpoint: Checkpoint) -> dict[str, tuple[str, nn.Module]]:
    """Layer.name -> the linear or convolution that holds its weight; embeddings, transposed and grouped ones are left out."""
    by_name = dict(network.module.named_modules()) if network.module is not None else {}
    layers = {x.tensor.name: x for x in layers_of(checkpoint) if x.prunable}
    out: dict[str, tuple[str, nn.Module]] = {}
    for parameter, tensor in network.names.items():
        path = parameter.removesuffix(".weight")
        if tensor in layers and path != parameter and watched(by_name.get(path)):
            out[layers[tensor].name] = (path, by_name[path])
    return out
