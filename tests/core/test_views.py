"""Pictures varied while they are learned from, the teacher before the very same ones, and batch norms that train on their own pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import BadPlan, Cancelled
from core.evaluate import Reference
from core.job import Job, Progress
from core.recipe import dumps, loads
from core.recover.answers import Answers
from core.recover.fit import Lessons
from core.recover.methods import Distil, FineTune
from core.recover.norms import counted
from core.recover.tune import cut
from core.recover.views import check, drawn, varied
from core.types import Choice

from .test_train import Pupil

torch.set_num_threads(1)
VARIED = {"method": "finetune", "train": "all", "batch": 4, "rate": 0.008, "vary": 0.3, "statistics": "batch"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.7, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 400)


def test_a_mirrored_picture_is_the_picture_or_its_mirror_image() -> None:
    x = torch.rand(64, 2, 6, 9)
    seen = varied({"pixel_values": x}, FineTune(mirror=True), drawn(0, 1))["pixel_values"]
    flipped = [not torch.equal(a, b) for a, b in zip(seen, x)]
    assert all(torch.equal(a, b.flip(-1)) for a, b, f in zip(seen, x, flipped) if f)
    assert 16 < sum(flipped) < 48


@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_a_varied_picture_is_moved_no_further_than_asked(strength: float) -> None:
    """A ramp's value says where a point came from: 8 % of the side, a tenth of the size, and 6 degrees, as a wide picture is seen."""
    ramp = torch.linspace(-1, 1, 40).expand(8, 1, 20, 40)
    seen = varied({"pixel_values": ramp}, FineTune(vary=strength), drawn(0, 1))["pixel_values"]
    apart = (seen - ramp)[..., 4:-4, 8:-8].abs()
    assert 0.03 * strength < float(apart.mean())
    assert float(apart.max()) < strength * (2 * 0.08 + 0.1 + 0.5 * 0.11)
    assert not torch.equal(seen[0], seen[1]), "each on its own"


def test_the_same_step_varies_alike_and_another_does_not() -> None:
    x = {"pixel_values": torch.rand(4, 1, 8, 8)}
    first, again, other = (varied(x, FineTune(vary=0.5), drawn(3, n))["pixel_values"] for n in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_teacher_answers_the_very_pictures_the_student_is_shown(digits: Pupil) -> None:
    how = Distil(vary=1.0, mirror=True)
    pieces = replace(digits.seen, items=tuple(cut(digits.seen)))
    lessons = Lessons(digits.network, pieces, Answers(digits.network, digits.weights, pieces, digits.store, how))
    shown = varied(lessons.joined([0, 1]), how, drawn(0, 0))
    plain = lessons.loss(digits.weights, [0, 1], how, Job())[0]
    same = lessons.loss(digits.weights, [0, 1], how, Job(), shown)[0]
    assert float(plain) == pytest.approx(0, abs=1e-6)
    assert float(same) == pytest.approx(0, abs=1e-6)
    asked = Reference(digits.network, digits.weights, pieces).answer(0, Job())
    assert float((digits.network.forward(digits.weights, shown)[:16].log_softmax(-1) - asked).abs().max()) > 0.1, "they are other pictures"


def test_a_training_on_its_passes_own_statistics_reads_more_digits_and_stores_what_its_norms_count(digits: Pupil) -> None:
    done = digits.trained(**{**VARIED, "steps": 24})
    assert digits.score(done, "top1") > digits.score(digits.plain, "top1") + 0.05
    means = [x for x in digits.layers if x.name.endswith("running_mean")]
    assert means
    assert all(not torch.equal(done.stored(x).dense(), digits.plain.stored(x).dense()) for x in means)
    assert not any(m.training for m in counted(digits.network).values()), "the network is scored on what was counted"


def test_a_varied_training_goes_on_where_it_stopped_to_the_same_bytes(digits: Pupil, tmp_path: Path) -> None:
    whole = digits.trained(**{**VARIED, "steps": 8})
    other = Pupil("digits-cnn", digits.plain.plan.model, tmp_path, 400)

    def stop(p: Progress) -> None:
        if p.phase == "Training" and p.done == 5:
            job.cancel()

    job = Job(tell=stop)
    with pytest.raises(Cancelled):
        other.trained(job, **{**VARIED, "steps": 8})
    done = other.trained(**{**VARIED, "steps": 8})
    for x in other.layers:
        assert torch.equal(done.stored(x).dense(), whole.stored(x).dense())


def test_words_are_not_varied_and_kept_answers_are_of_pictures_as_they_are(digits: Pupil) -> None:
    with pytest.raises(BadPlan, match="Only pictures"):
        check(FineTune(mirror=True), "text")
    with pytest.raises(BadPlan, match=r"distil\.top = 0"):
        digits.trained(vary=0.2, top=4)


def test_a_recipe_says_how_pictures_are_varied() -> None:
    text = 'version = 1\n[model]\npath = "/m"\n[plan]\nrecover = "finetune"\n'
    text += '[plan.recovery]\nvary = 0.5\nmirror = true\nstatistics = "batch"\n'
    found = loads(text)
    assert dict(found.plan.recovery) == {"vary": 0.5, "mirror": True, "statistics": "batch"}
    assert loads(dumps(found)) == found
    with pytest.raises(BadPlan, match="choose one of counted, batch"):
        loads(text.replace('"batch"', '"layer"'))
