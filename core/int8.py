"""Runs linear layers in integers: int8 weights, activations quantized per token as they come, on torch's own CPU kernels."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from .compress import Compressed
from .networks import Network
from .stored import Quantized

if TYPE_CHECKING:
    from torch import Tensor, nn

KEY = "int8dynamic"


@dataclass(frozen=True)
class Int8Linear:
    """x -> x Wᵀ + b with x rounded to 7 bits per token and W (out, in) int8 per output channel, summed in int32.

    FBGEMM takes one scale for all of x, so each token is divided by its largest magnitude before and multiplied after; torch._int_mm
    would scale per token itself, but took 30 times as long as float32 here (AVX2). 7 bits because two products of 8 bits overflow the
    16 bits in which CPUs without VNNI add them (torch calls this reduce_range)."""

    packed: Any  # a ScriptObject: FBGEMM's own layout
    out: int

    @staticmethod
    def of(codes: Tensor, scale: Tensor) -> Int8Linear:
        """codes (out, in) int8; scale (out,)."""
        import torch

        zeros = torch.zeros(len(scale), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch will drop its quantized tensors; until the pinned versions have another fast kernel, this is the way into FBGEMM
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
            made = torch._make_per_channel_quantized_tensor(codes, scale.double(), zeros, 0)
        return Int8Linear(torch.ops.quantized.linear_prepack(made, None), len(scale))

    def __reduce__(self) -> Any:
        """Sent elsewhere as codes and scales and packed there anew: FBGEMM's layout is its machine's own."""
        import torch

        made, _ = torch.ops.quantized.linear_unpack(self.packed)
        return Int8Linear.of, (made.int_repr(), made.q_per_channel_scales())

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x (..., in) float32."""
        import torch

        rows = x.reshape(-1, x.shape[-1]).float()
        size = rows.abs().amax(1, keepdim=True).clamp_(min=1e-30)
        found = torch.ops.quantized.linear_dynamic(rows / size, self.packed, True)
        found = found.mul_(size) if bias is None else torch.addcmul(bias, found, size)
        return found.view(*x.shape[:-1], self.out)


class _Replaced(TorchFunctionMode):
    """While it is on, F.linear with one of these weights (known by where they lie) runs in integers."""

    def __init__(self, layers: Mapping[int, Int8Linear]) -> None:
        super().__init__()
        self.layers = layers

    @staticmethod
    def among(weights: Mapping[str, Tensor], layers: Mapping[str, Int8Linear]) -> AbstractContextManager[object]:
        """Of layers by tensor name; nothing where there are none."""
        return _Replaced({weights[n].data_ptr(): layer for n, layer in layers.items()}) if layers else nullcontext()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is linear and len(args) > 1 and (layer := self.layers.get(args[1].data_ptr())) is not None:
            return layer(args[0], args[2] if len(args) > 2 else kwargs.get("bias"))
        return func(*args, **kwargs)


def dynamic(network: Network, layers: Mapping[str, Int8Linear]) -> Network:
    """The network with these weights (by tensor name) in integers; it takes the same weights, whose values there go unread."""
    own = _modules(network, layers)
    others = {n: layer for n, layer in layers.items() if n not in own}

    def wrapped(run: Any) -> Any:
        def forward(weights: dict[str, Tensor], *fed: Any) -> Any:
            with _swapped(own.values()), _Replaced.among(weights, others):
                return run(weights, *fed)

        return forward

    step = wrapped(network.step) if network.step else None
    return replace(network, forward=wrapped(network.forward), raw=wrapped(network.raw), step=step)


def _modules(network: Network, layers: Mapping[str, Int8Linear]) -> dict[str, tuple[nn.Linear, Int8Linear]]:
    """Tensor name -> the plain linear module that multiplies with it, and nothing else does."""
    from torch import nn

    found: dict[str, tuple[nn.Linear, Int8Linear]] = {}
    if network.module is None:
        return found
    names = [t for p, t in network.names.items() if t in layers]
    for name, m in network.module.named_modules():
        tensor = network.names.get(f"{name}.weight", "")
        if type(m) is nn.Linear and tensor in layers and names.count(tensor) == 1:
            found[tensor] = m, layers[tensor]
    return found


@contextmanager
def _swapped(modules: Iterable[tuple[nn.Linear, Int8Linear]]) -> Iterator[None]:
    """While it is on, these modules run in integers: a forward of the instance's own goes before its class's. Looking at every function
    that torch is asked for, as _Replaced does, took a third of a small network's time."""
    modules = tuple(modules)
    for m, layer in modules:
        m.__dict__["forward"] = lambda x, m=m, layer=layer: layer(x, m.bias)
    try:
        yield
    finally:
        for m, _ in modules:
            m.__dict__.pop("forward", None)


def running(compressed: Compressed, network: Network) -> Network:
    """The network as this variant runs: with integer activations where the plan says so, else itself."""
    layers = {}
    for x in compressed.layers:
        outcome = compressed.outcomes.get(x.name)
        stored = compressed.stored(x) if outcome is not None and outcome.setting.quantize == KEY else None
        if isinstance(stored, Quantized) and stored.bits == 8:
            layers[x.tensor.name] = Int8Linear.of((stored.codes.short() - 128).char(), stored.scale.float().flatten())
    return dynamic(network, layers) if layers else network
