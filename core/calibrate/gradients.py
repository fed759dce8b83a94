"""First derivatives of the loss by every weight, for the methods that rank by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..data import Batches
from ..errors import BadPlan
from ..job import Job
from ..networks import Network
from ..types import Layer

if TYPE_CHECKING:
    from torch import Tensor


def check(network: Network) -> None:
    """BadPlan where there is no loss to derive."""
    if network.task == "encoder":
        raise BadPlan("Gradient pruning needs labels, and an encoder has none; choose magnitude")


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


def _loss(network: Network, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    import torch.nn.functional as F

    if network.task == "causal-lm":
        return F.cross_entropy(logits[0, :-1], batch["input_ids"][0, 1:])
    return F.cross_entropy(logits, batch["labels"])
