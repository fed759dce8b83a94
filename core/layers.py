"""From tensor names to layers: what each tensor is, which layers are alike, and which are better left alone."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .types import Checkpoint, Kind, Layer, TensorInfo

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
EMBEDDINGS = re.compile(r"(^|\.)(embed_tokens|wte|wpe|\w*_embeddings?|token_embd|tok_embeddings|embeddings)(\.weight)?$")
WHOLE = ("I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL")
HEADS = re.compile(r"(^|\.)(lm_head|classifier|score|head|fc|output|cls)(\.\d+)?$")
ROUTERS = re.compile(r"(^|\.)(router|gate|shared_expert_gate)(\.\w+)?$")
WHY = {
    "embedding": "embedding: every token looks its row up, an error here reaches every layer",
    "head": "output layer: its error goes straight into the answer",
    "norm": "normalisation: a few numbers that scale everything after them",
    "bias": "bias: a few numbers, nothing to gain",
    "router": "router: a wrong gate sends tokens to the wrong expert",
    "other": "not a weight matrix",
}


def layers(checkpoint: Checkpoint) -> list[Layer]:
    """Every stored tensor as a layer, in the file's order (see `by_number` for block order)."""
    infos = sorted(checkpoint.tensors.values(), key=lambda t: by_number(t.name))
    found = [layer(t, checkpoint) for t in infos]
    return [_first(x, found) for x in found] if any(x.kind == "conv" for x in found) else found


def layer(info: TensorInfo, checkpoint: Checkpoint) -> Layer:
    """One tensor as a layer."""
    name = info.name.removesuffix(".weight")
    kind = kind_of(info, checkpoint)
    return Layer(name, info, kind, group_of(name), WHY.get(kind, ""))


def kind_of(info: TensorInfo, checkpoint: Checkpoint) -> Kind:
    """What the tensor does: by its graph where there is one, else by its name and shape."""
    if told := checkpoint.kinds.get(info.name):
        return told
    name = info.name.removesuffix(".weight")
    if info.name.endswith("bias"):
        return "bias"
    if info.dtype in WHOLE:
        return "other"  # BERT's position_ids (1, 512) look like a matrix
    if len(info.shape) < 2:
        return "norm" if len(info.shape) == 1 and info.name.endswith("weight") else "other"
    if len(info.shape) == 2 and EMBEDDINGS.search(name):
        return "embedding"
    if len(info.shape) == 2 and HEADS.search(name) and not NUMBER.search(_stem(name)):
        return "head"
    if ROUTERS.search(name) and "experts" not in name and _moe(checkpoint):
        return "router"
    if len(info.shape) in (3, 4, 5) and info.name.endswith("weight"):
        return "conv"
    return "linear" if len(info.shape) == 2 else "other"


def group_of(name: str) -> str:
    """The name with every block number starred, so that like layers share it."""
    return NUMBER.sub("*", name)


def by_number(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts layers.2 before layers.10, and embeddings before blocks as the file does not."""
    front = 0 if "embed" in name else 1
    return [(front, 0, "")] + [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in name.split(".")]


def groups(found: Iterable[Layer]) -> dict[str, list[Layer]]:
    """Layers by group, in order of first appearance."""
    out: dict[str, list[Layer]] = {}
    for x in found:
        out.setdefault(x.group, []).append(x)
    return out


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0] + "." if "." in name else ""


def _moe(checkpoint: Checkpoint) -> bool:
    return any("expert" in k for k in checkpoint.config) or any(".experts." in n for n in checkpoint.tensors)


def _first(x: Layer, found: list[Layer]) -> Layer:
    """The first convolution sees the raw input: few weights, every error counts."""
    first = next(y for y in found if y.kind == "conv")
    why = "first layer: few weights, and every later layer inherits its error"
    return Layer(x.name, x.tensor, x.kind, x.group, why) if x is first else x
