"""What an error of one layer costs the whole network: its answers with one layer perturbed, from cached hidden states on."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING

from ..calibrate import blocks
from ..data.calibration import Calibrating
from ..evaluate import heard
from ..job import Job
from ..networks import Network
from ..types import CLASSIFIERS, Layer

if TYPE_CHECKING:
    from torch import Tensor

TOKENS, WINDOW = 256, 128  # of held-out text; more windows of fewer tokens say more than one long one
SENTENCES, IMAGES = 32, 256
CACHE = 1 << 30  # bytes of hidden states at most: fewer samples where a network would need more
SURE = 3.0  # a broken classifier is sure of a wrong class: KL up to 6 where answers that know nothing would be 2.3 away (digits)
DEPENDENT = 1.3  # tokens of a window are not independent: their standard error is this much larger


class Probe:
    """The original run once, with the hidden states before every block kept; then one perturbed layer at a time."""

    def __init__(self, network: Network, weights: Mapping[str, Tensor], items: list[dict[str, Tensor]], job: Job) -> None:
        import torch

        self.network, self.weights, self.job = network, dict(weights), job
        self.items = items
        self.places = {t: n for n, t in network.names.items()}
        with torch.inference_mode():
            self.chain = blocks.chain(network, self.weights.__getitem__, self.items[0], job)
            self.calls: list[blocks.Call] = []
            self.hidden: list[list[Tensor]] = []  # before each block and after the last, of every item
            if self.chain is not None:
                self._walk(self.chain)
            self.before = [self._answer(self._whole(self.weights, i)) for i in range(len(self.items))]
            self.likely = [b.exp() if network.task != "encoder" else b for b in self.before]

    def _walk(self, c: blocks.Chain) -> None:
        entered = [blocks.entered(self.network, c, self.weights, item, self.job) for item in self.items]
        calls = [e for e in entered if e is not None]
        size = sum(e.hidden.numel() * 4 for e in calls) * (len(c.blocks) + 1)
        if len(calls) < len(self.items) or size > CACHE * len(calls):
            self.chain = None
            return
        fit = max(1, CACHE * len(calls) // max(size, 1))
        self.calls, self.items = calls[:fit], self.items[:fit]
        self.hidden = [[e.hidden for e in self.calls]]
        for k in range(len(c.blocks)):
            inside = self._block(c, k)
            self.hidden.append([self._passed(c, k, inside, i, h) for i, h in enumerate(self.hidden[-1])])

    def _block(self, c: blocks.Chain, k: int, changed: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        return blocks.block_weights(self.network, c, k, lambda t: (changed or {}).get(t, self.weights[t]))

    def _passed(self, c: blocks.Chain, k: int, weights: dict[str, Tensor], i: int, hidden: Tensor) -> Tensor:
        self.job.check()
        return blocks.passed(c, k, weights, blocks.Call(hidden, self.calls[i].beside))

    def _whole(self, weights: dict[str, Tensor], i: int) -> Tensor:
        if self.chain is not None and weights is self.weights:
            return self._left(self.chain, i, self.hidden[-1][i])
        with heard(self.network, self.job):
            return self.network.forward(weights, self.items[i])

    def _left(self, c: blocks.Chain, i: int, hidden: Tensor) -> Tensor:
        self.job.check()
        return blocks.left(self.network, c, self.weights, blocks.Call(hidden, self.calls[i].beside), self.items[i])

    def _answer(self, out: Tensor) -> Tensor:
        """Log-probabilities (rows, classes) or embeddings (rows, width)."""
        import torch

        if self.network.task == "encoder":
            return out.float()
        rows = out[:, :-1].flatten(0, 1) if self.network.task == "causal-lm" else out
        return torch.log_softmax(rows.float(), -1)

    def cost(self, x: Layer, changed: Tensor) -> tuple[float, float]:
        """(nats or 1 - cosine a row, its standard error) with the layer's weight replaced."""
        import torch

        new = {x.tensor.name: changed.float()}
        with torch.inference_mode():
            found = torch.cat([self._apart(i, self._answer(self._perturbed(new, x, i))) for i in range(len(self.items))]).double()
        spread = float(found.std()) / max(len(found), 1) ** 0.5 if len(found) > 1 else float(found.mean())
        return float(found.mean()), spread * (DEPENDENT if self.network.task == "causal-lm" else 1.0)

    def plan(self, changed: dict[str, Tensor]) -> tuple[float, float]:
        """The same with many weights replaced, by tensor name."""
        import torch

        with torch.inference_mode():
            each = [self._apart(i, self._answer(self._whole({**self.weights, **changed}, i))) for i in range(len(self.items))]
        found = torch.cat(each).double()
        return float(found.mean()), float(found.std()) / max(len(found), 1) ** 0.5 if len(found) > 1 else float(found.mean())

    def _perturbed(self, new: dict[str, Tensor], x: Layer, i: int) -> Tensor:
        c = self.chain
        k = c.of(self.places[x.tensor.name]) if c is not None and x.tensor.name in self.places else None
        if c is None or k is None:
            return self._whole({**self.weights, **new}, i)
        hidden = self._passed(c, k, self._block(c, k, new), i, self.hidden[k][i])
        for j in range(k + 1, len(c.blocks)):
            hidden = self._passed(c, j, self._block(c, j), i, hidden)
        return self._left(c, i, hidden)

    def _apart(self, i: int, after: Tensor) -> Tensor:
        if self.network.task == "encoder":
            return 1 - (self.before[i] * after).sum(-1)
        return (self.likely[i] * (self.before[i] - after)).sum(-1).clamp(min=0)

    @property
    def ceiling(self) -> float:
        """Where the currency saturates: the divergence of the answers from answers that know nothing; of wrong classes, from sure ones."""
        if self.network.task == "encoder":
            return 1.0
        entropy = -sum(float((p * b).sum()) for p, b in zip(self.likely, self.before))
        found = log(self.before[0].shape[1]) - entropy / sum(len(b) for b in self.before)
        return found * (SURE if self.network.task in CLASSIFIERS else 1.0)


def samples(network: Network, data: Calibrating) -> list[dict[str, Tensor]]:
    """Held-out calibration samples: a batch of short windows, some sentences, or images of both parts (of which there are few)."""
    import torch

    if network.task == "causal-lm":
        return [{"input_ids": _windows(torch.cat([i["input_ids"].flatten() for i in data.held.items]))}]
    items, most = (data.held.items, SENTENCES) if network.task == "encoder" else (data.whole.items, IMAGES)
    out: list[dict[str, Tensor]] = []
    have = 0
    for item in items:
        if have < most:
            out.append({k: v[: most - have] for k, v in item.items()})
            have += len(next(iter(item.values())))
    return out


def _windows(ids: Tensor) -> Tensor:
    """(windows, tokens) spread evenly over the held-out text."""
    size = min(WINDOW, len(ids))
    count = max(1, min(TOKENS // size, len(ids) // size))
    step = (len(ids) - size) // max(1, count - 1) if count > 1 else 0
    return ids.unfold(0, size, max(1, step))[:count] if count > 1 else ids[:size].unsqueeze(0)
