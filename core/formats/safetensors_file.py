"""Reads .safetensors: a strict look at the header, then tensors out of the mapped file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadFile
from ..job import Job
from ..types import ITEM_BYTES, Checkpoint, TensorInfo
from . import readers

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER = 100_000_000  # the reference implementation's limit
MAX_DIMS = 64  # torch's limit
TORCH = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
    "I8": "int8", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip


@readers("safetensors")
class SafetensorsFile:
    """One .safetensors file without a config."""

    suffixes: ClassVar = (".safetensors",)
    dtypes: ClassVar = tuple(ITEM_BYTES)

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_file() and path.suffix == ".safetensors"

    @staticmethod
    def open(path: Path, job: Job) -> Checkpoint:
        return Checkpoint(path, "safetensors", header(path))

    @staticmethod
    def read(info: TensorInfo) -> Tensor:
        """Zero-copy view of the private mapping: a page is loaded when it is touched."""
        import torch

        dtype = getattr(torch, TORCH[info.dtype])
        if info.parameters == 0:
            return torch.empty(info.shape, dtype=dtype)
        storage: Any = torch.UntypedStorage.from_file(str(info.file), False, info.offset + info.nbytes)
        raw = torch.empty(0, dtype=torch.uint8).set_(storage)[info.offset : info.offset + info.nbytes]
        aligned = raw if info.offset % max(1, ITEM_BYTES[info.dtype]) == 0 else raw.clone()
        return aligned.view(dtype).view(info.shape)


def header(path: Path) -> dict[str, TensorInfo]:
    """Every tensor of the file by name; anything the header claims that the file does not hold is a BadFile."""
    try:
        with path.open("rb") as f:
            size = path.stat().st_size
            head = f.read(8)
            n = int.from_bytes(head, "little")
            if len(head) < 8 or n > min(size - 8, MAX_HEADER):
                raise BadFile(f"{path.name}: cut off or not a safetensors file (header of {n} bytes, file of {size}); download it again")
            found = json.loads(f.read(n).decode("utf-8"), object_pairs_hook=_unique)
    except (OSError, ValueError, RecursionError) as e:
        raise BadFile(f"{path.name}: its header can't be read ({e}); download it again") from None
    if not isinstance(found, dict):
        raise BadFile(f"{path.name}: its header is no table of tensors; download it again")
    infos = [_info(path, name, entry, 8 + n) for name, entry in found.items() if name != "__metadata__"]
    return {t.name: t for t in _checked(path, infos, 8 + n, size)}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON would quietly keep the last of two entries of one name."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _info(path: Path, name: str, entry: Any, base: int) -> TensorInfo:
    """One entry of the header, its numbers checked against one another."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = [begin, end, *shape]
    except (TypeError, KeyError, ValueError):
        raise BadFile(f"{path.name}: the entry of {name!r} is incomplete; download it again") from None
    if len(shape) > MAX_DIMS or not all(type(x) is int and 0 <= x < 2**63 for x in numbers):
        raise BadFile(f"{path.name}: {name!r} has a shape or place that is no number; download it again")
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise BadFile(f"{path.name}: {name!r} is stored as {dtype!r}, which I don't know; convert it to F32, F16 or BF16 first")
    info = TensorInfo(name, shape, dtype, end - begin, path, base + begin)
    if info.nbytes != info.parameters * ITEM_BYTES[dtype]:
        raise BadFile(f"{path.name}: {name!r} claims {info.nbytes} bytes for {list(shape)} of {dtype}; the header lies, download it again")
    return info


def _checked(path: Path, infos: list[TensorInfo], base: int, size: int) -> list[TensorInfo]:
    """Tensors lie one behind the other without gap or overlap and end where the file ends (the format's rule)."""
    at = base
    for t in sorted(infos, key=lambda t: (t.offset, t.nbytes)):
        if t.offset != at:
            raise BadFile(f"{path.name}: {t.name!r} overlaps its neighbour or leaves a gap; download the file again")
        at += t.nbytes
    if at != size:
        raise BadFile(f"{path.name}: cut off: it should have {at} bytes and has {size}; download it again")
    return infos
