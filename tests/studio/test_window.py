"""The window: painted before the heavy libraries, menus that say why they can't act, files dropped on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from studio import settings, theme
from studio.session import Session
from studio.window import MainWindow
from tests.conftest import SAMPLES

FIRST_PAINT = """
import os, sys
from PySide6.QtCore import QEvent, QObject
from studio.app import build
app, window = build()
class First(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.UpdateRequest:  # the loop's own paint, which a timer of no length may overtake
            watched.event(event)
            late = [m for m in ("torch", "pyqtgraph", "transformers", "core.compress") if m in sys.modules]
            print(*late)
            sys.stdout.flush()
            os._exit(0)
        return False
first = First()
window.installEventFilter(first)
window.show()
app.exec()
"""


@pytest.fixture
def window(session: Session, qtbot: QtBot) -> MainWindow:
    found = MainWindow(session, session.engine)
    qtbot.addWidget(found)
    found.show()
    qtbot.waitUntil(lambda: "jobs" in found.parts)
    return found


def action(window: MainWindow, name: str) -> Any:
    return next(q for a, q in window.menus.actions if a.name == name)


def test_the_window_is_painted_before_torch_and_pyqtgraph() -> None:
    ran = subprocess.run([sys.executable, "-c", FIRST_PAINT], capture_output=True, text=True, env=os.environ, timeout=60)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr


def test_a_window_that_is_never_shown_is_built_all_the_same(session: Session, qtbot: QtBot) -> None:
    found = MainWindow(session, session.engine)
    qtbot.addWidget(found)
    with qtbot.waitSignal(found.built):
        pass
    assert "jobs" in found.parts


def test_what_cannot_act_says_why(window: MainWindow) -> None:
    export = action(window, "Export…")
    assert not export.isEnabled()
    assert "Open a model first." in export.toolTip()


def test_a_sample_card_opens_its_model(window: MainWindow, qtbot: QtBot) -> None:
    from studio.panels.welcome import Card

    card = next(c for c in window.welcome.findChildren(Card) if c.accessibleName() == "Digit reader")
    card.click()
    qtbot.waitUntil(lambda: window.pages.currentIndex() == 1, timeout=120_000)
    assert "digits-cnn" in window.windowTitle()
    assert settings.recent() == [SAMPLES / "digits-cnn"]
    assert action(window, "Export…").isEnabled()


def test_closing_the_model_brings_the_welcome_page_back(window: MainWindow, qtbot: QtBot) -> None:
    window.take(SAMPLES / "digits-cnn")
    qtbot.waitUntil(lambda: window.pages.currentIndex() == 1, timeout=120_000)
    action(window, "Close model").trigger()
    qtbot.waitUntil(lambda: window.pages.currentIndex() == 0)
    assert [n for n, d in window.docks.items() if not d.isHidden()] == []


def test_a_file_that_is_no_model_is_said_without_a_dialog(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_bytes(b"hello")
    window.take(path)
    qtbot.waitUntil(lambda: window.notice.isVisible())
    assert "notes.safetensors" in window.notice.text.text()


def test_tables_and_folders_of_texts_dropped_on_an_open_model_are_its_data(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    window.take(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: window.pages.currentIndex() == 1, timeout=120_000)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("A few words to be scored on, and a few more. " * 8)
    (tmp_path / "rows.jsonl").write_text('{"text": "A few words to be scored on, and a few more of them."}\n')
    for path in (tmp_path / "texts", tmp_path / "rows.jsonl"):
        window.take(path)
        assert window.session.snapshot.data == path
    assert window.session.snapshot.checkpoint is not None
    assert window.session.snapshot.checkpoint.path == SAMPLES / "sotu-lm"


def test_the_theme_changes_at_once_and_stays(window: MainWindow) -> None:
    window.set_theme("dark")
    assert theme.dark()
    assert settings.theme() == "dark"
    window.set_theme("light")
    assert not theme.dark()


def test_reset_layout_brings_every_dock_back(window: MainWindow, session: Session, qtbot: QtBot) -> None:
    session.open(SAMPLES / "digits-cnn")
    qtbot.waitUntil(lambda: not any(d.isHidden() for d in window.docks.values()), timeout=120_000)
    window.docks["history"].close()
    window.docks["layers"].close()
    window.reset_layout()
    assert not any(d.isHidden() for d in window.docks.values())
