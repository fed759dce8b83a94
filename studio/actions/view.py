"""View and Help: theme, language, docks, commands, explanations, log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMessageBox

from core.resources import cache_root

from .. import settings
from ..formulas import Formulas
from ..palette import Palette
from . import action, opened, translate

THEME = QT_TRANSLATE_NOOP("actions", "Theme")
LANGUAGE = QT_TRANSLATE_NOOP("actions", "Language")


def _speaks(which: str) -> Callable[[], bool]:
    return lambda: settings.chosen_language() == which


@action(QT_TRANSLATE_NOOP("actions", "Light"), "", "View", under=THEME, on=lambda: settings.theme() == "light")
def light(window: Any) -> None:
    """Light colours"""
    window.set_theme("light")


@action(QT_TRANSLATE_NOOP("actions", "Dark"), "", "View", under=THEME, on=lambda: settings.theme() == "dark")
def dark(window: Any) -> None:
    """Dark colours"""
    window.set_theme("dark")


@action(QT_TRANSLATE_NOOP("actions", "As the system"), "", "View", under=THEME, on=lambda: settings.theme() == "system")
def system(window: Any) -> None:
    """Light or dark as the system is"""
    window.set_theme("system")


@action("English", "", "View", under=LANGUAGE, on=_speaks("en"))
def english(window: Any) -> None:
    """English texts, at once"""
    window.set_language("en")


@action("简体中文", "", "View", under=LANGUAGE, on=_speaks("zh_CN"))
def chinese(window: Any) -> None:
    """Chinese texts, at once"""
    window.set_language("zh_CN")


@action(QT_TRANSLATE_NOOP("actions", "Language of the system"), "", "View", under=LANGUAGE, on=_speaks("system"))
def as_spoken(window: Any) -> None:
    """Chinese where the system speaks it, else English"""
    window.set_language("system")


@action(QT_TRANSLATE_NOOP("actions", "Reset layout"), "", "View")
def layout(window: Any) -> None:
    """All docks back to where they were at first"""
    window.reset_layout()


@action(QT_TRANSLATE_NOOP("actions", "Commands…"), "Ctrl+K", "Help")
def palette(window: Any) -> None:
    """Find any command or layer by typing a part of its name"""
    Palette(window).open()


@action(QT_TRANSLATE_NOOP("actions", "Explain"), "F1", "Help")
def explain(window: Any) -> None:
    """Say what the thing under the pointer is"""
    window.explain()


@action(QT_TRANSLATE_NOOP("actions", "Formulas…"), "Shift+F1", "Help")
def formulas(window: Any) -> None:
    """What is computed for pruning, quantization, distillation, federations and energy, with the sources"""
    Formulas(window).open()


@action(QT_TRANSLATE_NOOP("actions", "Tour"), "", "Help", why=opened)
def tour(window: Any) -> None:
    """Three steps through the window, ten seconds each"""
    window.tour()


@action(QT_TRANSLATE_NOOP("actions", "Open the log"), "", "Help")
def log(window: Any) -> None:
    """The file that holds what went wrong, with every detail"""
    path = cache_root() / "studio.log"
    path.touch()
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


@action(QT_TRANSLATE_NOOP("actions", "About Slim Studio"), "", "Help", icon="info")
def about(window: Any) -> None:
    """Version, licence, and where the log lies"""
    box = QMessageBox(window)
    box.setWindowTitle(translate("actions", "About Slim Studio"))
    names = ("slim-studio", "torch", "transformers", "PySide6-Essentials", "pyqtgraph")
    from importlib.metadata import version

    lines = "\n".join(f"{n} {version(n)}" for n in names)
    box.setText(translate("actions", "Slim Studio makes neural networks smaller and greener by hand and eye."))
    box.setInformativeText(lines + "\n\n" + translate("actions", "Apache-2.0. Log and cache: {path}").format(path=cache_root()))
    box.open()
