"""Text as token windows for language models, or as padded sentences for encoders."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import BadData
from . import Batches, Fed, card, fingerprint
from .documents import document

CHARACTERS = 40_000  # of a text, when no limit is given
WINDOW = 512  # tokens; less when the network's context or the sample's card says so
SENTENCES = 400
LONG = 1000  # characters a sentence: more than any text has on average
PER_BATCH = 16
CUT = re.compile(r"windows of (\d+) tokens")


def load(path: Path, network: Fed, limit: int | None) -> Batches:
    """A text, table or folder of texts cut into what the network's task needs."""
    if network.task == "encoder":
        return _sentences(path, document(path, (limit or SENTENCES) * LONG), network, limit)
    # 16 characters a token is more than any tokenizer packs on average: enough text, never all of a long book
    return _windows(path, document(path, CHARACTERS if limit is None else limit * 16), network, limit)


def _windows(path: Path, text: str, network: Fed, limit: int | None) -> Batches:
    """Non-overlapping windows; a window's first token has no context and is not scored."""
    import torch

    said = CUT.search(str(card(path).get("score", {}).get("how", "")))
    size = min(int(said[1]) if said else WINDOW, network.context)
    ids, ends = _tokens(network.tokenizer, text)
    ids, ends = ids[:limit], ends[:limit]
    if len(ids) < 2:
        raise BadData(f"{path.name} is too short to score (1 token); choose a longer text")
    cuts = [(a, min(a + size, len(ids))) for a in range(0, len(ids) - 1, size)]
    items = tuple({"input_ids": torch.tensor([ids[a:b]])} for a, b in cuts)
    nbytes = tuple(len(text[ends[a] : ends[b - 1]].encode()) for a, b in cuts) if ends else ()
    n = sum(b - a - 1 for a, b in cuts)
    return Batches("text", items, n, "tokens", path.name, fingerprint(text.encode(), limit, size), nbytes)


def _tokens(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Ids, and where each token ends in the text ([] when the tokenizer can't say: then there are no bits per byte)."""
    fast = bool(getattr(tokenizer, "is_fast", False))
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False)
    return list(found["input_ids"]), [b for _, b in found["offset_mapping"]] if fast else []


def _sentences(path: Path, text: str, network: Fed, limit: int | None) -> Batches:
    """Sentences of four words and more, in the order of the text."""
    parts = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", text)]
    chosen = [s for s in parts if len(s.split()) >= 4][: limit or SENTENCES]
    if len(chosen) < 2:
        raise BadData(f"{path.name} has fewer than two sentences of four words; choose a longer text")
    edges = [*range(0, len(chosen), PER_BATCH), len(chosen)]
    items = []
    for a, b in pairwise(edges):
        fed = network.tokenizer(chosen[a:b], padding=True, truncation=True, max_length=min(network.context, 256), return_tensors="pt")
        items.append({k: fed[k] for k in ("input_ids", "attention_mask")})
    return Batches("sentences", tuple(items), len(chosen), "sentences", path.name, fingerprint(text.encode(), limit, "sentences"))
