"""A network's run with what each of its modules gave kept, so that a run with some weights replaced begins where they first matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..evaluate import heard
from ..job import Job
from ..networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Replay:
    """One run of a classifier on one batch; takes the memory of all that its modules gave."""

    network: Network
    weights: Mapping[str, Tensor]
    item: dict[str, Tensor]
    answer: Tensor = field(repr=False)  # (samples, classes) log-probabilities
    order: tuple[nn.Module, ...] = field(default=(), repr=False)  # modules without children, as they ran
    gave: tuple[Any, ...] = field(default=(), repr=False)

    @staticmethod
    def of(network: Network, weights: Mapping[str, Tensor], item: dict[str, Tensor], job: Job) -> Replay:
        """The first run, of the whole network."""
        assert network.module is not None
        return Replay(network, weights, item, item[next(iter(item))])._run(weights, 0, job, True)

    def changed(self, tensor: str, weight: Tensor, job: Job, keep: bool = False) -> Replay:
        """The run with one more weight replaced; to go on from it, `keep` what its modules give."""
        return self._run({**self.weights, tensor: weight.float()}, self._first(tensor), job, keep)

    def _first(self, tensor: str) -> int:
        """How many modules ran before any that holds the tensor; 0 where one that never ran by itself does."""
        assert self.network.module is not None
        modules = dict(self.network.module.named_modules())
        owners = [modules.get(n.rpartition(".")[0]) for n, t in self.network.names.items() if t == tensor] or [None]
        return min(next((i for i, m in enumerate(self.order) if m is owner), 0) for owner in owners)

    def _run(self, weights: Mapping[str, Tensor], first: int, job: Job, keep: bool) -> Replay:
        import torch

        order: list[nn.Module] = []
        gave: list[Any] = []
        with torch.inference_mode(), heard(self.network, job), _remembered(self.network, self.gave[:first], order, gave if keep else None):
            out = torch.log_softmax(self.network.forward(dict(weights), self.item).float(), -1)
        return Replay(self.network, weights, self.item, out, tuple(order), tuple(gave))


@contextmanager
def _remembered(network: Network, known: tuple[Any, ...], order: list[nn.Module], gave: list[Any] | None) -> Iterator[None]:
    """While the network runs, its modules give what is `known` instead of working it out; what they give then goes into `gave`."""
    import torch

    assert network.module is not None
    leaves = [m for m in network.module.modules() if not any(True for _ in m.children())]

    def remembering(m: nn.Module) -> Any:
        worked = m.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            at = len(order)
            order.append(m)
            old = known[at] if at < len(known) else None
            out = old.clone() if old is not None else worked(*args, **kwargs)  # a copy, as others may write into it
            if gave is not None:
                gave.append(out.clone() if isinstance(out, torch.Tensor) else None)
            return out

        return forward

    for m in leaves:
        m.forward = remembering(m)
    try:
        yield
    finally:
        for m in leaves:
            del m.forward
