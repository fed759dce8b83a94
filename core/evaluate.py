"""How well a variant does, and how far its answers are from the original's: exact, streamed, with standard errors."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .cluster import Cluster
from .data import Batches
from .errors import CannotRun
from .job import Job
from .networks import Network
from .pitch import NEAR
from .types import Measured, Score

if TYPE_CHECKING:
    from torch import Tensor

# metric -> one value per row; the answers themselves where sentences will be compared with each other; rows scored
Window = tuple[dict[str, "Tensor"], list[tuple["Tensor", "Tensor"]], int]
KEEP = 512 << 20  # bytes of the original's answers that are kept; beyond that they are computed again


class Reference:
    """The original's answers on the held-out batches, each computed once."""

    def __init__(self, network: Network, weights: dict[str, Tensor], batches: Batches) -> None:
        self.network, self.weights, self.batches = network, weights, batches
        self._kept: dict[int, Tensor] = {}
        self._bytes = 0
        self._shared: tuple[Cluster, Any] | None = None

    def answer(self, index: int, job: Job) -> Tensor:
        """Log-probabilities (rows, classes) or embeddings (rows, dimensions) of one batch."""
        if index in self._kept:
            return self._kept[index]
        found = answer(self.network, self.weights, self.batches.items[index], job)
        if self._bytes + found.nbytes <= KEEP:
            self._kept[index] = found
            self._bytes += found.nbytes
        return found

    def shared(self, on: Cluster) -> Any:
        """The original's network and weights where a cluster's tasks can reach them, sent once."""
        if self._shared is None or self._shared[0] is not on:
            self._shared = on, on.share((replace(self.network, tokenizer=None), self.weights))
        return self._shared[1]


@dataclass
class Tally:
    """Sums of one metric; a row is a group of values that belong together (the tokens of a window, or one image)."""

    rows: list[tuple[float, float, int]] = field(default_factory=list)  # sum, sum of squares, count

    def add(self, values: Tensor, whole: bool) -> None:
        v = values.double()
        if whole:
            self.rows.append((float(v.sum()), float((v * v).sum()), len(v)))
        else:
            self.rows += [(float(x), float(x * x), 1) for x in v]

    def measured(self) -> Measured:
        """The mean and its standard error over rows (a ratio estimate, as the last window is shorter)."""
        n, count = len(self.rows), sum(c for *_, c in self.rows)
        mean = sum(s for s, *_ in self.rows) / count
        if n > 1:
            return Measured(mean, math.sqrt(n / (n - 1) * sum((s - mean * c) ** 2 for s, _, c in self.rows)) / count)
        spread = max(self.rows[0][1] / count - mean * mean, 0.0)  # one window: its tokens are all there is to go by
        return Measured(mean, math.sqrt(spread / max(count - 1, 1)))


def judge(
    reference: Reference, weights: dict[str, Tensor] | None, job: Job, network: Network | None = None, on: Cluster | None = None
) -> Score:
    """Score `weights` (None = the original itself), telling the job a partial Score after every window.

    `network` runs them where the original's can't: other shapes, or activations that are quantized too. `on` a cluster each window is a
    task; its rows are added up here, in the data's order, so that the score is the same to the last bit."""
    import torch

    tallies: dict[str, Tally] = {}
    network, batches = network or reference.network, reference.batches
    start, scored, total = time.monotonic(), 0, len(batches.items)
    score = Score(network.task, {}, 0, batches.unit, batches.source, 0, total)
    pairs: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode():
        windows = _here(reference, network, weights, job) if on is None else _apart(reference, network, weights, job, on)
        for i, (values, answers, rows) in enumerate(job.track(windows, "Evaluating", total)):
            for name, v in values.items():
                tallies.setdefault(name, Tally()).add(v, network.task == "causal-lm")
            scored += rows
            pairs += answers
            metrics = _metrics(tallies, pairs, sum(batches.nbytes[: i + 1]))
            score = Score(network.task, metrics, scored, batches.unit, batches.source, i + 1, total, time.monotonic() - start)
            job.point(score)
    return score


def losses(reference: Reference, weights: dict[str, Tensor], job: Job, network: Network | None = None) -> list[float]:
    """What `weights` lose on every window (or image, or sentence), KL or 1 - cosine; in one order, so that two lists can be paired."""
    import torch

    out: list[float] = []
    network = network or reference.network
    with torch.inference_mode():
        windows = _here(reference, network, weights, job)
        for values, _, _ in job.track(windows, "Evaluating", len(reference.batches.items)):
            lost = values["kl"] if "kl" in values else 1 - values["cosine"]
            out += [float(lost.double().mean())] if network.task == "causal-lm" else lost.double().tolist()
    return out


def _here(reference: Reference, network: Network, weights: dict[str, Tensor] | None, job: Job) -> Iterator[Window]:
    for i, item in enumerate(reference.batches.items):
        before = reference.answer(i, job)
        yield _window(network.task, before, before if weights is None else answer(network, weights, item, job), item)


def _apart(reference: Reference, network: Network, weights: dict[str, Tensor] | None, job: Job, on: Cluster) -> Iterator[Window]:
    """The windows in the data's order, whatever order the tasks end in. Weights are sent once; the original's answers, 100 MB a window
    for a vocabulary of 49 152, are computed where they are needed."""
    try:
        first = reference.shared(on)
        second = None if weights is None else on.share((replace(network, tokenizer=None), weights))
    except CannotRun as e:
        job.note(f"Evaluated on this machine alone: {e}")
        yield from _here(reference, network, weights, job)
        return
    calls = ((str(i), (item, first, second)) for i, item in enumerate(reference.batches.items))
    early: dict[str, Window] = {}
    at = 0
    for name, found in on.each("core.evaluate:window", calls, job):
        early[name] = found
        while str(at) in early:
            yield early.pop(str(at))
            at += 1


def window(item: dict[str, Tensor], first: Any, second: Any, job: Job) -> Window:
    """One window as a task: `first` and `second` are (network, weights) of the original and of the variant (None = the same)."""
    before = answer(first[0], first[1], item, job)
    return _window(first[0].task, before, before if second is None else answer(second[0], second[1], item, job), item)


def _window(task: str, before: Tensor, after: Tensor, item: dict[str, Tensor]) -> Window:
    return compare(task, before, after, item), [(before, after)] if task == "encoder" else [], len(after)


def answer(network: Network, weights: dict[str, Tensor], item: dict[str, Tensor], job: Job) -> Tensor:
    """Log-probabilities of every scored token or image, or the embeddings; in float32."""
    import torch

    with torch.inference_mode(), heard(network, job):
        out = network.forward(weights, item).float()
        rows = out[0, :-1] if network.task == "causal-lm" else out
        if not bool(torch.isfinite(rows).all()):
            raise CannotRun("The network answers with infinities or NaN: these weights are broken; use more bits or prune less")
        return rows if network.task == "encoder" else torch.log_softmax(rows, -1)


def compare(task: str, before: Tensor, after: Tensor, item: dict[str, Tensor]) -> dict[str, Tensor]:
    """Metric -> one value per row; exact over all classes, nothing sampled."""
    if task == "encoder":
        return {"cosine": (before * after).sum(-1)}
    out = {"kl": (before.exp() * (before - after)).sum(-1).clamp(min=0), "agreement": (before.argmax(-1) == after.argmax(-1)).float()}
    if task == "causal-lm":
        out["nll"] = -after.gather(1, item["input_ids"][0, 1:, None])[:, 0]
    elif "labels" in item:
        apart = (after.argmax(-1) - item["labels"]).abs()
        out |= {"pitch": (apart <= NEAR).float()} if task == "audio-classification" else {"top1": (apart == 0).float()}
    return out


def _metrics(tallies: dict[str, Tally], pairs: list[tuple[Tensor, Tensor]], nbytes: int) -> dict[str, Measured]:
    out = {name: t.measured() for name, t in tallies.items()}
    if "nll" in out:
        nll, tokens = out.pop("nll"), sum(c for *_, c in tallies["nll"].rows)
        likely = math.exp(min(nll.value, 700.0))
        out["perplexity"] = Measured(likely, likely * nll.error)  # the delta method: d exp(x) = exp(x) dx
        if nbytes:
            bits = tokens / nbytes / math.log(2)
            out["bits_per_byte"] = Measured(nll.value * bits, nll.error * bits)
    if sum(len(a) for a, _ in pairs) > 2:
        out["agreement"] = _neighbours(pairs)
    return out


def _neighbours(pairs: list[tuple[Tensor, Tensor]]) -> Measured:
    """Share of sentences whose nearest other sentence is the same for both models."""
    import torch

    def nearest(x: Tensor) -> Any:
        return (x @ x.T).fill_diagonal_(-2.0).argmax(-1)

    same = nearest(torch.cat([a for a, _ in pairs])) == nearest(torch.cat([b for _, b in pairs]))
    tally = Tally()
    tally.add(same.float(), whole=False)
    return tally.measured()


@contextlib.contextmanager
def heard(network: Network, job: Job) -> Iterator[None]:
    """While the network runs, every module it enters asks the job whether to stop: a cancel need not wait for the window's end."""
    modules = list(network.module.modules()) if network.module is not None else []
    hooks = [m.register_forward_pre_hook(lambda *_: job.check()) for m in modules]
    try:
        yield
    finally:
        for h in hooks:
            h.remove()
