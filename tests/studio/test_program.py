"""An exported program in the window: its tree, its score, a slimmed variant and the format it is exported in."""

from __future__ import annotations

from pathlib import Path

import torch
from PySide6.QtWidgets import QTreeView
from pytestqt.qtbot import QtBot
from torch.export import Dim

from studio.panels.export import ExportDialog
from studio.session import Session
from studio.window import MainWindow
from tests.core.programs import DIGITS, beside, digits, exported


def test_a_program_is_opened_scored_slimmed_and_offered_as_a_program(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    path = beside(exported(digits(), (torch.zeros(2, 1, 32, 32),), tmp_path / "digits.pt2", ({0: Dim("batch")},)), DIGITS)
    window = MainWindow(session, session.engine)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: "jobs" in window.parts)
    session.open(path)
    qtbot.waitUntil(lambda: session.snapshot.original is not None and session.snapshot.original.score is not None, timeout=120_000)
    shot = session.snapshot
    assert shot.runnable == ""
    assert shot.original is not None
    assert shot.original.score is not None
    assert shot.original.score.metrics["top1"].value > 0.97
    assert any(t.model() is not None and t.model().rowCount() > 0 for t in window.findChildren(QTreeView))
    session.choose(bits=4, knobs={"rtn.granularity": "channel"})
    qtbot.waitUntil(lambda: bool(session.snapshot.score) and session.snapshot.score.complete, timeout=120_000)
    assert session.snapshot.score is not None
    assert session.snapshot.score.metrics["kl"].value > 0
    dialog = ExportDialog(session)
    qtbot.addWidget(dialog)
    assert dialog.formats.currentRow() == dialog.formats.row_of("pt2")
    assert dialog.path.text().endswith(".pt2")
    assert "holds values, not codes" in dialog.refused.toPlainText()
