"""What runs on the worker for an export: written, verified in a fresh process, reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from core import report
from core.errors import NotVerified
from core.job import Job
from core.latency import latency
from core.ledger import Bill, Took, accounted
from core.networks import runnable
from core.types import Report, Variant, Verdict

from .opened import Opened, Run, threads
from .scene import place
from .work import _compressed


def export(
    opened: Opened, before: Variant, after: Variant, path: Path, target: Any, data: Path | None, limit: int | None, spent: Took,
    stages: tuple[Variant, ...], job: Job,
) -> Verdict:
    """Compress (mostly out of the layer store), write, verify in a fresh process, and put a report beside it; `spent`: the work before,
    `stages`: what was measured on the way to a plan in several."""
    with Bill() as bill:
        told = replace(_written(opened, before, after, path, target, data, limit, job), stages=stages)
        report.write(accounted(told, spent + bill.took(), place()), path)
    assert told.verdict is not None
    return told.verdict


def _written(
    opened: Opened, before: Variant, after: Variant, path: Path, target: Any, data: Path | None, limit: int | None, job: Job
) -> Report:
    """A verdict that failed is handed on as a point of the job before its error."""
    from core.export import export as write
    from core.int8 import running
    from core.recover import recovered

    threads()
    slim = opened.made(after.plan, data, limit, job, Run(anew=True))
    found = _compressed(slim, after.plan, data, limit, job)
    network, batches, timed = None, None, None
    if data is not None and not runnable(opened.checkpoint):
        reference, network = opened.reference(data, limit, job), slim.network(job)
        batches, weights = reference.batches, found.weights(job)
        found, weights = recovered(found, network, weights, reference, lambda: opened.teaching(after.plan, data, limit, job), job)
        runs = running(found, network)
        if slim is not opened or runs is not network:
            timed = latency((reference.network, reference.weights), (runs, weights), batches, job)
    try:
        verdict = write(found, path, target, network, batches, job, lambda: opened.teaching(after.plan, data, limit, job))
    except NotVerified as e:
        job.point(e.verdict)
        raise
    said = replace(after, outcomes=found.outcomes)
    return Report(
        str(opened.checkpoint.path), before, said, target.key, str(path), verdict, tuple(job.notes), report.versions(),
        latency=timed,
    )  # fmt: skip
