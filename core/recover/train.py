"""A compressed model trained by a plan's own method; a result that is not better than what it came from is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..compress import Compressed
from ..data import Batches
from ..errors import BadData, BadPlan
from ..evaluate import Reference
from ..formats import read
from ..job import Job
from ..networks import Network
from ..plans import resolve
from ..registry import make
from ..store import key
from ..stored import Dense
from ..types import Layer, Outcome, Plan, Setting
from .fit import Learned, Lessons
from .methods import recoveries
from .student import Student, student
from .tune import cut

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when the result changes


def method(plan: Plan) -> Any:
    """The plan's way of training with its knobs; BadPlan for an unknown name or knob."""
    return make(recoveries[plan.recover], plan.recovery)


def train(
    compressed: Compressed, network: Network, weights: Mapping[str, Tensor], reference: Reference, job: Job, anew: bool = True
) -> Compressed:
    """`network` and `weights` (float32, by tensor name) run the compressed model; `reference` is the teacher with the training data. Not
    `anew`: what was trained before is taken from the layer store, else nothing is done.

    Codes and masks stay within what compression left, bytes are the same. BadPlan or BadData for what can't be trained."""
    how = method(compressed.plan)
    pieces = replace(reference.batches, items=tuple(cut(reference.batches)), nbytes=())
    base = _base(compressed, pieces, how)
    if not anew and not compressed.store.has(_hash(base, "verdict")):
        return compressed
    if network.task == "encoder" and how.share < 1:
        raise BadPlan("An encoder has no task of its own here: distil it with λ = 1 (distil.share)")
    if len(pieces.items) < 2:
        raise BadData(f"{pieces.source}: too short to train on and to keep a part for the check; choose more data")
    teacher = Reference(reference.network, reference.weights, pieces) if how.share > 0 else None
    learner = student(compressed, network, weights, how)
    found = _known(compressed, learner, base)
    if found is None:
        if not anew:
            return compressed  # the verdict is there, a layer is not
        lessons = Lessons(network, pieces, teacher)
        learned = how.loop()(learner, lessons, how, compressed.plan.seed, compressed.store, _hash(base, "state")).run(job)
        found = _kept(compressed, learner, base, learned), learned
    done, learned = found
    job.point(learned)
    word = "kept" if done is not compressed else "refused, as it was no better"
    job.note(f"{how.title}: {word}; loss on data it did not see {learned.before:.4g} -> {learned.after:.4g}, measured")
    if learned.stopped:
        job.note(f"{how.title} {learned.stopped}")
    return done


def _kept(compressed: Compressed, learner: Student, base: str, learned: Learned) -> Compressed:
    """The trained tensors in the layer store, if they are better than what they came from."""
    import torch

    outcomes = dict(compressed.outcomes)
    if learned.after < learned.before:
        settings = _settings(compressed)
        with torch.no_grad():
            for x in (x for x in compressed.layers if x.name in learner.parts):
                stored = learner.parts[x.name].stored()
                at = key(x.tensor, settings[x.name], base)
                outcome = _outcome(x, settings[x.name], stored.dense().float(), at, reused=False)
                compressed.store.put(at, stored, {"error": repr(outcome.error), "sparsity": repr(outcome.sparsity)})
                outcomes[x.name] = outcome
    verdict = torch.tensor([learned.before, learned.after], dtype=torch.float64)
    compressed.store.put(_hash(base, "verdict"), Dense(verdict), {"stopped": learned.stopped})
    return replace(compressed, outcomes=outcomes) if learned.after < learned.before else compressed


def _known(compressed: Compressed, learner: Student, base: str) -> tuple[Compressed, Learned] | None:
    """An earlier training of the same plan on the same data out of the layer store, whole or not at all."""
    at = _hash(base, "verdict")
    if (verdict := compressed.store.get(at)) is None:
        return None
    before, after = verdict.dense().tolist()
    learned = Learned(before, after, (compressed.store.said(at) or {}).get("stopped", ""))
    if not learned.after < learned.before:
        return compressed, learned
    outcomes, settings = dict(compressed.outcomes), _settings(compressed)
    for x in (x for x in compressed.layers if x.name in learner.parts):
        at = key(x.tensor, settings[x.name], base)
        if (said := compressed.store.said(at)) is None:
            return None
        outcomes[x.name] = Outcome(settings[x.name], float(said["error"]), float(said["sparsity"]), at, True)
    return replace(compressed, outcomes=outcomes), learned


def _settings(compressed: Compressed) -> dict[str, Setting]:
    return {**resolve(compressed.plan, compressed.layers), **compressed.settings}


def _outcome(x: Layer, setting: Setting, q: Tensor, at: str, reused: bool) -> Outcome:
    w = read(x.tensor).float()
    error = float((w - q).square().sum() / w.square().sum().clamp(min=1e-30))
    return Outcome(setting, error, 1 - float(q.count_nonzero()) / max(1, q.numel()), at, reused)


def _base(compressed: Compressed, pieces: Batches, how: Any) -> str:
    """What a trained tensor depends on beside its own source: every layer's result, the data, the settings, this code."""
    outcomes = sorted((n, o.key) for n, o in compressed.outcomes.items())
    data = hashlib.sha256()
    for item in pieces.items:
        for name in sorted(item):
            data.update(item[name].contiguous().numpy().tobytes())
    text = json.dumps([CODE, type(how).__name__, asdict(how), outcomes, data.hexdigest(), compressed.plan.seed])
    return "trained:" + hashlib.sha256(text.encode()).hexdigest()


def _hash(base: str, what: str) -> str:
    return hashlib.sha256(f"{base}:{what}".encode()).hexdigest()
