"""F1: what the thing under the pointer is, in the words its own tooltip and description have."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QPoint
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QAbstractItemView, QApplication, QComboBox, QHeaderView, QTabBar, QWhatsThis, QWidget

from core.types import METRICS

from .words import word


def explain(window: QWidget) -> str:
    """Show the explanation of what lies under the pointer, else of what has the focus; returns what was shown."""
    at = QCursor.pos()
    below = QApplication.widgetAt(at)
    inside = below is not None and below.window() is window.window()
    widget = below if inside else QApplication.focusWidget() or window
    assert widget is not None
    nothing = QCoreApplication.translate("explain", "Point at a part of the window and press F1.")
    text = describe(widget, widget.mapFromGlobal(at)) or nothing
    QWhatsThis.showText(at if inside else window.mapToGlobal(window.rect().center()), text, window)
    return text


def describe(widget: QWidget, at: QPoint) -> str:
    """The words of a widget at a place of it, or of the nearest of its parents that has some."""
    found: list[str] = []
    current: QWidget | None = widget
    while current is not None and not current.isWindow():
        found += [t for t in (_inside(current, at), current.toolTip(), current.whatsThis()) if t]
        if current.whatsThis():
            break
        at, current = current.mapToParent(at), current.parentWidget()
    return "\n\n".join(dict.fromkeys(found))


def _inside(widget: QWidget, at: QPoint) -> str:
    """The words of a row, a column, a tab or a chosen metric."""
    if isinstance(widget, QHeaderView) and widget.model() is not None:
        section = widget.logicalIndexAt(at)
        name = widget.model().headerData(section, widget.orientation())
        tip = widget.model().headerData(section, widget.orientation(), 3)  # Qt.ItemDataRole.ToolTipRole
        return f"{name}: {tip}" if tip else ""
    if isinstance(widget, QTabBar):
        return widget.tabToolTip(widget.tabAt(at))
    if isinstance(widget, QComboBox):
        return word(METRICS[key][2]) if (key := widget.currentData()) in METRICS else ""
    view = widget.parentWidget()
    if isinstance(view, QAbstractItemView) and view.viewport() is widget:
        return str(view.indexAt(at).data(3) or "")
    return ""
