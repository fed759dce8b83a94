"""Packed export: compressed-tensors' pack-quantized layout, 2 to 8 bits a weight, which transformers unpacks on loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadFile
from ..quantize import quantizers
from ..registry import make
from ..stored import Quantized, Stored
from ..types import Checkpoint, Entry, Layer, Setting, Value
from . import read, targets
from .dense import SHARD, DenseTarget

if TYPE_CHECKING:
    from torch import Tensor


@targets("packed")
@dataclass(frozen=True, slots=True)
class PackedTarget:
    """compressed-tensors pack-quantized: linear layers as packed integers with their scales; all else dense in its own type."""

    title: ClassVar[str] = "Packed (compressed-tensors)"
    runs_in: ClassVar[str] = "transformers with compressed-tensors installed"
    shard_gb: float = SHARD

    def refuses(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> str:
        """Why a quantized layer is stored dense here ("" = packed, or nothing to pack)."""
        if not setting.quantize:
            return ""
        if not checkpoint.config:
            return "packed weights are found through config.json, and this model has none"
        if layer.kind != "linear":
            return f"pack-quantized holds linear layers, this is {layer.kind}"
        if getattr(quantizers[setting.quantize], "format", "packed") != "packed":
            return "its codes lie in GGUF's own blocks; choose the format GGUF"
        if getattr(quantizers[setting.quantize], "table", False):
            return "pack-quantized holds even grids, and a codebook is a table of values"
        return "pack-quantized needs one scale per group or channel, not per tensor" if _how(setting)["strategy"] == "tensor" else ""

    def mixes(self, setting: Setting) -> bool:
        """Whether layers of this setting may stand beside layers of another one: transformers 5.23 unpacks zero points only while it loads,
        and then reads every layer by the first scheme it finds."""
        return not setting.quantize or bool(_how(setting)["symmetric"])

    def clash(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> str:
        """Why these settings can't stand in one file ("" = they can)."""
        hows = {str(_how(s)): s for x in layers if self.packs(checkpoint, x, s := settings[x.name])}
        bad = next((s for s in hows.values() if not self.mixes(s)), None)
        if bad is None or len(hows) == 1:
            return ""
        return (
            f"layers of different bits or groups are read by transformers only when all their grids are symmetric; "
            f'set the knob "{bad.quantize}.symmetric" to true, or one setting for all layers'
        )

    def packs(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> bool:
        return bool(setting.quantize) and not self.refuses(checkpoint, layer, setting)

    def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
        dense = DenseTarget()
        out: list[Entry] = []
        for x in layers:
            s, dtype = settings[x.name], dense.of(x)
            out += _entries(x, s, dtype) if self.packs(checkpoint, x, s) else [Entry(x.tensor.name, dtype, x.tensor.shape, x.name)]
        return out

    def hangs_on(self, setting: Setting) -> tuple[object, ...]:
        return _key(setting)

    def tensors(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> dict[str, Tensor]:
        if not isinstance(stored, Quantized) or not self.packs(checkpoint, layer, setting):
            return DenseTarget().tensors(checkpoint, layer, setting, stored)
        import torch
        from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

        half = 2 ** (stored.bits - 1)
        out = {"packed": pack_to_int32((stored.codes.int() - half).to(torch.int8), stored.bits), "scale": stored.scale}
        if stored.zero is not None:
            out["zero_point"] = pack_to_int32((stored.zero.int() - half).to(torch.int8), stored.bits, packed_dim=0)
        out["shape"] = torch.tensor(stored.shape, dtype=torch.int64)
        return {f"{layer.name}.weight_{k}": v.contiguous() for k, v in out.items()}

    def config(
        self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """quantization_config as compressed-tensors reads it: every packed layer named, every other linear in `ignore`.

        `names` has the module's name of a layer where transformers renames it on loading (a ViT's layers since 5.0)."""
        layers, names = list(layers), names or {}
        packed = [x for x in layers if self.packs(checkpoint, x, settings[x.name])]
        base = DenseTarget().config(checkpoint, layers, settings)
        if not packed:
            return base
        alike: dict[str, list[str]] = {}
        hows = {}
        for x in packed:
            how = _how(settings[x.name])
            alike.setdefault(str(how), []).append(names.get(x.name, x.name))
            hows[str(how)] = how
        groups = {
            f"group_{i}": {"targets": names, "weights": hows[k], "input_activations": None} for i, (k, names) in enumerate(alike.items())
        }
        named = {x.name for x in packed}
        ignore = [names.get(x.name, x.name) for x in layers if x.kind in ("linear", "head") and x.name not in named] + [
            n.removesuffix(".weight") for n in checkpoint.tied
        ]
        # transformers 5.23 makes room for unpacked zero points and so refuses packed ones, unless it unpacks everything while it loads
        load = {} if all(h["symmetric"] for h in hows.values()) else {"dequantize": True}
        return base | {
            "quantization_config": {
                **load,
                "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
                "config_groups": groups, "ignore": ignore,
            }
        }  # fmt: skip


def _key(setting: Setting) -> tuple[Any, ...]:
    """All of a setting that the stored form hangs on."""
    return setting.quantize, setting.bits, *sorted(setting.quantize_knobs.items())


PARTS = ("packed", "scale", "zero_point", "shape")


def names(checkpoint: Checkpoint) -> dict[str, list[str]]:
    """Name of every weight -> the tensors it is stored in: itself, or the parts of a packed one."""
    out: dict[str, list[str]] = {}
    for name in checkpoint.tensors:
        stem, _, part = name.rpartition(".weight_")
        packed = part in PARTS and f"{stem}.weight_packed" in checkpoint.tensors
        out.setdefault(f"{stem}.weight" if packed else name, []).append(name)
    return out


def unpacked(checkpoint: Checkpoint, name: str) -> Tensor:
    """The weight's values, decoded in float32 and rounded to the scales' type where it is packed."""
    if name in checkpoint.tensors:
        return read(checkpoint.tensors[name])
    import torch
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    lost = next((f"{name}_{p}" for p in ("scale", "shape") if f"{name}_{p}" not in checkpoint.tensors), None)
    if lost:
        raise BadFile(f"{checkpoint.path.name}: {lost} is missing, without which {name} can't be unpacked; export or download it again")
    codes, scale, shape = (read(checkpoint.tensors[f"{name}_{p}"]) for p in ("packed", "scale", "shape"))
    rows, width = (int(n) for n in shape)
    bits = codes.shape[1] * 32 // width  # the row is padded to whole 32 bits: exact from 32 inputs on
    zero = checkpoint.tensors.get(f"{name}_zero_point")
    x = unpack_from_int32(codes, bits, torch.Size((rows, width))).float().unflatten(1, (scale.shape[1], -1))
    if zero is not None:
        x = x - unpack_from_int32(read(zero), bits, torch.Size(scale.shape), packed_dim=0).float().unsqueeze(-1)
    return (x * scale.float().unsqueeze(-1)).flatten(1).to(scale.dtype)


def _how(setting: Setting) -> dict[str, Any]:
    return dict(_scheme(*_key(setting)))


@lru_cache(maxsize=256)
def _scheme(quantize: str, bits: int, *knobs: tuple[str, Value]) -> Mapping[str, Any]:
    """A layer's `weights` in compressed-tensors' words; making the method anew for each of 500 layers was most of a slider's tick."""
    m = make(quantizers[quantize], dict(knobs))
    group = m.group_size if m.granularity == "group" else None
    return {"num_bits": bits, "type": "int", "symmetric": m.symmetric, "strategy": m.granularity, "group_size": group}


def _entries(x: Layer, s: Setting, dtype: str) -> list[Entry]:
    how = _how(s)
    out, width = x.tensor.shape
    groups = width // how["group_size"] if how["group_size"] else 1
    found = [Entry(f"{x.name}.weight_packed", "I32", (out, ceil(width * s.bits / 32)), x.name)]
    found.append(Entry(f"{x.name}.weight_scale", dtype, (out, groups), x.name))
    if not how["symmetric"]:
        found.append(Entry(f"{x.name}.weight_zero_point", "I32", (ceil(out * s.bits / 32), groups), x.name))
    return [*found, Entry(f"{x.name}.weight_shape", "I64", (2,), x.name)]
