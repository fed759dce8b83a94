"""Runs linear layers in integers: int8 weights, activations quantized per token as they come, on torch's own CPU kernels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from .compress import Compressed
from .networks import Network
from .stored import Quantized

if TYPE_CHECKING:
    from torch import Tensor

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
        size = rows.abs().amax(1, keepdim=True).clamp(min=1e-30)
        found = torch.ops.quantized.linear_dynamic(rows / size, self.packed, True) * size
        found = found if bias is None else found + bias
        return found.view(*x.shape[:-1], self.out)


class _Replaced(TorchFunctionMode):
    """While it is on, F.linear with one of these weights (known by where they lie) runs in integers."""

    def __init__(self, layers: Mapping[int, Int8Linear]) -> None:
        super().__init__()
        self.layers = layers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is linear and len(args) > 1 and (layer := self.layers.get(args[1].data_ptr())) is not None:
            return layer(args[0], args[2] if len(args) > 2 else kwargs.get("bias"))
        return func(*args, **kwargs)


def dynamic(network: Network, layers: Mapping[str, Int8Linear]) -> Network:
    """The network with these weights (by tensor name) in integers; it takes the same weights, whose values there go unread."""

    def wrapped(run: Any) -> Any:
        def forward(weights: dict[str, Tensor], *fed: Any) -> Any:
            with _Replaced({weights[n].data_ptr(): layer for n, layer in layers.items()}):
                return run(weights, *fed)

        return forward

    step = wrapped(network.step) if network.step else None
    return replace(network, forward=wrapped(network.forward), raw=wrapped(network.raw), step=step)


def running(compressed: Compressed, network: Network) -> Network:
    """The network as this variant runs: with integer activations where the plan says so, else itself."""
    layers = {}
    for x in compressed.layers:
        outcome = compressed.outcomes.get(x.name)
        stored = compressed.stored(x) if outcome is not None and outcome.setting.quantize == KEY else None
        if isinstance(stored, Quantized) and stored.bits == 8:
            layers[x.tensor.name] = Int8Linear.of((stored.codes.short() - 128).char(), stored.scale.float().flatten())
    return dynamic(network, layers) if layers else network
