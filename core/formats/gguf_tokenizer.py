"""A tokenizer.json as GGUF's metadata: tokens, their kinds, merges, and the name llama.cpp has for its way of splitting text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import CannotWrite
from ..types import Checkpoint
from .folder import table
from .gguf_header import ARRAY, STRING, Field

BOOL, U32, I32, F32 = 7, 4, 5, 6
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {_WORDS % "{1,3}": "llama-bpe", _WORDS % "": "qwen2"}  # a pre-tokenizer's regular expression -> llama.cpp's name
ENDS = {  # [sic]: llama.cpp's spelling
    "bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding", "sep": "seperator", "cls": "cls", "mask": "mask",
}  # fmt: skip
ELSEWHERE = "take the GGUF that llama.cpp's converter makes of the original and open that here"


def tokenizer(checkpoint: Checkpoint) -> dict[str, Field]:
    """All `tokenizer.` keys; CannotWrite where there is no tokenizer.json or llama.cpp has no name for it."""
    file = next((s for s in checkpoint.sides if s.name == "tokenizer.json"), None)
    if file is None:
        raise CannotWrite("GGUF carries its tokenizer, and this model has no tokenizer.json; put the original's beside its config.json")
    said, beside = table(file), _beside(checkpoint)
    kind = (said.get("model") or {}).get("type")
    if kind not in ("BPE", "WordPiece"):
        raise CannotWrite(f"Its tokenizer is of the kind {kind or 'unknown'}, which the studio can't put into GGUF; {ELSEWHERE}")
    try:
        plain = _wordwise(said) if kind == "WordPiece" else _sentencewise(said) if said["model"].get("byte_fallback") else _bytewise(said)
        tokens, kinds = _listed(said, int(checkpoint.config.get("vocab_size") or 0))
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CannotWrite(f"tokenizer.json is not as the tokenizers library writes it ({e}); restore it from the original") from None
    ids = {t: i for i, t in enumerate(tokens)}
    tokens = [_phantom(t) for t in tokens] if kind == "WordPiece" else tokens
    head = {"tokens": Field(tokens, ARRAY, STRING), "token_type": Field(kinds, ARRAY, I32)}
    found = {f"tokenizer.ggml.{k}": f for k, f in {**head, **plain(ids), **_ends(checkpoint, said, beside, ids)}.items()}
    if kind == "WordPiece":
        types = Field(int(checkpoint.config.get("type_vocab_size") or 2), U32)
        cls = {"tokenizer.ggml.bos_token_id": found["tokenizer.ggml.cls_token_id"]} if "tokenizer.ggml.cls_token_id" in found else {}
        found = {**found, **cls, "tokenizer.ggml.token_type_count": types}
    chat = _chat(checkpoint, beside)
    return found | ({"tokenizer.chat_template": Field(chat, STRING)} if chat else {})


def _beside(checkpoint: Checkpoint) -> dict[str, Any]:
    file = next((s for s in checkpoint.sides if s.name == "tokenizer_config.json"), None)
    return table(file) if file else {}


def _chat(checkpoint: Checkpoint, beside: dict[str, Any]) -> str:
    file: Path | None = next((s for s in checkpoint.sides if s.name == "chat_template.jinja"), None)
    said = file.read_text(encoding="utf-8") if file else beside.get("chat_template")
    return said if isinstance(said, str) else ""


def _listed(said: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Tokens by number with their kinds; numbers without a token, up to the embedding's rows, are marked as unused."""
    by_id = {i: t for t, i in said["model"]["vocab"].items()}
    added = {a["id"]: a for a in said.get("added_tokens") or ()}
    by_id |= {i: a["content"] for i, a in added.items()}
    unknown = said["model"].get("unk_token")
    tokens, kinds = [], []
    for i in range(max(size, max(by_id) + 1)):
        token = by_id.get(i)
        tokens.append(f"[PAD{i}]" if token is None else token)
        kinds.append(_kind(token, added.get(i), unknown, bool(said["model"].get("byte_fallback"))))
    return tokens, kinds


def _kind(token: str | None, added: dict[str, Any] | None, unknown: str | None, bytewise: bool) -> int:
    if token is None:
        return UNUSED
    if token == unknown and bytewise:
        return UNKNOWN
    if added is not None:
        return CONTROL if added.get("special") else USER
    return BYTE if bytewise and len(token) == 6 and token.startswith("<0x") else NORMAL


def _merges(said: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = said["model"]["merges"]
    return [(m[0], m[1]) if isinstance(m, list) else tuple(m.split(" ", 1)) for m in pairs]


def _bytewise(said: dict[str, Any]) -> Any:
    """GPT-2's kind: bytes as letters, merged by rank."""
    name = _pre(said.get("pre_tokenizer") or {})
    merges = [f"{a} {b}" for a, b in _merges(said)]
    found = {"model": Field("gpt2", STRING), "pre": Field(name, STRING), "merges": Field(merges, ARRAY, STRING)}
    return lambda ids: found


def _wordwise(said: dict[str, Any]) -> Any:
    """BERT's kind: the longest piece first; llama.cpp lowers letters and drops accents whatever the file says."""
    normal = said.get("normalizer") or {}
    if normal.get("type") != "BertNormalizer" or not normal.get("lowercase") or normal.get("strip_accents") is False:
        raise CannotWrite(f"llama.cpp lowers all letters of this kind of tokenizer, and this one keeps them; {ELSEWHERE}")
    if said["model"].get("continuing_subword_prefix", "##") != "##":
        raise CannotWrite(f"llama.cpp marks the inner pieces of words with ##, and this tokenizer otherwise; {ELSEWHERE}")
    return lambda ids: {"model": Field("bert", STRING), "pre": Field("default", STRING)}


def _phantom(token: str) -> str:
    """A piece as llama.cpp has it: those that begin a word are marked, those within are not."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else f"▁{token}"


def _sentencewise(said: dict[str, Any]) -> Any:
    """SentencePiece's kind: a token's score is minus the rank of the first merge that makes it."""
    normal, split = json.dumps(said.get("normalizer")), said.get("pre_tokenizer") or {}
    space = '"Prepend"' in normal or split.get("prepend_scheme", "never") != "never"
    rank: dict[str, int] = {}
    for i, (a, b) in enumerate(_merges(said)):
        rank.setdefault(a + b, i)

    def found(ids: dict[str, int]) -> dict[str, Field]:
        scores = [-float(rank.get(t, 0)) for t in ids]
        return {
            "model": Field("llama", STRING), "pre": Field("default", STRING), "scores": Field(scores, ARRAY, F32),
            "add_space_prefix": Field(space, BOOL),
        }  # fmt: skip

    return found


def _pre(split: dict[str, Any]) -> str:
    """llama.cpp's name for a pre-tokenizer; CannotWrite where it has none that I know."""
    parts = split["pretokenizers"] if split.get("type") == "Sequence" else [split]
    kinds = [p.get("type") for p in parts]
    if kinds == ["ByteLevel"] and parts[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0].get("individual_digits") and parts[1].get("use_regex", True):
        return "smollm"
    pattern = str((parts[0].get("pattern") or {}).get("Regex", "")) if kinds == ["Split", "ByteLevel"] else ""
    name = SPLITS.get(pattern, "")
    if not name:
        raise CannotWrite(f"llama.cpp has no name for this tokenizer's way of splitting text ({', '.join(map(str, kinds))}); {ELSEWHERE}")
    return name


def _ends(checkpoint: Checkpoint, said: dict[str, Any], beside: dict[str, Any], ids: dict[str, int]) -> dict[str, Field]:
    """Special tokens by number, and whether a text begins with one."""
    out = {}
    for key, name in ENDS.items():
        text = beside.get(f"{key}_token")
        text = text.get("content") if isinstance(text, dict) else text
        found = ids.get(text) if isinstance(text, str) else checkpoint.config.get(f"{key}_token_id")
        found = found[0] if isinstance(found, list) and found else found
        if type(found) is int:
            out[f"{name}_token_id"] = Field(found, U32)
    return out | {"add_bos_token": Field(_begins(said, beside), BOOL)}


def _begins(said: dict[str, Any], beside: dict[str, Any]) -> bool:
    """What the post-processor really does; the config beside it where it says nothing."""
    post = said.get("post_processor") or {}
    parts = post["processors"] if post.get("type") == "Sequence" else [post]
    single = next((p["single"] for p in parts if p.get("type") == "TemplateProcessing"), None)
    return "SpecialToken" in single[0] if single else bool(beside.get("add_bos_token"))
