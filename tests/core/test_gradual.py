"""Gradual pruning along a cubic while the rest trains, bfloat16 where it pays, and what a training is kept under."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.compress import Compressed
from core.errors import BadPlan, Cancelled
from core.job import Job, Progress
from core.preflight import preflight
from core.recover import kept, precision
from core.recover.costs import memory
from core.recover.gradual import cubic
from core.recover.methods import Distil
from core.recover.student import student
from core.recover.tune import cut
from core.resources import cache_root
from core.types import Choice

from .test_train import Pupil


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.9, "rtn", 16), tmp_path_factory.mktemp("digits"), 200)


def zeros(p: Pupil, slim: Compressed) -> dict[str, int]:
    return {x.name: int((slim.stored(x).dense() == 0).sum()) for x in p.layers if x.name in p.plain.outcomes}


def test_the_cubic_prunes_most_of_it_early_and_ends_where_the_plan_says() -> None:
    assert [cubic(t) for t in (0.0, 0.5, 1.0, 2.0)] == [0.0, 0.875, 1.0, 1.0]
    steps = [cubic((i + 1) / 10) - cubic(i / 10) for i in range(10)]
    assert steps == sorted(steps, reverse=True)


def test_zeros_come_one_after_the_other_and_end_at_the_plans_number(digits: Pupil) -> None:
    job, p = Job(), digits
    done = p.trained(job, train="all", steps=24, rate=0.01, gradual=True, share=0.5)
    assert any("Distil: kept" in n for n in job.notes), job.notes
    wanted, found = zeros(p, p.plain), zeros(p, done)
    for x in p.layers:
        if x.name in wanted:
            before, after = p.plain.stored(x), done.stored(x)
            assert found[x.name] == wanted[x.name], x.name
            assert before.nbytes == after.nbytes
    assert p.score(done) < p.score(p.plain)


def test_a_mask_only_ever_grows(digits: Pupil) -> None:
    learner = student(digits.plain, digits.network, digits.running(digits.plain), Distil(train="all", gradual=True))
    masks, last = learner.masks, [torch.ones_like(m) for m in learner.masks]
    assert all(bool((m == 1).all()) for m in masks)
    for t in (0.0, 0.3, 0.6, 1.0):
        learner.grow(t)
        with torch.no_grad():
            for part in learner.parts.values():
                for step in part.params:
                    step.add_(torch.randn(step.shape, generator=torch.Generator().manual_seed(round(10 * t))))
        assert all(bool((m <= a).all()) for m, a in zip(masks, last))
        last = [m.clone() for m in masks]
    assert [m.numel() - int(m.count_nonzero()) for m in masks] == list(learner.growing.values())


def test_a_run_stopped_while_zeros_still_come_ends_on_the_same_values(digits: Pupil, tmp_path: Path) -> None:
    knobs = {"train": "all", "steps": 16, "rate": 0.01, "gradual": True, "share": 0.5}
    whole = digits.trained(**knobs)
    other = Pupil("digits-cnn", Choice("magnitude", 0.9, "rtn", 16), tmp_path, 200)
    job = Job()

    def stop(p: Progress) -> None:
        if p.phase == "Training" and p.done == 5:
            job.cancel()

    job._tell = stop
    with pytest.raises(Cancelled):
        other.trained(job, **knobs)
    done = other.trained(**knobs)
    for x in digits.layers:
        if x.name in whole.outcomes:
            assert torch.equal(whole.stored(x).dense(), done.stored(x).dense()), x.name


@pytest.mark.parametrize(("choice", "knobs", "said"), [
    (Choice("magnitude", 0.5, "rtn", 16), {"train": "scales"}, "set train = all"),
    (Choice("magnitude", 0.0, "rtn", 4, {"rtn.group_size": 16}), {"train": "all"}, "No layer is pruned without being quantized"),
    (Choice("nm", 0.5, "rtn", 16), {"train": "all"}, "can't come gradually"),
])  # fmt: skip
def test_what_can_not_come_gradually_is_refused(tmp_path: Path, choice: Choice, knobs: dict[str, str], said: str) -> None:
    p = Pupil("digits-cnn", choice, tmp_path, 100)
    with pytest.raises(BadPlan, match=said):
        p.trained(gradual=True, steps=8, **knobs)


def test_bfloat16_trains_float32_weights_and_auto_takes_what_was_measured(
    digits: Pupil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = digits.trained(train="scales", steps=8, rate=0.01, precision="bfloat16")
    assert digits.score(done) < digits.score(digits.plain)
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    seen = precision.speedup()
    said = json.loads((cache_root() / "bfloat16.json").read_text())
    assert said["speedup"] == seen > 0
    for fast in (0.5, 3.0):
        (cache_root() / "bfloat16.json").write_text(json.dumps({**said, "speedup": fast}))
        with precision.running("auto"):
            assert ((torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16) is (fast > 1)


def test_the_same_plan_on_another_model_is_another_training(digits: Pupil, tmp_path: Path) -> None:
    pieces = replace(digits.seen, items=tuple(cut(digits.seen)))
    bare = replace(digits.plain, outcomes={})
    moved = {n: replace(t, offset=t.offset + 4) for n, t in digits.checkpoint.tensors.items()}
    other = replace(bare, checkpoint=replace(digits.checkpoint, tensors=moved))
    assert kept.base("x", "1", bare, pieces, []) != kept.base("x", "1", other, pieces, [])


@pytest.mark.parametrize("what", ["scales", "lora", "all"])
def test_the_memory_of_a_training_is_foretold_and_no_less_than_what_it_holds(digits: Pupil, what: str) -> None:
    how = Distil(train=what)
    plan = replace(digits.plain.plan, recover="distil", recovery={"train": what})
    learner = student(digits.plain, digits.network, digits.running(digits.plain), how)
    held = 5 * sum(4 * p.numel() for p in learner.params())  # itself, its gradient, two moments, the best one
    told = memory(digits.checkpoint, digits.layers, plan)
    assert held <= told < 60 * sum(x.tensor.parameters for x in digits.layers)
    assert memory(digits.checkpoint, digits.layers, replace(plan, recover="", recovery={})) == 0
    flight = preflight(digits.checkpoint, digits.layers, plan, 256, True, available=10**9, training=told)
    assert flight.parts["training"] == flight.parts["scoring"] + told
    tight = preflight(digits.checkpoint, digits.layers, plan, 256, True, available=flight.parts["scoring"] + 10**8, training=10**9)
    assert not tight.fits
    assert "train = scales" in tight.proposal
