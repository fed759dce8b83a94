"""Text files: windows of tokens for language models, padded sentences for encoders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from ..errors import BadData
from ..networks import Network
from . import Batches, fingerprint, sources

CHARACTERS = 40_000
SENTENCES = 128
BATCH = 8


@sources("text")
class Text:
    """A UTF-8 text file."""

    suffixes: ClassVar = (".txt", ".md")

    @staticmethod
    def load(path: Path, network: Network, limit: int | None) -> Batches:
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadData(f"{path.name} is not UTF-8 text; save it as UTF-8") from None
        if not text.strip():
            raise BadData(f"{path.name} is empty; choose a text of a few thousand words")
        if network.tokenizer is None:
            raise BadData(f"{path.name} is text and this network sees images; choose an .npz with images and labels")
        make = _sentences if network.task == "encoder" else _windows
        return make(text, path, network, limit, fingerprint(raw, limit))


def _windows(text: str, path: Path, network: Network, limit: int | None, mark: str) -> Batches:
    """Non-overlapping windows, tokenized once without special tokens; the first token of each is not scored."""
    import torch

    size = min(512, max(16, network.context // 2))
    ids = network.tokenizer(text[:CHARACTERS], add_special_tokens=False, verbose=False)["input_ids"]
    # a last window under 16 tokens is mostly unscored start-up
    windows = [ids[i : i + size] for i in range(0, min(len(ids), limit or len(ids)), size)]
    windows = [w for w in windows if len(w) >= 16]
    if not windows:
        raise BadData(f"{path.name} gives only {len(ids)} tokens; choose a text of at least a few hundred words")
    scored = [i for w in windows for i in w[1:]]
    nbytes = sum(len(network.tokenizer.decode(w[1:]).encode()) for w in windows)
    items = tuple({"input_ids": torch.tensor([w])} for w in windows)
    return Batches("text", items, len(scored), "tokens", path, mark, nbytes)


def _sentences(text: str, path: Path, network: Network, limit: int | None, mark: str) -> Batches:
    """Sentences of five words and more, in batches padded to their longest."""
    found = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", text) if len(s.split()) >= 5][: limit or SENTENCES]
    if not found:
        raise BadData(f"{path.name} holds no sentence of five words; choose a longer text")
    items = []
    for i in range(0, len(found), BATCH):
        batch = network.tokenizer(found[i : i + BATCH], padding=True, truncation=True, max_length=min(256, network.context), return_tensors="pt")
        items.append({k: batch[k] for k in ("input_ids", "attention_mask")})
    return Batches("text", tuple(items), len(found), "sentences", path, mark)
