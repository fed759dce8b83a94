"""What training tells while it runs: a step of it, or a round of a federation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lesson:
    """One step of training: what the loss was made of, and, now and then, its value on pieces that are never trained on."""

    step: int
    steps: int
    terms: Mapping[str, float]  # "task", "teacher": means over the rows of the step
    rate: float
    held: float | None  # None: not looked at after this step
    before: float  # on the same pieces, before the first step


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a federation: each client's own loss, the server's on pieces nobody trains on, and what was sent."""

    round: int
    rounds: int
    losses: Mapping[str, float]  # client -> mean over its samples in its last epoch
    held: float
    before: float
    sent: int  # bytes from all clients to the server


@dataclass(frozen=True, slots=True)
class Freed:
    """What closed forms gave back before any training: (what was done, distance before, after) of every step that helped."""

    steps: tuple[tuple[str, float, float], ...]
