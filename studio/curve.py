"""How the predicted cost of one layer goes with its bits or its pruning, and where it stands now."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from core.plans import another

from . import numbers, theme
from .pictures import Rows
from .plots import Plot
from .session import Session
from .snapshot import Snapshot


class Curve(QWidget):
    """Follows the selection; a line of computed options, and a hollow point for the present setting."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.points: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] = (np.zeros(0), np.zeros(0))
        self.axis, self.name = QComboBox(), QLabel(wordWrap=True)
        for text, key in ((self.tr("against bits"), "bits"), (self.tr("against pruning"), "amount")):
            self.axis.addItem(text, key)
        self.axis.setAccessibleName(self.tr("What the curve runs over"))
        self.axis.activated.connect(lambda _: self.draw(session.snapshot))
        self.plot = Plot(self.tr("Cost of this layer"), "", headless=True)
        self.plot.rows, self.plot.fail = self.table, lambda why: session.notice.emit("error", why)
        self.plot.setWhatsThis(self.tr("Predicted cost of the selected layer alone, from its error on inputs it was not fitted to."))
        self.line = self.plot.plot(symbol="o", symbolSize=4)
        self.now = pg.ScatterPlotItem(size=11, hoverable=True, tip=self._tip)
        self.plot.addItem(self.now)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.axis, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.name)
        column.addWidget(self.plot, 1)
        column.addStretch(0)
        self.recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "now"):
            self.recolour()

    def recolour(self) -> None:
        """Pens in the theme's colours; hollow, because nothing here was run end to end."""
        self.line.setPen(pg.mkPen(theme.colour("after"), width=1))
        self.line.setSymbolBrush(theme.colour("after"))
        self.line.setSymbolPen(pg.mkPen(theme.colour("after"), width=1))
        self.now.setPen(pg.mkPen(theme.colour("accent"), width=2))
        self.now.setBrush(QBrush(Qt.BrushStyle.NoBrush))

    def draw(self, s: Snapshot) -> None:
        """The selected layer, else the first of them that was sensed."""
        name = next((n for n in s.selection if s.sensitivity and n in s.sensitivity.layers), "")
        predictor, setting, axis = self.session.pricing.predictor, s.settings.get(name), self.axis.currentData()
        if predictor is None or setting is None:
            self.points = (np.zeros(0), np.zeros(0))
            self.name.setText(self.tr("Select a layer to see its curve."))
        else:
            xs, ys = predictor.curve(name, setting, axis)
            shown = np.asarray(xs) <= (8 if axis == "bits" else 1)  # left as stored costs nothing and would squeeze the others
            self.points = (np.asarray(xs, float)[shown] * (100 if axis == "amount" else 1), np.asarray(ys, float)[shown])
            self.name.setText(".".join(name.split(".")[-3:]))
            self.name.setToolTip(name)
        self.line.setData(*self.points)
        here = setting is not None and predictor is not None and not another(s.plan) and not (axis == "bits" and setting.bits > 8)
        x = (setting.bits if axis == "bits" else 100 * setting.amount) if setting is not None else 0.0
        self.now.setData([x], [predictor.value(name, setting)]) if here and predictor and setting else self.now.setData([], [])
        self.plot.bottom = self.tr("bits") if axis == "bits" else self.tr("% pruned")
        self.plot.left = "1 − cosine" if s.sensitivity and s.sensitivity.currency != "kl" else "KL"
        self.plot.setVisible(len(self.points[0]) > 0)
        self.axis.setVisible(len(self.points[0]) > 0)
        self.plot.getAxis("bottom").setTicks([[(b, str(b)) for b in range(2, 9)]] if axis == "bits" else None)
        self.plot.recolour()
        self.plot.getPlotItem().autoRange()

    def table(self) -> Rows:
        """The curve as numbers."""
        return [(self.axis.currentData(), "predicted cost"), *zip(self.points[0].tolist(), self.points[1].tolist())]

    def _tip(self, x: float, y: float, data: object) -> str:
        said = QCoreApplication.translate("Curve", "now: {x} {axis}, predicted cost {y}")
        return said.format(x=numbers.significant(x), axis=self.plot.bottom, y=numbers.significant(y))
