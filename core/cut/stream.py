"""Walks a chain of blocks with two hidden states side by side: the original's, and that of the network as cut so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..calibrate import blocks
from ..calibrate.blocks import Call, Chain
from ..data import Batches
from ..errors import CannotRun
from ..job import Job
from ..networks import Network
from . import watch
from .obs import Moments

if TYPE_CHECKING:
    from torch import Tensor

HELD = 4  # every fourth batch is held out of the fit and scores it


@dataclass(frozen=True)
class Walk:
    """A network that is a chain of blocks, and what is sent through it."""

    chain: Chain
    network: Network
    batches: Batches
    job: Job

    def along(
        self, original: Mapping[str, Tensor], now: Mapping[str, Tensor], names: Mapping[int, Mapping[str, str]]
    ) -> Iterator[tuple[str, Moments]]:
        """(consumer, its moments) in the order of the network; `now` is read anew at every step: the caller cuts it in between.

        `names`: block -> its consumers in their order -> the layer whose input is the residual stream that a consumer's output is added
        to. No consumer is fitted to inputs that are not the ones it will have, nor makes up for a loss that another has made up for
        already: in SmolLM2 some 20 that shared a pass each did, and the KL of a cut was 12.7 that is 0.66 now.
        """
        was = [self._entered(original, item) for item in self.batches.items]
        cut = [Call(call.hidden, call.beside) for call in was]
        for k in self.job.track(range(len(self.chain.blocks)), "Cutting block by block"):
            aims = self._onward(k, original, was, names[k])
            for n, stream in names[k].items():
                yield n, self._moments(k, now, cut, n, stream, aims[n])
            self._onward(k, now, cut, {})

    def _entered(self, weights: Mapping[str, Tensor], item: Mapping[str, Tensor]) -> Call:
        import torch

        with torch.inference_mode():
            found = blocks.entered(self.network, self.chain, dict(weights), dict(item), self.job)
        if found is None:
            raise CannotRun("The network stopped being a chain of blocks on a batch of the calibration data; choose other data")
        return found

    def _run(self, k: int, weights: Mapping[str, Tensor], call: Call) -> Tensor:
        import torch

        from ..evaluate import heard

        with torch.inference_mode(), heard(self.network, self.job):
            return blocks.passed(self.chain, k, blocks.block_weights(self.network, self.chain, k, weights.__getitem__), call)

    def _onward(self, k: int, weights: Mapping[str, Tensor], calls: list[Call], names: Mapping[str, str]) -> dict[str, list[Tensor]]:
        """All batches through block k; (consumer -> per batch (tokens, out): the residual stream behind it)."""
        behind: dict[str, list[Tensor]] = {n: [] for n in names}
        for call, item in zip(calls, self.batches.items, strict=True):
            with watch.met(self.network, names, watch.came_out) as outputs, self._streams(names.values()) as streams:
                call.hidden = self._run(k, weights, call)
            for n, s in names.items():
                behind[n].append(watch.real(outputs[n] + streams[s] if s else outputs[n], item.get("attention_mask")))
        return behind

    def _streams(self, names: Iterable[str]) -> AbstractContextManager[dict[str, Tensor]]:
        return watch.met(self.network, [n for n in names if n], watch.went_in)

    def _moments(self, k: int, now: Mapping[str, Tensor], calls: list[Call], n: str, stream: str, aims: list[Tensor]) -> Moments:
        """What consumer n meets as the network is, and what it would have to answer for the stream behind it to be the original's.

        Tokens count by one over the mean square of that stream: the norm behind makes an error as small as its token is large, and the
        few tokens with massive activations would otherwise be all that is fitted. Positions of an image all count the same."""
        fit, held = Moments.empty(now[n]), Moments.empty(now[n])
        for i, (call, item, aim) in enumerate(zip(calls, self.batches.items, aims, strict=True)):
            with watch.met(self.network, [n], watch.went_in, last=True) as inputs, self._streams([stream]) as streams:
                watch.until(partial(self._run, k, now, call))
            mask = item.get("attention_mask")
            y = aim - watch.real(streams[stream], mask) if stream else aim
            weight = None if self.batches.single else 1 / aim.square().mean(1).clamp(min=1e-12)
            (held if i % HELD == HELD - 1 else fit).add(watch.real(inputs[n], mask), y, self.job, weight)
        fit.held = held if held.n else None
        return fit
