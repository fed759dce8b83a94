"""Held-out data: texts, tables, arrays or folders of them become batches that a network can be scored on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import BadData
from ..job import Job
from ..resources import root
from ..types import Checkpoint, Task

if TYPE_CHECKING:
    from torch import Tensor

TEXTS = (".txt", ".jsonl", ".csv")
SUFFIXES = (*TEXTS, ".npz", ".wav")
STORED: Mapping[str, str] = {"image-classification": ".npz", "audio-classification": ".wav"}  # where a classifier's samples are files
# What one preview scores, so that moving a slider answers in seconds; the original is scored on everything (limit None).
PREVIEW: Mapping[Task, int] = {"causal-lm": 2048, "image-classification": 500, "audio-classification": 250, "encoder": 64}


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
    @property
    def pictures(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Batches:
    """Held-out samples, ready to be fed."""

    kind: Literal["text", "sentences", "images", "sounds"]
    items: tuple[dict[str, Tensor], ...]
    n: int  # tokens that are scored, or samples
    unit: str
    source: str
    fingerprint: str  # of the file's bytes, the limit and how it was cut
    nbytes: tuple[int, ...] = ()  # UTF-8 bytes of each window's scored text; () when the tokenizer can't say
    crowd: Any = None  # core.recover.local.Crowd: clients who hold samples of their own; these batches are then the server's, for checks
    teacher: Any = None  # who answers them where that is not the original (core/recover/teacher.py); of training data

    @property
    def single(self) -> bool:
        """Whether rows are samples of one shape with one answer each: images or frames of sound."""
        return self.kind in ("images", "sounds")


def load(path: Path, network: Fed, limit: int | None = None, job: Job | None = None) -> Batches:
    """The data as batches; `limit` tokens or samples, None = a text's first 40 000 characters, a folder's first 1000 pictures or
    every sample of an array file. Raises BadData."""
    from . import arrays, pictures, sounds, text

    path, images = Path(path), network.task == "image-classification"
    if not path.exists():
        raise BadData(f"{path}: there is no such file; choose held-out samples ({', '.join(SUFFIXES)} or a folder)")
    if limit is not None and limit < 2:
        raise BadData(f"A limit of {limit} leaves nothing to score; give at least 2")
    if network.task == "audio-classification":
        return sounds.load(path, limit, job or Job())
    if images and path.is_dir():
        return pictures.load(path, network, limit, job or Job())
    if not path.is_dir() and path.suffix.lower() not in ((".npz",) if images else TEXTS):
        need = ".npz file or a folder of pictures" if images else "text (.txt, .jsonl, .csv or a folder of .txt files)"
        raise BadData(f"{path.name}: this network needs a {need}; choose another")
    return arrays.load(path, network, limit) if images else text.load(path, network, limit)


def serves(path: Path) -> bool:
    """Whether a path looks like held-out data and not like a model: by suffix, or a folder of texts, recordings or pictures."""
    from .pictures import classes, loose

    if not path.is_dir():
        return path.suffix.lower() in SUFFIXES
    if (path / "config.json").exists() or any(path.glob("*.safetensors")) or any(path.glob("*.bin")):
        return False
    return any(path.glob("*.wav")) or any(path.glob("*.txt")) or any(path.glob("*/*.txt")) or bool(classes(path) or loose(path))


def default(checkpoint: Checkpoint) -> Path | None:
    """The held-out data beside the checkpoint, else the bundled text for networks that read text."""
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    beside = sorted(p for p in folder.glob("heldout.*") if p.suffix in SUFFIXES and (p.suffix != ".csv" or not _table(p)))
    if beside:
        return beside[0]
    bundled = root() / "samples" / "sotu-lm" / "heldout.txt"
    return bundled if "vocab_size" in checkpoint.config and bundled.is_file() else None


def _table(path: Path) -> bool:
    """Whether a .csv holds the pitch of the recording beside it, and no text."""
    return path.with_suffix(".wav").is_file()


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
