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
    compressed, weights = _tuned(compressed, network, weights, reference, data, job)
    if not compressed.plan.recover:
        return compressed, weights
    from ..evaluate import Reference as Teacher
    from .train import train
    from .tune import changed

    trained = train(compressed, network, weights, Teacher(reference.network, reference.weights, data()), job)
    return trained, ({**weights, **changed(trained)} if trained is not compressed else weights)


def _tuned(
    compressed: Compressed, network: Network, weights: dict[str, Tensor], reference: Reference, data: Callable[[], Batches], job: Job
) -> tuple[Compressed, dict[str, Tensor]]:
    from ..evaluate import Reference as Teacher
    from .tune import changed, tune, wanted

    plan = compressed.plan
    if not wanted(plan, compressed.layers) or (plan.tune is None and network.module is None):
        return compressed, weights
    try:
        teacher = Teacher(reference.network, reference.weights, data())
    except BadData as e:
        if plan.tune:
            raise
        job.note(f"Tuning was left out: {e}")
        return compressed, weights
    tuned = tune(compressed, network, weights, teacher, job)
    return tuned, ({**weights, **changed(tuned)} if tuned is not compressed else weights)
