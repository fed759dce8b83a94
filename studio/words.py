"""Texts of the engine, in the language of the window."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication


def word(text: str) -> str:
    """A title, docstring or metric name of `core`, translated where a translation stands."""
    return QCoreApplication.translate("core", text)
