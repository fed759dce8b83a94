"""The plan panel and the history: who says what, why a control is closed, and one drag as one undo step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt

from core import plans
from core.resources import root
from core.types import Plan
from studio.engine import Engine
from studio.panels.history import HistoryPanel
from studio.panels.plan import PlanPanel, said
from studio.session import Session


@pytest.fixture
def session(qtbot: Any) -> Iterator[Session]:
    engine = Engine()
    made = Session(engine)
    with qtbot.waitSignal(made.changed, timeout=120_000, check_params_cb=lambda s: s.size is not None):
        made.open(root() / "samples" / "fashion-vit")
    yield made
    made.close()
    engine.close()


@pytest.fixture
def panel(session: Session, qtbot: Any) -> PlanPanel:
    made = PlanPanel(session)
    qtbot.addWidget(made)
    session.changed.connect(made.show)
    return made


def keys(session: Session) -> list[str]:
    return [x.name for x in session.snapshot.layers if x.role == "key"]


def test_the_title_says_what_an_edit_is_for(session: Session, panel: PlanPanel) -> None:
    assert panel.heading.text() == "Whole model"
    session.select(keys(session))
    assert panel.heading.text() == "4 × key"
    session.select(keys(session)[:1])
    assert panel.heading.text() == keys(session)[0]
    session.select(keys(session)[:2])
    assert panel.heading.text() == "2 layers"


def test_one_drag_is_one_undo_step(session: Session, panel: PlanPanel) -> None:
    slider = panel.prune.slider.slider
    slider.setSliderDown(True)
    for v in (10, 20, 30):
        slider.setValue(v)
    slider.setSliderDown(False)
    assert session.snapshot.plan.model.amount == 0.3
    session.undo()
    assert session.snapshot.plan.model.amount == 0.0
    assert slider.value() == 0


def test_the_nearest_voice_wins_and_is_named(session: Session, panel: PlanPanel) -> None:
    session.choose(bits=8)
    session.select(keys(session))
    assert panel.quantize.origin.text() == "from model"
    panel.quantize.slider.slider.setValue(2)
    session.select(keys(session)[:1])
    assert (panel.quantize.value.text(), panel.quantize.origin.text()) == ("4 bits", "from group")
    panel.quantize.slider.slider.setValue(1)
    assert (panel.quantize.value.text(), panel.quantize.origin.text()) == ("3 bits", "own")
    panel.reset.click()
    assert (panel.quantize.value.text(), panel.quantize.origin.text()) == ("4 bits", "from group")


def test_layers_that_differ_are_shown_as_mixed(session: Session, panel: PlanPanel) -> None:
    session.edit("x", plans.edit(Plan(), plans.Scope("layers", (keys(session)[0],)), bits=3))
    session.select(keys(session)[:2])
    assert "mixed" in panel.quantize.value.text()


def test_a_protected_layer_says_why_and_can_be_overridden(session: Session, panel: PlanPanel) -> None:
    head = next(x for x in session.snapshot.layers if x.kind == "head")
    session.choose(bits=4)
    session.select((head.name,))
    assert not panel.quantize.isEnabled()
    assert head.protected in panel.note.text()
    assert head.protected in panel.quantize.slider.toolTip()
    panel.override.click()
    assert panel.quantize.isEnabled()
    assert session.snapshot.settings[head.name].bits == 4
    panel.override.click()
    assert session.snapshot.settings[head.name].bits == 16


def test_a_norm_cannot_be_overridden_and_says_so(session: Session, panel: PlanPanel) -> None:
    norm = next(x for x in session.snapshot.layers if x.kind == "norm")
    session.select((norm.name,))
    assert not panel.override.isEnabled()
    assert panel.override.toolTip()


def test_what_the_target_cannot_hold_is_said(session: Session, panel: PlanPanel) -> None:
    session.set_target("dense")
    session.choose(bits=4)
    assert "dense" in panel.note.text()
    session.undo()
    assert panel.note.text() == ""


def test_a_knob_is_said_by_the_scope(session: Session, panel: PlanPanel) -> None:
    combo: Any = panel.quantize.form.fields["group_size"]
    combo.setCurrentIndex(combo.findData(64))
    combo.activated.emit(combo.currentIndex())
    assert session.snapshot.plan.model.knobs == {"slim.group_size": 64}
    assert said(session.snapshot.plan, list(session.snapshot.layers[:1]), "slim.group_size").value == 64


def test_the_history_lists_measured_plans_and_a_click_restores_one(session: Session, qtbot: Any) -> None:
    history = HistoryPanel(session)
    qtbot.addWidget(history)
    session.changed.connect(history.show)
    history.resize(300, 300)
    history.show()
    session.set_data(session.snapshot.data, 64)
    for n, bits in enumerate((8, 4), 1):
        session.choose(bits=bits)
        qtbot.waitUntil(lambda n=n: len(session.snapshot.variants) == n, timeout=120_000)
    assert history.list.count() == 2
    assert "kB" in history.list.item(0).text()
    where = history.list.visualItemRect(history.list.item(0)).center()
    qtbot.mouseClick(history.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert session.snapshot.plan.model.bits == 8
    history.list.item(1).setSelected(True)
    assert session.snapshot.compared == (0, 1)
