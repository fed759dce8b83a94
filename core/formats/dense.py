"""Dense export: every tensor as plain values, zeros in place, in the type you choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..registry import knob
from ..stored import Stored
from ..types import FLOATS, Checkpoint, Entry, Layer, Setting
from . import targets

if TYPE_CHECKING:
    from torch import Tensor


SHARD = knob(5.0, 0.001, 1000.0, 1.0, unit="GB", label="Split into files of")  # 5: what transformers' save_pretrained splits at


@targets("dense")
@dataclass(frozen=True, slots=True)
class DenseTarget:
    """Plain safetensors: loads everywhere; pruned and quantized values are rounded in place, so that bytes fall only with the type."""

    title: ClassVar[str] = "Dense safetensors"
    runs_in: ClassVar[str] = "transformers and everything that reads safetensors"
    dtype: str = knob("source", choices=("source", "F32", "F16", "BF16"))
    shard_gb: float = SHARD

    def refuses(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> str:
        if setting.quantize == "int8dynamic":
            return "dense files hold the rounded weights: the bytes are not saved, and integer activations are up to the runtime"
        return "dense files hold values, not codes: the rounding is kept, the bytes are not saved" if setting.quantize else ""

    def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
        return [Entry(x.tensor.name, self.of(x), x.tensor.shape, x.name) for x in layers]

    def hangs_on(self, setting: Setting) -> tuple[object, ...]:
        """All of a setting that `entries` looks at; layers of one kind, type and shape that agree in it are stored alike."""
        return ()

    def of(self, layer: Layer) -> str:
        """The type a tensor is stored in: integers stay, GGUF blocks become F16, a chosen type holds for all floats."""
        source = layer.tensor.dtype
        if self.dtype != "source" and (source in FLOATS or source not in _PLAIN):
            return self.dtype
        return source if source in _PLAIN else "F16"

    def tensors(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> dict[str, Tensor]:
        import torch

        from .safetensors_file import TORCH

        return {layer.tensor.name: stored.dense().to(getattr(torch, TORCH[self.of(layer)]))}

    def config(
        self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        floats = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
        kinds = [floats[d] for x in layers if (d := self.of(x)) in floats]
        return {"dtype": max(kinds, key=kinds.count)} if kinds else {}


_PLAIN = {"F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"}
