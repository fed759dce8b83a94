"""Held-out data: a text or an array file becomes batches that a network can be scored on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import BadData
from ..resources import root
from ..types import Checkpoint, Task

if TYPE_CHECKING:
    from torch import Tensor

# What one preview scores, so that moving a slider answers in seconds; the original is scored on everything (limit None).
PREVIEW: Mapping[Task, int] = {"causal-lm": 2048, "image-classification": 500, "encoder": 64}


class Fed(Protocol):
    """What the data must know of a network."""

    @property
    def task(self) -> Task: ...
    @property
    def tokenizer(self) -> Any: ...
    @property
    def context(self) -> int: ...
    @property
    def labels(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Batches:
    """Held-out samples, ready to be fed."""

    kind: Literal["text", "sentences", "images"]
    items: tuple[dict[str, Tensor], ...]
    n: int  # tokens that are scored, or samples
    unit: str
    source: str
    fingerprint: str  # of the file's bytes, the limit and how it was cut
    nbytes: tuple[int, ...] = ()  # UTF-8 bytes of each window's scored text; () when the tokenizer can't say


def load(path: Path, network: Fed, limit: int | None = None) -> Batches:
    """The file as batches; `limit` tokens or samples, None = a text's first 40 000 characters or every sample. Raises BadData."""
    from . import arrays, text

    path = Path(path)
    if not path.is_file():
        raise BadData(f"{path}: there is no such file; choose a .txt or .npz file with held-out samples")
    if limit is not None and limit < 2:
        raise BadData(f"A limit of {limit} leaves nothing to score; give at least 2")
    images = network.task == "image-classification"
    if (path.suffix.lower() == ".npz") != images:
        need = ".npz file with images and labels" if images else "plain UTF-8 text (.txt) file"
        raise BadData(f"{path.name}: this network needs a {need}; choose another file")
    return arrays.load(path, network, limit) if images else text.load(path, network, limit)


def default(checkpoint: Checkpoint) -> Path | None:
    """The held-out data beside the checkpoint, else the bundled text for networks that read text."""
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    beside = sorted(p for p in folder.glob("heldout.*") if p.suffix in (".txt", ".npz"))
    if beside:
        return beside[0]
    bundled = root() / "samples" / "sotu-lm" / "heldout.txt"
    return bundled if "vocab_size" in checkpoint.config and bundled.is_file() else None


def card(path: Path) -> dict[str, Any]:
    """The sample.json beside a data file; {} when there is none."""
    beside = path.parent / "sample.json"
    if not beside.is_file():
        return {}
    try:
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, OSError) as e:
        raise BadData(f"{beside} can't be read ({e}); repair or remove it") from None
    return found if isinstance(found, dict) else {}


def fingerprint(raw: bytes, *how: object) -> str:
    """SHA-256 of the bytes and of how they are cut."""
    return hashlib.sha256(raw + repr(how).encode()).hexdigest()
