"""A network's numbers in GGUF's words, architecture by architecture; what llama.cpp would compute otherwise is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CannotWrite
from .gguf_header import Field
from .gguf_tokenizer import BOOL, F32, U32

ARCHITECTURES = {  # model_type -> llama.cpp's name
    "llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3", "bert": "bert",
}  # fmt: skip
HEADS = {"bert": "BertModel"}  # the class whose answers llama.cpp gives, where it is no ...CausalLM
SPARE = (".rotary_emb.inv_freq", ".position_ids", ".masked_bias", ".attention.bias")  # buffers that llama.cpp computes
UNUSED = {"bert": re.compile(r"(^|\.)pooler\.dense\.(weight|bias)$")}  # of a head that nobody reads
CRASHES = {  # model_type -> why it is not written
    "gpt2": "ik-llama-cpp-python 0.1.5, which every GGUF export is run in before it gets its name, ends its process on GPT-2",
}
PERIOD = 6  # Gemma 3: five windows, then a layer that sees everything
MEAN = 1  # pooling, as sentence-transformers does for BERT
Config = Mapping[str, Any]


def shape(config: Config, arch: str) -> dict[str, Field]:
    """The network's numbers; CannotWrite for what llama.cpp would compute otherwise."""
    try:
        numbers = SHAPES.get(arch, _llama)(config, arch)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as e:
        raise CannotWrite(f"config.json lacks what GGUF says of a network ({e}); restore it from the original") from None
    return {f"{arch}.{k}": f for k, f in numbers.items()}


def _fields(whole: Config, real: Config) -> dict[str, Field]:
    return {k: Field(int(v), U32) for k, v in whole.items()} | {k: Field(float(v), F32) for k, v in real.items()}


def _only(config: Config, arch: str, **wanted: tuple[Any, ...]) -> None:
    """The values llama.cpp has built in; the first is what a config without the key means."""
    for key, values in wanted.items():
        if config.get(key, values[0]) not in values:
            raise CannotWrite(f"llama.cpp computes {arch} with {key} = {values[0]}, and this network has {config[key]}; export it dense")


def _unscaled(config: Config, rope: Config) -> None:
    kind = rope.get("rope_type", "default")
    if kind != "default" or config.get("rope_scaling"):
        raise CannotWrite(f"Its rotary embedding is scaled ({kind}), which the studio can't put into GGUF yet; export it dense")


def _attention(config: Config) -> dict[str, Any]:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    size = int(config.get("head_dim") or width // heads)
    return {
        "block_count": config["num_hidden_layers"], "context_length": config.get("max_position_embeddings") or 2048,
        "embedding_length": width, "feed_forward_length": config["intermediate_size"], "attention.head_count": heads,
        "attention.head_count_kv": config.get("num_key_value_heads") or heads, "attention.key_length": size,
        "attention.value_length": size, "vocab_size": config["vocab_size"],
    }  # fmt: skip


def _llama(config: Config, arch: str) -> dict[str, Field]:
    rope = config.get("rope_parameters") or {}
    _unscaled(config, rope)
    if config.get("hidden_act", "silu") != "silu":
        raise CannotWrite(f"llama.cpp computes {arch} with SiLU, and this network has {config['hidden_act']}; export it dense")
    whole = _attention(config)
    real = {
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps", 1e-6),
        "rope.freq_base": rope.get("rope_theta") or config.get("rope_theta") or 10000.0,
    }
    return _fields({**whole, "rope.dimension_count": whole["attention.key_length"]}, real)


def _gemma3(config: Config, arch: str) -> dict[str, Field]:
    whole = _attention(config)
    _only(
        config, arch, hidden_activation=("gelu_pytorch_tanh",), attn_logit_softcapping=(None,), final_logit_softcapping=(None,),
        attention_bias=(False,), use_bidirectional_attention=(False, None), query_pre_attn_scalar=(whole["attention.key_length"],),
    )  # fmt: skip
    ropes = config.get("rope_parameters") or {}
    wide, near = ropes.get("full_attention") or {}, ropes.get("sliding_attention") or {}
    for rope in (wide, near):
        _unscaled(config, rope)
    _only(near, arch, rope_theta=(10000.0,))
    kinds = ["full_attention" if (i + 1) % PERIOD == 0 else "sliding_attention" for i in range(int(whole["block_count"]))]
    if (config.get("layer_types") or kinds) != kinds:
        raise CannotWrite(f"llama.cpp lets every {PERIOD}th layer of Gemma 3 see everything, and this network others; export it dense")
    real = {
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps", 1e-6),
        "rope.freq_base": wide.get("rope_theta") or config.get("rope_theta") or 1e6,
    }
    return _fields({**whole, "attention.sliding_window": config["sliding_window"]}, real)


def _bert(config: Config, arch: str) -> dict[str, Field]:
    _only(config, arch, hidden_act=("gelu",), position_embedding_type=("absolute",), is_decoder=(False,), add_cross_attention=(False,))
    whole = {k: v for k, v in _attention(config).items() if not k.endswith(("_kv", "key_length", "value_length"))}
    found = _fields({**whole, "pooling_type": MEAN}, {"attention.layer_norm_epsilon": config.get("layer_norm_eps", 1e-12)})
    return {**found, "attention.causal": Field(False, BOOL)}


SHAPES: dict[str, Callable[[Config, str], dict[str, Field]]] = {"gemma3": _gemma3, "bert": _bert}
