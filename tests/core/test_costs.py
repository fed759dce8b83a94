"""What a training is foretold to take, held against what torch counts while a real step runs."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from core.job import Job
from core.recipe import Recipe
from core.recover import costs
from core.recover.answers import Answers
from core.recover.fit import Fit, Lessons
from core.recover.student import student
from core.recover.train import method
from core.recover.tune import cut
from core.run import foresee
from core.types import Choice, Plan

from .test_train import SAMPLES, Pupil

WAYS = ["scales", "lora", "all"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("sotu-lm", Choice("magnitude", 0.0, "rtn", 3, {"rtn.group_size": 64}), tmp_path_factory.mktemp("words"), 2048)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.0, "rtn", 4), tmp_path_factory.mktemp("digits"), 200)


class Held(TorchDispatchMode):
    """Bytes of all storages that tensors made under it hold: now, and at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, torch.Tensor):
                self._note(t.untyped_storage())
        return out

    def _note(self, s: torch.UntypedStorage) -> None:
        at, size = s.data_ptr(), s.nbytes()
        if at in self.known or not size:
            return

        def gone(_: Any) -> None:
            if self.known.pop(at, None) is not None:
                self.now -= size

        self.known[at] = weakref.ref(s, gone)
        self.now += size
        self.most = max(self.most, self.now)


def fit(p: Pupil, what: str) -> tuple[Plan, Fit]:
    """A training of this sample, begun."""
    plan = replace(p.plain.plan, recover="distil", recovery={"train": what, "steps": 8, "precision": "float32"})
    how, pieces = method(plan), replace(p.seen, items=tuple(cut(p.seen)), nbytes=())
    teacher = Answers(p.network, p.weights, pieces, p.store, how)
    learner = student(replace(p.plain, plan=plan), p.network, p.running(p.plain), how)
    return plan, Fit(learner, Lessons(p.network, pieces, teacher), how, 0, p.store, f"{what:0<64}")


def flops(work: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("name", ["words", "digits"])
def test_the_passes_of_a_step_are_what_torch_counts(name: str, what: str, request: pytest.FixtureRequest) -> None:
    p: Pupil = request.getfixturevalue(name)
    plan, run = fit(p, what)
    lessons, item = run.lessons, run.lessons.pieces.items[1]
    lessons.teacher.answer(1, Job())  # type: ignore[union-attr]  # kept, so that the teacher does not count
    with torch.inference_mode():
        once = flops(lambda: p.network.forward(p.weights, dict(item)))
    step = flops(lambda: lessons.loss(run.student.weights(), 1, run.how, Job())[0].backward())
    assert step / once == pytest.approx(costs.passes(p.checkpoint, p.layers, plan), rel=0.05)


@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("name", ["words", "digits"])
def test_the_memory_of_a_step_is_foretold_within_a_third_of_what_torch_holds(
    name: str, what: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    p: Pupil = request.getfixturevalue(name)
    monkeypatch.setattr(Fit, "_look", lambda *_: 1.0)
    with Held() as held:
        plan, run = fit(p, what)
        mine = held.now
        for i in range(len(run.lessons.pieces.items)):
            run.lessons.teacher.answer(i, Job())  # type: ignore[union-attr]  # these an evaluation holds already
        answers = held.now - mine
        for _ in range(2):
            assert run._stepped(Job())
    assert 1 < costs.memory(p.checkpoint, p.layers, plan) / (held.most - answers) < 1.35


def test_answers_that_go_to_disk_are_told_before_the_run_and_are_no_more(words: Pupil) -> None:
    recovery = {"train": "scales", "steps": 8, "top": 512}
    said = Recipe(SAMPLES / "sotu-lm", replace(words.plain.plan, recover="distil", recovery=recovery), lessons=1024)
    told = foresee(said, words.checkpoint, words.layers)
    words.trained(**recovery)
    on_disk = sum(f.stat().st_size for f in words.store.root.rglob("answers*"))
    assert 0 < told.kept <= 1024 * 512 * 4
    assert 1 <= 1.02 * told.kept / on_disk < 1.2
    assert f"up to {told.kept / 1e6:.0f} MB of the teacher's answers" in told.told
    assert not foresee(replace(said, plan=words.plain.plan), words.checkpoint, words.layers).kept


def test_the_time_of_a_training_is_part_of_what_a_run_is_told_to_take(words: Pupil) -> None:
    def told(**recovery: object) -> float:
        plan = replace(words.plain.plan, recover="distil", recovery=recovery)  # type: ignore[arg-type]
        return foresee(Recipe(SAMPLES / "sotu-lm", plan), words.checkpoint, words.layers).seconds

    bare = foresee(Recipe(SAMPLES / "sotu-lm", words.plain.plan), words.checkpoint, words.layers).seconds
    short, long = told(steps=80) - bare, told(steps=800) - bare
    assert 0 < short < long
    assert 8 < (long - short) / (short - told(steps=8) + bare) < 12
    assert told(steps=80, hidden=1.0) > bare + short
