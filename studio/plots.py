"""A plot in the theme's colours, and the two ways a bar is filled: solid is exact or measured, hatched is modelled."""

from __future__ import annotations

from collections.abc import Callable

import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QBrush, QContextMenuEvent, QHelpEvent, QPalette
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolTip, QVBoxLayout, QWidget

from . import pictures, theme


class Plot(pg.PlotWidget):
    """Recoloured whenever the palette changes, because pyqtgraph does not follow it; a right click copies or saves it."""

    def __init__(self, title: str, bottom: str = "", left: str = "", zoom: bool = False, headless: bool = False) -> None:
        super().__init__(background=None)
        self.title, self.bottom, self.left = title, bottom, left
        self.headless = headless  # its title stands above it, and in the plot only for a picture of it
        self.rows: Callable[[], pictures.Rows] = list  # what a copy as CSV holds
        self.tip: Callable[[float, float], str] = lambda x, y: ""  # what stands at a place of the plot
        self.fail: Callable[[str], None] = lambda why: None  # hears why a file could not be written
        item = self.getPlotItem()
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("bottom").enableAutoSIPrefix(False)
        item.getAxis("bottom").setStyle(textFillLimits=[(0, 0.5)])  # finer numbers only where they stay apart
        item.getAxis("left").setStyle(hideOverlappingLabels=True)  # no number is cut off at the upper edge
        item.setMouseEnabled(x=zoom, y=zoom)
        item.setMenuEnabled(False)
        if not zoom:
            item.hideButtons()
        self.setAccessibleName(title)
        self.recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "title"):
            self.recolour()

    def picture(self, draw: Callable[[], None]) -> None:
        """Draw something that must be understood without the window around it: with the title."""
        was, self.headless = self.headless, False
        self.recolour()
        self.getPlotItem().layout.activate()  # the title has its place at once
        self.scene().prepareForPaint()
        draw()
        self.headless = was
        self.recolour()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        pictures.menu(self, self.title, self.rows, self.fail).popup(event.globalPos())
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        """Show what stands under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            at = self.getPlotItem().vb.mapSceneToView(self.mapToScene(event.pos()))
            if text := self.tip(at.x(), at.y()):
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return super().viewportEvent(event)

    def recolour(self) -> None:
        item = self.getPlotItem()
        self.setBackground(self.palette().color(QPalette.ColorRole.Window))
        item.setTitle(None if self.headless else self.title, color=theme.colour("text"), size="10pt")
        for side, text in (("left", self.left), ("bottom", self.bottom)):
            item.getAxis(side).setPen(pg.mkPen(theme.colour("grid"), width=1))
            item.getAxis(side).setTextPen(theme.colour("muted"))
            if text:
                item.setLabel(side, text, color=theme.colour("muted").name())


def solid(name: str) -> QBrush:
    return QBrush(theme.colour(name))


def hatched(name: str) -> QBrush:
    return QBrush(theme.colour(name), Qt.BrushStyle.BDiagPattern)


def head(title: str, beside: QWidget | None = None) -> QHBoxLayout:
    """The line above a chart, equally high above all of them."""
    row = QHBoxLayout()
    name = QLabel(f"<b>{title}</b>")
    name.setMinimumHeight(QComboBox().sizeHint().height())
    row.addWidget(name)
    row.addStretch(1)
    if beside is not None:
        row.addWidget(beside)
    return row


def settle(words: QLabel) -> None:
    """Room for four lines of figures below a chart, so that charts side by side end at one height."""
    words.setMinimumHeight(4 * words.fontMetrics().lineSpacing() + 2)
    words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)


class Bars(QWidget):
    """Before above now, with the figures in words below."""

    def __init__(self, title: str, unit: str, hatch: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fill = hatched if hatch else solid
        self.plot = Plot(title, unit, headless=True)
        now, before = QCoreApplication.translate("Bars", "now"), QCoreApplication.translate("Bars", "before")
        self.plot.getAxis("left").setTicks([[(0, now), (1, before)]])
        self.bars = pg.BarGraphItem(x0=[0, 0], y=[1, 0], height=0.6, width=[0, 0])
        self.plot.addItem(self.bars)
        self.text = QLabel()
        self.text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 2, 4, 2)
        for part in (head(title), self.plot, self.text):
            box.addLayout(part) if isinstance(part, QHBoxLayout) else box.addWidget(part)
        settle(self.text)

    def draw(self, before: float, now: float) -> None:
        names = ("before", "after")
        pens = [pg.mkPen(theme.colour(c), width=1) for c in names]
        self.bars.setOpts(width=[before, now], brushes=[self.fill(c) for c in names], pens=pens)
        self.plot.setXRange(0, max(before, now, 1e-12) * 1.15, padding=0)
        self.plot.setYRange(-0.6, 1.6, padding=0)
