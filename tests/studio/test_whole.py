"""The whole model's choices: a check box each, an undo step each, the price in bytes at once, and what is measured is tuned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import rotate
from core.resources import root
from core.types import Choice, Plan, Score
from studio.engine import Engine
from studio.session import Session
from studio.whole import Whole


def opened(name: str, qtbot: Any) -> Session:
    made = Session(Engine())
    with qtbot.waitSignal(made.changed, timeout=120_000, check_params_cb=lambda s: s.size is not None):
        made.open(root() / "samples" / name)
    return made


@pytest.fixture
def session(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Session]:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    made = opened(getattr(request, "param", "sotu-lm"), qtbot)
    yield made
    made.close()
    made.engine.close()


@pytest.fixture
def box(session: Session, qtbot: Any) -> Whole:
    made = Whole(session)
    qtbot.addWidget(made)
    session.changed.connect(made.draw)
    made.draw(session.snapshot)
    return made


def test_tuning_goes_from_by_itself_to_on_to_off_with_an_undo_step_each(session: Session, box: Whole) -> None:
    said = []
    for _ in range(3):
        box.tune.click()
        said.append(session.snapshot.plan.tune)
    assert said == [True, False, None]
    session.undo()
    assert session.snapshot.plan.tune is False
    assert not box.tune.isChecked()


def test_rotation_shows_its_price_at_once(session: Session, box: Whole) -> None:
    before, checkpoint = session.snapshot.size, session.snapshot.checkpoint
    assert before is not None
    assert checkpoint is not None
    assert "1\u202f048\u202f576 B" in box.rotate.toolTip()
    box.rotate.click()
    after = session.snapshot.size
    assert after is not None
    assert 0 <= after.total - before.total - rotate.price(checkpoint) < 200  # a header's entry
    assert session.snapshot.plan.rotate


@pytest.mark.parametrize("session", ["fashion-vit"], indirect=True)
def test_a_network_that_can_not_be_turned_says_why(session: Session, box: Whole) -> None:
    assert not box.rotate.isEnabled()
    assert "LayerNorm" in box.rotate.toolTip()


def test_the_preview_scores_first_without_tuning_and_then_with(session: Session, qtbot: Any) -> None:
    session.set_data(session.snapshot.data, 512)
    scores: list[Score] = []
    session.changed.connect(lambda s: scores.append(s.score) if s.score and s.score.complete else None)
    low = Choice(prune="magnitude", amount=0.0, quantize="rtn", bits=2, knobs={"rtn.group_size": 32})
    plan = Plan(low, tuning={"steps": 16, "rate": 0.01})
    session.edit("low", plan)
    with qtbot.waitSignal(session.changed, timeout=300_000, check_params_cb=lambda s: s.current >= 0):
        session.evaluate()
    found = [s.metrics["kl"].value for s in scores if "kl" in s.metrics and s.metrics["kl"].value > 0]
    assert session.snapshot.score is not None
    assert session.snapshot.score.metrics["kl"].value == found[-1] < found[0]
    assert "model.norm" in session.snapshot.outcomes
    assert replace(plan) == session.snapshot.variants[0].plan
