"""Starts the window: painted before torch and pyqtgraph are imported."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from core import environment
from core.resources import root

from . import theme
from .engine import Engine
from .session import Session
from .window import MainWindow


def build(app: QApplication) -> MainWindow:
    """The window with its session and engine; what goes wrong in a slot becomes a line in the status bar."""
    engine = Engine(app)
    session = Session(engine, app)
    window = MainWindow(session, engine)

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logging.getLogger("studio").error("unexpected", exc_info=(kind, error, trace))
        session.notice.emit("warning", str(error))

    sys.excepthook = hook
    return window


def translate(app: QApplication) -> None:
    """Load the Chinese texts when the system speaks Chinese."""
    found = QTranslator(app)
    if QLocale().language() == QLocale.Language.Chinese and found.load(str(root() / "translations" / "studio_zh_CN.qm")):
        app.installTranslator(found)


def main(argv: list[str] | None = None) -> int:
    environment.prepare()
    args = sys.argv if argv is None else argv
    app = QApplication.instance() or QApplication(args[:1])
    assert isinstance(app, QApplication)
    theme.apply(app)
    translate(app)
    window = build(app)
    window.show()
    if len(args) > 1 and args[1] == "--tour":
        from .tour import tour

        return tour(window, Path(args[2] if len(args) > 2 else "shots"))
    if len(args) > 1:
        window.session.open(Path(args[1]))
    return app.exec()
