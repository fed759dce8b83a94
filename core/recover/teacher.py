"""A teacher other than the original: any checkpoint with the same vocabulary (or classes), checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..compress import original
from ..derived import identity
from ..errors import BadPlan, CannotRun
from ..formats import open_checkpoint
from ..job import Job
from ..layers import layers
from ..networks import Network, attach
from ..store import Store
from ..types import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Teacher:
    """A network that answers instead of the original."""

    checkpoint: Checkpoint
    network: Network

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """By tensor name, float32, read once they are asked for."""
        return original(self.checkpoint, tuple(layers(self.checkpoint)), Store.default()).weights(Job())

    @cached_property
    def identity(self) -> str:
        """What tells it from others: where its tensors lie, and the files' sizes and times."""
        return identity(self.checkpoint)


def teacher(path: Path, pupil: Network, of: Checkpoint, job: Job) -> Teacher:
    """The checkpoint at `path`, opened to teach `pupil`, the network of `of`. BadPlan names the difference where it can't."""
    checkpoint = open_checkpoint(path, job)
    try:
        network = attach(checkpoint, job)
    except CannotRun as e:
        raise BadPlan(f"The teacher {path.name} can't run: {e}") from None
    if why := unlike(pupil, network, of, checkpoint):
        raise BadPlan(f"The teacher {path.name} can't teach this model: {why}")
    return Teacher(checkpoint, network)


def unlike(pupil: Network, network: Network, of: Checkpoint, by: Checkpoint) -> str:
    """Why answers of `network` mean something else than the pupil's; "" when they can be compared row by row."""
    if pupil.task != network.task:
        return f"it is a network for {network.task}, and the model is one for {pupil.task}; choose one of the same kind"
    if pupil.task == "audio-classification":
        return ""  # every CREPE hears the same 360 pitches
    if pupil.task == "image-classification":
        return _classes(pupil, network) or _pictures(pupil, network)
    if why := _words(pupil.tokenizer.get_vocab(), network.tokenizer.get_vocab()):
        return why
    key = "vocab_size" if pupil.task == "causal-lm" else "hidden_size"  # what an answer's row is as wide as
    if (a := by.config.get(key)) != (b := of.config.get(key)):
        return f"its {key} is {a}, the model's {b}; choose one whose answers are as wide"
    return ""


def _words(own: Mapping[str, int], other: Mapping[str, int]) -> str:
    if own == other:
        return ""
    tail = "; a teacher must have the very same vocabulary"
    if len(own) != len(other):
        return f"its vocabulary has {len(other):,} tokens, the model's {len(own):,}{tail}"
    token = min((t for t, i in own.items() if other.get(t) != i), key=own.__getitem__)
    there = f"is its number {other[token]}" if token in other else "is unknown to it"
    return f"the vocabularies differ: {token!r}, the model's number {own[token]}, {there}{tail}"


def _classes(pupil: Network, network: Network) -> str:
    if len(pupil.labels) != len(network.labels):
        return f"it knows {len(network.labels)} classes, the model {len(pupil.labels)}; choose one of the same classes"
    differ = next(((i, a, b) for i, (a, b) in enumerate(zip(pupil.labels, network.labels)) if a != b), None)
    return f"class {differ[0]} is {differ[2]!r} to it and {differ[1]!r} to the model; choose one of the same classes" if differ else ""


def _pictures(pupil: Network, network: Network) -> str:
    for key in ("image_size", "num_channels"):
        a, b = pupil.pictures.get(key), network.pictures.get(key)
        if a is not None and b is not None and a != b:
            return f"it reads pictures of {key} {b}, the model of {a}; choose one that reads the same"
    return ""
