"""View and Help: theme, language, docks, about."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QMessageBox

from core.resources import cache_root

from .. import settings
from . import action


@action(QT_TRANSLATE_NOOP("actions", "Light"), "", "View")
def light(window: Any) -> None:
    """Light colours"""
    window.set_theme("light")


@action(QT_TRANSLATE_NOOP("actions", "Dark"), "", "View")
def dark(window: Any) -> None:
    """Dark colours"""
    window.set_theme("dark")


@action(QT_TRANSLATE_NOOP("actions", "As the system"), "", "View")
def system(window: Any) -> None:
    """Light or dark as the system is"""
    window.set_theme("system")


@action("English", "", "View")
def english(window: Any) -> None:
    """English, from the next start"""
    settings.set_language("en")
    window.session.notice.emit("info", "English from the next start.")


@action("中文", "", "View")
def chinese(window: Any) -> None:
    """Chinese, from the next start"""
    settings.set_language("zh_CN")
    window.session.notice.emit("info", "下次启动时使用中文。")


@action(QT_TRANSLATE_NOOP("actions", "Reset layout"), "", "View")
def layout(window: Any) -> None:
    """All docks back to where they were at first"""
    window.reset_layout()


@action(QT_TRANSLATE_NOOP("actions", "About Slim Studio"), "", "Help", icon="info")
def about(window: Any) -> None:
    """Version, licence, and where the log lies"""
    box = QMessageBox(window)
    box.setWindowTitle(window.tr("About Slim Studio"))
    names = ("slim-studio", "torch", "transformers", "PySide6-Essentials", "pyqtgraph")
    lines = "\n".join(f"{n} {version(n)}" for n in names)
    box.setText(window.tr("Slim Studio makes neural networks smaller and greener by hand and eye."))
    box.setInformativeText(lines + "\n\n" + window.tr("Apache-2.0. Log and cache: {path}").format(path=cache_root()))
    box.open()
