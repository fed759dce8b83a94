"""Every architecture and kind of tokenizer that can be put into GGUF answers in llama.cpp as it does here; what can't is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from core import data
from core.compress import compress
from core.errors import CannotWrite
from core.export import export, save
from core.formats import open_checkpoint, targets
from core.formats.gguf_header import parse
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit
from core.resources import root
from core.store import Store
from core.types import Plan
from tests.real import minilm

torch.set_num_threads(1)
SOTU = root() / "samples" / "sotu-lm"
SMALL = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 2048, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.15,
}  # fmt: skip
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "an untied llama with biases and heads of their own size": (
        "Llama", {"tie_word_embeddings": False, "attention_bias": True, "head_dim": 32}),
    "mistral": ("Mistral", {"tie_word_embeddings": False, "sliding_window": None}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"tie_word_embeddings": False, "head_dim": 32}),
    "gemma3": ("Gemma3", {
        "tie_word_embeddings": True, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16, "num_hidden_layers": 7,
        "pad_token_id": 0,
    }),
}  # fmt: skip
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
SPLITS = {
    "gpt-2": {**BYTES, "use_regex": True},
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, {**BYTES, "use_regex": True}]},
    **{name: {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": WORDS % digits}, "behavior": "Isolated", "invert": False}, BYTES]}
       for name, digits in (("llama-bpe", "{1,3}"), ("qwen2", ""))},
}  # fmt: skip


def built(kind: str, folder: Path, **config: Any) -> Path:
    """A network of random weights with the sample's tokenizer."""
    import transformers

    torch.manual_seed(0)
    shape = {"Gemma3": "Gemma3TextConfig"}.get(kind, f"{kind}Config")
    made = getattr(transformers, shape)(**{**SMALL, **config})
    module = getattr(transformers, f"{kind}ForCausalLM")(made)
    for name, p in module.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.uniform_(p, 0.5, 1.5)
    module.half().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            shutil.copyfile(SOTU / name, folder / name)
    return folder


def told(folder: Path, tmp: Path, text: Path = SOTU / "heldout.txt", **changes: Any) -> dict[str, str]:
    """The checks of its export that held."""
    checkpoint = open_checkpoint(folder)
    plan = edit(Plan(), MODEL, **{"quantize": "ggml", "bits": 16, **changes})
    made = compress(checkpoint, layers(checkpoint), plan, None, Store(tmp / "store"), Job())
    network = attach(checkpoint)
    held = data.load(text, network, 128)
    return {c.name: c.detail for c in export(made, tmp / "out.gguf", targets["gguf"](), network, held, Job()).checks if c.passed}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_in_llama_cpp_as_it_does_here(name: str, tmp_path: Path) -> None:
    kind, config = NETWORKS[name]
    passed = told(built(kind, tmp_path / "in", **config), tmp_path)
    assert {"same weights", "same tokens in llama.cpp", "same answers in llama.cpp"} <= set(passed)
    assert float(passed["same answers in llama.cpp"].split()[1]) < 1e-4, "in half precision the two differ by next to nothing"
    again = open_checkpoint(tmp_path / "out.gguf")
    if kind in ("Llama", "Qwen2", "Qwen3"):  # what the studio also reads as a network
        assert again.config["architectures"] == open_checkpoint(tmp_path / "in").config["architectures"]


@pytest.mark.parametrize("name", SPLITS)
def test_a_byte_level_tokenizer_splits_text_alike_in_llama_cpp(name: str, tmp_path: Path) -> None:
    folder = built("Llama", tmp_path / "in", num_hidden_layers=1)
    said = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**said, "pre_tokenizer": SPLITS[name]}))
    text = tmp_path / "text.txt"
    text.write_text("We've spent $1,234,567.89 since 2005;\n\n  it's 42nd   of  THEM'LL—naïve!!\t(ok)\n" * 4)
    assert "same tokens in llama.cpp" in told(folder, tmp_path, text)
    assert parse(tmp_path / "out.gguf")[0]["tokenizer.ggml.pre"] == name


def sentencepiece(folder: Path) -> None:
    """A tokenizer of SentencePiece's kind: bytes where a letter is unknown, spaces as a sign of their own."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=special, show_progress=False, max_token_length=12)
    made.train_from_iterator((SOTU / "heldout.txt").read_text()[:30_000].split("\n"), trainer)
    said = json.loads(made.to_str())
    said["added_tokens"] = [a for a in said["added_tokens"] if not a["content"].startswith("<0x")]
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(said))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))


def test_a_tokenizer_of_sentencepieces_kind_splits_text_alike_in_llama_cpp(tmp_path: Path) -> None:
    sentencepiece(tmp_path / "in")
    passed = told(built("Llama", tmp_path / "in", vocab_size=1200), tmp_path)
    assert "same tokens in llama.cpp" in passed
    found = parse(tmp_path / "out.gguf")[0]
    assert found["tokenizer.ggml.model"] == "llama"
    assert found["tokenizer.ggml.token_type"][:4] == [2, 3, 3, 6]


def test_more_rows_in_the_embedding_than_tokens_are_marked_unused(tmp_path: Path) -> None:
    assert "same tokens in llama.cpp" in told(built("Llama", tmp_path / "in", vocab_size=2080), tmp_path)
    found = parse(tmp_path / "out.gguf")[0]
    assert found["tokenizer.ggml.token_type"][2048:] == [5] * 32


def test_minilm_embeds_in_llama_cpp_as_it_does_here(tmp_path: Path) -> None:
    """Its vectors by mean pooling, its WordPiece tokens, and no pooler in the file."""
    checkpoint = open_checkpoint(minilm())
    made = compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, quantize="ggml", bits=8), None, Store(tmp_path / "store"), Job())
    network = attach(checkpoint)
    held = data.load(SOTU / "heldout.txt", network, 8)
    checks = {c.name: c.detail for c in export(made, tmp_path / "out.gguf", targets["gguf"](), network, held, Job()).checks if c.passed}
    assert {"file size", "same weights", "same tokens in llama.cpp", "same answers in llama.cpp"} <= set(checks)
    assert float(checks["same answers in llama.cpp"].split()[1]) > 0.9995
    found = parse(tmp_path / "out.gguf")
    assert not [t.name for t in found[1] if "pooler" in t.name]
    assert (found[0]["bert.pooling_type"], found[0]["bert.attention.causal"], found[0]["tokenizer.ggml.model"]) == (1, False, "bert")


GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16, "num_hidden_layers": 2, "pad_token_id": 0}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"query_pre_attn_scalar": 64}, "query_pre_attn_scalar = 32, and this network has 64"),
        ({"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "every 6th layer of Gemma 3 see everything"),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}}}, "rotary embedding is scaled"),
        ({"rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 5e3}}}, "rope_theta = 10000.0"),
    ],
)
def test_a_gemma_that_llama_cpp_would_compute_otherwise_is_refused(config: dict[str, Any], says: str, tmp_path: Path) -> None:
    folder = built("Gemma3", tmp_path / "in", **GEMMA)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, **config}))
    assert says in targets["gguf"]().unfit(open_checkpoint(folder))


def test_gpt2_is_refused_with_the_reason(tmp_path: Path) -> None:
    import transformers

    made = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=2048)
    transformers.GPT2LMHeadModel(made).save_pretrained(tmp_path / "in")
    assert "ends its process on GPT-2" in targets["gguf"]().unfit(open_checkpoint(tmp_path / "in"))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}}, "rotary embedding is scaled"),
        ({"hidden_act": "gelu"}, "SiLU"),
    ],
)
def test_a_network_that_llama_cpp_would_compute_otherwise_is_refused(config: dict[str, Any], says: str, tmp_path: Path) -> None:
    folder = built("Llama", tmp_path / "in")
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, **config}))
    checkpoint = open_checkpoint(folder)
    made = compress(checkpoint, layers(checkpoint), Plan(), None, Store(tmp_path / "store"), Job())
    with pytest.raises(CannotWrite, match=says):
        save(made, tmp_path / "out.gguf", targets["gguf"](), Job())
    assert not (tmp_path / "out.gguf").exists()
