"""What runs on the worker for training: the plan's own way, and the score of what it made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.job import Job
from core.types import Plan, Task, Variant

from .work import Opened, _compressed, _threads, allowed, now, priced, running_weights


def train(
    opened: Opened, plan: Plan, target: Any, task: Task, data: Path, limit: int | None, anew: bool, job: Job
) -> Variant | None:
    """The plan compressed, tuned, trained and scored; None where that was no better. Not `anew`: only where it was trained before."""
    from core.evaluate import judge
    from core.int8 import running
    from core.recover import trained, tuned

    _threads()
    allowed(opened, plan, True, job)
    slim = opened.made(plan, data, limit, job)
    found = _compressed(slim, plan, data, limit, job)
    reference, network = opened.reference(data, limit, job), slim.network(job)
    learned_from = lambda: opened.teaching(plan, data, limit, job)  # noqa: E731
    found, weights = tuned(found, network, running_weights(opened, slim, found, reference, job), reference, learned_from, job)
    done, weights = trained(found, weights, network, reference, learned_from, job, anew)
    if done is found:
        return None
    price = priced(opened.checkpoint, opened.layers, plan, target, task)
    return Variant(plan, price["size"], price["energy"], judge(reference, weights, job, running(done, network)), done.outcomes, "", now())


def meet(opened: Opened, path: Path, job: Job) -> str:
    """A teacher looked at before anything is trained: its name; BadPlan where it can't teach this model."""
    from core.recover.teacher import teacher

    return teacher(path, opened.network(job), opened.checkpoint, job).checkpoint.path.name


def forget(opened: Opened, at: str, job: Job) -> None:
    """The state of a training that was cancelled."""
    opened.store.drop(at)
