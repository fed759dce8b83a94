"""Scores weights on held-out data: KL to the original first, then what people read (perplexity, accuracy, cosine)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .data import Batches
from .errors import CannotRun
from .job import Job
from .networks import Network
from .types import Measured, Score

if TYPE_CHECKING:
    from torch import Tensor

KEEP = 512_000_000  # bytes of the original's outputs held in memory; the rest is computed again


class Reference:
    """The original's outputs on one data set, computed when first asked for; shared by all variants of a session."""

    def __init__(self, network: Network, weights: dict[str, Tensor], batches: Batches) -> None:
        self.network, self.weights, self.batches = network, weights, batches
        self._kept: dict[int, Tensor] = {}
        self._bytes = 0

    def output(self, i: int) -> Tensor:
        if i in self._kept:
            return self._kept[i]
        out = run(self.network, self.weights, self.batches.items[i])
        if self._bytes + out.nbytes <= KEEP:
            self._kept[i] = out
            self._bytes += out.nbytes
        return out


def run(network: Network, weights: dict[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
    """(scored positions, classes) logits, or (sentences, width) embeddings."""
    import torch

    with torch.inference_mode():
        out = network.forward(weights, dict(batch))
    if not bool(out.isfinite().all()):
        raise CannotRun("The network answers NaN or infinity; look for a layer with a large error and give it more bits")
    return out[0, :-1] if network.task == "causal-lm" else out


def judge(reference: Reference, weights: dict[str, Tensor] | None, job: Job) -> Score:
    """Score `weights` (None: the original itself), window by window; each window streams the Score so far."""
    batches, network = reference.batches, reference.network
    start = time.monotonic()
    rows: list[dict[str, tuple[float, float, int]]] = []
    score = None
    for i in job.track(range(len(batches.items)), "Evaluating"):
        p = reference.output(i)
        q = p if weights is None else run(network, weights, batches.items[i])
        rows.append(_window(network, batches.items[i], p, q))
        score = _score(reference, rows, time.monotonic() - start)
        job.point(score)
    if score is None:
        raise CannotRun("There is nothing to evaluate on; choose a text or images with labels")
    return score


def _window(network: Network, batch: Mapping[str, Tensor], p: Tensor, q: Tensor) -> dict[str, tuple[float, float, int]]:
    """metric -> (sum, sum of squares, count) over the window's tokens or samples."""
    if network.task == "encoder":
        return {"cosine": _sums((p * q).sum(-1))}
    lp, lq = p.log_softmax(-1), q.log_softmax(-1)
    out = {"kl": _sums((lp.exp() * (lp - lq)).sum(-1)), "agreement": _sums((p.argmax(-1) == q.argmax(-1)).double())}
    if network.task == "causal-lm":
        out["nll"] = _sums(-lq.gather(-1, batch["input_ids"][0, 1:, None]).squeeze(-1))
    elif "labels" in batch:
        out["top1"] = _sums((q.argmax(-1) == batch["labels"]).double())
    return out


def _sums(x: Tensor) -> tuple[float, float, int]:
    x = x.double()
    return float(x.sum()), float(x.square().sum()), x.numel()


def _score(reference: Reference, rows: list[dict[str, tuple[float, float, int]]], seconds: float) -> Score:
    """Means with their standard errors: over windows for text (tokens of a window are not independent), over samples else."""
    batches, network = reference.batches, reference.network
    clustered = network.task == "causal-lm"
    m = {k: _mean([r[k] for r in rows], clustered) for k in rows[0]}
    n = sum(r[next(iter(r))][2] for r in rows)
    if "nll" in m:
        nll = m.pop("nll")
        m["perplexity"] = Measured(math.exp(nll.value), math.exp(nll.value) * nll.error)
        if batches.nbytes and len(rows) == len(batches.items):
            per_byte = batches.n / batches.nbytes / math.log(2)
            m["bits_per_byte"] = Measured(nll.value * per_byte, nll.error * per_byte)
    return Score(network.task, m, n, batches.unit, str(batches.source), len(rows), len(batches.items), seconds)


def _mean(sums: list[tuple[float, float, int]], clustered: bool) -> Measured:
    total, squares, n = (sum(col) for col in zip(*sums))
    mean = total / n
    if clustered:
        k = len(sums)
        spread = sum((s[2] / n * k * (s[0] / s[2] - mean)) ** 2 for s in sums) / max(1, k - 1)
        return Measured(mean, math.sqrt(spread / k) if k > 1 else math.sqrt(max(0.0, squares / n - mean**2) / n))
    return Measured(mean, math.sqrt(max(0.0, squares / n - mean**2) / max(1, n - 1)))
