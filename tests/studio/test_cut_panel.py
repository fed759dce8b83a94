"""The cut panel: only widths that load are offered, a drag is one undo step, and what is measured is the cut network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.cut import Cut, planned
from core.report import from_json
from core.resources import root
from studio.engine import Engine
from studio.layers.model import SHAPE, LayersModel
from studio.panels.cut import CutPanel
from studio.session import Session


def opened(name: str, qtbot: Any) -> Session:
    made = Session(Engine())
    with qtbot.waitSignal(made.changed, timeout=120_000, check_params_cb=lambda s: s.size is not None):
        made.open(root() / "samples" / name)
    return made


@pytest.fixture
def session(qtbot: Any) -> Iterator[Session]:
    made = opened("fashion-vit", qtbot)
    yield made
    made.close()
    made.engine.close()


@pytest.fixture
def panel(session: Session, qtbot: Any) -> CutPanel:
    made = CutPanel(session)
    qtbot.addWidget(made)
    session.changed.connect(made.show)
    return made


def drag(panel: CutPanel, kind: str, *widths: int) -> None:
    row = panel.rows[kind]
    row.slider.slider.setSliderDown(True)
    for w in widths:
        row.slider.slider.setValue(row.offered.allowed.index(w))
    row.slider.slider.setSliderDown(False)


def test_a_drag_shows_the_exact_size_at_each_tick_and_is_one_undo_step(session: Session, panel: CutPanel) -> None:
    whole, sizes = session.snapshot.size, []
    session.changed.connect(lambda s: sizes.append(s.size.total) if s.size else None)
    drag(panel, "ffn", 192, 128)
    assert session.snapshot.plan.cuts == {"ffn": 0.5}
    assert panel.rows["ffn"].value.text() == "256 → 128"
    assert whole is not None
    assert whole.total > max(sizes) > min(sizes)
    ahead = planned(session.snapshot.checkpoint, Cut(ffn=0.5))
    assert session.snapshot.size is not None
    assert sum(session.snapshot.size.layers.values()) == ahead.nbytes
    session.undo()
    assert session.snapshot.plan.cuts == {}
    assert session.snapshot.size == whole
    assert panel.rows["ffn"].value.text() == "256"


def test_the_tree_shows_cut_widths(session: Session, panel: CutPanel) -> None:
    drag(panel, "ffn", 128)
    model = LayersModel(None)
    model.show_snapshot(session.snapshot)
    texts = {model.value(n, SHAPE) for b in model.branches() for n in b.children if not n.children}
    assert "256×64 → 128×64" in texts
    assert "10×64" in texts


def test_heads_are_offered_by_number_with_the_reason(qtbot: Any) -> None:
    session = opened("sotu-lm", qtbot)
    panel = CutPanel(session)
    qtbot.addWidget(panel)
    assert panel.rows["heads"].offered.allowed == (8, 4, 2)
    assert "2 heads share a key-value head" in panel.rows["heads"].why.text()
    assert panel.rows["blocks"].offered.allowed == (4, 3, 2, 1)
    session.close()
    session.engine.close()


def test_the_preview_and_the_export_are_of_the_cut_network(session: Session, panel: CutPanel, qtbot: Any, tmp_path: Any) -> None:
    data = session.snapshot.data
    session.set_data(data, 100)
    drag(panel, "ffn", 128)
    with qtbot.waitSignal(session.changed, timeout=120_000, check_params_cb=lambda s: s.current >= 0):
        session.evaluate()
    v = session.snapshot.variants[0]
    assert v.size == session.snapshot.size
    assert v.score is not None
    assert 0.001 < v.score.metrics["kl"].value < 0.5
    with qtbot.waitSignal(session.exported, timeout=120_000) as heard:
        session.export(tmp_path / "out")
    assert heard.args[1].passed
    told = from_json((tmp_path / "out" / "report.json").read_text())
    assert told.latency is not None
    assert told.latency.ratio.low <= told.latency.ratio.value <= told.latency.ratio.high
    assert (tmp_path / "out" / "model.safetensors").stat().st_size == v.size.total


def test_a_plan_that_only_cuts_nothing_is_the_original(session: Session) -> None:
    session.edit("method", replace(session.snapshot.plan, cuts={"method": "taylor"}))
    assert session.snapshot.cut == {}
    assert session.snapshot.score == session.snapshot.original.score if session.snapshot.original else None
