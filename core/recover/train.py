"""A compressed model trained by a plan's own method; a result that is not better than what it came from is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..compress import Compressed
from ..errors import BadData, BadPlan
from ..evaluate import Reference
from ..job import Job
from ..networks import Network
from ..registry import make
from ..types import Plan
from . import kept
from .answers import Answers
from .fit import Learned, Lessons
from .hidden import Hidden
from .methods import recoveries
from .norms import restated
from .preview import begun, terms
from .student import Student, student
from .tune import cut
from .views import check

if TYPE_CHECKING:
    from torch import Tensor

CODE = "4"  # raise it when the result changes


def method(plan: Plan) -> Any:
    """The plan's way of training with its knobs; BadPlan for an unknown name or knob."""
    return make(recoveries[plan.recover], plan.recovery)


def train(
    compressed: Compressed, network: Network, weights: Mapping[str, Tensor], reference: Reference, job: Job, anew: bool = True,
    taught_by: str = "",
) -> Compressed:  # fmt: skip
    """`network` and `weights` (float32, by tensor name) run the compressed model; `reference` is the teacher with the training data, and
    `taught_by` tells a teacher other than the original from others. Not `anew`: what was trained before is taken from the layer store,
    else nothing is done.

    Codes and masks stay within what compression left, bytes are the same. BadPlan or BadData for what can't be trained."""
    how = method(compressed.plan)
    pieces = replace(reference.batches, items=tuple(cut(reference.batches)), nbytes=())
    others = [pieces.crowd.fingerprint] if pieces.crowd else []  # clients with samples of their own
    base = kept.base("trained", getattr(how, "code", CODE), compressed, pieces, [type(how).__name__, asdict(how), taught_by, *others])
    if not anew and not compressed.store.has(kept.part(base, "verdict")):
        return compressed
    check(how, pieces.kind)
    if network.task == "encoder" and how.share < 1:
        raise BadPlan("An encoder has no task of its own here: distil it with λ = 1 (distil.share)")
    if len(pieces.items) < 2:
        raise BadData(f"{pieces.source}: too short to train on and to keep a part for the check; choose more data")
    if taught_by and how.share > 0:
        job.note(f"Taught by {reference.batches.teacher.checkpoint.path.name}, not by the original")
    found = kept.get(compressed, base)
    if found is None:
        if not anew:
            return compressed  # the verdict is there, a layer is not
        if 0 < how.share < 1:
            first = terms(network, weights, reference, job, (how.temperature,))
            job.note(f"{how.title} begins at {begun(first, how)}, measured on data it does not learn from")
        teacher = Answers(reference.network, reference.weights, pieces, compressed.store, how) if how.share > 0 else None
        done, learned = _trained(compressed, network, weights, teacher, Lessons(network, pieces, teacher), how, base, job)
    else:
        done, (before, after), said = found
        learned = Learned(before, after, said["stopped"])
    job.point(learned)
    word = "kept" if done is not compressed else "refused, as it was no better"
    job.note(f"{how.title}: {word}; loss on data it did not see {learned.before:.4g} -> {learned.after:.4g}, measured")
    if learned.stopped:
        job.note(f"{how.title} {learned.stopped}")
    return done


def _trained(
    compressed: Compressed, network: Network, weights: Mapping[str, Tensor], teacher: Answers | None, lessons: Lessons, how: Any,
    base: str, job: Job,
) -> tuple[Compressed, Learned]:  # fmt: skip
    """The loop, what counting batch norms anew adds to it, and the trained tensors in the layer store if they are better than before."""
    import torch

    learner = student(compressed, network, weights, how)
    if teacher is not None and getattr(how, "hidden", False):
        lessons = replace(lessons, hidden=Hidden.between(teacher, network, learner, lessons.pieces.items[lessons.trained[0]], how, job))
    learned = how.loop()(learner, lessons, how, compressed.plan.seed, compressed.store, kept.part(base, "state")).run(job)
    with torch.no_grad():
        learned = _recounted(learner, lessons, how, learned, job)
        found = learner.stored() if learned.after < learned.before else {}
    said = {"stopped": learned.stopped}
    return kept.put(compressed, base, found, (learned.before, learned.after), said), learned


def _recounted(learner: Student, lessons: Lessons, how: Any, learned: Learned, job: Job) -> Learned:
    """Batch norms counted anew behind the trained weights, where that is better on the pieces kept apart."""
    if not learner.counted or hasattr(how, "rounds") or not learned.after < learned.before:  # a federation's data stay where they are
        return learned
    fresh = restated(lessons.network, learner.weights(), [lessons.pieces.items[i] for i in lessons.trained], job)
    was = learner.count(fresh)
    after = lessons.checked(learner, how, job)
    if after < learned.after:
        job.note(f"Batch norms counted anew: {learned.after:.4g} -> {after:.4g}, measured")
        return replace(learned, after=after)
    learner.count(was)
    return learned
