"""Prices of all layers from one backward pass: a first order of importance, and what measured prices are pulled towards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..evaluate import heard
from ..job import Job
from ..networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

DRAWS = 2  # answers drawn of the model itself for every token or image
MOST = 64  # images or sentences a pass: each token's squared derivatives are kept apart


def prices(
    network: Network, weights: dict[str, Tensor], items: list[dict[str, Tensor]], modules: Mapping[str, nn.Module], job: Job
) -> dict[str, float]:
    """Layer.name -> half the mean over tokens of sum_i (y_i dL/dy_i)^2, L the cross-entropy of answers drawn from the model's own.

    To second order the KL that a relative output error of 1, spread over the outputs as they are themselves, causes at each output alone
    (the diagonal of the Fisher information; NVIDIA ModelOpt's AutoQuantize scores formats by it). {} for an encoder, which has no answers.
    """
    import torch

    if network.task == "encoder" or not modules:
        return {}
    own = torch.Generator().manual_seed(0)
    sums: dict[str, float] = {}
    count = 0
    for _ in range(DRAWS):
        for item in items[:1]:
            with heard(network, job):
                met, logits = _run(network, weights, {k: v[:MOST] for k, v in item.items()}, modules)
            rows = logits[:, :-1].flatten(0, 1) if network.task == "causal-lm" else logits
            drawn = torch.multinomial(rows.detach().float().softmax(-1), 1, generator=own)[:, 0]
            loss = torch.nn.functional.cross_entropy(rows.float(), drawn, reduction="sum")
            found = torch.autograd.grad(loss, [p for p, _ in met.values()], allow_unused=True)
            for (name, (_, out)), g in zip(met.items(), found, strict=True):
                job.check()
                sums[name] = sums.get(name, 0.0) + (0.0 if g is None else 0.5 * float((g * out).square().sum()))
            count += len(rows)
    return {n: s / max(count, 1) for n, s in sums.items() if s > 0}


def _run(
    network: Network, weights: dict[str, Tensor], item: dict[str, Tensor], modules: Mapping[str, nn.Module]
) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
    """Each layer's output with a zero added to it that derivatives are taken by, and the answers."""
    import torch

    met: dict[str, tuple[Tensor, Tensor]] = {}

    def hook(name: str) -> Any:
        def heard(module: nn.Module, args: Any, out: Tensor) -> Tensor:
            zero = torch.zeros_like(out, requires_grad=True)
            met[name] = (zero, out.detach())
            return out + zero

        return heard

    handles = [m.register_forward_hook(hook(n)) for n, m in modules.items()]
    try:
        return met, network.forward(weights, item)
    finally:
        for h in handles:
            h.remove()
