"""The playground: the original and a variant asked the same thing, and the samples on which they differ most."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, Any

from ..networks import Network
from ..pitch import SURE

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Side:
    """A network with the weights it runs on, by tensor name in float32."""

    network: Network
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Ask:
    """What both are asked to go on from, and how their next tokens are drawn."""

    prompt: str
    tokens: int = 48  # of the answer, at most
    temperature: float = 0.0  # 0: always the likeliest token
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """One token as it is read; `same`: the other answer has it too, in the same order."""

    id: int
    text: str  # "" where it only completes a character together with the next one
    same: bool = True


@dataclass(frozen=True, slots=True)
class Nats:
    """How far the variant's guess at one token of the original's text is from the original's."""

    text: str
    kl: float  # nats
    before: tuple[tuple[str, float], ...]  # the likeliest three with their probabilities
    after: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Dialogue:
    """Both answers to one prompt; grows while they are written, then the strip grows."""

    ask: Ask
    before: tuple[Token, ...] = ()
    after: tuple[Token, ...] = ()
    strip: tuple[Nats, ...] = ()  # of the prompt from its second token on, then of the original's answer
    prompt: int = 0  # how many of the strip are the prompt's
    whole: bool = False

    @property
    def apart(self) -> int:
        """Tokens of the variant's answer that the original's doesn't have there."""
        return sum(not t.same for t in self.after)

    @property
    def mean(self) -> float | None:
        """KL per token over the original's answer, in nats; None until it is known."""
        found = [n.kl for n in self.strip[self.prompt :]]
        return sum(found) / len(found) if found else None

    @property
    def mean_prompt(self) -> float | None:
        """The same over the prompt."""
        found = [n.kl for n in self.strip[: self.prompt]]
        return sum(found) / len(found) if found else None


@dataclass(frozen=True, slots=True)
class Class:
    """One answer of a classifier, as likely as each of the two holds it."""

    label: str
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Looked:
    """What both see in one picture (or hear in one frame of sound, drawn as a picture): the five likeliest classes of each, together."""

    name: str
    picture: np.ndarray[Any, Any]  # (height, width, 1 or 3) uint8, as the network is given it
    classes: tuple[Class, ...]
    kl: float
    label: str = ""  # the right one, where it is known


@dataclass(frozen=True, slots=True)
class Instant:
    """One frame of a recording: Hz and activation (0 to 1) of both, and the strongest pitches of each."""

    kl: float
    before: float
    after: float
    sure: float
    sure_after: float
    likeliest: tuple[tuple[str, float], ...] = ()
    likeliest_after: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Heard:
    """What both hear in a recording; grows while they listen."""

    name: str
    first: float  # seconds: the middle of the first frame
    step: float  # between two
    instants: tuple[Instant, ...] = ()
    whole: bool = False

    @property
    def mean(self) -> float:
        """KL a frame, in nats."""
        return sum(n.kl for n in self.instants) / max(1, len(self.instants))

    @property
    def apart(self) -> float | None:
        """Cents between both where both hear a voice, in the median; None where there is none."""
        found = sorted(abs(1200 * log2(n.after / n.before)) for n in self.instants if min(n.sure, n.sure_after) >= SURE)
        return found[len(found) // 2] if found else None

    @property
    def alike(self) -> float:
        """Share of frames in which both hear one pitch within a quarter tone, or both none."""
        same = [n for n in self.instants if (n.sure >= SURE) == (n.sure_after >= SURE)
                and (n.sure < SURE or abs(1200 * log2(n.after / n.before)) <= 50)]  # fmt: skip
        return len(same) / max(1, len(self.instants))


@dataclass(frozen=True)
class Likeness:
    """How alike both hold two sentences: the cosine of their embeddings."""

    first: str
    second: str
    before: float
    after: float
    cosines: tuple[float, float] = (1.0, 1.0)  # of each sentence's embedding to the original's


@dataclass(frozen=True, eq=False)
class Sample:
    """A held-out sample with what the variant loses on it."""

    where: tuple[int, int]  # batch and row; of a text, window and first token
    loss: float  # KL in nats (of a text: a token, on the mean), or 1 - cosine
    text: str  # what the list shows
    note: str  # where it shows most: "coat → shirt", or the token that costs most
    put: tuple[str, ...] = ()  # what to type into the playground
    picture: Any = None  # (height, width, 1 or 3) uint8
