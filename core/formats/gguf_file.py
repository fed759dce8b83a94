"""Reads GGUF: tensors under their transformers names, blocks dequantized, a transformers config made from the metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BadFile
from ..job import Job
from ..types import ITEM_BYTES, Checkpoint, TensorInfo
from . import readers
from .gguf_header import Stored, parse

if TYPE_CHECKING:
    from torch import Tensor

PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
BLOCKS = {
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K",
    16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
AT_ONCE = 4096  # blocks: gguf's own steps of 16 rows, with a block as a row, took 17 times as long
NETWORKS = {"llama": ("llama", "LlamaForCausalLM"), "qwen2": ("qwen2", "Qwen2ForCausalLM"), "qwen3": ("qwen3", "Qwen3ForCausalLM")}
TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip


@readers("gguf")
class GgufFile:
    """A llama.cpp model; llama, qwen2 and qwen3 can also be evaluated."""

    suffixes: ClassVar = (".gguf",)
    dtypes: ClassVar = tuple(BLOCKS.values())

    @staticmethod
    def matches(path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as f:
            return f.read(4) == b"GGUF" or path.suffix == ".gguf"

    @staticmethod
    def open(path: Path, job: Job) -> Checkpoint:
        metadata, found, start = parse(path)
        if metadata.get("general.type") == "imatrix":
            raise BadFile(f"{path.name} is an importance matrix, not a model; give it as calibration data (--calibrate {path.name})")
        arch = str(metadata.get("general.architecture", ""))
        infos = [_info(path, t, start, metadata, arch) for t in found]
        tensors = {t.name: t for t in infos}
        if len(tensors) != len(infos):
            raise BadFile(f"{path.name}: names a tensor twice; download it again")
        made = _config(metadata, tensors, arch, job)
        shared = {"lm_head.weight": "model.embed_tokens.weight"} if made.get("tie_word_embeddings") else {}
        return Checkpoint(path, "gguf", tensors, made, tied=shared)

    @staticmethod
    def read(info: TensorInfo) -> Tensor:
        """The blocks of one tensor as float32."""
        import gguf
        import numpy as np
        import torch

        kind = gguf.GGMLQuantizationType[info.dtype]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = np.memmap(info.file, np.uint8, "r", info.offset, (info.nbytes // size, size))
        out = np.empty((len(raw), block), np.float32)
        for a in range(0, len(raw), AT_ONCE):
            part = np.ascontiguousarray(raw[a : a + AT_ONCE])
            out[a : a + AT_ONCE] = gguf.quants.dequantize(part.reshape(1, -1), kind).reshape(-1, block)
        return torch.from_numpy(out).reshape(info.shape)


def _info(path: Path, t: Stored, start: int, metadata: dict[str, Any], arch: str) -> TensorInfo:
    """One tensor with its checks: a known type, whole blocks per row, inside the file."""
    shape = tuple(reversed(t.dims))
    dtype = PLAIN.get(t.type) or BLOCKS.get(t.type)
    if dtype is None:
        raise BadFile(f"{path.name}: {t.name!r} is stored as ggml type {t.type}, which I don't know; convert it with llama-quantize first")
    block, size = (1, ITEM_BYTES[dtype]) if t.type in PLAIN else _block(dtype)
    if shape and shape[-1] % block:
        raise BadFile(f"{path.name}: a row of {t.name!r} holds {shape[-1]} values, no multiple of {dtype}'s {block}; download it again")
    name = named(t.name) if arch in NETWORKS else t.name
    plain = TensorInfo(name, shape, dtype, 0, path)
    nbytes, offset = plain.parameters // block * size, start + t.offset
    if offset + nbytes > path.stat().st_size:
        raise BadFile(f"{path.name}: cut off: {t.name!r} should end at byte {offset + nbytes}; download it again")
    return TensorInfo(name, shape, dtype, nbytes, path, offset, _heads(path, t.name, shape, metadata, arch))


def _block(dtype: str) -> tuple[int, int]:
    import gguf

    return gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[dtype]]


def _heads(path: Path, name: str, shape: tuple[int, ...], metadata: dict[str, Any], arch: str) -> int:
    """llama's q and k rows are interleaved per head in GGUF; qwen's are not."""
    match = re.fullmatch(r"blk\.\d+\.attn_([qk])\.(weight|bias)", name)
    if arch != "llama" or not match:
        return 0
    q = metadata.get("llama.attention.head_count")
    heads = q if match[1] == "q" else metadata.get("llama.attention.head_count_kv", q)
    if type(heads) is not int or heads < 1 or not shape or shape[0] % (2 * heads):
        raise BadFile(f"{path.name}: its head count {heads!r} doesn't fit {name} of {list(shape)}; download it again")
    return heads


def named(name: str) -> str:
    """ "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name I don't know stays."""
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
    if not match:
        return name
    number, stem, end = match.groups()
    found = TOP.get(stem) if number is None else BLOCK.get(stem)
    if found is None:
        return name
    return f"{found}.{end}" if number is None else f"model.layers.{number}.{found}.{end}"


def _config(metadata: dict[str, Any], tensors: dict[str, TensorInfo], arch: str, job: Job) -> dict[str, Any]:
    """A transformers config; {} (the file can be slimmed, not evaluated) when the metadata asks for what it would not say."""
    why = _unusual(metadata, tensors, arch)
    if why:
        job.note(f"This GGUF file can be slimmed but not evaluated: {why}.")
        return {}
    m = {k.removeprefix(f"{arch}."): v for k, v in metadata.items()}
    hidden, heads = m["embedding_length"], m["attention.head_count"]
    model_type, architecture = NETWORKS[arch]
    context = m.get("context_length", 2048)
    rope = {"rope_type": "default", "rope_theta": m.get("rope.freq_base", 10000.0)}
    made = {
        "model_type": model_type, "architectures": [architecture], "hidden_size": hidden, "num_hidden_layers": m["block_count"],
        "num_attention_heads": heads, "num_key_value_heads": m.get("attention.head_count_kv", heads),
        "head_dim": m.get("attention.key_length") or m.get("rope.dimension_count") or hidden // heads,
        "intermediate_size": m["feed_forward_length"], "hidden_act": "silu", "rope_parameters": rope,
        "rms_norm_eps": m.get("attention.layer_norm_rms_epsilon", 1e-6), "max_position_embeddings": context,
        "vocab_size": tensors["model.embed_tokens.weight"].shape[0], "tie_word_embeddings": "lm_head.weight" not in tensors,
    }  # fmt: skip
    if arch == "llama":
        made["attention_bias"] = "model.layers.0.self_attn.q_proj.bias" in tensors
    ends = {f"{x}_token_id": m.get(f"tokenizer.ggml.{x}_token_id") for x in ("bos", "eos")}
    return made | {k: v for k, v in ends.items() if v is not None}


def _unusual(metadata: dict[str, Any], tensors: dict[str, TensorInfo], arch: str) -> str:
    """Why no config is made: better none than one that computes something else."""
    if arch not in NETWORKS:
        return f"the architecture {arch or '(none)'} is not one of {', '.join(NETWORKS)}"
    wanted = ("embedding_length", "block_count", "attention.head_count", "feed_forward_length")
    odd = [k for k in wanted if type(metadata.get(f"{arch}.{k}")) is not int or metadata[f"{arch}.{k}"] < 1]
    if odd or "model.embed_tokens.weight" not in tensors:
        return f"its metadata lacks {', '.join(odd) or 'an embedding'}"
    if metadata.get(f"{arch}.expert_count"):
        return "mixtures of experts are not mapped"
    scaling = metadata.get(f"{arch}.rope.scaling.type", "none")
    return "its rotary embedding is scaled" if scaling != "none" or "rope_freqs.weight" in tensors else ""
