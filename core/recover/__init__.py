"""Recovery: what training gives back of a compressed model's answers; codes, masks and bytes stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import BadData

if TYPE_CHECKING:
    from torch import Tensor

    from ..compress import Compressed
    from ..data import Batches
    from ..evaluate import Reference
    from ..job import Job
    from ..networks import Network


def recovered(
    compressed: Compressed, network: Network, weights: dict[str, Tensor], reference: Reference, data: Callable[[], Batches], job: Job
) -> tuple[Compressed, dict[str, Tensor]]:
    """The compressed model tuned, then trained by its plan's own method, with the weights that run it; `data` loads what it learns from.

    Raises BadData when the plan insists and there is nothing to learn from; tuning by itself is then left out, with a note."""
    return trained(*tuned(compressed, network, weights, reference, data, job), network, reference, data, job)


def trained(
    compressed: Compressed, weights: dict[str, Tensor], network: Network, reference: Reference, data: Callable[[], Batches], job: Job,
    anew: bool = True,
) -> tuple[Compressed, dict[str, Tensor]]:  # fmt: skip
    """The tuned model trained by its plan's own method; itself where the plan names none, or where that was no better. Not `anew`: only
    what an earlier training left in the layer store is taken."""
    if not compressed.plan.recover:
        return compressed, weights
    from ..evaluate import Reference as Teaching
    from .train import train
    from .tune import changed

    lessons = data()
    by = lessons.teacher or reference
    identity = lessons.teacher.identity if lessons.teacher else ""
    done = train(compressed, network, weights, Teaching(by.network, by.weights, lessons), job, anew, identity)
    return done, ({**weights, **changed(done)} if done is not compressed else weights)


def tuned(
    compressed: Compressed, network: Network, weights: dict[str, Tensor], reference: Reference, data: Callable[[], Batches], job: Job
) -> tuple[Compressed, dict[str, Tensor]]:
    """The compressed model after closed forms and tuning, where its plan wants them, with the weights that run it."""
    from ..evaluate import Reference as Teaching
    from . import free
    from .tune import changed, tune, wanted

    plan = compressed.plan
    tunes = wanted(plan, compressed.layers) and not (plan.tune is None and network.module is None)
    if not tunes and not free.wanted(plan):
        return compressed, weights
    try:
        teacher = Teaching(reference.network, reference.weights, data())
    except BadData as e:
        if plan.tune:
            raise
        job.note(f"Tuning was left out: {e}")
        return compressed, weights
    if free.wanted(plan):
        compressed, weights = free.free(compressed, network, weights, teacher, job)
    if not tunes:
        return compressed, weights
    done = tune(compressed, network, weights, teacher, job)
    return done, ({**weights, **changed(done)} if done is not compressed else weights)
