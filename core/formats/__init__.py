"""File formats: readers open a checkpoint from its headers, targets say how an export is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadFile
from ..job import Job
from ..registry import Registry
from ..types import Checkpoint, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

readers = Registry("core.formats")
targets = Registry("core.formats")


def open_checkpoint(path: Path, job: Job | None = None) -> Checkpoint:
    """Open by folder, magic or suffix; reads headers only. Raises BadFile with what to do."""
    path = Path(path).expanduser().resolve()
    if not path.exists():
        raise BadFile(f"{path}: there is nothing there; check the path")
    for reader in readers.values():
        if reader.matches(path):
            return reader.open(path, job or Job())
    raise BadFile(f"{path.name}: not a model file I know; I can open {suffixes()}")


def read(info: TensorInfo) -> Tensor:
    """The tensor's values out of the mapped file, in its own type (GGUF blocks come as float32); do not write into it."""
    reader = next((r for r in readers.values() if info.dtype in r.dtypes), None)
    if reader is None:
        raise BadFile(f"{info.file.name}: {info.name} is stored as {info.dtype}, which I don't know; convert it to F32, F16 or BF16 first")
    try:
        found = reader.read(info)
    except (OSError, RuntimeError, ValueError) as e:
        raise BadFile(
            f"{info.file.name}: {info.name} can't be read any more ({str(e).splitlines()[0][:120]}); open the file again"
        ) from None
    if info.strides:
        return found.as_strided(info.shape, info.strides).contiguous()
    return unpermuted(found, info.heads) if info.heads else found


def unpermuted(rows: Tensor, heads: int) -> Tensor:
    """Rows as transformers has them: GGUF interleaves the two halves of each head for its rotary embedding."""
    return rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def permuted(rows: Tensor, heads: int) -> Tensor:
    """The reverse of `unpermuted`: rows as GGUF has them."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def suffixes() -> str:
    """What can be opened, for messages and the file dialog."""
    return ", ".join(s for r in readers.values() for s in r.suffixes)
