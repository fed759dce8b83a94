"""How a compressed tensor is held: dense, as integer codes with scales and zero points, with a table of values, or as GGUF blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from .types import BLOCK_BYTES

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


@dataclass(frozen=True)
class Blocks:
    """GGUF blocks as a file holds them: codes (out, bytes of a row) uint8, scales and all; `dtype` is a key of BLOCK_BYTES."""

    codes: Tensor
    dtype: str
    shape: tuple[int, ...]

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        """Decoded by the `gguf` package, in float32 unless another type is asked for."""
        import gguf
        import numpy as np
        import torch

        values = gguf.quants.dequantize(self.codes.contiguous().numpy(), gguf.GGMLQuantizationType[self.dtype])
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).view(self.shape).to(dtype or torch.float32)

    def scaled(self, rows: Tensor) -> Blocks:
        """Each output row times its factor (out,): only the blocks' half-precision scales change."""
        import torch

        block = self.codes.unflatten(1, (-1, BLOCK_BYTES[self.dtype][1])).clone()
        for at in HALVES[self.dtype]:
            half = block[..., at : at + 2].contiguous().view(torch.float16)
            block[..., at : at + 2] = (half.float() * rows.view(-1, 1, 1)).to(torch.float16).view(torch.uint8)
        return replace(self, codes=block.flatten(1))

    @property
    def nbytes(self) -> int:
        return self.codes.numel()

    @property
    def sparsity(self) -> float:
        return 1 - float(self.dense().count_nonzero()) / max(1, prod(self.shape))

    def parts(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        return {"codes": self.codes.contiguous()}, {"kind": "blocks", "dtype": self.dtype, "shape": ",".join(map(str, self.shape))}


# Where the half-precision scales of a block stand: all that a factor of the row has to change.
HALVES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "IQ4_NL": (0,), "IQ4_XS": (0,),
    "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
}  # fmt: skip

Stored = Dense | Quantized | Codebook | Blocks


def whole(tensors: dict[str, Tensor], meta: dict[str, str]) -> Stored:
    """The inverse of `parts`."""
    if meta["kind"] == "dense":
        return Dense(tensors["tensor"])
    shape = tuple(map(int, meta["shape"].split(",")))
    if meta["kind"] == "blocks":
        return Blocks(tensors["codes"], meta["dtype"], shape)
    if meta["kind"] == "codebook":
        return Codebook(tensors["codes"], tensors["table"], int(meta["bits"]), int(meta["group_size"]), shape, meta["granularity"])
    return Quantized(
        tensors["codes"], tensors["scale"], tensors.get("zero"), int(meta["bits"]), int(meta["group_size"]), shape, meta["granularity"]
    )
