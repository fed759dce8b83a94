"""Reads PyTorch files (.pt, .pth, .bin): a child process copies the tensors to safetensors, and no code in them runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..child import run
from ..errors import BadFile
from ..job import Job
from ..resources import cache_root
from ..types import Checkpoint, TensorInfo
from . import readers
from .safetensors_file import TORCH, header

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".pt", ".pth", ".bin")
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "params")


@readers("torchzip")
class TorchZip:
    """A state dict saved by torch.save."""

    suffixes: ClassVar = SUFFIXES
    dtypes: ClassVar = ()  # what is read is the safetensors copy

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_file() and path.suffix in SUFFIXES

    @staticmethod
    def open(path: Path, job: Job) -> Checkpoint:
        return Checkpoint(path, "torchzip", copied(path, job))


def copied(path: Path, job: Job) -> dict[str, TensorInfo]:
    """The tensors of the file's safetensors copy, made when this very file was not opened before."""
    stat = path.stat()
    key = hashlib.sha256(f"{path}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()
    copy = cache_root() / "opened" / f"{key}.safetensors"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        run("core.formats.torchzip:convert", {"source": str(path), "copy": str(copy)}, job)
    return header(copy)


def convert(source: str, copy: str, job: Job) -> int:
    """In the child: load with weights_only, keep the tensors, write the copy; returns how many."""
    from safetensors.torch import save_file

    path, aside = Path(source), Path(f"{copy}.{os.getpid()}.tmp")
    whole = load(path)
    found = tensors_of(whole)
    if not found:
        raise BadFile(f"{path.name}: refused: {_no_table(whole)}")
    odd = next((n for n, t in found.items() if str(t.dtype).removeprefix("torch.") not in TORCH.values()), None)
    if odd:
        raise BadFile(f"{path.name}: {odd} is stored as {found[odd].dtype}, which I don't know; convert it to float32 first")
    try:
        save_file({n: t.detach().clone(memory_format=_contiguous()) for n, t in found.items()}, aside)
        os.replace(aside, copy)
    except OSError as e:
        raise BadFile(f"{path.name}: its copy {copy} can't be written ({e}); free some space or set SLIM_CACHE to another folder") from None
    finally:
        aside.unlink(missing_ok=True)
    return len(found)


def load(path: Path) -> Any:
    """What torch.load gives when nothing but tensors and plain containers is allowed."""
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        if "Unsupported" in str(e) or "GLOBAL" in str(e) or "Weights only load failed" in str(e):
            raise BadFile(
                f"{path.name}: refused: it is no plain table of tensors and would run code; save its state_dict instead"
            ) from None
        raise BadFile(f"{path.name}: not readable as a PyTorch file; save the state_dict again with torch.save") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, UnicodeError) as e:
        first = (str(e).splitlines() or [type(e).__name__])[0][:120]
        raise BadFile(f"{path.name}: not readable as a PyTorch file ({first}); save the state_dict again with torch.save") from None


def tensors_of(found: Any) -> dict[str, Tensor]:
    """The state dict out of whatever training script wrapped it; everything that is no dense tensor is dropped."""
    import torch

    if not isinstance(found, Mapping):
        return {}
    for wrapper in WRAPPERS:
        if isinstance(found.get(wrapper), Mapping):
            return tensors_of(found[wrapper])
    return {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor) and v.layout == torch.strided and not v.is_quantized}


def _no_table(found: Any) -> str:
    """What is there instead of a state dict, and what to do."""
    if not isinstance(found, Mapping):
        return f"it holds no table of tensors but a {type(found).__name__}; save the model's state_dict with torch.save"
    inner = next((str(k) for k, v in found.items() if tensors_of(v)), "")
    keys = ", ".join(map(str, list(found)[:4]))
    advice = f"save {inner!r} alone with torch.save" if inner else "save the model's state_dict with torch.save"
    return f"it is no state dict but a training checkpoint or an object of other things ({keys or 'nothing'}); {advice}"


def _contiguous() -> Any:
    import torch

    return torch.contiguous_format
