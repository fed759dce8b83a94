"""Recovery in the window: it starts by hand, draws its curve, ends as a variant that is better or is refused, and can be paused."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core import recipe
from core.report import from_json
from core.store import Store
from core.types import Plan
from studio import kept
from studio.charts import charts
from studio.keeper import Keeper
from studio.panels.history import HistoryPanel
from studio.panels.recovery import Recovery
from studio.session import Session
from studio.sliders import gesture
from studio.snapshot import Training, bare
from tests.conftest import SAMPLES

STEPS = 16


@pytest.fixture
def session(digits: Session) -> Session:
    """The digit CNN with seven in ten weights gone, measured at rest on 100 images; nothing was ever trained here."""
    p = digits.snapshot.plan
    grid = {"rtn.granularity": "channel"}
    digits.edit("slim", replace(p, model=replace(p.model, prune="magnitude", amount=0.7, quantize="rtn", bits=4, knobs=grid), tune=False))
    return digits


@pytest.fixture
def panel(session: Session, qtbot: QtBot) -> Recovery:
    made = Recovery(session)
    qtbot.addWidget(made)
    session.changed.connect(made.show)
    made.show(session.snapshot)
    return made


def choose(panel: Recovery, way: str, **knobs: Any) -> None:
    """As a hand does it: the way in its box, then each knob in its field."""
    panel.way.activated.emit(panel.way.findData(way))
    for name, value in knobs.items():
        panel.form.edited.emit(name, value, gesture())


def ended(session: Session) -> bool:
    return session.snapshot.training is not None and not session.snapshot.training.live


def measured(session: Session, qtbot: QtBot, n: int = 1) -> None:
    qtbot.waitUntil(lambda: len(session.snapshot.variants) == n and not session.engine.busy(), timeout=120_000)


def top1(session: Session, at: int) -> float:
    score = session.snapshot.variants[at].score
    assert score is not None
    return score.metrics["top1"].value


def test_a_rest_measures_the_plan_without_its_training_and_never_trains(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    choose(panel, "distil", steps=STEPS)
    measured(session, qtbot)
    s = session.snapshot
    assert s.plan.recover == "distil"
    assert s.variants[0].plan == bare(s.plan)
    assert (s.current, s.training) == (-1, None)
    assert s.score == s.variants[0].score, "what was measured is shown"
    session.evaluate()
    qtbot.waitUntil(lambda: not session.engine.busy(), timeout=120_000)
    assert not any(j.key == "train" for j in session.engine.jobs())
    assert len(session.snapshot.variants) == 1
    assert "Takes about" in panel.told.text()
    assert "modelled" in panel.told.text()
    assert panel.train.text() == "Train"


def test_moving_lambda_or_the_temperature_shows_at_once_what_the_loss_is_made_of(
    session: Session, panel: Recovery, qtbot: QtBot
) -> None:
    choose(panel, "distil", share=0.5, temperature=2.0)
    assert panel.terms.isHidden()
    qtbot.waitUntil(lambda: session.snapshot.terms is not None, timeout=60_000)
    found = session.snapshot.terms
    assert found is not None
    assert found.task is not None
    said = {"half": panel.terms.text()}
    for name, knobs in {"a tenth": {"share": 0.1}, "hot": {"temperature": 5.0}}.items():
        choose(panel, "distil", **knobs)
        assert session.snapshot.terms is found, "nothing is measured again"
        said[name] = panel.terms.text()
    assert len(set(said.values())) == 3
    total = 0.9 * found.task + 0.1 * found.teacher[5.0]
    assert f"T = 5) = {total:.3g}, measured" in said["hot"]
    choose(panel, "finetune")
    assert panel.terms.text() == f"Loss before training: {found.task:.3g} (task), measured"
    choose(panel, "")
    assert panel.terms.isHidden()


def test_who_stops_the_weighing_is_not_asked_again(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    engine, key, stopped = session.engine, "terms", list[bool]()

    def stop() -> None:
        if engine.busy(key) and not stopped:
            stopped.append(True)
            engine.cancel(key)

    engine.changed.connect(stop)
    choose(panel, "distil")
    qtbot.waitUntil(lambda: any(j.key == key and j.state == "cancelled" for j in engine.jobs()), timeout=120_000)
    session.select(["x"])
    choose(panel, "distil", temperature=2.0)
    assert not engine.busy(key)
    assert session.snapshot.terms is None


def drawn_to_the_end(session: Session, panel: Recovery) -> Training:
    """What the session keeps of a training that ended; the panel draws every step of it."""
    now = session.snapshot.training
    assert now is not None
    assert [x.step for x in now.lessons] == list(range(1, STEPS + 1))
    assert all(len(panel.curves.lines[name].getData()[0]) == STEPS for name in ("task", "teacher"))
    assert len(panel.curves.held.getData()[0]) == 8
    assert panel.curves.start.value() == now.before
    assert now.best is not None
    assert panel.curves.best.getData()[1] == [now.best.held]
    assert now.after <= now.best.held, "batch norms are counted anew at the end, where that is better still"
    assert len(panel.curves.table()) == 1 + STEPS
    assert "Kept" in panel.told.text()
    return now


def test_a_training_draws_its_curve_and_ends_as_a_better_variant_that_is_exported(
    session: Session, panel: Recovery, qtbot: QtBot, tmp_path: Path
) -> None:
    choose(panel, "distil", steps=STEPS, rate=0.02, share=0.5)
    measured(session, qtbot)
    chart, history = charts["accuracy"](session), HistoryPanel(session)
    for part in (chart, history):
        qtbot.addWidget(part)
        session.changed.connect(part.show)
    drawn: list[int] = []
    session.changed.connect(lambda s: drawn.append(len(s.training.lessons)) if s.training else None)
    panel.train.click()
    assert panel.train.text() == "Pause"
    qtbot.waitUntil(lambda: ended(session), timeout=120_000)
    assert len(set(drawn)) > 3, "it grew while it ran"
    s, now = session.snapshot, drawn_to_the_end(session, panel)
    assert (s.current, s.variants[1].plan) == (1, s.plan)
    assert top1(session, 1) > top1(session, 0) + 0.1
    assert len(chart.dots.getData()[0]) == 2
    assert "Distil" in chart._tip(0, 0, 1)
    assert "Distil" in history.list.item(1).text()
    with qtbot.waitSignal(session.exported, timeout=120_000) as heard:
        session.export(tmp_path / "out")
    assert heard.args[1].passed
    assert not any(j.phase == "Training" for j in session.engine.jobs() if j.key == "export"), "what was trained is taken"
    told = from_json((tmp_path / "out" / "report.json").read_text())
    assert {n: o.error for n, o in told.variant.outcomes.items()} == {n: o.error for n, o in s.variants[1].outcomes.items()}
    assert told.variant.plan.recover == "distil"
    session.undo()
    assert session.snapshot.plan.recovery == {"steps": STEPS, "rate": 0.02}
    session.redo()
    assert session.snapshot.current == 1
    assert session.snapshot.training == now, "its curve is there again"


def test_a_pause_keeps_the_state_and_continue_reaches_the_end(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    choose(panel, "distil", steps=STEPS, rate=0.02)
    measured(session, qtbot)
    panel.train.click()
    qtbot.waitUntil(lambda: bool(session.snapshot.training and session.snapshot.training.lessons), timeout=120_000)
    start = time.process_time()  # of our own: other processes may have the cores
    panel.train.click()
    assert session.snapshot.training is not None
    assert session.snapshot.training.state == "paused"
    qtbot.waitUntil(lambda: not session.engine._live, timeout=20_000)
    assert time.process_time() - start < 2, "the worker heard it"
    at, done = session.snapshot.training.at, session.snapshot.training.step
    assert Store.default().has(at)
    assert panel.train.text() == "Continue"
    assert "Paused" in panel.told.text()
    panel.train.click()
    qtbot.waitUntil(lambda: ended(session), timeout=120_000)
    now = session.snapshot.training
    assert (now.state, now.step) == ("kept", STEPS)
    assert [x.step for x in now.lessons][:done] == list(range(1, done + 1))
    assert now.begun >= done > 0, "it went on, it did not begin again"
    assert top1(session, 1) > top1(session, 0)
    forgetful, plan = session.snapshot, session.snapshot.plan
    session._basis = []
    session._set(replace(forgetful, variants=(), training=None))
    session._take(plan, plan)  # another session with the same store: the rest finds what was trained, and does not train
    measured(session, qtbot)
    assert session.snapshot.variants[0].plan == plan
    assert session.snapshot.variants[0].score.metrics == forgetful.variants[1].score.metrics


def test_another_plan_pauses_it_and_cancel_forgets_it(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    choose(panel, "distil", steps=400)
    measured(session, qtbot)
    panel.train.click()
    qtbot.waitUntil(lambda: bool(session.snapshot.training and session.snapshot.training.lessons), timeout=120_000)
    plan = session.snapshot.plan
    session.choose(amount=0.6)
    assert session.snapshot.training is None
    assert not session.engine.busy("train")
    session.undo()
    assert session.snapshot.plan == plan
    paused = session.snapshot.training
    assert paused is not None
    assert paused.state == "paused"
    panel.cancel.click()
    assert session.snapshot.training is None
    assert panel.train.text() == "Train"
    qtbot.waitUntil(lambda: not session.engine._live, timeout=120_000)
    assert not Store.default().has(paused.at)


def test_a_result_that_is_no_better_is_refused_and_says_so(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    session.choose(amount=0.0, bits=8)
    choose(panel, "finetune", train="all", steps=8, rate=0.05)
    measured(session, qtbot)
    with qtbot.waitSignal(session.notice, timeout=120_000) as heard:
        panel.train.click()
    assert "refused" in heard.args[1]
    now = session.snapshot.training
    assert now is not None
    assert now.state == "refused"
    assert "Refused, as it was no better" in panel.told.text()
    assert len(session.snapshot.variants) == 1
    assert session.snapshot.score == session.snapshot.variants[0].score


def test_a_federation_tells_of_each_round(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    choose(panel, "federated", clients=2, rounds=2, alpha=0.0)
    measured(session, qtbot)
    assert "Takes about" in panel.told.text()
    panel.train.click()
    qtbot.waitUntil(lambda: ended(session), timeout=120_000)
    now = session.snapshot.training
    assert now is not None
    assert [(x.step, x.steps, x.held is not None) for x in now.lessons] == [(1, 2, True), (2, 2, True)]
    assert now.sent > 2 * 4 * 600_000, "two clients sent every float"
    assert len(panel.curves.lines["clients"].getData()[0]) == 2
    assert panel.curves.plot.bottom == "round"


def test_a_way_and_its_knobs_are_undo_steps_and_live_in_recipe_and_session(
    session: Session, panel: Recovery, qtbot: QtBot, tmp_path: Path
) -> None:
    before = session.snapshot.plan
    choose(panel, "distil", steps=24, temperature=2.0)
    assert {"vary", "mirror", "statistics"} <= panel.form.fields.keys()
    for n in (1, 2):
        panel.form.edited.emit("rate", 0.001 * n, 77)  # one gesture
    panel._feed(train=SAMPLES / "digits-cnn" / "calibrate.npz", lessons=96)
    plan, feed = session.snapshot.plan, session.snapshot.feed
    assert dict(plan.recovery) == {"steps": 24, "temperature": 2.0, "rate": 0.002}
    session.undo()
    assert dict(session.snapshot.plan.recovery) == {"steps": 24, "temperature": 2.0}
    session.redo()
    choose(panel, "finetune")
    assert dict(session.snapshot.plan.recovery) == {"steps": 24, "rate": 0.002}, "what both ways know is kept"
    session.undo()
    session.save_recipe(tmp_path / "own.toml")
    said = recipe.load(tmp_path / "own.toml")
    assert (said.plan.recover, dict(said.plan.recovery)) == ("distil", dict(plan.recovery))
    assert (said.train, said.lessons) == (feed.train, 96)
    assert panel.source.text() == "Learns from calibrate.npz, taught by the original"
    keeper = Keeper(session)
    session.edit("again", before)
    session.open_recipe(tmp_path / "own.toml")
    assert (session.snapshot.plan, session.snapshot.feed) == (plan, feed)
    qtbot.waitUntil(lambda: kept.exists() and kept.read().plan == plan, timeout=120_000)
    assert kept.read().basis[2] == feed
    keeper.close()


def test_only_a_plan_that_learns_hangs_on_the_training_data(session: Session, qtbot: QtBot) -> None:
    measured(session, qtbot)
    feed = replace(session.snapshot.feed, lessons=64)
    session.training.choose(feed)
    assert session.snapshot.current == 0, "nothing is measured again"
    learning: Plan = replace(session.snapshot.plan, recover="distil")
    assert session.training.basis(learning)[2] == feed


def test_without_a_way_or_without_compression_the_button_says_why(session: Session, panel: Recovery) -> None:
    assert not panel.train.isEnabled()
    assert "Choose a way" in panel.train.toolTip()
    session.choose(amount=0.0, bits=16)
    choose(panel, "distil")
    assert not panel.train.isEnabled()
    assert "Nothing is compressed" in panel.told.text()
