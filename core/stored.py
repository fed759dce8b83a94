"""How a compressed tensor is held: dense, or as integer codes with scales and zero points, or with a table of values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Dense:
    """Values as they are."""

    tensor: Tensor

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        return self.tensor if dtype is None else self.tensor.to(dtype)

    def scaled(self, rows: Tensor) -> Dense:
        """Each output row times its factor (out,), rounded to the stored type; zeros stay zeros."""
        return Dense((self.tensor.float() * rows.view(-1, *[1] * (self.tensor.ndim - 1))).to(self.tensor.dtype))

    @property
    def nbytes(self) -> int:
        return self.tensor.numel() * self.tensor.element_size()

    @property
    def sparsity(self) -> float:
        return 1 - float(self.tensor.count_nonzero()) / max(1, self.tensor.numel())

    def parts(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        return {"tensor": self.tensor.contiguous()}, {"kind": "dense"}


@dataclass(frozen=True)
class Quantized:
    """x = (code - zero) * scale, groups along the input; codes (out, in) uint8, scale and zero (out, groups)."""

    codes: Tensor
    scale: Tensor
    zero: Tensor | None  # uint8; None = symmetric: the zero point is 2^(bits-1)
    bits: int
    group_size: int
    shape: tuple[int, ...]
    granularity: str

    @property
    def symmetric(self) -> bool:
        return self.zero is None

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        """Decoded in float32 and rounded once, as compressed-tensors does when it unpacks."""
        s = self.scale.float().unsqueeze(-1)
        z = float(2 ** (self.bits - 1)) if self.zero is None else self.zero.float().unsqueeze(-1)
        x = (self.codes.float().unflatten(1, (self.scale.shape[1], -1)) - z) * s
        return x.reshape(self.shape).to(dtype or self.scale.dtype)

    def scaled(self, rows: Tensor) -> Quantized:
        """Each output row times its factor (out,): only the scales change, rounded to their stored type."""
        return replace(self, scale=(self.scale.float() * rows.unsqueeze(-1)).to(self.scale.dtype))

    @property
    def nbytes(self) -> int:
        zeros = 0 if self.zero is None else self.zero.numel() * self.bits / 8
        return int(self.codes.numel() * self.bits / 8 + self.scale.numel() * self.scale.element_size() + zeros)

    @property
    def sparsity(self) -> float:
        return 1 - float(self.dense().count_nonzero()) / max(1, self.codes.numel())

    def parts(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        tensors = {"codes": self.codes.contiguous(), "scale": self.scale.contiguous()}
        tensors |= {} if self.zero is None else {"zero": self.zero.contiguous()}
        shape = ",".join(map(str, self.shape))
        return tensors, {
            "kind": "quantized", "bits": str(self.bits), "group_size": str(self.group_size), "shape": shape, "granularity": self.granularity
        }  # fmt: skip


@dataclass(frozen=True)
class Codebook:
    """x = table[code]: codes (out, in) uint8, table (out, groups, 2^bits), groups along the input."""

    codes: Tensor
    table: Tensor
    bits: int
    group_size: int
    shape: tuple[int, ...]
    granularity: str

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        x = self.codes.long().unflatten(1, (self.table.shape[1], -1))
        return self.table.gather(-1, x).reshape(self.shape).to(dtype or self.table.dtype)

    def scaled(self, rows: Tensor) -> Codebook:
        """Each output row times its factor (out,): only the tables change, rounded to their stored type."""
        return replace(self, table=(self.table.float() * rows.view(-1, 1, 1)).to(self.table.dtype))

    @property
    def nbytes(self) -> int:
        return (self.codes.numel() * self.bits + 7) // 8 + self.table.numel() * self.table.element_size()

    @property
    def sparsity(self) -> float:
        return 1 - float(self.dense().count_nonzero()) / max(1, self.codes.numel())

    def parts(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        shape = ",".join(map(str, self.shape))
        return {"codes": self.codes.contiguous(), "table": self.table.contiguous()}, {
            "kind": "codebook", "bits": str(self.bits), "group_size": str(self.group_size), "shape": shape, "granularity": self.granularity
        }  # fmt: skip


Stored = Dense | Quantized | Codebook


def whole(tensors: dict[str, Tensor], meta: dict[str, str]) -> Stored:
    """The inverse of `parts`."""
    if meta["kind"] == "dense":
        return Dense(tensors["tensor"])
    shape = tuple(map(int, meta["shape"].split(",")))
    if meta["kind"] == "codebook":
        return Codebook(tensors["codes"], tensors["table"], int(meta["bits"]), int(meta["group_size"]), shape, meta["granularity"])
    return Quantized(
        tensors["codes"], tensors["scale"], tensors.get("zero"), int(meta["bits"]), int(meta["group_size"]), shape, meta["granularity"]
    )
