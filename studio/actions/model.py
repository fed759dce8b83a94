"""Edit and Model: undo, redo, what the keys of the layer tree do, and the user's own network after an explicit yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QFileDialog

from ..panels.factory import FactoryDialog
from ..snapshot import Snapshot
from . import action, opened, translate


def _undoable(s: Snapshot) -> str:
    return "" if s.undo_text else translate("actions", "Nothing to undo.")


def _redoable(s: Snapshot) -> str:
    return "" if s.redo_text else translate("actions", "Nothing to redo.")


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


def _bits(n: int) -> None:
    key = "0" if n == 16 else str(n)

    @action(QT_TRANSLATE_NOOP("actions", "{n} bits"), "", "Edit", why=opened, under=QT_TRANSLATE_NOOP("actions", "Bits"), keys=key, n=n)
    def bits(window: Any) -> None:
        """Give the selected layers (or the model) this many bits a weight; 16 leaves them as stored"""
        window.parts["layers"].set_bits(n)


for _n in (2, 3, 4, 5, 6, 7, 8, 16):
    _bits(_n)


@action(QT_TRANSLATE_NOOP("actions", "Prune less"), "", "Edit", why=opened, keys="[")
def prune_less(window: Any) -> None:
    """Prune five per cent less of the selected layers (or the model)"""
    window.parts["layers"].nudge(-1)


@action(QT_TRANSLATE_NOOP("actions", "Prune more"), "", "Edit", why=opened, keys="]")
def prune_more(window: Any) -> None:
    """Prune five per cent more of the selected layers (or the model)"""
    window.parts["layers"].nudge(1)


def _selected(s: Snapshot) -> str:
    return opened(s) or ("" if s.selection else translate("actions", "Select a layer first."))


@action(QT_TRANSLATE_NOOP("actions", "Select similar"), "Ctrl+Shift+A", "Edit", why=_selected)
def similar(window: Any) -> None:
    """Select every layer with the same last name and type"""
    window.parts["layers"].select_similar()


@action(QT_TRANSLATE_NOOP("actions", "Select nothing"), "Ctrl+Shift+N", "Edit", why=_selected)
def nothing(window: Any) -> None:
    """Plan for the whole model again"""
    window.session.select(())


@action(QT_TRANSLATE_NOOP("actions", "Search layers"), "Ctrl+F", "Edit", why=opened)
def search(window: Any) -> None:
    """Type a part of a name or a type"""
    window.parts["layers"].box.setFocus()
    window.parts["layers"].box.selectAll()


@action(QT_TRANSLATE_NOOP("actions", "Count the zeros"), "", "Model", why=opened)
def zeros(window: Any) -> None:
    """Read every tensor once and show in the tree how sparse it is stored; files up to 2 GB are counted by themselves"""
    window.session.count_zeros()


@action(QT_TRANSLATE_NOOP("actions", "Use my own network…"), "", "Model", icon="code", why=opened)
def factory(window: Any) -> None:
    """Build the network with a Python function of yours, after you have read and confirmed it"""
    title, kinds = translate("actions", "Python file with your network"), translate("actions", "Python (*.py)")
    path, _ = QFileDialog.getOpenFileName(window, title, "", kinds)
    if path:
        FactoryDialog(window.session, Path(path), window).open()
