"""The engine's own words (titles, docstrings, metric labels) in the language of the window."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication


def word(text: str) -> str:
    """The translation of an English text of the engine; the text itself where there is none."""
    return QCoreApplication.translate("core", text) if text else ""
