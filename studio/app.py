"""Starts the studio: the window is painted before torch or pyqtgraph is imported."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QLibraryInfo, QTranslator
from PySide6.QtWidgets import QApplication

from core import environment
from core.resources import cache_root, root

from . import settings, theme
from .engine import Engine
from .session import Session
from .window import MainWindow

log = logging.getLogger("slim")


def main(path: Path | None = None) -> int:
    """Open the window, and `path` in it if given; returns the exit status."""
    app, window = build()
    window.show()
    if path:
        window.session.open(path.absolute())
    return app.exec()


def build() -> tuple[QApplication, MainWindow]:
    """The application and its window, not yet shown."""
    environment.prepare()
    _log()
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("slim-studio")
    app.setApplicationDisplayName("Slim Studio")
    app.setWindowIcon(theme.icon("slim", "accent"))
    translate(app)
    theme.apply(app, settings.theme())
    engine = Engine(app)
    window = MainWindow(Session(engine, app), engine)
    _catch(window)
    return app, window


def translate(app: QApplication) -> None:
    """Chinese when the setting or the system says so and the compiled texts are there."""
    if settings.language() != "zh_CN":
        return
    qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    for name, folder in (("qtbase_zh_CN", qt), ("studio_zh_CN", str(root() / "translations"))):
        translator = QTranslator(app)
        if translator.load(name, folder):
            app.installTranslator(translator)


def _log() -> None:
    if not log.handlers:
        handler = RotatingFileHandler(cache_root() / "studio.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _catch(window: MainWindow) -> None:
    """An error in a slot is logged and said once, quietly; the window lives on."""
    said: set[str] = set()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("unexpected", exc_info=(kind, error, trace))
        text = f"{kind.__name__}: {error}"
        if text not in said:
            said.add(text)
            window.session.notice.emit(
                "error", window.tr("Something went wrong and was logged ({what}); your plan is safe.").format(what=text)
            )

    sys.excepthook = hook
