"""A compressed model under training: each tensor that may move as a part that keeps its mask and its grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..compress import Compressed
from ..formats import read
from ..networks import Network
from ..plans import BY_USER, resolve
from ..stored import Codebook, Dense, Quantized, Stored
from ..types import FLOATS, Layer, Setting
from .methods import Training
from .parts import Factors, Full, LowRank, Part, Plain, Scales, Table, full, grid, low_rank

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SMALLEST = 0.02  # the unit of a tensor that begins at zero, such as a bias
SMALL = ("norm", "bias")


@dataclass(frozen=True)
class Student:
    """`fixed` weights run beside the parts (Layer.name -> Part), whose tensors have the names in `tensors`."""

    fixed: Mapping[str, Tensor]
    parts: Mapping[str, Part]
    tensors: Mapping[str, str]

    def params(self) -> list[Tensor]:
        return [p for part in self.parts.values() for p in part.params]

    def weights(self) -> dict[str, Tensor]:
        """Every tensor by name, float32; gradients flow to `params`."""
        return {**self.fixed, **{self.tensors[n]: p.value() for n, p in self.parts.items()}}

    def stored(self) -> dict[str, Stored]:
        return {n: p.stored() for n, p in self.parts.items()}


def student(compressed: Compressed, network: Network, weights: Mapping[str, Tensor], how: Training) -> Student:
    """What `how` lets move of a compressed model; a layer the user excluded, and what the network does not use, never moves.

    "scales": norm gains, biases and the scales of compressed layers. "lora" and "all": the weights of linears and convolutions, too;
    embeddings stay. GGUF blocks keep their codes: their rows take a factor."""
    import torch

    settings = {**resolve(compressed.plan, compressed.layers), **compressed.settings}
    run, g = set(network.names.values()), torch.Generator().manual_seed(compressed.plan.seed)
    parts: dict[str, Part] = {}
    for x in compressed.layers:
        if x.tensor.name not in run or (x.tensor.dtype not in FLOATS and x.name not in compressed.outcomes):
            continue
        if settings[x.name].protected != BY_USER and (part := _part(compressed, x, settings[x.name], weights, how, g)) is not None:
            parts[x.name] = part
    tensors = {x.name: x.tensor.name for x in compressed.layers if x.name in parts}
    moving = set(tensors.values())
    return Student({n: w for n, w in weights.items() if n not in moving}, parts, tensors)


def _part(
    compressed: Compressed, x: Layer, setting: Setting, weights: Mapping[str, Tensor], how: Training, g: torch.Generator
) -> Part | None:
    """How this layer is trained; None = it stays."""
    w, touched = weights[x.tensor.name].float(), x.name in compressed.outcomes
    if x.kind in SMALL:
        return Plain(full(w, _unit(w)), None, _dtype(compressed.stored(x)))
    if not touched and (how.train == "scales" or x.kind not in ("linear", "conv", "head") or _shared(compressed, x)):
        return None
    stored = compressed.stored(x)
    if how.train == "scales":
        return _scales(stored, w)
    if isinstance(stored, Quantized):
        return grid(stored, read(x.tensor).float(), LowRank if how.train == "lora" else Full, bool(setting.prune), how.rank, g)
    if isinstance(stored, Dense):
        mask = (w != 0).float() if touched and setting.prune else None
        return Plain(low_rank(w, _unit(w), how.rank, g) if how.train == "lora" else full(w, _unit(w)), mask, _dtype(stored))
    return _scales(stored, w)


def _shared(compressed: Compressed, x: Layer) -> bool:
    """Whether this tensor stands for another one, too: an output layer that is the embedding moves no more than that."""
    return x.tensor.name in compressed.checkpoint.tied.values()


def _scales(stored: Stored, w: Tensor) -> Part | None:
    """Codes fixed. One scale for a whole tensor can't hold a factor a row: it takes its own."""
    import torch

    if isinstance(stored, Quantized):
        return Scales(stored, torch.zeros(stored.scale.shape, requires_grad=True))
    if isinstance(stored, Codebook):
        table = stored.table.float()
        return Table(stored, (table != 0).float(), _unit(table), torch.zeros_like(table, requires_grad=True))
    return Factors(stored, w, torch.zeros(len(w), requires_grad=True))


def _unit(w: Tensor) -> float:
    return float(w.square().mean().sqrt()) or SMALLEST


def _dtype(stored: Stored) -> torch.dtype:
    return stored.dense().dtype

