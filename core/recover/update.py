"""What a client sends of its change: arrays and nothing else, as whole floats, as bytes with a scale, or the largest with their places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import BadData

if TYPE_CHECKING:
    from torch import Tensor

TOP = 0.1  # share of the numbers sent when only the largest are


def packed(change: list[Tensor], owed: list[Tensor], how: str, plain: Sequence[Tensor] = ()) -> tuple[bytes, list[Tensor]]:
    """The message (a safetensors file), and what packing took off: the client adds that to its next change (error feedback, Seide et al.
    2014). `how`: "float32", "int8" (one scale a tensor) or "top" (the largest tenth, with their places); `plain` follows as float32."""
    from safetensors.torch import save

    full = [t + k for t, k in zip(change, owed, strict=True)] if owed else change
    arrays = {f"{i}.{name}": x.contiguous() for i, t in enumerate(full) for name, x in PACK[how](t).items()}
    message = save(arrays | {f"{i}.value": t.contiguous() for i, t in enumerate(plain, len(full))})
    if how == "float32":
        return message, []
    if not all(bool(t.isfinite().all()) for t in full):
        return message, owed  # the server leaves it out, and what was owed before is still sound
    return message, [t - s for t, s in zip(full, opened(arrays, full, how), strict=True)]


def unpacked(message: bytes, like: list[Tensor], how: str, plain: int = 0) -> list[Tensor]:
    """What arrives of a change, one float32 tensor for each of `like`, the last of them as float32; BadData says what is wrong with it.
    Nothing in it is ever run."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        arrays = load(message)
    except (SafetensorError, ValueError, KeyError, RuntimeError):
        raise BadData("sent something that is no list of arrays") from None
    found = opened(arrays, like, how, plain)
    if not all(bool(t.isfinite().all()) for t in found):
        raise BadData("sent numbers that are not finite")
    return found


def opened(arrays: Mapping[str, Tensor], like: list[Tensor], how: str, plain: int = 0) -> list[Tensor]:
    """The arrays of a message as tensors of the shapes they must have."""
    parts: list[dict[str, Tensor]] = [{} for _ in like]
    for name, x in arrays.items():
        at, _, what = name.partition(".")
        if not at.isdecimal() or int(at) >= len(like):
            raise BadData("sent numbers of other shapes than the model's")
        parts[int(at)][what] = x
    try:
        hows = [how] * (len(like) - plain) + ["float32"] * plain
        return [OPEN[h](part, t) for h, part, t in zip(hows, parts, like, strict=True)]
    except (KeyError, ValueError, RuntimeError, IndexError):
        raise BadData("sent numbers of other shapes than the model's") from None


def _float32(t: Tensor) -> dict[str, Tensor]:
    return {"value": t}


def _from_float32(part: Mapping[str, Tensor], like: Tensor) -> Tensor:
    return _shaped(part["value"], like)


def _int8(t: Tensor) -> dict[str, Tensor]:
    scale = t.abs().max() / 127
    codes = (t / scale.where(scale > 0, 1.0)).round().nan_to_num().clamp(-127, 127)
    return {"code": codes.char(), "scale": scale}


def _from_int8(part: Mapping[str, Tensor], like: Tensor) -> Tensor:
    return _shaped(part["code"].float(), like) * part["scale"].view(())


def _top(t: Tensor) -> dict[str, Tensor]:
    flat = t.flatten()
    at = flat.abs().topk(max(1, math.ceil(TOP * flat.numel()))).indices
    return {"at": at.int(), "value": flat[at]}


def _from_top(part: Mapping[str, Tensor], like: Tensor) -> Tensor:
    import torch

    at, value = part["at"].long(), part["value"].float()
    if at.shape != value.shape or (len(at) and not 0 <= int(at.min()) <= int(at.max()) < like.numel()):
        raise ValueError("places outside the tensor")
    return torch.zeros(like.numel()).scatter(0, at, value).view_as(like)


def _shaped(t: Tensor, like: Tensor) -> Tensor:
    if t.shape != like.shape or not t.is_floating_point():
        raise ValueError("another shape")
    return t.float()


PACK = {"float32": _float32, "int8": _int8, "top": _top}
OPEN = {"float32": _from_float32, "int8": _from_int8, "top": _from_top}
