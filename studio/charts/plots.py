"""A plot in the theme's colours, and the two ways a bar is filled: solid is exact or measured, hatched is modelled."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from .. import theme


def plot(title: str, left: str = "", bottom: str = "") -> pg.PlotWidget:
    w = pg.PlotWidget(background=None)
    item = w.getPlotItem()
    item.setTitle(title, color=theme.colour("text"), size="10pt")
    for side, label in (("left", left), ("bottom", bottom)):
        axis = item.getAxis(side)
        axis.setPen(pg.mkPen(theme.colour("grid"), width=1))
        axis.setTextPen(theme.colour("muted"))
        axis.enableAutoSIPrefix(False)
        if label:
            item.setLabel(side, label, color=theme.colour("muted").name())
    item.setMouseEnabled(x=False, y=False)
    item.hideButtons()
    w.setAccessibleName(title)
    return w


def solid(name: str) -> QBrush:
    return QBrush(theme.colour(name))


def hatched(name: str) -> QBrush:
    return QBrush(theme.colour(name), Qt.BrushStyle.BDiagPattern)


class Bars(QWidget):
    """Before above now, with the figures in words below."""

    def __init__(self, title: str, unit: str, hatch: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        fill = hatched if hatch else solid
        self.plot = plot(title, bottom=unit)
        now, before = QCoreApplication.translate("Bars", "now"), QCoreApplication.translate("Bars", "before")
        self.plot.getAxis("left").setTicks([[(0, now), (1, before)]])
        pens = [pg.mkPen(theme.colour(c), width=1) for c in ("before", "after")]
        brushes = [fill("before"), fill("after")]
        self.bars = pg.BarGraphItem(x0=[0, 0], y=[1, 0], height=0.6, width=[0, 0], brushes=brushes, pens=pens)
        self.plot.addItem(self.bars)
        self.text = QLabel()
        self.text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 2)
        box.addWidget(self.plot)
        box.addWidget(self.text)

    def draw(self, before: float, now: float) -> None:
        self.bars.setOpts(width=[before, now])
        self.plot.setXRange(0, max(before, now, 1e-12) * 1.15, padding=0)
        self.plot.setYRange(-0.6, 1.6, padding=0)
