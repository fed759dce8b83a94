"""A plot in the theme's colours, and the two ways a bar is filled: solid is exact or measured, hatched is modelled."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush

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
