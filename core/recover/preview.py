"""What each term of a training's loss is before its first step, at every temperature, so that its knobs can be set by sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import BadData
from ..evaluate import Reference, answer
from ..job import Job
from ..lessons import Terms
from ..networks import Network
from .losses import distilled, told
from .tune import HELD, cut

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURES = tuple(1 + n / 2 for n in range(19))  # 1 to 10, as the knob has them
PIECES = 8


def terms(
    network: Network, weights: Mapping[str, Tensor], teacher: Reference, job: Job, temperatures: tuple[float, ...] = TEMPERATURES
) -> Terms:
    """The task's loss and T²·KL(teacher ‖ student) of `weights` as they are, in nats: means over the first of the teacher's pieces that a
    training keeps apart."""
    import torch

    batches = replace(teacher.batches, items=tuple(cut(teacher.batches))[::HELD][:PIECES], nbytes=())
    if not batches.items:
        raise BadData(f"{batches.source}: too short to learn from; choose more data")
    own = network.task == "causal-lm" or all("labels" in item for item in batches.items)
    task, apart = [], []
    with torch.inference_mode():
        for item in job.track(batches.items, "Weighing the loss"):
            before, after = (answer(n, dict(w), item, job) for n, w in ((teacher.network, teacher.weights), (network, weights)))
            task += [float(told(network.task, after, item).mean())] if own and network.task != "encoder" else []
            apart.append([_at(t, network.task, before, after, job) for t in temperatures])
    n = len(batches.items)
    means = {t: sum(column) / n for t, column in zip(temperatures, zip(*apart, strict=True), strict=True)}
    return Terms(sum(task) / n if task else None, means, n)


def begun(found: Terms, how: Any) -> str:
    """The terms at these knobs, as a run tells them."""
    weights = ((1 - how.share, found.task, "task"), (how.share, found.teacher.get(how.temperature), f"teacher, T = {how.temperature:g}"))
    return " + ".join(f"{w:.3g} x {x:.4g} ({name})" for w, x, name in weights if w and x is not None)


def _at(temperature: float, task: str, before: Tensor, after: Tensor, job: Job) -> float:
    job.check()
    return float(distilled(task, before, after, temperature).mean())
