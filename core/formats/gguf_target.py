"""GGUF export: what llama.cpp and all that is built on it run, in its own block types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from ..ggml import packed
from ..quantize import quantizers
from ..registry import knob, make
from ..stored import Blocks, Quantized, Stored
from ..types import BLOCK_BYTES, Checkpoint, Entry, Layer, Setting, Value
from . import permuted, targets
from .dense import DenseTarget
from .gguf_metadata import described
from .gguf_shape import UNUSED
from .gguf_write import header

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HALF = ("F16", *BLOCK_BYTES)  # types of a source whose scales are kept in half precision, as GGUF's blocks keep them
EVEN = (("Q4_0", 8), ("Q5_0", 16), ("Q8_0", 128))  # codes up to so many steps below zero
FILES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K": 12, "Q4_K": 15, "Q5_K": 17, "Q6_K": 18,
    "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32, "IQ2_XXS": 19, "IQ2_XS": 20, "IQ3_XXS": 23, "IQ1_S": 24, "IQ3_S": 26, "IQ2_S": 28, "IQ1_M": 31,
    "TQ1_0": 36, "TQ2_0": 37, "MXFP4": 38, "NVFP4": 39,
}  # fmt: skip  llama.cpp's number for a file that is mostly of a type


NONE: frozenset[str] = frozenset()


@targets("gguf")
@dataclass(frozen=True, slots=True)
class GgufTarget:
    """One GGUF file with its tokenizer: layers of the quantizer `ggml` in their blocks, even grids re-encoded where that is exact, vectors
    in F32, and what the plan leaves alone as it is."""

    title: ClassVar[str] = "GGUF (llama.cpp)"
    runs_in: ClassVar[str] = "llama.cpp, Ollama, LM Studio and all that read GGUF"
    suffix: ClassVar[str] = ".gguf"
    dtype: str = knob("source", choices=("source", "F32", "F16", "BF16"))

    def unfit(self, checkpoint: Checkpoint) -> str:
        """Why this model can't be a GGUF file; "" when it can."""
        return described(checkpoint).why

    def apart(self, checkpoint: Checkpoint) -> frozenset[str]:
        """Tensors that are not stored as others of their shape are: the file leaves them out."""
        what = described(checkpoint)
        return frozenset(t for t, n in what.names.items() if not n) if what.architecture in UNUSED else NONE

    def refuses(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> str:
        """Why a quantized layer is stored dense here ("" = in blocks, or nothing to pack)."""
        if not setting.quantize or _blocked(layer, setting):
            return ""
        if getattr(quantizers[setting.quantize], "table", False):
            return "GGUF's blocks hold even grids, and a codebook is a table of values; choose the quantizer GGUF blocks"
        if layer.tensor.dtype not in HALF:
            return f"its scales are {layer.tensor.dtype} and GGUF's F16, so codes would not be exact; choose the quantizer GGUF blocks"
        return "GGUF's blocks of 32 can't hold its groups exactly; choose the quantizer GGUF blocks"

    def detail(self, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> str:
        """Which types a file will hold, and which of them stand in for others."""
        found = tuple(layers)
        types = Counter(self.of(x, settings[x.name]) for x in found).most_common()
        listed = ", ".join(f"{n} × {t}" for t, n in types)
        stands = Counter(p for x in found if (p := _instead(x, settings[x.name])))
        if not stands:
            return listed
        fallen = ", ".join(f"{had} for {asked}" for asked, had in stands)
        return f"{listed}; {fallen} in {sum(stands.values())} layers, whose rows 256 does not divide"

    def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
        names = described(checkpoint).names
        found = ((names.get(x.tensor.name, x.tensor.name), x) for x in layers)
        return [Entry(n, self.of(x, settings[x.name]), x.tensor.shape, x.name) for n, x in found if n]

    def hangs_on(self, setting: Setting) -> tuple[object, ...]:
        return setting.quantize, setting.bits, setting.idle, *sorted(setting.quantize_knobs.items())

    def of(self, layer: Layer, setting: Setting) -> str:
        """The type a tensor is stored in: vectors in F32, as llama.cpp wants them; blocks that nobody touches stay blocks."""
        source = layer.tensor.dtype
        if (len(layer.tensor.shape) < 2 and source[0] in "FB" and source != "BOOL") or source == "F64":
            return "F32"
        if setting.idle and source in BLOCK_BYTES:
            return source
        return _blocked(layer, setting) or DenseTarget(self.dtype).of(layer)

    def tensors(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> dict[str, Tensor]:
        """By GGUF's name; blocks as (out, bytes) uint8."""
        what = described(checkpoint)
        name = what.names[layer.tensor.name]
        if name in what.raised:
            return {name: self.filed(checkpoint, layer, setting, stored).to(_torch(self.of(layer, setting)))}
        rows, heads = self._rows(layer, setting, stored), what.heads.get(name, 0)
        return {name: permuted(rows, heads) if heads else rows}

    def filed(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> Tensor:
        """The numbers in the file, float32 and unpermuted: `values`, but for gains that are stored plus 1."""
        what, x = described(checkpoint), self.values(layer, setting, stored)
        name = what.names[layer.tensor.name]
        return (x + 1).to(_torch(self.of(layer, setting))).float() if name in what.raised else x

    def values(self, layer: Layer, setting: Setting, stored: Stored) -> Tensor:
        """What the file will give back, in float32 and in the order of rows that everything here has; never by way of its bytes."""
        import torch

        x, dtype = stored.dense(torch.float32), self.of(layer, setting)
        return x if dtype in BLOCK_BYTES else x.to(_torch(dtype)).float()

    def _rows(self, layer: Layer, setting: Setting, stored: Stored) -> Tensor:
        import torch

        dtype = self.of(layer, setting)
        if isinstance(stored, Blocks):
            return stored.codes
        if isinstance(stored, Quantized) and dtype in BLOCK_BYTES:
            return _encoded(stored, dtype)
        if dtype in BLOCK_BYTES:
            return _as_opened(layer)
        return stored.dense(torch.float32).to(_torch(dtype))

    def config(
        self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return {}

    def head(self, checkpoint: Checkpoint, entries: list[Entry]) -> bytes:
        """The file up to its first tensor."""
        most = Counter(e.dtype for e in entries if len(e.shape) > 1).most_common(1)
        fields = dict(described(checkpoint).fields)
        fields["general.file_type"] = replace(fields["general.file_type"], value=FILES.get(most[0][0] if most else "F32", 0))
        return header(fields, entries)


def _torch(dtype: str) -> torch.dtype:
    import torch

    from .safetensors_file import TORCH

    return getattr(torch, TORCH[dtype])


def _blocked(layer: Layer, setting: Setting) -> str:
    """The block type a quantized layer is stored in, exactly; "" = none."""
    if not setting.quantize or not layer.tensor.shape:
        return ""
    width, half = layer.tensor.parameters // max(1, layer.tensor.shape[0]), layer.tensor.dtype in HALF
    return _types(width, half, setting.quantize, setting.bits, *sorted(setting.quantize_knobs.items()))[1]


def _instead(layer: Layer, setting: Setting) -> tuple[str, str] | None:
    """The type that was asked for and the one that stands in for it; None where it is had."""
    if not setting.quantize or not layer.tensor.shape:
        return None
    width = layer.tensor.parameters // max(1, layer.tensor.shape[0])
    asked, had = _types(width, True, setting.quantize, setting.bits, *sorted(setting.quantize_knobs.items()))
    return (asked, had) if asked and had and asked != had else None


@lru_cache(maxsize=256)
def _types(width: int, half: bool, quantize: str, bits: int, *knobs: tuple[str, Value]) -> tuple[str, str]:
    """The block type that is asked for ("" = whichever holds it) and the one that is had, for rows of so many values."""
    method = replace(make(quantizers[quantize], dict(knobs)), bits=bits)
    if getattr(method, "format", "") == "gguf":
        return method.asked, method.wanted(width)
    if getattr(method, "table", False) or not half or width % 32 or (method.granularity == "group" and method.group_size % 32):
        return "", ""
    reach = 2 ** (bits - 1) if method.symmetric else 2**bits - 1
    return "", next((t for t, steps in EVEN if reach <= steps), "")


def _encoded(q: Quantized, dtype: str) -> Tensor:
    """The codes of an even grid in blocks of 32: each block of a larger group repeats its scale."""
    import torch

    rows, width = q.codes.shape
    zero = torch.tensor(2 ** (q.bits - 1)) if q.zero is None else q.zero.repeat_interleave(width // q.zero.shape[1], 1)
    blocks = width // 32
    scale = q.scale.expand(rows, -1).repeat_interleave(blocks // q.scale.shape[1], 1)
    one = torch.ones_like(scale)
    return packed(dtype, q.codes.to(torch.int16) - zero.to(torch.int16), scale.half(), one, one, one)


def _as_opened(layer: Layer) -> Tensor:
    """The blocks of the opened GGUF, in the order of rows that everything here has."""
    import torch

    from . import unpermuted

    t = layer.tensor
    storage: Any = torch.UntypedStorage.from_file(str(t.file), False, t.offset + t.nbytes)
    raw = torch.empty(0, dtype=torch.uint8).set_(storage)[t.offset : t.offset + t.nbytes].view(t.shape[0], -1)
    return unpermuted(raw, t.heads) if t.heads else raw
