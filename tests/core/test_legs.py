"""Pipelines in one recipe: prune, fine-tune, quantize, distil; every stage measured, kept and taken up again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.cli import tell
from core.errors import BadPlan, Cancelled
from core.job import Job, Progress
from core.lessons import Lesson
from core.plans import legs
from core.recipe import dumps, loads
from core.report import build, html, plain
from core.run import run
from core.store import Store
from core.stored import Quantized
from core.types import Plan, Report

TEXT = """version = 1
[model]
path = "{model}"
[[before]]
prune = "magnitude"
amount = 0.7
recover = "finetune"
[before.recovery]
train = "all"
steps = 12
rate = 0.01
[plan]
prune = "magnitude"
amount = 0.7
quantize = "rtn"
bits = 4
recover = "distil"
[plan.recovery]
steps = 12
[plan.knobs]
"rtn.group_size" = 16
[evaluate]
limit = 100
[export]
format = "dense"
path = "{out}"
"""


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))
    return TEXT.format(model=Path(__file__).parents[2] / "resources" / "samples" / "digits-cnn", out=tmp_path / "out")


def test_four_stages_are_each_measured_and_the_zeros_of_the_first_stay(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(loads(text), Job(), Store(tmp_path / "s"))
    told = found.report
    assert [(v.plan.model.bits, v.plan.recover) for v in told.stages] == [(16, ""), (16, "finetune"), (4, ""), (4, "distil")]
    scores = [v.score.metrics["top1"].value for v in told.stages]
    assert scores[0] < 0.5
    assert scores[1] > 0.95
    assert scores[3] >= scores[2]
    assert told.stages[-1].score == told.variant.score
    assert told.verdict.passed
    done = found.compressed
    for x in (x for x in done.layers if x.name in done.outcomes and x.kind == "conv" and not x.protected):
        stored = done.stored(x)
        assert isinstance(stored, Quantized)
        assert stored.sparsity >= 0.699, x.name
    assert "Stages, each measured" in html(told)
    tell(told)
    said = [x for x in capsys.readouterr().out.splitlines() if x.startswith("stage")]
    assert len(said) == 4
    assert "magnitude 70%, rtn 4 bits, distil" in said[-1]
    assert build(Report, plain(told)).stages[0].plan == told.stages[0].plan


def test_a_pipeline_that_was_stopped_goes_on_in_its_last_stage(text: str, tmp_path: Path) -> None:
    store, job = Store(tmp_path / "s"), Job()

    def stop(p: Progress) -> None:
        if p.phase == "Stage 2 of 2: Training" and p.done == 4 and any("Fine-tune" in n for n in job.notes):
            job.cancel()

    job._tell = stop
    with pytest.raises(Cancelled):
        run(replace(loads(text), out=None), job, store)
    steps: list[Lesson] = []
    again = run(replace(loads(text), out=None), Job(point=lambda x: steps.append(x) if isinstance(x, Lesson) else None), store)
    assert [x.step for x in steps] == list(range(5, 13)), "only what was missing of the last stage is trained"
    assert again.report.variant.score.metrics["top1"].value > 0.9


def test_a_recipe_of_stages_reads_back_and_bad_ones_are_named(text: str) -> None:
    found = loads(text)
    assert [p.recover for p in legs(found.plan)] == ["finetune", "distil"]
    assert loads(dumps(found)) == found
    assert build(Plan, plain(found.plan)) == found.plan
    with pytest.raises(BadPlan, match="'amout' is an unknown key"):
        loads(text.replace("amount = 0.7\nrecover", "amout = 0.7\nrecover"))
    with pytest.raises(BadPlan, match="Cuts and rotation belong to the first stage"):
        loads(text + "[plan.cuts]\nchannels = 0.5\n")
    with pytest.raises(BadPlan, match="steps"):
        loads(text.replace("steps = 12\nrate", "steps = 1\nrate"))
    first = loads(text.replace("[plan]\n", "[before.cuts]\nchannels = 0.5\n[plan]\n", 1)).plan
    assert first.cuts == first.before.cuts == {"channels": 0.5}
