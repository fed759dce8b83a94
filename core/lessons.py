"""What training tells: its loss before it begins, a step of it, a round of a federation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lesson:
    """One step of training: what the loss was made of, and, now and then, its value on pieces that are never trained on."""

    step: int
    steps: int
    terms: Mapping[str, float]  # "task", "teacher": means over the rows of the step
    rate: float
    held: float | None  # None: not looked at after this step
    before: float  # on the same pieces, before the first step
    each: Mapping[str, float] = field(default_factory=dict)  # of a round: client -> its own loss


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a federation: each client's own loss, the server's on pieces nobody trains on, and what was sent."""

    round: int
    rounds: int
    losses: Mapping[str, float]  # client -> mean over its samples in its last epoch
    held: float
    before: float
    sent: Mapping[str, int]  # client -> bytes it sent to the server
    absent: Mapping[str, str] = field(default_factory=dict)  # client -> why it was left out


@dataclass(frozen=True, slots=True)
class Freed:
    """What closed forms gave back before any training: (what was done, distance before, after) of every step that helped."""

    steps: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a training's loss is made of before its first step: means over pieces kept apart, in nats."""

    task: float | None  # None: the model has no task of its own here
    teacher: Mapping[float, float]  # temperature -> T²·KL, or 1 - cosine
    pieces: int

    def mixed(self, share: float, temperature: float) -> float | None:
        """(1 - λ)·task + λ·T²·KL; None where a part was not measured."""
        parts = ((1 - share, self.task), (share, self.teacher.get(temperature)))
        known = [weight * value for weight, value in parts if weight and value is not None]
        return sum(known) if len(known) == sum(1 for weight, _ in parts if weight) else None


@dataclass(frozen=True, slots=True)
class Leg:
    """One stage of several begins."""

    n: int  # from 1
    of: int
    name: str = ""


def lesson(r: Round) -> Lesson:
    """A round as a step of training: the clients' mean loss, and each one's own."""
    mean = sum(r.losses.values()) / max(1, len(r.losses))
    return Lesson(r.round, r.rounds, {"clients": mean}, 0.0, r.held, r.before, dict(r.losses))


# Joules to carry a byte over fixed lines: 0.06 kWh/GB in 2015, halved every second year (Aslan et al. 2018, J. Industrial Ecology 22), read
# for 2025, which is ten years beyond their data: known to a factor of four at best.
CARRIED = 0.06 * 3.6e6 / 1e9 / 2**5
APART = 4.0


def carried(nbytes: int) -> tuple[float, float, float]:
    """Joules the network takes to carry so many bytes, with its range; modelled."""
    return CARRIED * nbytes, CARRIED * nbytes / APART, CARRIED * nbytes * APART
