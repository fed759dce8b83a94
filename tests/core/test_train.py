"""Training after compression: better answers at equal bytes, masks and grids kept, no worse result, an interrupted run taken up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.cli import main
from core.compress import Compressed, compress, original
from core.data import Batches, load
from core.errors import BadData, BadPlan, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint
from core.job import Job, Progress
from core.layers import layers
from core.lessons import Lesson
from core.networks import attach
from core.recipe import dumps, loads
from core.recover.fit import Course, Lessons
from core.recover.preview import terms
from core.recover.train import train
from core.recover.tune import changed, cut
from core.resources import root
from core.store import Store
from core.stored import Quantized
from core.types import Choice, Plan

torch.set_num_threads(1)
SAMPLES = root() / "samples"


class Pupil:
    """A sample, compressed, with the data it learns from and other data it is scored on."""

    def __init__(self, name: str, choice: Choice, folder: Path, limit: int) -> None:
        self.checkpoint = open_checkpoint(SAMPLES / name)
        self.layers, self.store = tuple(layers(self.checkpoint)), Store(folder)
        self.network = attach(self.checkpoint)
        self.weights = original(self.checkpoint, self.layers, self.store).weights(Job())
        found = load(next((SAMPLES / name).glob("heldout.*")), self.network, limit)
        half = len(found.items) // 2
        self.fresh, self.seen = replace(found, items=found.items[:half]), replace(found, items=found.items[half:])
        self.plain = compress(self.checkpoint, self.layers, Plan(choice), None, self.store, Job())

    def trained(self, job: Job | None = None, seen: Batches | None = None, **knobs: object) -> Compressed:
        method = str(knobs.pop("method", "distil"))
        plan = replace(self.plain.plan, recover=method, recovery=knobs)  # type: ignore[arg-type]
        slim = replace(self.plain, plan=plan)
        return train(slim, self.network, self.running(slim), Reference(self.network, self.weights, seen or self.seen), job or Job())

    def running(self, slim: Compressed) -> dict[str, torch.Tensor]:
        return {**self.weights, **changed(slim)}

    def score(self, slim: Compressed, metric: str = "kl") -> float:
        return judge(Reference(self.network, self.weights, self.fresh), self.running(slim), Job()).metrics[metric].value


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    low = Choice("magnitude", 0.0, "rtn", 3, {"rtn.group_size": 32})
    return Pupil("sotu-lm", low, tmp_path_factory.mktemp("words"), 2048)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.7, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 400)


@pytest.mark.parametrize(("what", "rate", "share"), [("scales", 0.01, 0.85), ("all", 0.004, 0.9)])
def test_a_distilled_language_model_answers_more_like_the_original_on_text_it_never_saw(
    words: Pupil, what: str, rate: float, share: float
) -> None:
    job = Job()
    done = words.trained(job, train=what, steps=16, rate=rate)
    assert words.score(done) < share * words.score(words.plain)
    assert any("Distil: kept" in n for n in job.notes)


@pytest.mark.parametrize("what", ["scales", "lora", "all"])
def test_masks_and_grids_hold_and_the_bytes_do_not_change(digits: Pupil, what: str) -> None:
    job = Job()
    done = digits.trained(job, train=what, steps=16, rate=0.01)
    assert "kept" in job.notes[-1]
    moved = 0
    for x in digits.layers:
        before, after = digits.plain.stored(x), done.stored(x)
        assert after.nbytes == before.nbytes
        if isinstance(before, Quantized):
            assert isinstance(after, Quantized)
            assert (after.bits, after.group_size, after.shape) == (before.bits, before.group_size, before.shape)
            assert bool((after.dense()[before.dense() == 0] == 0).all())
            assert int(after.codes.max()) < 2**before.bits
            moved += int((after.codes != before.codes).sum())
    assert (moved == 0) == (what == "scales")


def test_a_classifier_is_trained_on_its_labels_and_gets_more_of_them_right(digits: Pupil) -> None:
    done = digits.trained(method="finetune", train="all", steps=32, rate=0.01)
    assert digits.score(done, "top1") > digits.score(digits.plain, "top1") + 0.05


def test_the_loss_weighed_before_training_is_the_loss_that_training_begins_with(digits: Pupil) -> None:
    """At any weight and temperature, from one look at the pieces it keeps apart."""
    found = terms(digits.network, digits.running(digits.plain), Reference(digits.network, digits.weights, digits.seen), Job())
    assert found.pieces == len(Lessons(digits.network, replace(digits.seen, items=tuple(cut(digits.seen))), None).held) > 1
    for share, temperature in ((0.0, 1.0), (0.3, 4.0), (1.0, 10.0)):
        points: list[object] = []
        job = Job(point=points.append)
        digits.trained(job, steps=8, share=share, temperature=temperature)
        begun = next(p.before for p in points if isinstance(p, Course))
        assert found.mixed(share, temperature) == pytest.approx(begun, rel=1e-5)
        said = f"Distil begins at 0.7 x {found.task:.4g} (task) + 0.3 x {found.teacher[4.0]:.4g} (teacher, T = 4), measured"
        assert any(n.startswith(said) for n in job.notes) == (share == 0.3), "one term alone is the loss itself"
    assert found.mixed(0.5, 1.25) is None, "it was not measured"
    assert replace(found, task=None).mixed(0.5, 1.0) is None
    assert replace(found, task=None).mixed(1.0, 1.0) == found.teacher[1.0]


def test_a_layer_the_user_protects_is_not_touched(digits: Pupil) -> None:
    name = next(x.name for x in digits.layers if x.kind == "conv" and x.name in digits.plain.outcomes)
    kept = replace(digits.plain.plan, layers={name: Choice(protect=True)}, recover="distil", recovery={"train": "all", "steps": 8})
    slim = compress(digits.checkpoint, digits.layers, kept, None, digits.store, Job())
    done = train(slim, digits.network, digits.running(slim), Reference(digits.network, digits.weights, digits.seen), Job())
    assert name not in done.outcomes
    assert len(done.outcomes) > len(slim.outcomes)


def test_a_result_that_is_no_better_is_refused(words: Pupil) -> None:
    job = Job()
    assert words.trained(job, train="all", steps=8, rate=0.05).outcomes == words.plain.outcomes
    assert any("refused" in n for n in job.notes)


def test_the_same_training_again_is_taken_from_the_store(words: Pupil, monkeypatch: pytest.MonkeyPatch) -> None:
    first = words.trained(train="scales", steps=16, rate=0.01)
    monkeypatch.setattr("core.recover.fit.Fit.run", _refused)
    again = words.trained(train="scales", steps=16, rate=0.01)
    assert {n: o.key for n, o in again.outcomes.items()} == {n: o.key for n, o in first.outcomes.items()}


def _refused(*_: object) -> None:
    raise AssertionError("this was trained before")


def test_a_cancelled_training_goes_on_where_it_stopped_to_the_same_bytes(digits: Pupil, tmp_path: Path) -> None:
    whole = digits.trained(train="all", steps=16, rate=0.008)
    other = Pupil("digits-cnn", digits.plain.plan.model, tmp_path, 400)

    def stop(p: Progress) -> None:
        if p.phase == "Training" and p.done == 9:
            job.cancel()

    job = Job(tell=stop)
    with pytest.raises(Cancelled):
        other.trained(job, train="all", steps=16, rate=0.008)
    seen: list[Lesson] = []
    done = other.trained(Job(point=lambda p: seen.append(p) if isinstance(p, Lesson) else None), train="all", steps=16, rate=0.008)
    assert [p.step for p in seen] == list(range(10, 17))
    for x in other.layers:
        assert torch.equal(done.stored(x).dense(), whole.stored(x).dense())


def test_the_curve_has_every_step_with_its_terms_and_some_with_the_check(digits: Pupil) -> None:
    seen: list[Lesson] = []
    job = Job(point=lambda p: seen.append(p) if isinstance(p, Lesson) else None)
    digits.trained(job, train="scales", steps=16, rate=0.003, share=0.5, temperature=2.0)
    assert [p.step for p in seen] == list(range(1, 17))
    assert all(set(p.terms) == {"task", "teacher"} for p in seen)
    assert sum(p.held is not None for p in seen) == 8


def test_a_loss_that_is_no_number_halves_the_rate_once_and_then_stops_with_the_last_good_state(digits: Pupil) -> None:
    job, first = Job(), digits.seen.items[0]
    pixels = first["pixel_values"].clone()
    pixels[20:24] = float("nan")
    seen = replace(digits.seen, items=({**first, "pixel_values": pixels}, *digits.seen.items[1:]))
    done = digits.trained(job, seen, method="finetune", train="all", steps=64, rate=0.01)
    assert [n.split(" at step")[0] for n in job.notes if "no number" in n or "not a number" in n] == [
        "Training met a loss that is not a number", "Fine-tune stopped"
    ]  # fmt: skip
    assert digits.score(done, "top1") > digits.score(digits.plain, "top1")


@pytest.mark.parametrize(
    ("knobs", "say"),
    [({"method": "nothing"}, "nothing"), ({"steps": 1}, "outside"), ({"train": "some"}, "choose one of"), ({"share": 2.0}, "outside")],
)
def test_what_is_not_known_is_refused_by_name(words: Pupil, knobs: dict[str, object], say: str) -> None:
    with pytest.raises(BadPlan, match=say):
        words.trained(**knobs)


def test_labels_out_of_range_are_named(digits: Pupil) -> None:
    wrong = tuple({**i, "labels": i["labels"] + 7} for i in digits.seen.items)
    with pytest.raises(BadData, match="outside 0 to 9"):
        digits.trained(None, replace(digits.seen, items=wrong), method="finetune", steps=8)


def test_a_recipe_keeps_the_way_to_train_and_its_data() -> None:
    text = 'version = 1\n[model]\npath = "/m"\n[plan]\nrecover = "distil"\n[plan.recovery]\nsteps = 400\n[train]\ndata = "/t.txt"\n'
    found = loads(text)
    assert (found.plan.recover, found.plan.recovery["steps"], found.train) == ("distil", 400, Path("/t.txt"))
    assert loads(dumps(found)) == found
    with pytest.raises(BadPlan, match="steps"):
        loads(text.replace("steps = 400", "steps = 0"))


def test_the_command_line_trains_and_exports_what_it_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", str(SAMPLES / "digits-cnn"), "--out", str(tmp_path / "out"), "--bits", "4", "--knob", "rtn.group_size=16"]
    assert main([*words, "--limit", "100", "--recover", "distil", "--knob", "distil.steps=16", "--knob", "distil.train=all"]) == 0
    said = capsys.readouterr().out
    assert "Distil: kept" in said or "Distil: refused" in said
    assert "exported and verified" in said
