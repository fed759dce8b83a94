"""The nouns of pricing a plan before it is paid for: what was sensed of each layer, what is predicted from it, what was really measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .types import Plan, Setting, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Family = Literal["obs", "round", "prune", "structured", "activation"]  # methods whose errors are alike: one offset and one spread each
How = Literal["measured", "gradient", "prior"]


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of one layer that was really computed, and how far its output then is from the original's on held-out inputs."""

    setting: Setting
    family: Family
    error: float  # tr(D H' D^T) / tr(W H' W^T), D = W - Q, H' = Seen.held; from weights alone where the layer met no data
    plain: float  # ||D||^2 / ||W||^2, for the comparison with HIGGS


@dataclass(frozen=True)
class Sensed:
    """One layer: what a unit of relative output error costs, and its options."""

    layer: str
    alpha: float  # nats (or 1 - cosine, for an encoder) per unit of Option.error
    doubt: float  # standard deviation of log alpha
    how: How  # where alpha is from
    options: tuple[Option, ...] = ()
    factors: Mapping[Family, float] = field(default_factory=dict)  # how much more (or less) an error of this family costs than alpha says


@dataclass(frozen=True, eq=False)
class Answers:
    """What each option of each layer, alone and beside another layer's, does to a small classifier's answers on the images that plans are
    scored on (no label is looked at, and no whole plan is run on them): what layers do there adds up far better than what they cost."""

    before: NDArray[np.float32]  # (images, classes) log-probabilities of the original
    # Layer.name -> (settings, (settings, images x classes) by how much); of what is both pruned and rounded, beyond what pruning alone does
    moved: Mapping[str, tuple[tuple[Setting, ...], NDArray[np.float16]]]
    tried: Mapping[str, tuple[Setting, ...]]  # those of them that were run beside those of every other layer
    # Layer.name -> (its tried, the tried of all layers after it, images x classes) by how much two move the logits beyond their sum
    pairs: Mapping[str, NDArray[np.float16]]
    share: float = 1.0  # of the scored images


@dataclass(frozen=True)
class Sensitivity:
    """Everything sensed of one checkpoint on one calibration; grows while the pass runs, usable from the first layers on."""

    layers: Mapping[str, Sensed]  # key: Layer.name
    fingerprint: str  # of the tensors, the calibration and the code
    currency: Literal["kl", "1-cosine"] = "kl"
    ceiling: float = float("inf")  # where the currency saturates: ln(classes) less the original's cross-entropy
    done: int = 0  # layers whose alpha is measured
    total: int = 0
    slope: float = 1.0  # the loss is the sum of prices to this power (both in units of core.predict.UNIT): 1 = prices add up to it
    spread: float = 1.0  # how much further than expected whole plans on the calibration samples lay from what the others foretold
    answers: Answers | None = field(default=None, compare=False)  # of classifiers small enough

    @property
    def complete(self) -> bool:
        return self.done == self.total


@dataclass(frozen=True)
class Evaluation:
    """One plan that was really run on held-out data: what the predictor learns from."""

    settings: Mapping[str, Setting]
    value: float  # in Sensitivity.currency
    error: float  # its standard error
    foretold: tuple[float, float] | None = None  # the 90 % interval shown before it was run


@dataclass(frozen=True, slots=True)
class Estimate:
    """A predicted figure with the interval that holds the measured one in 90 of 100 cases; never called measured."""

    value: float  # in Sensitivity.currency
    low: float
    high: float
    missing: int = 0  # layers whose setting no option speaks for: counted by their weights' error alone


@dataclass(frozen=True)
class Record:
    """How past predictions did: "8 of 9 fell inside"."""

    inside: int
    of: int


@dataclass(frozen=True)
class Front:
    """A point of the predicted front: an ordinary plan, its exact bytes and its price."""

    plan: Plan
    size: Size
    estimate: Estimate
    joules: float = 0.0
    shadow: float = 0.0  # what the next megabyte less costs, in the currency
    reasons: Mapping[str, str] = field(default_factory=dict)  # Layer.name -> "kept at 6 bits: 0.4 KL per MB (100 kB less at 5 bits)"
