"""Whose loss it is: what a plan that was run loses, dealt to its layers by one backward pass, with all that they do to one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..evaluate import heard
from ..job import Job
from ..predict import Predictor
from ..sensed import Sensitivity
from ..types import Layer, Setting

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluate import Reference

Share = tuple[float, float]
MOST = 3.0  # a price changes at most by this factor, however sure the share is


def shares(reference: Reference, weights: Mapping[str, Tensor], layers: Iterable[Layer], job: Job) -> dict[str, Share]:
    """Layer.name -> (its share of the loss, the standard error of that over windows), of the layers whose weights are changed.

    Half of the derivative of the loss by the size of the layer's own error. The loss is quadratic in all errors together as long as it is
    small, so that the shares add up to it (Euler's theorem on homogeneous functions). Perturbed alone, a layer tells nothing of what it
    does to the errors of others; here that counts, at the price of three forward passes for all layers."""
    import torch

    own = {x.name: x.tensor.name for x in layers if weights[x.tensor.name] is not reference.weights[x.tensor.name]}
    found: list[list[float]] = []
    for i, item in enumerate(job.track(reference.batches.items, "Whose loss it is")):
        before = reference.answer(i, job).clone()  # out of inference mode, so that the loss may keep it
        live = {t: weights[t].detach().clone().requires_grad_() for t in own.values()}
        with heard(reference.network, job):
            out = reference.network.forward({**weights, **live}, item).float()
        loss = _loss(reference.network.task, before, out)
        grads = torch.autograd.grad(loss, list(live.values()), allow_unused=True)
        found.append([_along(g, live[t].detach() - reference.weights[t]) for t, g in zip(own.values(), grads, strict=True)])
    rows = np.array(found).reshape(len(found), len(own))
    error = rows.std(0, ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else np.abs(rows[0])
    return dict(zip(own, zip(rows.mean(0).tolist(), error.tolist())))


def _loss(task: str, before: Tensor, out: Tensor) -> Tensor:
    import torch

    if task == "encoder":
        return 1 - (before * out).sum(-1).mean()
    after = torch.log_softmax(out[0, :-1] if task == "causal-lm" else out, -1)
    return (before.exp() * (before - after)).sum(-1).mean()


def _along(gradient: Tensor | None, error: Tensor) -> float:
    return 0.0 if gradient is None else 0.5 * float((gradient * error).sum())


def leaned(s: Sensitivity, settings: Mapping[str, Setting], found: Mapping[str, Share]) -> Sensitivity:
    """The sensitivity with prices pulled towards what the layers were found to cost in a plan, each by how sure that is beside what was
    known of it. Only how layers compare changes: what all of them cost together is for whole plans to tell."""
    told = dict(zip(s.layers, Predictor.of(replace(s, answers=None)).prices(settings)))
    known = {n: v for n, v in found.items() if told.get(n, 0.0) > 0}
    together = sum(told[n] for n in known) / max(sum(v for v, _ in known.values()), 1e-12)
    layers = dict(s.layers)
    for n, (value, error) in known.items():
        x, ratio, doubt = layers[n], together * value / told[n], max(together * error / told[n], 1e-6)
        weight = x.doubt**2 / (x.doubt**2 + doubt**2)
        factor = min(max(1 + weight * (ratio - 1), 1 / MOST), MOST)
        layers[n] = replace(x, alpha=x.alpha * factor, doubt=x.doubt * (1 - weight) ** 0.5)
    return replace(s, layers=layers)
