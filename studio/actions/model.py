"""Edit and Model: undo, redo, and the user's own network after an explicit yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication
from PySide6.QtWidgets import QFileDialog

from ..panels.factory import FactoryDialog
from ..snapshot import Snapshot
from . import action, opened


def _undoable(s: Snapshot) -> str:
    return "" if s.undo_text else QCoreApplication.translate("actions", "Nothing to undo.")


def _redoable(s: Snapshot) -> str:
    return "" if s.redo_text else QCoreApplication.translate("actions", "Nothing to redo.")


@action(QT_TRANSLATE_NOOP("actions", "Undo"), "Ctrl+Z", "Edit", icon="undo", bar=True, why=_undoable)
def undo(window: Any) -> None:
    """Take back the last change of the plan"""
    window.session.undo()


@action(QT_TRANSLATE_NOOP("actions", "Redo"), "Ctrl+Shift+Z", "Edit", icon="redo", bar=True, why=_redoable)
def redo(window: Any) -> None:
    """Do it again"""
    window.session.redo()


@action(QT_TRANSLATE_NOOP("actions", "Reset selection to inherited"), "Ctrl+Backspace", "Edit", why=opened)
def reset(window: Any) -> None:
    """Let the selected layers (or the model) follow the plan above them again"""
    window.session.reset_scope()


@action(QT_TRANSLATE_NOOP("actions", "Use my own network…"), "", "Model", icon="code", why=opened)
def factory(window: Any) -> None:
    """Build the network with a Python function of yours, after you have read and confirmed it"""
    path, _ = QFileDialog.getOpenFileName(window, window.tr("Python file with your network"), "", window.tr("Python (*.py)"))
    if path:
        FactoryDialog(window.session, Path(path), window).open()
