"""What must be cut together: every axis of every tensor that shrinks when a channel, a head or a neuron goes. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from .pitch import CONVS, is_pitch
from .types import Checkpoint, TensorInfo

# Names inside a block: (rows that make the hidden channels, what takes them in), and (query, key, value, output).
FFN = (
    (("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj"),
    (("intermediate.dense",), "output.dense"),
    (("mlp.fc1",), "mlp.fc2"),
)  # fmt: skip
ATTENTION = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    ("attention.attention.query", "attention.attention.key", "attention.attention.value", "attention.output.dense"),
    ("attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"),
)
# Norms whose input is the residual stream; where there are none (post-norm: BERT), the projections read the stream itself.
BEFORE = ("input_layernorm", "layernorm_before")
AFTER = ("post_attention_layernorm", "layernorm_after")
BLOCK = re.compile(r"^((?:.+\.)?(?:layers|layer|h)\.)(\d+)\.")
NORM = ("weight", "bias", "running_mean", "running_var")
TRANSFORMERS = ("llama", "mistral", "qwen2", "qwen3", "bert", "vit")


@dataclass(frozen=True, slots=True)
class Slice:
    """One axis of one tensor; unit i of its dimension owns the entries i * span to (i + 1) * span."""

    tensor: str
    axis: int
    span: int = 1
    bias: str = ""  # of a consumer: the tensor that can take up the mean of what is lost
    norm: str = ""  # of a consumer: the batch norm behind it, whose running mean can
    stream: str = ""  # of a consumer: the weight of the layer whose input is the residual stream that its output is added to


@dataclass(frozen=True, slots=True)
class Dimension:
    """Units that go together: rows of those who make them, entries of the norms between, columns of those who use them."""

    kind: str  # "ffn", "heads" or "channels": the key of Plan.cuts
    name: str  # where it is, for messages
    size: int  # units
    made: tuple[Slice, ...]
    used: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """All that can be cut of one checkpoint."""

    dimensions: tuple[Dimension, ...] = ()
    blocks: str = ""  # what stands before the block's number in a tensor's name; "" where blocks can't be dropped
    depth: int = 0
    why: str = ""  # why nothing can be cut, "" when something can


def graph(checkpoint: Checkpoint) -> Graph:
    """The dimensions of a known architecture, from names, shapes and config."""
    kind = str(checkpoint.config.get("model_type", ""))
    if "quantization_config" in checkpoint.config:
        return Graph(why="this checkpoint is quantized already; cut the original")
    if kind == "resnet":
        return Graph(tuple(_resnet(checkpoint)))
    if not kind and is_pitch(checkpoint.tensors):
        return Graph(tuple(_crepe(checkpoint)))
    if kind not in TRANSFORMERS:
        known = ", ".join((*TRANSFORMERS, "resnet", "crepe"))
        return Graph(why=f"cutting knows {known}; {kind or 'weights without a config'} can be pruned and quantized, not cut")
    starts = blocks(checkpoint)
    if not starts:
        return Graph(why="no repeated blocks were found under the names this architecture has")
    dims = [d for s in starts for d in (_ffn(checkpoint, s), _heads(checkpoint, s)) if d]
    return Graph(tuple(dims), starts[0].rsplit(".", 2)[0] + ".", len(starts))


def blocks(checkpoint: Checkpoint) -> list[str]:
    """What the names of each block's tensors begin with, in order: "model.layers.0."."""
    found = {m[0]: int(m[2]) for n in checkpoint.tensors if (m := BLOCK.match(n))}
    return sorted(found, key=found.__getitem__)


def of(dims: Iterable[Dimension], kind: str) -> list[Dimension]:
    """The dimensions of one kind."""
    return [d for d in dims if d.kind == kind]


def _rows(tensors: dict[str, TensorInfo], name: str, span: int = 1) -> tuple[Slice, ...]:
    """Rows of a weight, with its bias where it has one."""
    return tuple(Slice(f"{name}.{end}", 0, span) for end in ("weight", "bias") if f"{name}.{end}" in tensors)


def _columns(tensors: dict[str, TensorInfo], name: str, span: int = 1, norm: str = "", streams: Iterable[str] = ()) -> Slice:
    stream = next((s for s in streams if s in tensors), "")
    return Slice(f"{name}.weight", 1, span, f"{name}.bias" if f"{name}.bias" in tensors else "", norm, stream)


def _ffn(checkpoint: Checkpoint, start: str) -> Dimension | None:
    """The hidden channels of a feed-forward layer."""
    t = dict(checkpoint.tensors)
    for ups, down in FFN:
        if all(f"{start}{n}.weight" in t for n in (*ups, down)):
            made = tuple(s for n in ups for s in _rows(t, start + n))
            streams = [f"{start}{n}.weight" for n in AFTER + ups]
            used = (_columns(t, start + down, streams=streams),)
            return Dimension("ffn", f"{start}{down}", t[f"{start}{down}.weight"].shape[1], made, used)
    return None


def _heads(checkpoint: Checkpoint, start: str) -> Dimension | None:
    """Attention heads; where several query heads share a key-value head, they go as one unit."""
    t, config = dict(checkpoint.tensors), checkpoint.config
    heads = int(config.get("num_attention_heads") or 0)
    units = int(config.get("num_key_value_heads") or heads)
    for q, k, v, o in ATTENTION:
        if heads and all(f"{start}{n}.weight" in t for n in (q, k, v, o)):
            wide, narrow = t[f"{start}{q}.weight"].shape[0] // units, t[f"{start}{k}.weight"].shape[0] // units
            made = _rows(t, start + q, wide) + _rows(t, start + k, narrow) + _rows(t, start + v, narrow)
            streams = [f"{start}{n}.weight" for n in (*BEFORE, q)]
            return Dimension("heads", f"{start}{o}", units, made, (_columns(t, start + o, wide, streams=streams),))
    return None


def _resnet(checkpoint: Checkpoint) -> Iterator[Dimension]:
    """The channels inside each block, and each residual stream with all who write and read it; a shortcut starts a new stream."""
    t = dict(checkpoint.tensors)
    stem = next((n.removesuffix(".convolution.weight") for n in t if n.endswith("embedder.embedder.convolution.weight")), "")
    name, made, used = stem, _conv_rows(t, stem), tuple[Slice, ...]()
    for start in _residual_blocks(checkpoint, stem):
        chain, shortcut = _convolutions(t, start), f"{start}shortcut"
        for a, b in pairwise(chain):
            yield _channels(t, a, _conv_rows(t, a), (_conv_columns(t, b),))
        used += (_conv_columns(t, chain[0]),)
        if f"{shortcut}.convolution.weight" in t:
            yield _channels(t, name, made, (*used, _conv_columns(t, shortcut)))
            name, made, used = shortcut, _conv_rows(t, shortcut), ()
        made += _conv_rows(t, chain[-1])
    heads = [n.removesuffix(".weight") for n, x in t.items() if n.startswith("classifier") and len(x.shape) == 2]
    if made:
        yield _channels(t, name, made, (*used, *(_columns(t, h) for h in heads)))


def _crepe(checkpoint: Checkpoint) -> Iterator[Dimension]:
    """The channels between two convolutions. The first's stay: they read the sound itself, and 64 columns of the next hang on each."""
    t = dict(checkpoint.tensors)
    for a, b in pairwise(CONVS[1:]):
        made = (*_rows(t, a), *(Slice(f"{a}_BN.{n}", 0) for n in NORM))
        yield _channels(t, a, made, (_columns(t, b),))


def _residual_blocks(checkpoint: Checkpoint, stem: str) -> list[str]:
    root = stem.removesuffix("embedder.embedder") + "encoder.stages."
    depths = checkpoint.config.get("depths", ()) if stem else ()
    return [f"{root}{i}.layers.{j}." for i, n in enumerate(depths) for j in range(int(n))]


def _channels(tensors: dict[str, TensorInfo], name: str, made: tuple[Slice, ...], used: tuple[Slice, ...]) -> Dimension:
    return Dimension("channels", name, tensors[made[0].tensor].shape[0], made, used)


def _convolutions(tensors: dict[str, TensorInfo], start: str) -> list[str]:
    """The convolutions of a block in order: its inner path, without the shortcut."""
    found = [n.removesuffix(".convolution.weight") for n in tensors if n.startswith(f"{start}layer.") and n.endswith("convolution.weight")]
    return sorted(found, key=lambda n: int(n.rsplit(".", 1)[1]))


def _conv_rows(tensors: dict[str, TensorInfo], name: str) -> tuple[Slice, ...]:
    ends = [f"{name}.convolution.weight", f"{name}.convolution.bias", *(f"{name}.normalization.{n}" for n in NORM)]
    return tuple(Slice(n, 0) for n in ends if n in tensors)


def _conv_columns(tensors: dict[str, TensorInfo], name: str) -> Slice:
    norm = f"{name}.normalization" if f"{name}.normalization.running_mean" in tensors else ""
    return _columns(tensors, f"{name}.convolution", 1, norm)
