"""Pipelines in the window: a plan becomes a stage before another, every stage is run, measured and a point on the charts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from core import recipe
from core.plans import legs, names
from core.report import from_json
from core.types import Plan
from studio import kept
from studio.charts.accuracy import AccuracyChart
from studio.keeper import Keeper
from studio.panels.front import FrontPanel
from studio.panels.history import HistoryPanel
from studio.panels.plan import PlanPanel
from studio.panels.recovery import Recovery
from studio.session import Session
from studio.stages import Stages, called, partway
from studio.window import MainWindow

STEPS = 8
WAY = {"train": "all", "steps": STEPS, "rate": 0.01}


@pytest.fixture
def session(digits: Session) -> Session:
    """The digit CNN with seven in ten weights gone, to be fine-tuned; scored on 100 images, nothing trained yet."""
    p = digits.snapshot.plan
    model = replace(p.model, prune="magnitude", amount=0.7, quantize="rtn", bits=16, knobs={"rtn.granularity": "channel"})
    digits.edit("pruned", replace(p, model=model, recover="finetune", recovery=WAY))
    return digits


@pytest.fixture
def list_(session: Session, qtbot: QtBot) -> Stages:
    panel = PlanPanel(session)
    qtbot.addWidget(panel)
    session.changed.connect(panel.show)
    panel.show(session.snapshot)
    return panel.stages


def two(session: Session) -> None:
    """The plan becomes a stage; three bits, distilled, come after it."""
    session.staging.add()
    p = session.snapshot.plan
    way = {**WAY, "share": 0.5}
    session.edit("3 bits", replace(p, model=replace(p.model, bits=3), recover="distil", recovery=way))


def pick(list_: Stages, at: int) -> None:
    """As a click on a row or the arrow keys do."""
    list_.list.setCurrentItem(list_.list.topLevelItem(at))


def rows(list_: Stages) -> list[tuple[str, str]]:
    items = [list_.list.topLevelItem(i) for i in range(list_.list.topLevelItemCount())]
    return [(x.text(0), x.text(1)) for x in items if x is not None]


def over(session: Session) -> bool:
    now = session.snapshot.training
    return now is not None and not now.live and not session.engine.busy()


def top1(session: Session, plan: Plan) -> float:
    score = session.snapshot.variants[session.staging.found(plan)].score
    assert score is not None
    return score.metrics["top1"].value


def test_a_plan_becomes_a_stage_and_every_edit_of_the_list_is_one_undo_step(session: Session, list_: Stages) -> None:
    first = session.snapshot.plan
    assert list_.isHidden(), "a plan of its own needs no list"
    list_.add.click()
    plan = session.snapshot.plan
    assert (plan.before, plan.recover, plan.model) == (first, "", first.model), "the next stage has its settings, untrained"
    session.undo()
    assert session.snapshot.plan == first
    session.redo()
    session.choose(bits=4)
    assert [r[0] for r in rows(list_)] == ["70 % pruned, Fine-tune", "4 bits"]
    assert {r[1] for r in rows(list_)} == {"not run"}
    item = list_.list.topLevelItem(0)
    assert item is not None
    item.setText(0, "Thin out")
    assert names(session.snapshot.whole) == ("Thin out", "")
    session.undo()
    assert names(session.snapshot.whole) == ("", "")
    item.setText(0, " ")
    assert rows(list_)[0][0] == "70 % pruned, Fine-tune", "a name of nothing is none"
    session.redo()
    pick(list_, 0)
    list_.down.click()
    assert names(session.snapshot.whole) == ("", "Thin out")
    assert (session.snapshot.plan.recover, session.staging.at) == ("finetune", 1), "what was moved stays in hand"
    session.undo()
    assert names(session.snapshot.whole) == ("Thin out", "")
    list_.out.click()
    assert (session.snapshot.whole.before, session.snapshot.plan.model.bits) == (None, 4)
    session.undo()
    assert [p.name for p in legs(session.snapshot.whole)] == ["Thin out", ""]
    session.edit("cut", replace(session.snapshot.plan, cuts={"channels": 0.25}))
    assert {p.cuts["channels"] for p in session.staging.stages} == {0.25}, "cuts make the model all stages share"
    list_.more.click()
    assert [called(p) for p in session.staging.stages][1:] == ["as it is", "4 bits"], "added after the one in hand, the first"


def test_any_stage_is_edited_in_place_and_choosing_it_is_no_edit(session: Session, list_: Stages, qtbot: QtBot) -> None:
    panel = Recovery(session)
    qtbot.addWidget(panel)
    session.changed.connect(panel.show)
    two(session)
    whole, steps = session.snapshot.whole, session.undo_stack.count()
    pick(list_, 0)
    assert (session.staging.at, session.snapshot.whole, session.undo_stack.count()) == (0, whole, steps)
    assert (session.snapshot.plan.model.bits, panel.way.currentText()) == (16, "Fine-tune"), "all panels show the first stage"
    assert list_.where.text() == "Editing stage 1 of 2"
    assert panel.where.text() == "Editing stage 1 of 2: 70 % pruned, Fine-tune"
    assert partway(session.snapshot) == "All figures: what stage 1 of 2 leaves (70 % pruned, Fine-tune), not the whole plan"
    session.choose(amount=0.5)
    assert [p.model.amount for p in session.staging.stages] == [0.5, 0.7]
    assert session.staging.at == 0
    pick(list_, 1)
    assert (session.snapshot.plan.model.bits, partway(session.snapshot)) == (3, "")
    session.undo()
    assert (session.staging.at, session.snapshot.whole) == (0, whole), "what is taken back is shown where it was made"


def test_a_tick_of_a_slider_writes_only_the_row_of_the_stage_in_hand(session: Session, list_: Stages) -> None:
    two(session)
    written: set[int] = set()
    list_.list.model().dataChanged.connect(lambda first, last, *_: written.update(range(first.row(), last.row() + 1)))
    items = [list_.list.topLevelItem(i) for i in (0, 1)]
    session.choose(bits=4)
    assert written == {1}
    assert [list_.list.topLevelItem(i) for i in (0, 1)] == items
    written.clear()
    session.select(["classifier.1"])
    assert not written


def test_the_keys_go_from_stage_to_stage_and_the_window_says_whose_figures_it_shows(session: Session, qtbot: QtBot) -> None:
    two(session)
    window = MainWindow(session, session.engine)
    qtbot.addWidget(window)
    window._draw()
    assert not window.menus.named("Edit the stage after").isEnabled()
    window.menus.named("Edit the stage before").trigger()
    window._draw()
    assert session.staging.at == 0
    assert "stage 1 of 2" in window.partway.text()
    assert "after stage 1 of 2" in window.facts.text()
    assert not window.menus.named("Edit the stage before").isEnabled()
    window.menus.named("Edit the stage after").trigger()
    window._draw()
    assert window.partway.isHidden()
    session.close()
    window._draw()
    assert not window.menus.named("Edit the stage after").isEnabled(), "nothing is open"


def test_a_recipe_of_stages_is_opened_seen_saved_and_kept(session: Session, list_: Stages, qtbot: QtBot, tmp_path: Path) -> None:
    two(session)
    session.staging.rename(0, "Thin out")
    session.save_recipe(tmp_path / "two.toml")
    text, plan = (tmp_path / "two.toml").read_text(), session.snapshot.plan
    assert text.count("[[before]]") == 1
    assert 'name = "Thin out"' in text
    assert recipe.load(tmp_path / "two.toml").plan == plan
    session.staging.choose(0)
    session.save_recipe(tmp_path / "again.toml")
    assert (tmp_path / "again.toml").read_text() == text, "whichever stage is in hand"
    session.staging.choose(1)
    session.edit("one", replace(plan, before=None))
    keeper = Keeper(session)
    session.open_recipe(tmp_path / "two.toml")
    assert session.snapshot.plan == plan
    assert [r[0] for r in rows(list_)] == ["Thin out", "3 bits, Distil"]
    assert session.snapshot.recipe_path == tmp_path / "two.toml"
    session.undo()
    assert session.snapshot.plan.before is None
    session.redo()
    qtbot.waitUntil(lambda: kept.exists() and kept.read().plan == plan, timeout=120_000)
    assert names(kept.read().plan) == ("Thin out", "")
    session.staging.choose(0)
    keeper.close()
    session.staging.choose(1)
    session.resume(kept.read())
    qtbot.waitUntil(lambda: session.staging.at == 0, timeout=20_000)
    assert session.snapshot.whole == plan, "it goes on with the stage that was in hand"


def test_two_stages_are_run_measured_and_points_on_both_charts_and_a_cancel_keeps_the_first(
    session: Session, list_: Stages, qtbot: QtBot, tmp_path: Path
) -> None:
    two(session)
    session.staging.rename(0, "Thin out")
    chart, history, front, panel = AccuracyChart(session), HistoryPanel(session), FrontPanel(session), Recovery(session)
    for part in (chart, history, front, panel):
        qtbot.addWidget(part)
        session.changed.connect(part.show)
        part.show(session.snapshot)
    qtbot.waitUntil(lambda: not session._rest.isActive() and not session.engine.busy(), timeout=120_000)
    assert session.snapshot.variants == (), "a rest trains no stage"
    assert session.snapshot.estimate is None
    assert "Measured only" in chart.text.text()
    assert panel.train.text() == "Run the stages"
    cancelled_in_the_second(session, list_, qtbot)
    gone_on(session, panel, qtbot)
    way = [v.plan for v in session.staging.measured()]
    assert [(p.model.bits, p.recover) for p in way] == [(16, ""), (16, "finetune"), (3, ""), (3, "distil")]
    assert top1(session, way[1]) > top1(session, way[0]) + 0.1
    assert len(chart.dots.getData()[0]) == 4
    assert chart.trail.places == [(v.size.total / 1e6, v.score.metrics["top1"].value) for v in session.staging.measured() if v.score]
    assert [x.toPlainText() for x in chart.trail.labels] == ["1", "2"]
    assert front.currentIndex() == 1
    assert len(front.plot.measured.points()) == 4
    assert any("Thin out" in history.list.item(i).text() for i in range(history.list.count()))
    assert session.snapshot.freed is not None
    assert "Free recovery" in panel.free.text()
    exported(session, qtbot, tmp_path / "out")
    stale(session, list_)
    session.choose(bits=4)
    qtbot.waitUntil(lambda: session.snapshot.score is not None and not session.engine.busy(), timeout=120_000)
    assert len(session.snapshot.variants) == 5, "with its first stage run, a rest measures the last one untrained"


def cancelled_in_the_second(session: Session, list_: Stages, qtbot: QtBot) -> None:
    """The first stage's result stays, in the history and in the list."""
    plan = session.snapshot.plan
    session.edit("long", replace(plan, recovery={**plan.recovery, "steps": 400}))
    phases: set[str] = set()
    heard = session.engine.changed.connect(lambda: phases.update(j.phase for j in session.engine.jobs() if j.key == "train"))
    session.training.start()
    qtbot.waitUntil(lambda: bool((t := session.snapshot.training) and t.leg == 2 and t.step > 1), timeout=120_000)
    session.engine.changed.disconnect(heard)
    assert any(p.startswith("Thin out (stage 1 of 2): ") for p in phases)
    assert any(p.startswith("Stage 2 of 2: ") for p in phases)
    session.staging.choose(0)
    now = session.snapshot.training
    assert now is not None
    assert now.live, "looking at another stage stops no training"
    session.staging.choose(1)
    session.training.cancel()
    qtbot.waitUntil(lambda: not session.engine._live, timeout=120_000)
    assert session.snapshot.training is None
    assert rows(list_)[0][1].endswith("%")
    assert [v.plan.recover for v in session.staging.measured()] == ["", "finetune", ""]
    session._opened._kept = {}  # type: ignore[union-attr]  # as after a new start
    session.edit("short", plan)


def gone_on(session: Session, panel: Recovery, qtbot: QtBot) -> None:
    """It takes the first stage as it was kept, and trains only the second."""
    trained: list[int] = []
    heard = session.changed.connect(lambda s: trained.append(s.training.leg) if s.training and s.training.lessons else None)
    panel.train.click()
    qtbot.waitUntil(lambda: over(session), timeout=120_000)
    session.changed.disconnect(heard)
    assert set(trained) == {2}
    s, now = session.snapshot, session.snapshot.training
    assert now is not None
    assert (now.leg, now.legs, now.state) == (2, 2, "kept")
    assert s.variants[s.current].plan == s.plan


def exported(session: Session, qtbot: QtBot, path: Path) -> None:
    """The file is exactly as large as foretold, and the report has every stage."""
    size = session.snapshot.size
    assert size is not None
    session.staging.choose(0)
    with qtbot.waitSignal(session.exported, timeout=120_000) as heard:
        session.export(path)
    assert heard.args[1].passed
    assert sum(p.stat().st_size for p in path.glob("*.safetensors")) == size.total
    told = from_json((path / "report.json").read_text())
    assert [v.plan.recover for v in told.stages] == ["", "finetune", "", "distil"]
    session.staging.choose(1)


def stale(session: Session, list_: Stages) -> None:
    """An edit of the first stage: neither is measured any more, but what was stays a point; a click on one puts its stage in hand."""
    whole, variants = session.snapshot.whole, session.snapshot.variants
    last = session.snapshot.current
    session.restore(session.staging.found(session.staging.stages[0]))
    assert (session.staging.at, session.snapshot.whole) == (0, whole)
    session.choose(amount=0.6)
    assert [r[1] for r in rows(list_)] == ["not run", "not run"]
    assert session.staging.measured() == ()
    assert session.snapshot.variants == variants
    session.undo()
    assert all(r[1].endswith("%") for r in rows(list_))
    session.restore(last)
    assert (session.staging.at, session.snapshot.whole) == (1, whole)


def test_free_recovery_shows_its_gain_before_and_after(session: Session, qtbot: QtBot) -> None:
    panel = Recovery(session)
    qtbot.addWidget(panel)
    session.changed.connect(panel.show)
    panel.show(session.snapshot)
    assert "comes first" in panel.free.text()
    session.edit("cut", replace(session.snapshot.plan, cuts={"channels": 0.5}, recover="", recovery={}))
    qtbot.waitUntil(lambda: session.snapshot.current >= 0, timeout=120_000)
    s = session.snapshot
    assert s.freed
    assert s.freed[0][1] > s.freed[-1][2]
    assert "→" in panel.free.text()
    assert "batch norms counted anew" in panel.free.toolTip()
    session.restore(-1)
    assert session.snapshot.freed is None
    session.undo()
    assert session.snapshot.freed == s.freed, "the history keeps it"


def test_a_stage_that_changes_nothing_is_not_added_and_says_why(session: Session, list_: Stages) -> None:
    session.edit("nothing", session.first)
    assert not list_.add.isEnabled()
    assert "changes nothing" in list_.add.toolTip()
    assert list_.list.accessibleName() == "Stages of the plan"
    assert called(session.snapshot.plan) == "as it is"
