"""Palette, fonts and icons, light and dark; colours are asked for by name when something is drawn."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from core.resources import root

LIGHT = {
    "accent": "#2e7d5b", "before": "#c96a12", "after": "#2b6cb0", "warning": "#9a6700", "danger": "#b3261e",
    "grid": "#d9dcd8", "text": "#1d211f", "muted": "#5c6660", "window": "#f4f5f3", "base": "#ffffff", "alternate": "#f7f8f6",
    "button": "#ffffff", "highlight": "#cfe6da", "tooltip": "#ffffff", "on_accent": "#ffffff", "disabled": "#9aa39e",
}  # fmt: skip
DARK = {
    "accent": "#5fbf95", "before": "#f0a35c", "after": "#74b3f0", "warning": "#e0b050", "danger": "#f28b82",
    "grid": "#3a403d", "text": "#e6e9e7", "muted": "#a3ada8", "window": "#1e2220", "base": "#181b1a", "alternate": "#1c201e",
    "button": "#2a302d", "highlight": "#2b5442", "tooltip": "#2a302d", "on_accent": "#10201a", "disabled": "#68716c",
}  # fmt: skip
_now = LIGHT


def dark() -> bool:
    """Whether the dark palette is in force."""
    return _now is DARK


def colour(name: str) -> QColor:
    """A colour of the palette in force: accent, before, after, warning, danger, grid, text, muted, base …"""
    return QColor(_now[name])


def apply(app: QApplication, which: str) -> None:
    """Put "light", "dark" or "system" in force for the whole application."""
    global _now
    system = app.styleHints().colorScheme() == Qt.ColorScheme.Dark
    _now = DARK if which == "dark" or (which == "system" and system) else LIGHT
    icon.cache_clear()
    app.setStyle("Fusion")
    app.setPalette(_palette())
    app.setStyleSheet(_sheet())


def tabular(font: QFont) -> QFont:
    """The same font with digits of one width, so numbers in a column stand still."""
    found = QFont(font)
    if hasattr(QFont, "Tag"):
        found.setFeature(QFont.Tag("tnum"), 1)
    return found


def monospace() -> QFont:
    """The system's font for code."""
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)


@lru_cache(maxsize=128)
def icon(name: str, colour_name: str = "text") -> QIcon:
    """An icon of the family in resources/icons, drawn in a colour of the palette."""
    path = root() / "icons" / f"{name}.svg"
    if not path.is_file():
        return QIcon()
    text = path.read_text(encoding="utf-8")
    found = QIcon()
    for mode, ink in ((QIcon.Mode.Normal, colour_name), (QIcon.Mode.Disabled, "disabled")):
        renderer = QSvgRenderer(QByteArray(text.replace("currentColor", _now[ink]).encode()))
        for side in (16, 20, 32, 64):
            pixmap = QPixmap(side, side)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            renderer.render(painter, QRectF(0, 0, side, side))
            painter.end()
            found.addPixmap(pixmap, mode)
    return found


def _palette() -> QPalette:
    p = QPalette()
    role = QPalette.ColorRole
    for r, name in (
        (role.Window, "window"), (role.WindowText, "text"), (role.Base, "base"), (role.AlternateBase, "alternate"),
        (role.Text, "text"), (role.Button, "button"), (role.ButtonText, "text"), (role.BrightText, "danger"),
        (role.ToolTipBase, "tooltip"), (role.ToolTipText, "text"), (role.Highlight, "highlight"), (role.HighlightedText, "text"),
        (role.Link, "accent"), (role.PlaceholderText, "muted"), (role.Accent, "accent"), (role.Mid, "grid"), (role.Dark, "grid"),
    ):  # fmt: skip
        p.setColor(r, colour(name))
    for r in (role.Text, role.WindowText, role.ButtonText, role.HighlightedText):
        p.setColor(QPalette.ColorGroup.Disabled, r, colour("disabled"))
    return p


def _sheet() -> str:
    """Only what the palette cannot say: flat docks, quiet lines, one kind of button."""
    c = _now
    return f"""
    QMainWindow::separator {{ background: {c["grid"]}; width: 1px; height: 1px; }}
    QDockWidget {{ color: {c["muted"]}; }}
    QDockWidget::title {{ padding: 5px 8px; background: {c["window"]}; text-align: left; }}
    QToolBar {{ border: 0; border-bottom: 1px solid {c["grid"]}; spacing: 4px; padding: 3px 6px; }}
    QToolButton {{ padding: 3px 7px; border: 1px solid transparent; border-radius: 4px; }}
    QToolButton:hover {{ background: {c["highlight"]}; }}
    QToolButton:focus {{ border: 1px solid {c["accent"]}; }}
    QStatusBar {{ border-top: 1px solid {c["grid"]}; color: {c["muted"]}; }}
    QStatusBar::item {{ border: 0; }}
    QToolTip {{ color: {c["text"]}; background: {c["tooltip"]}; border: 1px solid {c["grid"]}; padding: 3px; }}
    QHeaderView::section {{ background: {c["window"]}; color: {c["muted"]}; border: 0; border-bottom: 1px solid {c["grid"]}; padding: 3px 6px; }}
    QTreeView, QTableView, QListView, QPlainTextEdit {{ border: 0; }}
    QTabWidget::pane {{ border: 0; border-top: 1px solid {c["grid"]}; }}
    QTabBar::tab {{ padding: 5px 12px; color: {c["muted"]}; background: transparent; border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {c["text"]}; border-bottom: 2px solid {c["accent"]}; }}
    QTabBar::tab:focus {{ color: {c["accent"]}; }}
    QCheckBox::indicator:unchecked:enabled {{ border: 1px solid {c["disabled"]}; border-radius: 2px; background: {c["button"]}; width: 12px; height: 12px; }}
    QProgressBar {{ border: 0; background: {c["grid"]}; border-radius: 3px; max-height: 6px; }}
    QProgressBar::chunk {{ background: {c["accent"]}; border-radius: 3px; }}
    QPushButton {{ padding: 4px 12px; border: 1px solid {c["grid"]}; border-radius: 4px; background: {c["button"]}; }}
    QPushButton:hover {{ border-color: {c["accent"]}; }}
    QPushButton:focus {{ border: 1px solid {c["accent"]}; }}
    QPushButton:default {{ background: {c["accent"]}; color: {c["on_accent"]}; border-color: {c["accent"]}; }}
    QPushButton:disabled {{ color: {c["disabled"]}; background: {c["window"]}; border-color: {c["grid"]}; }}
    """
