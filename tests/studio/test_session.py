"""The document and its window, with a real model and a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.layers import layers
from core.plans import MODEL, edit
from core.types import Checkpoint, TensorInfo
from studio import theme
from studio.app import build
from studio.engine import Engine
from studio.layers.model import LayerModel
from studio.panels.plan import PlanPanel
from studio.session import Session
from studio.snapshot import Snapshot


def measured(s: Session) -> bool:
    return any(v.plan == s.snapshot.plan for v in s.snapshot.variants)


def test_opening_a_sample_measures_the_score_on_its_card(digits: Session) -> None:
    s = digits.snapshot
    card = json.loads((s.checkpoint.path / "sample.json").read_text())  # type: ignore[union-attr]
    assert s.original is not None
    assert abs(s.original.metrics["top1"].value - card["score"]["value"]) < 1e-5


def test_a_drag_of_a_slider_is_one_undo_step(digits: Session, qtbot: QtBot) -> None:
    panel = PlanPanel(digits)
    qtbot.addWidget(panel)
    before = digits.snapshot.plan
    panel.amount.setSliderDown(True)
    for v in range(1, 40):
        panel.amount.setValue(v)
    panel.amount.setSliderDown(False)
    assert digits.undo_stack.count() == 1
    assert digits.snapshot.plan.model.amount == 0.39
    digits.undo_stack.undo()
    assert digits.snapshot.plan == before


def test_two_drags_are_two_undo_steps(digits: Session, qtbot: QtBot) -> None:
    panel = PlanPanel(digits)
    qtbot.addWidget(panel)
    for v in (10, 20):
        panel.amount.setSliderDown(True)
        panel.amount.setValue(v)
        panel.amount.setSliderDown(False)
    assert digits.undo_stack.count() == 2


def test_a_plan_at_rest_is_measured_by_itself_and_stays_in_the_history(digits: Session, qtbot: QtBot) -> None:
    digits.choose(amount=0.9)
    qtbot.waitUntil(lambda: measured(digits), timeout=60000)
    v = digits.snapshot.variants[-1]
    assert v.score is not None
    assert v.score.complete
    assert v.score.metrics["kl"].value > 0.1
    assert {round(o.sparsity, 2) for o in v.outcomes.values()} == {0.9}


def test_a_selected_group_is_the_scope_of_an_edit(digits: Session) -> None:
    group = next(x.group for x in digits.snapshot.layers if x.kind == "conv" and not x.protected)
    names = tuple(x.name for x in digits.snapshot.layers if x.group == group)
    digits.select(names)
    digits.choose(amount=0.5)
    assert all(digits.snapshot.settings[n].amount == 0.5 for n in names)
    assert sum(s.amount > 0 for s in digits.snapshot.settings.values()) == len(names)


def test_a_failed_job_explains_itself_and_the_window_lives_on(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\xff" * 100)
    with qtbot.waitSignal(session.notice, timeout=10000) as heard:
        session.open(bad)
    assert "bad.safetensors" in heard.args[1]
    assert session.snapshot.checkpoint is None


def test_the_newest_job_under_a_key_wins(engine: Engine, qtbot: QtBot) -> None:
    got: list[int] = []
    for i in range(20):
        engine.run("k", "t", lambda n, job: n, i, done=got.append)
    qtbot.waitUntil(lambda: not engine.busy, timeout=5000)
    assert got == [19]


def test_ten_thousand_tensors_make_a_sound_tree(qtmodeltester: object) -> None:
    names = [f"model.layers.{i}.mlp.{p}.weight" for i in range(2500) for p in ("up", "down", "gate", "mix")]
    infos = {n: TensorInfo(n, (64, 64), "F32", 16384, Path("x")) for n in names}
    model = LayerModel()
    model.show(Snapshot(layers=tuple(layers(Checkpoint(Path("x"), "safetensors", infos)))))
    assert model.rowCount() == 4
    assert model.rowCount(model.index(0, 0)) == 2500
    qtmodeltester.check(model)  # type: ignore[attr-defined]


def test_the_window_paints_in_both_themes_and_a_thousand_repaints_keep_none_alive(qtbot: QtBot) -> None:
    """PySide6 6.12 lost a reference to None per Qt call and killed the process after 75 repaints."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, "dark")
    window = build(app)
    qtbot.addWidget(window)
    window.add_charts()
    before = sys.getrefcount(None)
    for _ in range(200):
        window.grab()
    assert sys.getrefcount(None) > before - 100
    theme.apply(app, "light")
    window.close()


def test_the_window_is_imported_without_torch_or_charts() -> None:
    code = "import sys, studio.app; print([m for m in ('torch', 'pyqtgraph', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_tree_shows_plan_and_bytes(digits: Session) -> None:
    model = LayerModel()
    digits.edit("t", edit(digits.snapshot.plan, MODEL, amount=0.3))
    model.show(digits.snapshot)
    texts = [model.index(r, 1).data(Qt.ItemDataRole.DisplayRole) for r in range(model.rowCount())]
    assert any("30%" in t for t in texts)
    assert "protected" in texts
