"""First derivatives of the loss by every weight, for the methods that rank by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..data import Batches
from ..errors import BadData, BadPlan
from ..job import Job
from ..networks import Network
from ..types import Layer

if TYPE_CHECKING:
    from torch import Tensor


def check(network: Network) -> None:
    """BadPlan where there is no loss to derive."""
    if network.task == "encoder":
        raise BadPlan("Gradient and Fisher pruning need labels, and an encoder has none; choose magnitude or wanda")


def collect(network: Network, weights: dict[str, Tensor], batches: Batches, layers: Iterable[Layer], job: Job) -> dict[str, Tensor]:
    """Layer.name -> |w * dL/dw| summed over batches, L = the task's own cross-entropy (next token, or label)."""
    import torch

    wanted = [x for x in layers if x.prunable and x.tensor.name in weights]
    sums = {x.name: torch.zeros_like(weights[x.tensor.name]) for x in wanted}
    for batch in job.track(batches.items, "Collecting gradients"):
        live = {x.tensor.name: weights[x.tensor.name].detach().requires_grad_() for x in wanted}
        logits = network.forward({**weights, **live}, dict(batch))
        grads = torch.autograd.grad(_loss(network, logits, dict(batch)), list(live.values()), allow_unused=True)
        for x, g in zip(wanted, grads):
            sums[x.name] += 0 if g is None else (live[x.tensor.name].detach() * g).abs()
    return sums


def fisher(
    network: Network, weights: dict[str, Tensor], batches: Batches, layers: Iterable[Layer], seed: int, job: Job
) -> dict[str, Tensor]:
    """Layer.name -> mean over windows or images of (dL/dw)^2 with labels drawn from the model's own answers.

    The diagonal of its Fisher information, as in optimal brain damage (LeCun et al. 1990); with the data's labels it would be another
    matrix (Kunstner et al. 2019)."""
    import torch

    own = torch.Generator().manual_seed(seed)
    wanted = [x for x in layers if x.prunable and x.tensor.name in weights]
    sums = {x.name: torch.zeros_like(weights[x.tensor.name]) for x in wanted}
    count = 0
    for batch in job.track(batches.items, "Collecting Fisher information"):
        for item in _singly(network, batch):
            job.check()
            live = {x.tensor.name: weights[x.tensor.name].detach().requires_grad_() for x in wanted}
            logits = network.forward({**weights, **live}, item)
            rows = logits.flatten(0, -2)
            drawn = torch.multinomial(rows.detach().softmax(-1), 1, generator=own)[:, 0]
            loss = torch.nn.functional.cross_entropy(rows, drawn)
            for x, g in zip(wanted, torch.autograd.grad(loss, list(live.values()), allow_unused=True)):
                sums[x.name] += 0 if g is None else g.square()
            count += 1
    return {n: s.div_(max(1, count)) for n, s in sums.items()}


def _singly(network: Network, batch: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """One image at a time; a window of text is one sample already."""
    if network.task == "causal-lm":
        return [dict(batch)]
    size = len(next(iter(batch.values())))
    return [{k: v[i : i + 1] for k, v in batch.items()} for i in range(size)]


def _loss(network: Network, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    import torch.nn.functional as F

    if network.task == "causal-lm":
        return F.cross_entropy(logits[0, :-1], batch["input_ids"][0, 1:])
    if "labels" not in batch:
        raise BadData("Gradients of the loss need labels, and these samples have none; calibrate on labelled ones, or choose wanda")
    return F.cross_entropy(logits, batch["labels"])
