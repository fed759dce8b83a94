"""A federation that runs elsewhere is followed from its ledger: every client a curve, who is left out is named, its end is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from core.federation.rounds import Writer, beside
from core.lessons import Round
from core.recover.fit import Course, Learned
from studio.actions.run import watch
from studio.session import Session
from studio.watching import Watching


def heard(writer: Writer, n: int, **losses: float) -> None:
    absent = {} if "c" in losses else {"c": "is gone"}
    writer.heard(Round(n, 3, losses, 2.0 - 0.4 * n, 2.0, dict.fromkeys(losses, 2_000_000), absent))


def test_the_window_follows_a_federation_round_by_round(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    writer = Writer(beside(tmp_path / "out"), {"model": "m", "clients": 3, "how": {}})
    seen = Watching(session, beside(tmp_path / "out"))
    qtbot.addWidget(seen)
    assert "No round has ended yet" in seen.told.text()
    writer.heard(Course("at", 0, 2.0))
    heard(writer, 1, a=1.5, b=1.8, c=2.5)
    qtbot.waitUntil(lambda: len(seen.curves.clients) == 3)
    heard(writer, 2, a=1.2, b=1.4)
    qtbot.waitUntil(lambda: "Round 2 of 3" in seen.told.text())
    assert list(seen.curves.clients["a"].getData()[1]) == [1.5, 1.2]
    assert list(seen.curves.clients["c"].getData()[0]) == [1]
    assert list(seen.curves.lines["clients"].getData()[1]) == pytest.approx([5.8 / 3, 1.3])
    told = seen.told.text()
    assert "2 clients heard" in told
    assert "2.00 → 1.20 (measured)" in told
    assert "4.00 MB sent a round, 27.0 J to carry (modelled)" in told
    assert "round 2 without c: is gone" in told
    rows = list(seen.curves.table())
    assert rows[0][-3:] == ("a", "b", "c")
    assert rows[2][-3:] == (1.2, 1.4, "")
    writer.heard(Learned(2.0, 1.2))
    qtbot.waitUntil(lambda: seen.told.text().endswith("over"))


def test_what_is_no_ledger_is_said_and_a_chosen_one_opens(
    session: Session, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other := tmp_path / "x.rounds.jsonl").write_text("{}\n")
    wrong = Watching(session, other)
    qtbot.addWidget(wrong)
    assert "is no ledger of a federation" in wrong.told.text()
    path = Writer(beside(tmp_path / "out"), {"model": "m"}).path
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    host: Any = QWidget()
    qtbot.addWidget(host)
    host.session = session
    watch(host)
    found = host.findChildren(Watching)
    assert [w.path for w in found] == [path]
    host.show()
    assert found[0].isVisible()
