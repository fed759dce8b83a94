"""Starts the studio: the window is painted before torch or pyqtgraph is imported."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLibraryInfo, Qt, QTimer, QTranslator
from PySide6.QtWidgets import QApplication

from core import environment
from core.resources import cache_root, root

from . import settings, theme
from .engine import Engine
from .session import Session
from .window import MainWindow
from .words import said

CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei")
if TYPE_CHECKING:
    from .keeper import Keeper

log = logging.getLogger("slim")


def main(path: Path | None = None, empty: bool = False) -> int:
    """Open the window, and `path` in it if given, else what was open last; returns the exit status."""
    from .keeper import Keeper

    app, window = build()
    window.show()
    keeper = Keeper(window.session, app)
    _serve(app, window, keeper)
    if path:
        window.session.open(path.absolute())
    elif settings.restores() and not empty:
        keeper.start()
    window.built.connect(lambda: window.engine.prepare("torch"))
    status = app.exec()
    keeper.close()
    return status


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
    session = Session(engine, app)
    session.pricing.quiet = quiet
    window = MainWindow(session, engine)
    _catch(window.session)
    return app, window


def quiet() -> bool:
    """Whether quiet time may be used to measure what teaches the prediction: by the switch, and not on a battery."""
    return settings.refines() and not settings.on_battery()


def translate(app: QApplication) -> None:
    """Put the chosen language's texts in place of those in force."""
    said.cache_clear()
    for old in app.findChildren(QTranslator, options=Qt.FindChildOption.FindDirectChildrenOnly):
        app.removeTranslator(old)
        old.deleteLater()
    if settings.language() != "zh_CN":
        return
    qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    font = app.font()  # without a name for them, Chinese characters come from whichever CJK font is first, often a bold or Japanese one
    font.setFamilies([font.family(), *CHINESE])
    app.setFont(font)
    for name, folder in (("qtbase_zh_CN", qt), ("studio_zh_CN", str(root() / "translations"))):
        translator = QTranslator(app)
        if translator.load(name, folder):
            app.installTranslator(translator)


def again(app: QApplication, window: MainWindow) -> MainWindow:
    """The same session in a new window that speaks the language chosen now."""
    translate(app)
    other = MainWindow(window.session, window.engine)
    window.leave_to(other)
    other.show()
    return other


def _serve(app: QApplication, window: MainWindow, keeper: Keeper) -> None:
    """What a window asks of the application."""
    window.reopen.connect(keeper.restore)
    # not from within the old window's own menu: it is still on the stack there
    window.spoken.connect(lambda: QTimer.singleShot(0, lambda: _serve(app, again(app, window), keeper)))


def _log() -> None:
    if not log.handlers:
        handler = RotatingFileHandler(cache_root() / "studio.log", maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _catch(session: Session) -> None:
    """An error in a slot is logged and said once, quietly; the window lives on."""
    told: set[str] = set()

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.error("unexpected", exc_info=(kind, error, trace))
        text = f"{kind.__name__}: {error}"
        if text not in told:
            told.add(text)
            said = QCoreApplication.translate("app", "Something went wrong and was logged ({what}); your plan is safe.")
            session.notice.emit("error", said.format(what=text))

    sys.excepthook = hook
