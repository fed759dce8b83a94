"""What is trained of one tensor, and how it is stored again: zeros stay zeros, codes stay on their grid, no byte is added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ..stored import Codebook, Dense, Quantized, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BOUNDS = (0.25, 4.0)  # of a factor on a stored scale: far from under- and overflow
LEAN = 0.45  # of a step: how far a weight may start from the middle of its code, so that rounding finds the same code


class Part(Protocol):
    """One tensor under training. `value` is float32, differentiable, and equal to what `stored` will decode to."""

    @property
    def params(self) -> list[Tensor]: ...
    def value(self) -> Tensor: ...
    def stored(self) -> Stored: ...


@dataclass(frozen=True)
class Full:
    """Every number free: start + unit * step, so that one learning rate fits tensors of every size."""

    start: Tensor
    unit: float
    step: Tensor

    @property
    def params(self) -> list[Tensor]:
        return [self.step]

    def __call__(self) -> Tensor:
        return self.start + self.unit * self.step


@dataclass(frozen=True)
class LowRank:
    """start + unit * B A, with B (out, rank) from zero and A (rank, in) random: merged when it is stored (LoRA, Hu et al. 2022)."""

    start: Tensor
    unit: float
    a: Tensor
    b: Tensor

    @property
    def params(self) -> list[Tensor]:
        return [self.a, self.b]

    def __call__(self) -> Tensor:
        return self.start + self.unit * (self.b @ self.a).view_as(self.start)


Latent = Full | LowRank


def full(start: Tensor, unit: float) -> Full:
    import torch

    return Full(start, unit, torch.zeros_like(start, requires_grad=True))


def low_rank(start: Tensor, unit: float, rank: int, g: torch.Generator) -> Latent:
    """A tensor with a row shorter than the rank is trained whole: nothing would be saved."""
    import torch

    wide = start.flatten(1)
    rank = min(rank, *wide.shape)
    if rank == min(wide.shape):
        return full(start, unit)
    a = torch.randn(rank, wide.shape[1], generator=g) / rank**0.5
    return LowRank(start, unit, a.requires_grad_(), torch.zeros(wide.shape[0], rank, requires_grad=True))


@dataclass(frozen=True)
class Plain:
    """A tensor stored as it is, with a mask if it was pruned."""

    latent: Latent
    mask: Tensor | None
    dtype: torch.dtype

    @property
    def params(self) -> list[Tensor]:
        return self.latent.params

    def value(self) -> Tensor:
        x = self.latent()
        return rounded(x if self.mask is None else x * self.mask, self.dtype)

    def stored(self) -> Stored:
        return Dense(self.value().detach().to(self.dtype))


@dataclass(frozen=True)
class Counted:
    """A mean or variance that a batch norm counted: no gradient moves it, counting anew does."""

    values: Tensor
    dtype: torch.dtype

    @property
    def params(self) -> list[Tensor]:
        return []

    def value(self) -> Tensor:
        return self.values.to(self.dtype).float()

    def stored(self) -> Stored:
        return Dense(self.values.to(self.dtype))


@dataclass(frozen=True)
class Factors:
    """Codes stay as they are; each output row's scales (or values) take one factor."""

    of: Stored
    dense: Tensor
    step: Tensor  # (out,)

    @property
    def params(self) -> list[Tensor]:
        return [self.step]

    def value(self) -> Tensor:
        return self.dense * (1 + self.step).clamp(*BOUNDS).view(-1, *[1] * (self.dense.ndim - 1))

    def stored(self) -> Stored:
        return self.of.scaled((1 + self.step.detach()).clamp(*BOUNDS))


@dataclass(frozen=True)
class Scales:
    """Codes stay as they are; every group's scale takes a factor of its own."""

    of: Quantized
    step: Tensor  # (out, groups)

    @property
    def params(self) -> list[Tensor]:
        return [self.step]

    def _scale(self) -> Tensor:
        return rounded(self.of.scale.float() * (1 + self.step).clamp(*BOUNDS), self.of.scale.dtype)

    def value(self) -> Tensor:
        return decoded(self.of, self.of.codes.float(), self._scale())

    def stored(self) -> Stored:
        return replace(self.of, scale=self._scale().detach().to(self.of.scale.dtype))


@dataclass(frozen=True)
class Table:
    """Codes stay as they are; the values they stand for are free, except zero where the layer was pruned."""

    of: Codebook
    free: Tensor  # (out, groups, 2^bits): 1 where a value may move
    unit: float
    step: Tensor

    @property
    def params(self) -> list[Tensor]:
        return [self.step]

    def _table(self) -> Tensor:
        return rounded(self.of.table.float() + self.unit * self.step * self.free, self.of.table.dtype)

    def value(self) -> Tensor:
        at = self.of.codes.long().unflatten(1, (self.of.table.shape[1], -1))
        return self._table().gather(-1, at).reshape(self.of.shape)

    def stored(self) -> Stored:
        return replace(self.of, table=self._table().detach().to(self.of.table.dtype))


@dataclass(frozen=True)
class Grid:
    """Quantization-aware: weights move freely below, are rounded to codes on the way up (straight-through, Bengio et al. 2013), and every
    group's scale is learned with them (LSQ, Esser et al. 2020). Codes stay within those in use; pruned weights stay zero."""

    of: Quantized
    latent: Latent
    mask: Tensor | None  # (out, in): 0 where pruned
    step: Tensor  # (out, groups): of the scales

    @property
    def params(self) -> list[Tensor]:
        return [*self.latent.params, self.step]

    def _parts(self) -> tuple[Tensor, Tensor]:
        """Codes (out, in) as float32 with the gradient of the straight-through estimator, and scales (out, groups)."""
        s = rounded(self.of.scale.float() * (1 + self.step).clamp(*BOUNDS), self.of.scale.dtype)
        z = offsets(self.of)
        low, high = self.of.codes.aminmax()
        x = self.latent().flatten(1)
        x = x if self.mask is None else x * self.mask  # zero before it is divided: a group of zeros has a scale near nothing
        x = x.unflatten(1, (s.shape[1], -1)) / s.where(s != 0, 1).unsqueeze(-1)
        return through(x + z, float(low), float(high)).flatten(1), s

    def value(self) -> Tensor:
        code, s = self._parts()
        return decoded(self.of, code, s)

    def stored(self) -> Stored:
        code, s = (t.detach() for t in self._parts())
        return replace(self.of, codes=code.round().to(self.of.codes.dtype), scale=s.to(self.of.scale.dtype))


def grid(of: Quantized, source: Tensor, latent: type[Latent], pruned: bool, rank: int, g: torch.Generator) -> Grid:
    """Training begins on the codes the solver chose, each weight leaning towards where it came from (`source`), so that nothing of the
    solver's work is lost and a small pull is enough where rounding was close."""
    import torch

    s = of.scale.float().unsqueeze(-1)
    at = of.dense(torch.float32).flatten(1).unflatten(1, (s.shape[1], -1))
    lean = (source.flatten(1).unflatten(1, (s.shape[1], -1)) - at).clamp(-LEAN * s.abs(), LEAN * s.abs())
    start = (at + lean).view(source.shape)
    mask = (at != 0).float().flatten(1) if pruned else None
    unit = float(s.abs().mean())
    under = full(start, unit) if latent is Full else low_rank(start, unit, rank, g)
    return Grid(of, under, mask, torch.zeros_like(of.scale, dtype=torch.float32, requires_grad=True))


def offsets(of: Quantized) -> Tensor:
    """Zero points (out, groups, 1), float32."""
    import torch

    if of.zero is None:
        return torch.full((*of.scale.shape, 1), float(2 ** (of.bits - 1)))
    return of.zero.float().unsqueeze(-1)


def decoded(of: Quantized, codes: Tensor, scale: Tensor) -> Tensor:
    """What `Quantized.dense` gives for these codes and scales, kept differentiable."""
    x = (codes.unflatten(1, (scale.shape[1], -1)) - offsets(of)) * scale.unsqueeze(-1)
    return rounded(x.reshape(of.shape), of.scale.dtype)


def through(x: Tensor, low: float, high: float) -> Tensor:
    """round(clip(x)), with gradient 1 inside and 0 outside."""
    x = x.clamp(low, high)
    return x + (x.round() - x).detach()


def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    """As a file of `dtype` will hold it, with gradient 1."""
    return x + (x.to(dtype).float() - x).detach()
