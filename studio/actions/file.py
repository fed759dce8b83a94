"""File: open, save, export, close."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QFileDialog

from core.formats import suffixes

from .. import kept, settings
from ..panels.export import ExportDialog
from ..snapshot import Snapshot
from . import action, opened, translate


@action(QT_TRANSLATE_NOOP("actions", "Open folder…"), "Ctrl+O", "File", icon="folder", bar=True)
def open_folder(window: Any) -> None:
    """Open a model folder with its config.json and weights"""
    if path := QFileDialog.getExistingDirectory(window, translate("actions", "Open a model folder")):
        window.session.open(Path(path))


@action(QT_TRANSLATE_NOOP("actions", "Open file…"), "Ctrl+Shift+O", "File", icon="file", bar=True)
def open_file(window: Any) -> None:
    """Open one file of weights"""
    masks = translate("actions", "Weights ({suffixes});;All files (*)").format(suffixes=_masks())
    path, _ = QFileDialog.getOpenFileName(window, translate("actions", "Open a weights file"), "", masks)
    if path:
        window.session.open(Path(path))


@action(QT_TRANSLATE_NOOP("actions", "Open recipe…"), "Ctrl+R", "File", why=opened)
def open_recipe(window: Any) -> None:
    """Take plan, data and format from a recipe file"""
    path, _ = QFileDialog.getOpenFileName(window, translate("actions", "Open a recipe"), "", _recipes())
    if path:
        window.session.open_recipe(Path(path))


@action(QT_TRANSLATE_NOOP("actions", "Save recipe"), "Ctrl+S", "File", icon="save", why=opened)
def save_recipe(window: Any) -> None:
    """Write the plan as a recipe that the command line can run"""
    path = window.session.snapshot.recipe_path
    if path is None:
        text, _ = QFileDialog.getSaveFileName(window, translate("actions", "Save the recipe"), "plan.toml", _recipes())
        path = Path(text).with_suffix(".toml") if text else None
    if path:
        window.session.save_recipe(path)


@action(QT_TRANSLATE_NOOP("actions", "Save recipe as…"), "Ctrl+Shift+S", "File", why=opened)
def save_recipe_as(window: Any) -> None:
    """Write the plan as a recipe under another name"""
    text, _ = QFileDialog.getSaveFileName(window, translate("actions", "Save the recipe"), "plan.toml", _recipes())
    if text:
        window.session.save_recipe(Path(text).with_suffix(".toml"))


@action(QT_TRANSLATE_NOOP("actions", "Export…"), "Ctrl+E", "File", icon="export", bar=True, why=opened)
def export(window: Any) -> None:
    """Write the slimmed model and have it verified in a fresh process"""
    ExportDialog(window.session, window).open()


@action(QT_TRANSLATE_NOOP("actions", "Close model"), "Ctrl+W", "File", why=opened)
def close_model(window: Any) -> None:
    """Back to the welcome page"""
    window.session.close()


def _kept(_: Snapshot) -> str:
    return "" if kept.exists() else translate("actions", "No session was kept yet.")


@action(QT_TRANSLATE_NOOP("actions", "Reopen the last session"), "Ctrl+Shift+T", "File", why=_kept)
def reopen(window: Any) -> None:
    """The last model with its plan and everything that was measured of it"""
    window.reopen.emit()


@action(QT_TRANSLATE_NOOP("actions", "Start with the last session"), "", "File", on=settings.restores)
def restores(window: Any) -> None:
    """At the next start, open what was open; without the tick the studio starts empty"""
    settings.set_restores(not settings.restores())


@action(QT_TRANSLATE_NOOP("actions", "Cache…"), "", "File")
def cache(window: Any) -> None:
    """What is kept on disk to save work: how much, under which cap, and how to clear it"""
    from ..panels.cache import CacheDialog  # brings the whole engine: not before the first paint

    CacheDialog(window.session, window).open()


@action(QT_TRANSLATE_NOOP("actions", "Quit"), "Ctrl+Q", "File")
def leave(window: Any) -> None:
    """Leave the studio"""
    window.close()


def _recipes() -> str:
    return translate("actions", "Recipes (*.toml)")


def _masks() -> str:
    words = suffixes().replace(",", " ").split()
    return " ".join(f"*{w}" for w in words if w.startswith(".")) or "*"
