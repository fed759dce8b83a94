"""What runs on the worker: functions over the engine's nouns, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadPlan, CannotRun
from core.job import Job
from core.types import Checkpoint, Layer, Outcome, Plan, Score, Verdict


@dataclass(frozen=True)
class Opened:
    """A checkpoint made ready to run; `reference` is None where `why` says it can't."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    reference: Any = None
    score: Score | None = None
    why: str = ""


def open_model(path: Path, job: Job) -> tuple[Checkpoint, tuple[Layer, ...]]:
    """Headers only."""
    from core.formats import open_checkpoint
    from core.layers import layers

    checkpoint = open_checkpoint(path, job)
    return checkpoint, tuple(layers(checkpoint))


def prepare(checkpoint: Checkpoint, layers: tuple[Layer, ...], data: Path | None, limit: int | None, job: Job) -> Opened:
    """Build the network, load the data, score the original."""
    from core.compress import original
    from core.data import default, load
    from core.evaluate import Reference, judge
    from core.networks import attach
    from core.store import Store

    try:
        network = attach(checkpoint, job)
        source = data or default(checkpoint)
        if source is None:
            raise CannotRun("No data to measure on; drop a .txt or an .npz with images and labels on the window")
        batches = load(source, network, limit)
    except CannotRun as e:
        return Opened(checkpoint, layers, why=str(e))
    reference = Reference(network, original(checkpoint, layers, Store.default()).weights(job), batches)
    return Opened(checkpoint, layers, reference, judge(reference, None, job))


def preview(opened: Opened, plan: Plan, job: Job) -> tuple[dict[str, Outcome], Score | None]:
    """Compress and evaluate the plan; outcomes and scores stream as points."""
    from core.evaluate import judge

    compressed = _compress(opened, plan, job)
    score = judge(opened.reference, compressed.weights(job), job) if opened.reference else None
    return dict(compressed.outcomes), score


def export(opened: Opened, plan: Plan, target: Any, path: Path, job: Job) -> Verdict:
    """Write, verify, and lay recipe and report beside the file."""
    from core.export import export as write

    compressed = _compress(opened, plan, job)
    r = opened.reference
    return write(compressed, path, target, r.network if r else None, r.batches if r else None, job)


def _compress(opened: Opened, plan: Plan, job: Job) -> Any:
    from core.calibrate import observe
    from core.compress import compress, needs
    from core.store import Store

    calibration = None
    if "grads" in needs(plan, opened.layers):
        if opened.reference is None:
            raise BadPlan("Gradient pruning needs a network that runs; choose magnitude, or open the folder with config.json")
        r = opened.reference
        calibration = observe(r.network, r.weights, r.batches, opened.layers, job)
    return compress(opened.checkpoint, opened.layers, plan, calibration, Store.default(), job)
