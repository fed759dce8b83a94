"""What runs on the worker for training: the plan's earlier stages, its own way, and the score of what each made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.compress import Compressed
from core.errors import NotTrained
from core.job import Job
from core.lessons import Freed, Terms
from core.types import Plan, Score, Task, Variant

from .opened import Opened, Run, threads
from .work import _compressed, allowed, listening, now, priced, running_weights

if TYPE_CHECKING:
    from core.evaluate import Reference
    from core.networks import Network


def train(
    opened: Opened, plan: Plan, target: Any, task: Task, data: Path, limit: int | None, anew: bool, known: Sequence[Plan], job: Job
) -> Variant | None:
    """The plan compressed, tuned, trained and scored, after its earlier stages; None where that was no better. Not `anew`: only where it
    was trained before. Streams a Variant for each stage that is not `known`, as it was compressed and as it was trained."""
    threads()
    allowed(opened, plan, True, job)
    heard, freed = listening(job)

    def told(leg: Plan, made: Compressed, score: Score) -> None:
        job.point(_variant(opened, leg, target, task, made, score, freed))

    quiet = heard.into(lambda point: None if isinstance(point, Score | tuple) else heard.point(point))  # a stage's figures come whole
    try:
        slim = opened.made(plan, data, limit, quiet, Run(anew, told if anew else None, known))
    except NotTrained:
        return None
    done, score = _last(opened, slim, plan, data, limit, Run(anew, told if anew and plan.before else None, known), heard)
    return _variant(opened, plan, target, task, done, score, freed) if score else None


def _last(
    opened: Opened, slim: Opened, plan: Plan, data: Path, limit: int | None, run: Run, job: Job
) -> tuple[Compressed, Score | None]:
    """The plan's last stage; no score of a single one whose training was no better."""
    from core.evaluate import judge
    from core.int8 import running
    from core.legs import last, untrained
    from core.recover import trained, tuned

    job = last(job, plan)
    found, network, reference, weights = _ready(opened, slim, plan, data, limit, job)
    first = untrained(plan, found.layers)
    if run.told and plan.recover and first not in run.known:
        run.told(first, found, judge(reference, weights, job, running(found, network)))
    learned_from = lambda: opened.teaching(plan, data, limit, job)  # noqa: E731
    found, weights = tuned(found, network, weights, reference, learned_from, job)
    done, weights = trained(found, weights, network, reference, learned_from, job, run.anew)
    better = not plan.recover or done is not found or (run.anew and plan.before is not None)  # a stage is measured as it is left
    return done, judge(reference, weights, job, running(done, network)) if better else None


def _variant(
    opened: Opened, plan: Plan, target: Any, task: Task, made: Compressed, score: Score, freed: list[Freed]
) -> Variant:
    """A stage as it was measured, with what closed forms gave back of it."""
    from core.recover.free import wanted

    price = priced(opened.checkpoint, opened.layers, plan, target, task)
    gain = freed[-1].steps if freed and wanted(plan) else None
    return Variant(plan, price["size"], price["energy"], score, made.outcomes, "", now(), gain)


def _ready(
    opened: Opened, slim: Opened, plan: Plan, data: Path, limit: int | None, job: Job
) -> tuple[Compressed, Network, Reference, dict[str, Any]]:
    """A plan's model with what runs it, beside the original."""
    found = _compressed(slim, plan, data, limit, job)
    reference, network = opened.reference(data, limit, job), slim.network(job)
    return found, network, reference, running_weights(opened, slim, found, reference, job)


def terms(opened: Opened, plan: Plan, data: Path, limit: int | None, job: Job) -> Terms | None:
    """What the plan's training would begin with; None where a stage before it was never trained."""
    from core.evaluate import Reference
    from core.recover import tuned
    from core.recover.preview import terms as weighed

    threads()
    try:
        slim = opened.made(plan, data, limit, job)
    except NotTrained:
        return None
    found, network, reference, weights = _ready(opened, slim, plan, data, limit, job)
    lessons = opened.teaching(plan, data, limit, job)
    _, weights = tuned(found, network, weights, reference, lambda: lessons, job)
    by = lessons.teacher or reference
    return weighed(network, weights, Reference(by.network, by.weights, lessons), job)


def meet(opened: Opened, path: Path, job: Job) -> str:
    """A teacher looked at before anything is trained: its name; BadPlan where it can't teach this model."""
    from core.recover.teacher import teacher

    return teacher(path, opened.network(job), opened.checkpoint, job).checkpoint.path.name


def forget(opened: Opened, at: str, job: Job) -> None:
    """The state of a training that was cancelled."""
    opened.store.drop(at)
