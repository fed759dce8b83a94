"""Statistics on disk: a later edit of the plan needs no forward pass, and gets the same numbers to the last bit."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from ..resources import cache_root, cap
from ..store import Store
from ..types import Seen

if TYPE_CHECKING:
    from torch import Tensor

CAP = 2_000_000_000  # bytes: SmolLM2-135M takes 0.9 GB


def default() -> Store:
    """The cache's own shelf for statistics."""
    return Store(cache_root() / "statistics", cap("statistics", CAP))


def key(fingerprint: str, block: int, names: list[str]) -> str:
    return hashlib.sha256(json.dumps([fingerprint, block, names]).encode()).hexdigest()


def save(store: Store, at: str, seen: dict[str, Seen], blocks: int) -> None:
    """Keep a block's statistics, unless all blocks' would push each other out before they are asked for again."""
    numbers: dict[int, str] = {}
    tensors: dict[str, Tensor] = {}

    def number(t: Tensor | None) -> str:
        if t is None:
            return ""
        if id(t) not in numbers:
            numbers[id(t)] = str(len(numbers))
            tensors[numbers[id(t)]] = t
        return numbers[id(t)]

    said = {n: json.dumps([number(s.hessian), number(s.held), number(s.mean), s.samples]) for n, s in seen.items()}
    if sum(t.nbytes for t in tensors.values()) * blocks <= store.cap * 0.9:
        store.keep(at, tensors, said)


def load(store: Store, at: str) -> dict[str, Seen] | None:
    """What was kept; layers that shared a matrix share it again."""
    found = store.find(at)
    if found is None:
        return None
    tensors, said = found
    rows = {n: json.loads(text) for n, text in said.items()}
    return {n: Seen(None, tensors.get(h), tensors.get(e), tensors.get(m), samples) for n, (h, e, m, samples) in rows.items()}
