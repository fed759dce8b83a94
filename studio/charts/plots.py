"""A plot in the theme's colours, and the two ways a bar is filled: solid is exact or measured, hatched is modelled."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QBrush, QPalette
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from .. import theme


class Plot(pg.PlotWidget):
    """Recoloured whenever the palette changes, because pyqtgraph does not follow it."""

    def __init__(self, title: str, bottom: str = "") -> None:
        super().__init__(background=None)
        self.title, self.bottom = title, bottom
        item = self.getPlotItem()
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("bottom").enableAutoSIPrefix(False)
        item.setMouseEnabled(x=False, y=False)
        item.hideButtons()
        self.setAccessibleName(title)
        self.recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "title"):
            self.recolour()

    def recolour(self) -> None:
        item = self.getPlotItem()
        self.setBackground(self.palette().color(QPalette.ColorRole.Window))
        item.setTitle(self.title, color=theme.colour("text"), size="10pt")
        for side in ("left", "bottom"):
            item.getAxis(side).setPen(pg.mkPen(theme.colour("grid"), width=1))
            item.getAxis(side).setTextPen(theme.colour("muted"))
        if self.bottom:
            item.setLabel("bottom", self.bottom, color=theme.colour("muted").name())


def solid(name: str) -> QBrush:
    return QBrush(theme.colour(name))


def hatched(name: str) -> QBrush:
    return QBrush(theme.colour(name), Qt.BrushStyle.BDiagPattern)


class Bars(QWidget):
    """Before above now, with the figures in words below."""

    def __init__(self, title: str, unit: str, hatch: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fill = hatched if hatch else solid
        self.plot = Plot(title, unit)
        now, before = QCoreApplication.translate("Bars", "now"), QCoreApplication.translate("Bars", "before")
        self.plot.getAxis("left").setTicks([[(0, now), (1, before)]])
        self.bars = pg.BarGraphItem(x0=[0, 0], y=[1, 0], height=0.6, width=[0, 0])
        self.plot.addItem(self.bars)
        self.text = QLabel()
        self.text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 2)
        box.addWidget(self.plot)
        box.addWidget(self.text)

    def draw(self, before: float, now: float) -> None:
        names = ("before", "after")
        pens = [pg.mkPen(theme.colour(c), width=1) for c in names]
        self.bars.setOpts(width=[before, now], brushes=[self.fill(c) for c in names], pens=pens)
        self.plot.setXRange(0, max(before, now, 1e-12) * 1.15, padding=0)
        self.plot.setYRange(-0.6, 1.6, padding=0)
