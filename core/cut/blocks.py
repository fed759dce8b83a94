"""Which whole blocks go: those without which the answers move least, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data import Batches
from ..evaluate import answer, compare
from ..job import Job
from ..networks import Network, attach
from ..types import Checkpoint
from .plan import Cut, planned, renumbered

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 512  # tokens or images one trial looks at, at most
SHORT = 8  # candidates of every step after the first: the best of the step before


def staying(
    checkpoint: Checkpoint, network: Network, weights: dict[str, Tensor], batches: Batches, depth: int, drop: int, job: Job
) -> list[int]:
    """The blocks that stay when `drop` go one after another, each time the one whose absence costs the least KL (1 - cosine: encoders)."""
    items = _few(batches)
    before = [answer(network, weights, item, job) for item in items]
    stay, order = list(range(depth)), list(range(depth))
    for gone in range(1, drop + 1):
        shorter = attach(planned(checkpoint, Cut(blocks=gone)), Job())
        found = {}
        for b in job.track(order if gone == 1 else order[:SHORT], "Trying without a block"):
            names = renumbered(checkpoint, [i for i in stay if i != b])
            found[b] = _moved(shorter, {new: weights[old] for new, old in names.items()}, items, before, job)
            job.detail(f"without block {b}: {found[b]:.3g}")
        order = sorted(found, key=lambda b: (found[b], b)) + [b for b in order if b not in found]
        stay.remove(order[0])
        order = order[1:]
    return stay


def _few(batches: Batches) -> list[dict[str, Tensor]]:
    out, rows = [], 0
    for item in batches.items:
        out.append(item)
        rows += next(iter(item.values())).numel() if not batches.single else len(next(iter(item.values())))
        if rows >= ROWS:
            break
    return out


def _moved(network: Network, weights: dict[str, Tensor], items: list[dict[str, Tensor]], before: list[Tensor], job: Job) -> float:
    """Mean KL to the original's answers, or 1 - cosine."""
    total, n = 0.0, 0
    for item, was in zip(items, before):
        told = compare(network.task, was, answer(network, weights, item, job), item)
        values = told["kl"] if "kl" in told else 1 - told["cosine"]
        total, n = total + float(values.double().sum()), n + len(values)
    return total / n
