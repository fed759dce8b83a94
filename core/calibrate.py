"""Collects what data-aware methods need to know of every layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .data import Batches
from .errors import BadPlan
from .job import Job
from .networks import Network
from .types import Calibration, Layer, Seen

if TYPE_CHECKING:
    from torch import Tensor


def observe(network: Network, weights: dict[str, Tensor], batches: Batches, layers: Iterable[Layer], job: Job) -> Calibration:
    """|w * dL/dw| summed over batches, L = the task's own cross-entropy (next token, or label)."""
    import torch

    if network.task == "encoder":
        raise BadPlan("Gradient pruning needs labels, and an encoder has none; choose magnitude")
    wanted = [x for x in layers if x.prunable]  # with the protected: their protection may be lifted later
    sums = {x.name: torch.zeros_like(weights[x.tensor.name]) for x in wanted}
    for batch in job.track(batches.items, "Collecting gradients"):
        live = {x.tensor.name: weights[x.tensor.name].detach().requires_grad_() for x in wanted}
        logits = network.forward({**weights, **live}, dict(batch))
        grads = torch.autograd.grad(_loss(network, logits, dict(batch)), list(live.values()), allow_unused=True)
        for x, g in zip(wanted, grads):
            sums[x.name] += 0 if g is None else (live[x.tensor.name].detach() * g).abs()
    seen = {name: Seen(grads=s, samples=batches.n) for name, s in sums.items()}
    return Calibration(seen, f"grads:{batches.fingerprint}")


def _loss(network: Network, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    import torch.nn.functional as F

    if network.task == "causal-lm":
        return F.cross_entropy(logits[0, :-1], batch["input_ids"][0, 1:])
    return F.cross_entropy(logits, batch["labels"])
