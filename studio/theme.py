"""Colours by name, light and dark; one accent, and orange to blue for before and after."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

LIGHT = {
    "accent": "#2e7d5b", "before": "#d97b1f", "after": "#2f74b5", "warning": "#a86400", "danger": "#b3261e", "grid": "#d5d9d7",
    "text": "#1d2321", "muted": "#66706c", "window": "#f5f7f6", "base": "#ffffff", "alternate": "#eef2f0",
}  # fmt: skip
DARK = {
    "accent": "#5fbf95", "before": "#f0a35e", "after": "#74b3ea", "warning": "#e0a83f", "danger": "#f28b82", "grid": "#3a4240",
    "text": "#e4e8e6", "muted": "#9aa5a0", "window": "#1b1f1e", "base": "#232827", "alternate": "#29302e",
}  # fmt: skip
_now = dict(LIGHT)


def colour(name: str) -> QColor:
    return QColor(_now[name])


def apply(app: QApplication, name: str = "system") -> None:
    """Recolour the application; "system" follows the desktop."""
    dark = name == "dark" or (name == "system" and app.styleHints().colorScheme() == Qt.ColorScheme.Dark)
    _now.update(DARK if dark else LIGHT)
    app.setStyle("Fusion")
    p, role = QPalette(), QPalette.ColorRole
    for r, c in (
        (role.Window, "window"), (role.WindowText, "text"), (role.Base, "base"), (role.AlternateBase, "alternate"), (role.Text, "text"),
        (role.Button, "window"), (role.ButtonText, "text"), (role.Highlight, "accent"), (role.ToolTipBase, "base"), (role.ToolTipText, "text"),
        (role.PlaceholderText, "muted"),
    ):  # fmt: skip
        p.setColor(r, colour(c))
    p.setColor(role.HighlightedText, QColor("#101413") if dark else QColor("#ffffff"))
    for r in (role.Text, role.ButtonText, role.WindowText):
        p.setColor(QPalette.ColorGroup.Disabled, r, colour("muted"))
    app.setPalette(p)
