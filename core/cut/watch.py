"""Watches layers at work: what goes into them in the network as it is cut so far, and what came out of them in the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..data import Batches
from ..job import Job
from ..networks import Network
from .obs import Moments

if TYPE_CHECKING:
    from torch import Tensor, nn

Take = Callable[["nn.Module", "Tensor", "Tensor"], "Tensor"]  # module, input, output -> what is noted


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
    network: Network, original: Mapping[str, Tensor], now: Mapping[str, Tensor], batches: Batches, names: Iterable[str], job: Job
) -> dict[str, Moments]:
    """One pass of both networks over all batches: what every named layer meets as the network is now, and what it answered originally."""
    wanted = list(names)
    out = {n: Moments.empty(original[n]) for n in wanted}
    for item in job.track(batches.items, "Watching layers"):
        with met(network, wanted, came_out, last=True) as ys:
            until(partial(_forward, network, original, item, job))
        with met(network, wanted, went_in, last=True) as xs:
            until(partial(_forward, network, now, item, job))
        mask = item.get("attention_mask")
        for n in wanted:
            out[n].add(real(xs[n], mask), real(ys[n], mask), job)
    return out


@contextmanager
def met(network: Network, names: Iterable[str], take: Take, last: bool = False) -> Iterator[dict[str, Tensor]]:
    """While it lasts, what `take` makes of each named layer's work is noted; with `last`, the pass ends when all were seen."""
    watched, wanted = modules(network), set(names)
    found: dict[str, Tensor] = {}

    def look(name: str) -> Callable[..., None]:
        def noted(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            found[name] = take(module, args[0], out)
            if last and len(found) == len(wanted):
                raise _Enough

        return noted

    with _hooked({watched[n]: look(n) for n in wanted}):
        yield found


def went_in(module: nn.Module, x: Tensor, _: Tensor) -> Tensor:
    """(positions, in): an input as rows; a convolution's is unfolded, channel by channel, to the size of its kernel."""
    import torch
    from torch import nn

    if isinstance(module, nn.Conv2d):
        pad = module.padding if isinstance(module.padding, tuple) else (0, 0)
        wide = torch.nn.functional.unfold(x, module.kernel_size, module.dilation, pad, module.stride)
        return wide.transpose(1, 2).flatten(0, 1)
    return x.flatten(0, -2).clone()  # the residual stream may be added to in place


def came_out(module: nn.Module, _: Tensor, y: Tensor) -> Tensor:
    """(positions, out)"""
    from torch import nn

    return y.flatten(2).transpose(1, 2).flatten(0, 1) if isinstance(module, nn.Conv2d) else y.flatten(0, -2)


def until(run: Callable[[], object]) -> None:
    """Run a forward pass as far as it is needed."""
    with suppress(_Enough):
        run()


def real(rows: Tensor, mask: Tensor | None) -> Tensor:
    """Rows of real tokens; padding is left out."""
    return rows if mask is None or mask.numel() != len(rows) else rows[mask.flatten().bool()]


def _forward(network: Network, weights: Mapping[str, Tensor], item: Any, job: Job) -> None:
    import torch

    from ..evaluate import heard

    with torch.inference_mode(), heard(network, job):
        network.forward(dict(weights), dict(item))


@contextmanager
def _hooked(hooks: Mapping[nn.Module, Callable[..., None]]) -> Iterator[None]:
    held = [m.register_forward_hook(f) for m, f in hooks.items()]
    try:
        yield
    finally:
        for h in held:
            h.remove()
