"""Watches layers at work: what goes into them in the network as it is cut so far, and what came out of them in the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..data import Batches
from ..job import Job
from ..networks import Network
from .obs import Moments

if TYPE_CHECKING:
    from torch import Tensor, nn

ROWS = 1 << 13  # rows of inputs that are multiplied at once


class _Enough(Exception):
    """Everything asked for was seen: the rest of the forward pass is not needed."""


def modules(network: Network) -> dict[str, nn.Module]:
    """Tensor name of a weight -> the module that uses it."""
    assert network.module is not None
    at = {stored: name.removesuffix(".weight") for name, stored in network.names.items() if name.endswith(".weight")}
    return {stored: network.module.get_submodule(path) for stored, path in at.items()}


def order(network: Network, weights: Mapping[str, Tensor], batches: Batches, names: Iterable[str], job: Job) -> list[str]:
    """The layers in the order in which a forward pass enters them."""
    found: list[str] = []
    watched = modules(network)
    hooks = {watched[n]: lambda _m, _i, _o, n=n: found.append(n) if n not in found else None for n in names}
    with _hooked(hooks):
        _forward(network, weights, batches.items[0], job)
    return found


def moments(
    network: Network, original: Mapping[str, Tensor], now: Mapping[str, Tensor], batches: Batches, names: Mapping[str, str], job: Job
) -> dict[str, Moments]:
    """One pass of both networks over all batches; (in, in) and (out, in) sums for every named layer.

    `names`: layer -> the layer whose input is the residual stream its output is added to ("" = none): what the stream has lost so far
    is added to the output aimed at, so that a refit also makes up for the cuts before it."""
    watched = modules(network)
    out: dict[str, Moments] = {}
    layers, streams = {watched[n]: n for n in names}, {watched[s]: s for s in names.values() if s}
    for item in job.track(batches.items, "Watching layers"):
        was, ys = _seen(network, original, item, streams, layers, lambda m, x, y: rows_out(m, y), job)
        now_, xs = _seen(network, now, item, streams, layers, lambda m, x, y: rows_in(m, x), job)
        mask = item.get("attention_mask")
        for n, stream in names.items():
            y = ys[n] + (was[stream] - now_[stream]) if stream else ys[n]
            out[n] = _added(out.get(n), _real(xs[n], mask), _real(y, mask), job)
    return out


def rows_in(module: nn.Module, x: Tensor) -> Tensor:
    """(positions, in): an input as rows; a convolution's is unfolded, channel by channel, to the size of its kernel."""
    import torch
    from torch import nn

    if isinstance(module, nn.Conv2d):
        pad = module.padding if isinstance(module.padding, tuple) else (0, 0)
        wide = torch.nn.functional.unfold(x, module.kernel_size, module.dilation, pad, module.stride)
        return wide.transpose(1, 2).flatten(0, 1)
    return x.flatten(0, -2)


def rows_out(module: nn.Module, y: Tensor) -> Tensor:
    """(positions, out)"""
    from torch import nn

    return y.flatten(2).transpose(1, 2).flatten(0, 1) if isinstance(module, nn.Conv2d) else y.flatten(0, -2)


def _real(rows: Tensor, mask: Tensor | None) -> Tensor:
    """Rows of real tokens; padding is left out."""
    return rows if mask is None or mask.numel() != len(rows) else rows[mask.flatten().bool()]


def _added(to: Moments | None, x: Tensor, y: Tensor, job: Job) -> Moments:
    import torch

    f = torch.float64
    to = to or Moments(
        torch.zeros(x.shape[1], x.shape[1], dtype=f), torch.zeros(y.shape[1], x.shape[1], dtype=f),
        torch.zeros(x.shape[1], dtype=f), torch.zeros(y.shape[1], dtype=f), 0,
    )  # fmt: skip
    for a, b in zip(x.split(ROWS), y.split(ROWS)):
        job.check()
        to.xx += a.T @ a  # float32 products of a few thousand rows, summed in float64
        to.yx += b.T @ a
        to.x += a.sum(0, dtype=f)
        to.y += b.sum(0, dtype=f)
        to.n += len(a)
    return to


def _seen(
    network: Network, weights: Mapping[str, Tensor], item: Any, streams: Mapping[nn.Module, str], layers: Mapping[nn.Module, str],
    take: Callable[..., Tensor], job: Job,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
    """(stream -> its rows, layer -> what `take` makes of its input and output) of one forward pass, which stops when all were seen."""
    met: dict[str, Tensor] = {}
    found: dict[str, Tensor] = {}

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if module in streams:
            met[streams[module]] = inputs[0].flatten(0, -2).clone()  # the stream may be added to in place
        if module in layers:
            found[layers[module]] = take(module, inputs[0], output)
        if len(found) == len(layers):
            raise _Enough

    with _hooked(dict.fromkeys({**streams, **layers}, look)):
        _forward(network, weights, item, job)
    return met, found


def _forward(network: Network, weights: Mapping[str, Tensor], item: Any, job: Job) -> None:
    import contextlib

    import torch

    from ..evaluate import heard

    with torch.inference_mode(), heard(network, job), contextlib.suppress(_Enough):
        network.forward(dict(weights), dict(item))


@contextmanager
def _hooked(hooks: Mapping[nn.Module, Callable[..., None]]) -> Iterator[None]:
    held = [m.register_forward_hook(f) for m, f in hooks.items()]
    try:
        yield
    finally:
        for h in held:
            h.remove()
