"""Evaluation data: the user's file or the bundled one, as batches a network eats."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadData
from ..networks import Network
from ..registry import Registry
from ..resources import root
from ..types import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

sources = Registry("core.data")


@dataclass(frozen=True)
class Batches:
    """Held-out samples in windows small enough to stop between them."""

    kind: str  # "text" or "images"
    items: tuple[Mapping[str, Tensor], ...]
    n: int  # tokens that are scored, sentences or images
    unit: str
    source: Path
    fingerprint: str
    nbytes: int = 0  # UTF-8 bytes of the scored text


def load(path: Path, network: Network, limit: int | None = None) -> Batches:
    """The file's first `limit` tokens, sentences or images. Raises BadData with what to do."""
    if not path.is_file():
        raise BadData(f"{path}: no such file; choose a .txt, or an .npz with images and labels")
    found = next((s for s in sources.values() if path.suffix in s.suffixes), None)
    if found is None:
        raise BadData(f"{path.name}: I can evaluate on {', '.join(x for s in sources.values() for x in s.suffixes)}")
    return found.load(path, network, limit)


def default(checkpoint: Checkpoint) -> Path | None:
    """What to evaluate on when the user names nothing: data beside the checkpoint, else the bundled text for text models."""
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    beside = [folder / "heldout.txt", folder / "heldout.npz"]
    if "vocab_size" in checkpoint.config:
        beside.append(root() / "samples" / "sotu-lm" / "heldout.txt")
    return next((p for p in beside if p.exists()), None)


def fingerprint(raw: bytes, limit: int | None) -> str:
    """Of the bytes and of how much of them is used."""
    return hashlib.sha256(raw + str(limit).encode()).hexdigest()[:32]
