"""How long the original and a variant take on this machine for one forward pass of held-out samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .data import Batches
from .job import Job
from .measure import Timed, interleaved
from .networks import Network
from .types import Latency, Median

if TYPE_CHECKING:
    from torch import Tensor

TOKENS, IMAGES, SENTENCES = 128, 8, 4  # what one pass feeds


def latency(before: tuple[Network, dict[str, Tensor]], after: tuple[Network, dict[str, Tensor]], batches: Batches, job: Job) -> Latency:
    """Both in turns, float32, with as many threads as the engine uses."""
    import torch

    item, what, _ = fed(batches)
    job.check()
    with torch.inference_mode():
        found = interleaved(lambda: before[0].forward(before[1], item), lambda: after[0].forward(after[1], item), job)
    return Latency(_median(found.first), _median(found.second), _median(found.ratio), what, found.rounds)


def _median(t: Timed) -> Median:
    return Median(t.median, t.low, t.high)


def fed(batches: Batches, tokens: int = TOKENS) -> tuple[dict[str, Tensor], str, int]:
    """What one pass feeds, in words, and how many tokens or samples that is."""
    item = dict(batches.items[0])
    if batches.kind == "text":
        item = {k: v[:1, :tokens].contiguous() for k, v in item.items()}
        n = item["input_ids"].shape[1]
        return item, f"{n} tokens read at once" if n > 1 else "one token", n
    n = IMAGES if batches.single else SENTENCES
    item = {k: v[:n].contiguous() for k, v in item.items()}
    n = len(next(iter(item.values())))
    return item, f"{n} {batches.unit} at once", n
