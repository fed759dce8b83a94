"""What a cut will leave, before anything is computed: widths the target can load, the new shapes, the new config. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, prod
from typing import Any

from ..errors import BadPlan
from ..graph import BLOCK, Dimension, Graph, blocks, graph, of
from ..registry import knob, make
from ..types import ITEM_BYTES, Checkpoint, Layer, Plan, TensorInfo, Value

KINDS = ("ffn", "heads", "channels")
STOPS = 16  # widths offered of a dimension that has that many whole parts
WIDEST = 64  # the largest part: quantization groups and vector units want multiples of it
LEAST = 1 / 16  # of a width is always left
FRESH = "fresh"  # nothing is taken over: a network of the smaller shape with weights drawn anew, for a teacher to fill
DIVIDES = ("llama",)  # whose config refuses a hidden size that the number of heads doesn't divide, also where head_dim is given


@dataclass(frozen=True, slots=True)
class Cut:
    """What [plan.cuts] says: shares that go (rounded to the nearest width that loads), how many blocks go, and how they are chosen."""

    ffn: float = knob(0.0, 0.0, 0.9, 0.05, label="Feed-forward channels")
    heads: float = knob(0.0, 0.0, 0.9, 0.05, label="Attention heads")
    channels: float = knob(0.0, 0.0, 0.9, 0.05, label="Convolution channels")
    blocks: int = knob(0, 0, 1000, 1, label="Blocks")
    method: str = knob("obs", choices=("obs", "taylor", "magnitude", FRESH), label="Importance")
    compensate: bool = knob(True, label="Refit what is left")
    damping: float = knob(0.01, 0.0001, 1.0, 0.01)

    @property
    def idle(self) -> bool:
        """True when nothing goes."""
        return not (self.ffn or self.heads or self.channels or self.blocks)

    @property
    def looks(self) -> bool:
        """True when it needs a network that runs and data."""
        return self.method != FRESH and (self.method != "magnitude" or self.compensate or bool(self.blocks))


@dataclass(frozen=True)
class Widths:
    """One slider of the window: what may be left of a dimension, and why the rest may not."""

    kind: str  # key of Plan.cuts
    size: int  # units now: channels, heads (not groups of them), blocks
    allowed: tuple[int, ...]  # falling, the first is `size`
    why: str  # the reason for every other width; the whole reason when only `size` is allowed

    def nearest(self, share: float) -> int:
        """The allowed width nearest to what is left when `share` goes; of two the wider."""
        left = self.size * (1 - share)
        return min(self.allowed, key=lambda n: (abs(n - left), -n))


def cut_of(plan: Plan) -> Cut:
    """The plan's cuts, checked: an unknown key or a value out of range is a BadPlan that names it."""
    return make(Cut, plan.cuts)


def widths(checkpoint: Checkpoint) -> dict[str, Widths]:
    """Kind -> widths that transformers loads, for the kinds this checkpoint has."""
    found = _graph(_Same(checkpoint))
    out = {kind: _widths(checkpoint, kind, dims) for kind in KINDS if (dims := of(found.dimensions, kind))}
    if found.depth > 1:
        why = "at least one block must be left"
        out["blocks"] = Widths("blocks", found.depth, tuple(range(found.depth, 0, -1)), why)
    return out


def small(checkpoint: Checkpoint) -> dict[str, Value]:
    """Cuts that propose a fresh small student: about half of every width it can be cut in; {} where it can't."""
    out: dict[str, Value] = {}
    for kind, w in widths(checkpoint).items():
        left = w.nearest(0.5)
        if left < w.size:
            out[kind] = w.size - left if kind == "blocks" else 1 - left / w.size
    return {**out, "method": FRESH} if out else {}


def why_not(checkpoint: Checkpoint) -> str:
    """Why nothing can be cut of this checkpoint, "" when something can."""
    return _graph(_Same(checkpoint)).why


def kept(checkpoint: Checkpoint, cut: Cut) -> dict[str, float]:
    """Kind -> the share of its units that is left; BadPlan where the checkpoint can't be cut that way."""
    offered, out = widths(checkpoint), {}
    for kind in KINDS:
        share = getattr(cut, kind)
        if share and kind not in offered:
            raise BadPlan(f"[plan.cuts] {kind} = {share}: {_graph(_Same(checkpoint)).why or f'this network has no {kind} to cut'}")
        if share and len(offered[kind].allowed) == 1:
            raise BadPlan(f"[plan.cuts] {kind} = {share}: {offered[kind].why}")
        if share and (left := offered[kind].nearest(share)) < offered[kind].size:
            out[kind] = left / offered[kind].size
    if cut.blocks and "blocks" not in offered:
        raise BadPlan(f"[plan.cuts] blocks = {cut.blocks}: {_graph(_Same(checkpoint)).why or 'the blocks of this network differ'}")
    if cut.blocks and cut.blocks >= offered["blocks"].size:
        raise BadPlan(f"[plan.cuts] blocks = {cut.blocks}: the network has {offered['blocks'].size} and at least one must be left")
    return out


def left(dimension: Dimension, shares: Mapping[str, float]) -> int:
    """Units of a dimension that stay."""
    return round(dimension.size * shares.get(dimension.kind, 1.0))


def planned(checkpoint: Checkpoint, cut: Cut) -> Checkpoint:
    """The checkpoint as the cut will leave it: every shape, type and byte count, no values (its tensors can't be read)."""
    if cut.idle:
        return checkpoint
    shares, found = kept(checkpoint, cut), _graph(_Same(checkpoint))
    shapes = {n: list(t.shape) for n, t in checkpoint.tensors.items()}
    for d in found.dimensions:
        for s in (*d.made, *d.used):
            shapes[s.tensor][s.axis] = left(d, shares) * s.span
    names = renumbered(checkpoint, range(found.depth - cut.blocks)) if cut.blocks else {n: n for n in checkpoint.tensors}
    tensors = {new: _info(checkpoint.tensors[old], new, tuple(shapes[old])) for new, old in names.items()}
    return replace(checkpoint, tensors=tensors, config=_config(checkpoint, shares, cut.blocks))


def planned_layers(slim: Checkpoint, found: Iterable[Layer]) -> list[Layer]:
    """The layers `found` of the whole checkpoint as they are in the planned one; those of blocks that go are left out."""
    pairs = ((x, slim.tensors.get(x.tensor.name)) for x in found)
    return [x if t is x.tensor else Layer(x.name, t, x.kind, x.group, x.protected) for x, t in pairs if t is not None]


def renumbered(checkpoint: Checkpoint, stay: Any) -> dict[str, str]:
    """New tensor name -> old one when only the blocks numbered in `stay` are left, in their order."""
    numbers = {start: i for i, start in enumerate(blocks(checkpoint))}
    at = {old: new for new, old in enumerate(sorted(stay))}
    out = {}
    for name in checkpoint.tensors:
        m = BLOCK.match(name)
        if m is None:
            out[name] = name
        elif (old := numbers[m[0]]) in at:
            out[f"{m[1]}{at[old]}.{name[m.end() :]}"] = name
    return out


class _Same:
    """A checkpoint as a key: the same object has the same graph."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __hash__(self) -> int:
        return id(self.checkpoint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.checkpoint is self.checkpoint


@lru_cache(maxsize=8)  # the window asks at every tick
def _graph(of_: _Same) -> Graph:
    return graph(of_.checkpoint)


def _widths(checkpoint: Checkpoint, kind: str, dims: list[Dimension]) -> Widths:
    if kind == "heads":
        return _head_widths(checkpoint, dims)
    sizes = {d.size for d in dims}
    if kind == "ffn" and len(sizes) > 1:
        return Widths(kind, max(sizes), (max(sizes),), "its blocks differ in width, and transformers wants one width for all")
    common = gcd(*sizes)
    parts = next(p for p in (common // w for w in (WIDEST, 32, 16, 8, 4, 2, 1) if common % w == 0) if p >= min(STOPS, common))
    size, unit = max(sizes), max(sizes) // parts
    allowed = tuple(n * unit for n in range(parts, 0, -1) if n / parts >= LEAST)
    shared = "all blocks keep the same width" if kind == "ffn" else f"all stages keep the same share, in {parts} parts"
    return Widths(kind, size, allowed, f"widths go in steps of {unit} ({shared}; kernels and quantization groups want whole parts)")


def _head_widths(checkpoint: Checkpoint, dims: list[Dimension]) -> Widths:
    """Whole key-value groups, in a number the config can state."""
    config, units = checkpoint.config, dims[0].size
    heads = int(config["num_attention_heads"])
    if config["model_type"] == "bert":
        why = "transformers takes a BERT head to be hidden size / heads wide, so fewer heads would be wider ones: they can't be cut alone"
        return Widths("heads", heads, (heads,), why)
    group, hidden = heads // units, int(config["hidden_size"])
    divides = config["model_type"] in DIVIDES
    allowed = tuple(n * group for n in range(units, 0, -1) if not divides or hidden % (n * group) == 0)
    reasons = [f"{group} heads share a key-value head and go together"] if group > 1 else []
    reasons += [f"transformers wants the hidden size of {hidden} to divide by the number of heads"] if divides else []
    return Widths("heads", heads, allowed, ", and ".join(reasons) or "at least one head must be left")


def _info(info: TensorInfo, name: str, shape: tuple[int, ...]) -> TensorInfo:
    """A tensor of the cut checkpoint: GGUF's blocks no longer fit its rows and become F16."""
    dtype = info.dtype if info.dtype in ITEM_BYTES else "F16"
    if (name, shape, dtype) == (info.name, info.shape, info.dtype):
        return info
    return TensorInfo(name, shape, dtype, ITEM_BYTES[dtype] * prod(shape), info.file, info.offset)


def _config(checkpoint: Checkpoint, shares: Mapping[str, float], dropped: int) -> dict[str, Any]:
    """The config with the new widths and depth."""
    config = dict(checkpoint.config)

    def scale(key: str, share: float) -> None:
        if isinstance(config.get(key), int):
            config[key] = round(config[key] * share)

    if "ffn" in shares:
        scale("intermediate_size", shares["ffn"])
    if "heads" in shares:
        config["head_dim"] = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        for key in ("num_attention_heads", "num_key_value_heads"):
            scale(key, shares["heads"])
    if "channels" in shares:
        scale("embedding_size", shares["channels"])
        if config.get("hidden_sizes"):
            config["hidden_sizes"] = [round(n * shares["channels"]) for n in config["hidden_sizes"]]
    if dropped:
        config["num_hidden_layers"] -= dropped
        if isinstance(config.get("layer_types"), list):
            config["layer_types"] = config["layer_types"][: config["num_hidden_layers"]]
    return config


Cuts = Mapping[str, Value]
