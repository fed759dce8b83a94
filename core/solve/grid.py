"""The points a weight may be rounded to: an even grid per group, or a table of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Nearest = Callable[["Tensor", int], tuple["Tensor", "Tensor"]]  # (weights (..., out), place in the order) -> codes, values


class Points(Protocol):
    """What the column loops must know of a grid."""

    def nearest(self, order: Tensor) -> Nearest:
        """Rounds one column of the given order after the other."""
        ...

    def zeros(self, order: Tensor) -> Tensor:
        """(in, out) the codes that stand for exactly 0, in the given order."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """codes (..., out, in) in natural order -> values."""
        ...


@dataclass(frozen=True)
class Grid:
    """x = (code - zero) * scale per group of `size` inputs; codes from `low` to `top`."""

    scale: Tensor  # (out, groups) float32
    zero: Tensor  # (out, groups) float32, whole numbers
    size: int
    top: int
    low: int = 0

    def columns(self, order: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero of every column in this order, (in, out)."""
        group = order // self.size
        return self.scale.T[group], self.zero.T[group]

    def nearest(self, order: Tensor) -> Nearest:
        scale, zero = self.columns(order)
        low, top = float(self.low), float(self.top)

        def at(column: Tensor, j: int) -> tuple[Tensor, Tensor]:
            s, z = scale[j], zero[j]
            code = (column / s).add_(z).round_().clamp_(low, top)
            return code, (code - z).mul_(s)

        return at

    def zeros(self, order: Tensor) -> Tensor:
        return self.columns(order)[1]

    def decode(self, codes: Tensor) -> Tensor:
        x = codes.unflatten(-1, (self.scale.shape[1], -1))
        return ((x - self.zero.unsqueeze(-1)) * self.scale.unsqueeze(-1)).flatten(-2)

    def direct(self, w: Tensor) -> Tensor:
        """w (out, in) -> the nearest codes, each weight by itself, ties to even."""
        x = w.unflatten(-1, (self.scale.shape[1], -1))
        return (x / self.scale.unsqueeze(-1) + self.zero.unsqueeze(-1)).round_().clamp_(self.low, self.top).flatten(-2)
