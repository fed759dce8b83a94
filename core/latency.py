"""How long a network takes on this machine, before and after: interleaved, as a median with its 95 % interval."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .data import Batches
from .job import Job
from .networks import Network
from .types import Latency, Median

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 31
SECONDS = 8.0  # no further rounds after that, but always LEAST
LEAST = 9
TOKENS, IMAGES, SENTENCES = 128, 8, 4  # what one round feeds


def latency(before: tuple[Network, dict[str, Tensor]], after: tuple[Network, dict[str, Tensor]], batches: Batches, job: Job) -> Latency:
    """Seconds of one forward pass of both, one after the other in alternating order, so that a busy moment hits both."""
    item, what = _fed(batches)
    first: list[float] = []
    second: list[float] = []
    for network, weights in (before, after):
        _timed(network, weights, item)  # buffers, caches, lazy kernels
    start = time.monotonic()
    for i in job.track(range(ROUNDS), "Timing"):
        if i >= LEAST and time.monotonic() - start > SECONDS:
            break
        for (network, weights), into in ((before, first), (after, second)) if i % 2 else ((after, second), (before, first)):
            into.append(_timed(network, weights, item))
    return Latency(median(first), median(second), median([a / b for a, b in zip(first, second)]), what, len(first))


def median(values: Sequence[float]) -> Median:
    """With the order statistics that enclose the true median in at least 95 of 100 cases (the sign test's interval)."""
    from math import comb

    n, ordered = len(values), sorted(values)
    rank, tail = 0, 2.0 / 2**n  # both tails of the binomial beyond rank 0
    while rank + 1 < n / 2 and tail + 2 * comb(n, rank + 1) / 2**n <= 0.05:
        rank += 1
        tail += 2 * comb(n, rank) / 2**n
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return Median(middle, ordered[rank], ordered[n - 1 - rank])


def _fed(batches: Batches) -> tuple[dict[str, Tensor], str]:
    item = dict(batches.items[0])
    if batches.kind == "text":
        item = {k: v[:, :TOKENS].contiguous() for k, v in item.items()}
        return item, f"{item['input_ids'].shape[1]} tokens read at once"
    n = IMAGES if batches.kind == "images" else SENTENCES
    item = {k: v[:n].contiguous() for k, v in item.items()}
    return item, f"{len(next(iter(item.values())))} {batches.unit} at once"


def _timed(network: Network, weights: dict[str, Tensor], item: dict[str, Tensor]) -> float:
    import torch

    with torch.inference_mode():
        start = time.perf_counter()
        network.forward(weights, item)
        return time.perf_counter() - start
