"""What a GGUF file says of its network: read from the GGUF that was opened, or made from a transformers config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadFile, CannotWrite
from ..types import Checkpoint
from .gguf_header import STRING, Field, read
from .gguf_tokenizer import F32, U32, tokenizer

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}  # model_type -> llama.cpp's name
LEFT = ("general.alignment", "general.file_type", "general.quantization_version", "split.")  # of the opened file: said anew
SPARE = (".rotary_emb.inv_freq", ".position_ids", ".masked_bias", ".attention.bias")  # buffers that llama.cpp computes
MADE_BY = "Slim Studio"


@dataclass(frozen=True)
class Described:
    """A checkpoint in GGUF's words; `why` is the reason when it has none."""

    why: str
    architecture: str
    fields: Mapping[str, Field]
    names: Mapping[str, str]  # tensor name -> GGUF's; "" = left out
    heads: Mapping[str, int]  # GGUF's name of q or k -> heads, where the rows of each are interleaved


def described(checkpoint: Checkpoint) -> Described:
    """Worked out once for a checkpoint; a slider asks again at every tick."""
    found: Described | None = checkpoint.kept.get("gguf")
    if found is None:
        try:
            found = _described(checkpoint)
        except (BadFile, CannotWrite) as e:
            found = Described(str(e), "", {}, {}, {})
        checkpoint.kept["gguf"] = found
    return found


def named(checkpoint: Checkpoint) -> Mapping[str, str]:
    """GGUF's name of every tensor, also where no GGUF file could be written (a tokenizer is missing); CannotWrite without any names."""
    found = described(checkpoint)
    if found.names:
        return found.names
    arch = ARCHITECTURES.get(str(checkpoint.config.get("model_type") or ""), "")
    if not arch:
        raise CannotWrite(f"{found.why}: its layers have no names in llama.cpp's files")
    return _names(checkpoint, arch, int(checkpoint.config.get("num_hidden_layers") or 0))


def _described(checkpoint: Checkpoint) -> Described:
    fields = _opened(checkpoint) if checkpoint.format == "gguf" else _made(checkpoint)
    arch = str(fields["general.architecture"].value)
    depth = fields.get(f"{arch}.block_count", Field(0, U32)).value
    names = _names(checkpoint, arch, int(depth))
    fields |= {f"general.{k}": Field(v, U32) for k, v in (("quantization_version", 2), ("file_type", 0))}
    fields |= {"general.quantized_by": Field(MADE_BY, STRING)}
    return Described("", arch, fields, names, _heads(checkpoint, arch, fields, names))


def _opened(checkpoint: Checkpoint) -> dict[str, Field]:
    """The opened file's own words, with the shape of the network as it is now."""
    found = {k: f for k, f in read(checkpoint.path)[0].items() if not k.startswith(LEFT)}
    if not isinstance(found.get("general.architecture", Field(None, 0)).value, str):
        raise CannotWrite("The opened GGUF doesn't name its architecture, which llama.cpp wants to know; take another file")
    arch = found["general.architecture"].value
    shape = _shape(checkpoint.config, arch) if checkpoint.config else {}
    return found | {k: f for k, f in shape.items() if k in found or k.endswith((".key_length", ".value_length"))}


def _made(checkpoint: Checkpoint) -> dict[str, Field]:
    config = checkpoint.config
    kind = str(config.get("model_type") or "")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CannotWrite(f"GGUF describes networks by name, and the studio can write {known}, not {kind or 'weights without a config'}")
    if not str((config.get("architectures") or [""])[0]).endswith("CausalLM"):
        raise CannotWrite("GGUF is written for language models, and this network has another head; export it dense or packed")
    arch = ARCHITECTURES[kind]
    said = {"architecture": arch, "type": "model", "name": checkpoint.path.name}
    return {f"general.{k}": Field(v, STRING) for k, v in said.items()} | _shape(config, arch) | tokenizer(checkpoint)


def _shape(config: Mapping[str, Any], arch: str) -> dict[str, Field]:
    """The network's numbers; CannotWrite for what llama.cpp would compute otherwise."""
    rope = config.get("rope_parameters") or {}
    kind = rope.get("rope_type", "default")
    if kind != "default" or config.get("rope_scaling"):
        raise CannotWrite(f"Its rotary embedding is scaled ({kind}), which the studio can't put into GGUF yet; export it dense")
    if config.get("hidden_act", "silu") != "silu":
        raise CannotWrite(f"llama.cpp computes {arch} with SiLU, and this network has {config['hidden_act']}; export it dense")
    try:
        heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
        size = int(config.get("head_dim") or width // heads)
        whole = {
            "block_count": config["num_hidden_layers"], "context_length": config.get("max_position_embeddings") or 2048,
            "embedding_length": width, "feed_forward_length": config["intermediate_size"], "attention.head_count": heads,
            "attention.head_count_kv": config.get("num_key_value_heads") or heads, "attention.key_length": size,
            "attention.value_length": size, "rope.dimension_count": size, "vocab_size": config["vocab_size"],
        }  # fmt: skip
        real = {
            "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps", 1e-6),
            "rope.freq_base": rope.get("rope_theta") or config.get("rope_theta") or 10000.0,
        }
        numbers = {k: Field(int(v), U32) for k, v in whole.items()} | {k: Field(float(v), F32) for k, v in real.items()}
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as e:
        raise CannotWrite(f"config.json lacks what GGUF says of a network ({e}); restore it from the original") from None
    return {f"{arch}.{k}": f for k, f in numbers.items()}


def _names(checkpoint: Checkpoint, arch: str, depth: int) -> dict[str, str]:
    """GGUF's name of every tensor, by the `gguf` package's table; CannotWrite names the first that has none."""
    import gguf

    known = {name: a for a, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(known[arch], depth) if arch in known else None
    out = {}
    for name in checkpoint.tensors:
        found = table.get_name(name, (".weight", ".bias")) if table else None
        found = found or (name if checkpoint.format == "gguf" else "")
        if not found and not name.endswith(SPARE):
            raise CannotWrite(f"GGUF has no place for {name} in a {arch} network; export it dense or packed")
        out[name] = found
    if twice := next((n for n in out.values() if n and list(out.values()).count(n) > 1), ""):
        raise CannotWrite(f"Two tensors of this model would be called {twice} in GGUF; export it dense or packed")
    return out


def _heads(checkpoint: Checkpoint, arch: str, fields: Mapping[str, Field], names: Mapping[str, str]) -> dict[str, int]:
    """llama's q and k are stored with the two halves of each head interleaved."""
    if arch != "llama":
        return {}
    q = fields["llama.attention.head_count"].value
    many = {"attn_q": q, "attn_k": fields.get("llama.attention.head_count_kv", Field(q, U32)).value}
    return {n: many[part] for n in names.values() if (part := n.split(".")[2] if n.count(".") == 3 else "") in many}
