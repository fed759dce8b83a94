"""A compressed model under training: each tensor that may move as a part that keeps its mask and its grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..compress import Compressed
from ..errors import BadPlan
from ..formats import read
from ..networks import Network
from ..plans import BY_USER, resolve
from ..stored import Codebook, Dense, Quantized, Stored
from ..types import FLOATS, Layer, Setting
from . import gradual, norms
from .methods import Training
from .parts import Counted, Factors, Full, LowRank, Part, Plain, Scales, Table, full, grid, low_rank

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
    growing: Mapping[str, int] = field(default_factory=dict)  # Layer.name -> its zeros in the end, where they come one after the other
    before: Mapping[str, Tensor] | None = None  # what it is held against, where it begins as something else

    @property
    def masks(self) -> list[Tensor]:
        """Masks that change while it is trained."""
        return [m for n in self.growing if (m := getattr(self.parts[n], "mask", None)) is not None]

    def grow(self, t: float) -> None:
        """Zeros as they are due after the share t of their schedule."""
        for name, final in self.growing.items():
            part = self.parts[name]
            assert isinstance(part, Plain)
            gradual.grow(part, final, gradual.cubic(t))

    @property
    def counted(self) -> list[Tensor]:
        """Means and variances of its batch norms."""
        return [p.values for p in self.parts.values() if isinstance(p, Counted)]

    def count(self, fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Other batch norm statistics, by tensor name; returns what they were."""
        was = {}
        for name, p in self.parts.items():
            if isinstance(p, Counted) and (tensor := self.tensors[name]) in fresh:
                was[tensor] = p.values.clone()
                p.values.copy_(fresh[tensor])
        return was

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
    run, g, counted = set(network.names.values()), torch.Generator().manual_seed(compressed.plan.seed), norms.tensors(network)
    parts: dict[str, Part] = {}
    for x in compressed.layers:
        if x.tensor.name not in run or (x.tensor.dtype not in FLOATS and x.name not in compressed.outcomes):
            continue
        if settings[x.name].protected == BY_USER:
            continue
        if x.tensor.name in counted:
            parts[x.name] = Counted(weights[x.tensor.name].float().clone(), _dtype(compressed.stored(x)))
        elif (part := _part(compressed, x, settings[x.name], weights, how, g)) is not None:
            parts[x.name] = part
    tensors = {x.name: x.tensor.name for x in compressed.layers if x.name in parts}
    moving = set(tensors.values())
    slim = Student({n: w for n, w in weights.items() if n not in moving}, parts, tensors)
    return _gradual(slim, compressed, settings, weights, how, g) if getattr(how, "gradual", False) else slim


def _gradual(
    slim: Student, compressed: Compressed, settings: Mapping[str, Setting], weights: Mapping[str, Tensor], how: Training, g: torch.Generator
) -> Student:
    """Pruned layers that are not quantized begin whole, as they were stored before; the compressed model is what the result must beat."""
    import torch

    if how.train == "scales":
        raise BadPlan("Pruning gradually trains weights: set train = all (or lora), or switch gradual off")
    parts, growing = dict(slim.parts), {}
    for x in (x for x in compressed.layers if x.name in parts and settings[x.name].prune):
        part, w = parts[x.name], read(x.tensor).float()
        if not isinstance(part, Plain) or part.mask is None:  # a grid's scales were made for the weights that stayed
            continue
        gradual.check(settings[x.name], x.name)
        growing[x.name] = part.mask.numel() - int(part.mask.count_nonzero())
        latent = low_rank(w, _unit(w), how.rank, g) if how.train == "lora" else full(w, part.latent.unit)
        parts[x.name] = replace(part, latent=latent, mask=torch.ones_like(part.mask))
    if not growing:
        why = "No layer is pruned without being quantized, so nothing can be pruned gradually: quantize later, or switch gradual off"
        raise BadPlan(why)
    return replace(slim, parts=parts, growing=growing, before=weights)


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
