"""Turns the residual stream of an RMSNorm decoder by an orthogonal matrix: the same function, with weights that round better.

QuaRot (Ashkboos et al. 2024, arXiv:2404.00456) and SpinQuant (Liu et al. 2024, arXiv:2405.16406): R1 turns the hidden states, R2 each
head between v and o. Both are multiplied into the weights, so that any format and loader takes the result and nothing is slower."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any

from .derived import derive
from .errors import BadPlan
from .formats import read
from .job import Job
from .layers import layers
from .types import FLOATS, ITEM_BYTES, Checkpoint, Entry, TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when the result changes
ROOMS = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")  # x * w / rms(x), two norms a block
EMBED, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
BLOCK = re.compile(r"(model\.layers\.\d+)\.(.+)")
READS = {
    "self_attn.q_proj.weight": "input_layernorm.weight", "self_attn.k_proj.weight": "input_layernorm.weight",
    "self_attn.v_proj.weight": "input_layernorm.weight", "mlp.gate_proj.weight": "post_attention_layernorm.weight",
    "mlp.up_proj.weight": "post_attention_layernorm.weight",
}  # fmt: skip
WRITES = ("self_attn.o_proj.weight", "self_attn.o_proj.bias", "mlp.down_proj.weight", "mlp.down_proj.bias")
KEPT = (
    "self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.q_norm.weight", "self_attn.k_norm.weight",
    "mlp.gate_proj.bias", "mlp.up_proj.bias", "self_attn.rotary_emb.inv_freq",
)  # fmt: skip
GAINS = ("input_layernorm.weight", "post_attention_layernorm.weight")
VALUES = ("self_attn.v_proj.weight", "self_attn.v_proj.bias")


def refuses(checkpoint: Checkpoint) -> str:
    """Why this network can't be rotated ("" = it can); torch-free, for the window."""
    name = str((checkpoint.config.get("architectures") or [""])[0])
    if name not in ROOMS:
        if "layer_norm_eps" in checkpoint.config or "layer_norm_epsilon" in checkpoint.config:
            return "its LayerNorm subtracts the mean over the features, which a rotation doesn't keep; only RMSNorm decoders can be rotated"
        return f"rotation knows the RMSNorm decoders {', '.join(n.removesuffix('ForCausalLM') for n in ROOMS)}, this is {name or 'unknown'}"
    strange = next((n for n in checkpoint.tensors if not _known(n)), "")
    if strange:
        return f"{strange} has no place in the network that rotation knows"
    return "" if {EMBED, NORM} <= checkpoint.tensors.keys() else "its embedding or last norm is missing"


def price(checkpoint: Checkpoint) -> int:
    """Bytes a rotation adds to the source's own: a tied output layer needs a matrix of its own.

    The last norm's gain belongs to the output layer alone, and a rotation lies between it and the hidden states: one matrix can't be
    E Q for the tokens read and E diag(gain) Q for those written, and leaving the gain in place would need it to commute with Q."""
    if HEAD in checkpoint.tensors:
        return 0
    embed = checkpoint.tensors[EMBED]
    return embed.parameters * ITEM_BYTES[_dtype(embed)]


def planned(checkpoint: Checkpoint) -> Checkpoint:
    """The rotated checkpoint's tensors and config before anything is computed, for sizes; its values are still the source's."""
    if why := refuses(checkpoint):
        raise BadPlan(f"{checkpoint.path.name} can't be rotated: {why}; switch rotation off")
    infos = {n: _info(t) for n, t in checkpoint.tensors.items()}
    infos.setdefault(HEAD, replace(infos[EMBED], name=HEAD))
    config = {**checkpoint.config, "tie_word_embeddings": False}
    return replace(checkpoint, tensors=infos, config=config, tied={})


def _info(t: TensorInfo) -> TensorInfo:
    dtype = _dtype(t)
    return replace(t, dtype=dtype, nbytes=t.parameters * ITEM_BYTES[dtype], heads=0)


def _dtype(t: TensorInfo) -> str:
    """Floats keep their type; a GGUF's blocks become F16, as an export would store them."""
    return t.dtype if t.dtype in FLOATS else "F16"


def _known(name: str) -> bool:
    found = BLOCK.fullmatch(name)
    if found is None:
        return name in (EMBED, NORM, HEAD)
    return found[2] in (*READS, *WRITES, *KEPT, *GAINS, *VALUES)


def rotated(checkpoint: Checkpoint, seed: int, job: Job, dtype: str = "") -> Checkpoint:
    """The rotated checkpoint, its weights in the cache; `dtype` stores all of them in one type (F32 for comparisons)."""
    plan = planned(checkpoint)
    infos = {n: replace(t, dtype=dtype or t.dtype) for n, t in plan.tensors.items()}
    entries = [Entry(x.tensor.name, infos[x.tensor.name].dtype, x.tensor.shape, x.tensor.name) for x in layers(plan)]
    turn = Turn.of(checkpoint, seed)
    how = {"rotate": seed, "code": CODE, "dtype": dtype}
    return derive(checkpoint, how, entries, _tensors(checkpoint, turn, infos), job, config=plan.config, tied={})


@dataclass(frozen=True)
class Turn:
    """The two rotations as block-diagonal matrices: one block each, and the signs before it."""

    block: Tensor  # (b, b) Hadamard / sqrt(b), float64; b = the largest power of two that divides the hidden size
    signs: Tensor  # (hidden,) +1 or -1
    head: Tensor  # (d, d) of the head's own signs and Hadamard; d = the head's size, where it is a power of two

    @staticmethod
    def of(checkpoint: Checkpoint, seed: int) -> Turn:
        import torch

        g = torch.Generator().manual_seed(seed)
        hidden = checkpoint.tensors[EMBED].shape[1]
        size = _head(checkpoint.config)
        signs = torch.randint(0, 2, (hidden,), generator=g, dtype=torch.float64) * 2 - 1
        flips = torch.randint(0, 2, (size,), generator=g, dtype=torch.float64) * 2 - 1
        return Turn(hadamard(_power(hidden)), signs, torch.block_diag(*[hadamard(_power(size))] * (size // _power(size))) * flips[:, None])

    def columns(self, w: Tensor) -> Tensor:
        """w Q, w (..., hidden) float64: what reads the stream (and the embedding's rows, which are the stream)."""
        return ((w * self.signs).unflatten(-1, (-1, len(self.block))) @ self.block).flatten(-2)

    def rows(self, w: Tensor) -> Tensor:
        """Qᵀ w, w (hidden, ...) float64: what writes into the stream."""
        return self.columns(w.movedim(0, -1)).movedim(-1, 0)


def _power(n: int) -> int:
    """The largest power of two that divides n."""
    return gcd(n, 1 << 30)


def hadamard(n: int) -> Tensor:
    """Sylvester's matrix over sqrt(n): orthogonal, every entry as large as any; n a power of two. float64."""
    import torch

    h = torch.ones(1, 1, dtype=torch.float64)
    while len(h) < n:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return h / n**0.5


def _head(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _tensors(checkpoint: Checkpoint, turn: Turn, infos: Mapping[str, TensorInfo]) -> Callable[[str], dict[str, Tensor]]:
    """Makes one tensor at a time in float64, rounded once to the type it is stored in."""
    import torch

    from .formats.safetensors_file import TORCH

    def value(name: str) -> Tensor:
        return read(checkpoint.tensors[name]).double()

    def made(name: str) -> Tensor:
        if name == EMBED:
            return turn.columns(value(EMBED))
        if name == HEAD:
            return turn.columns(value(HEAD if HEAD in checkpoint.tensors else EMBED) * value(NORM))
        found = BLOCK.fullmatch(name)
        part = found[2] if found else ""
        if name == NORM or part in GAINS:
            return torch.ones(infos[name].shape, dtype=torch.float64)
        return _block(value(name), part, found[1] if found else "", value, turn)

    return lambda name: {name: made(name).to(getattr(torch, TORCH[infos[name].dtype])).contiguous()}


def _block(w: Tensor, part: str, block: str, value: Callable[[str], Tensor], turn: Turn) -> Tensor:
    """One tensor of a block: read side, write side, values per head, or as it is."""
    if part in READS:
        w = turn.columns(w * value(f"{block}.{READS[part]}"))
    if part in VALUES:
        w = (turn.head.T @ w.reshape(-1, len(turn.head), *w.shape[1:]).flatten(2)).reshape(w.shape) if w.ndim > 1 else _bias(w, turn)
    if part == "self_attn.o_proj.weight":
        w = (w.unflatten(1, (-1, len(turn.head))) @ turn.head).flatten(1)
    return turn.rows(w) if part in WRITES else w


def _bias(b: Tensor, turn: Turn) -> Tensor:
    return (b.view(-1, len(turn.head)) @ turn.head).flatten()
