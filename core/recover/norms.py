"""Batch norms count anew: means and variances of what each is given by the network as it is now; no training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..evaluate import heard
from ..job import Job
from ..networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")
SAMPLES = 128  # of one pass: the fewer, the more a pass's own statistics stray from those of all


def counted(network: Network) -> dict[str, nn.Module]:
    """Path -> batch norm that runs on counted statistics; {} where the network can't be looked into."""
    from torch import nn

    if network.module is None:
        return {}
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return {n: m for n, m in network.module.named_modules() if isinstance(m, kinds) and m.running_mean is not None}


def tensors(network: Network, which: tuple[str, ...] = STATISTICS) -> set[str]:
    """Names of the tensors that hold counted statistics, or other parts of a batch norm."""
    found = (network.names.get(f"{n}.{x}") for n in counted(network) for x in which)
    return {t for t in found if t}


def pairs(network: Network) -> list[tuple[str, str]]:
    """Names of each norm's mean and variance."""
    found = ((network.names.get(f"{n}.running_mean"), network.names.get(f"{n}.running_var")) for n in counted(network))
    return [(m, v) for m, v in found if m and v]


def moved(was: Sequence[Tensor], found: Sequence[Tensor]) -> list[Tensor]:
    """The change from means and variances in turn to others, both moments about the old mean: what a weighted mean may be taken of."""
    out = []
    for mean, var, m, v in zip(was[::2], was[1::2], found[::2], found[1::2], strict=True):
        out += [m - mean, v + (m - mean).square() - var]
    return out


def pooled(was: Sequence[Tensor], change: Sequence[Tensor]) -> list[Tensor]:
    """Means and variances after the weighted mean of many a `moved`: those of all samples, the variance within and between the parts."""
    out = []
    for mean, var, m, v in zip(was[::2], was[1::2], change[::2], change[1::2], strict=True):
        out += [mean + m, (var + v - m.square()).clamp(min=0)]
    return out


def restated(network: Network, weights: Mapping[str, Tensor], items: Sequence[dict[str, Tensor]], job: Job) -> dict[str, Tensor]:
    """Tensor name -> mean or variance (channels,), float32, over all samples of `items`. Each pass is normalised by its own statistics, so
    that every norm is counted behind norms that fit already (Wu and Johnson 2021, arXiv:2105.07576): counted behind norms that are still to
    move, the errors of all that lie before add up. {} without batch norms."""
    import torch

    norms, names = counted(network), network.names
    if not norms or not items:
        return {}
    sums: dict[str, Tensor] = {}
    total, passes = 0, {t: weights[t].clone() for t in tensors(network, ("num_batches_tracked",)) if t in weights}  # which a pass adds to
    with torch.inference_mode(), _batchwise(norms, 1.0), heard(network, job):
        for item in job.track(list(_joined(items)), "Counting batch norms"):
            fresh = {names[f"{n}.{w}"]: weights[names[f"{n}.{w}"]].float().clone() for n in norms for w in ("running_mean", "running_var")}
            network.forward({**weights, **passes, **fresh}, dict(item))
            size = len(next(iter(item.values())))
            total += size
            for n in norms:
                mean, var = (fresh[names[f"{n}.{w}"]].double() for w in ("running_mean", "running_var"))
                for what, value in ((f"{n}.running_mean", mean), (f"{n}.running_var", var + mean.square())):
                    sums[what] = sums.get(what, torch.zeros_like(value)) + size * value
    out = {}
    for n in norms:
        mean = sums[f"{n}.running_mean"] / total
        out[names[f"{n}.running_mean"]] = mean.float()
        out[names[f"{n}.running_var"]] = (sums[f"{n}.running_var"] / total - mean.square()).clamp(min=0).float()
    return {n: t.clone() for n, t in out.items()}


def _joined(items: Sequence[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Samples of one shape, so many at a time."""
    import torch

    run: list[dict[str, Tensor]] = []
    for item in items:
        if run and (_shape(item) != _shape(run[0]) or sum(len(next(iter(x.values()))) for x in run) >= SAMPLES):
            yield {k: torch.cat([x[k] for x in run]) for k in run[0]}
            run = []
        run.append(item)
    if run:
        yield {k: torch.cat([x[k] for x in run]) for k in run[0]}


def _shape(item: dict[str, Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(t.shape[1:]) for t in item.values())


@contextmanager
def batchwise(network: Network) -> Iterator[None]:
    """While it lasts, batch norms normalise each pass by its own statistics; what they have counted stays."""
    with _batchwise(counted(network), 0.0):
        yield


@contextmanager
def _batchwise(norms: Mapping[str, nn.Module], momentum: float) -> Iterator[None]:
    """The same, and with momentum they note what they are given; the skeleton is as before afterwards."""
    was = {n: (m.training, m.momentum) for n, m in norms.items()}
    try:
        for m in norms.values():
            m.training, m.momentum = True, momentum  # type: ignore[assignment]
        yield
    finally:
        for n, m in norms.items():
            m.training, m.momentum = was[n]
