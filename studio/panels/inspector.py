"""Inside the selected layer: histogram before and after, the map of its weights, its channels, its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QWidget

from .. import numbers, theme
from ..session import Session
from ..snapshot import Snapshot
from . import panels

if TYPE_CHECKING:
    from core.inspection import Inspection, Side


@panels("inspector")
class Inspector(QWidget):
    """Asks the worker when the selection changes; draws what comes back."""

    title = QT_TRANSLATE_NOOP("core", "Inspector")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._asked: tuple[Any, ...] = ()
        self._drawn: Any = None
        self.figures = QLabel(self.tr("Select one layer to look inside it."))
        self.figures.setWordWrap(True)
        self.log, self.map = QCheckBox(self.tr("logarithmic")), QComboBox()
        self.map.addItem(self.tr("Magnitude"), "magnitude")
        self.map.addItem(self.tr("Zeros"), "zeros")
        self.map.setAccessibleName(self.tr("What the map shows"))
        self.histogram, self.heat, self.channels = (
            pg.PlotWidget(background=None),
            pg.PlotWidget(background=None),
            pg.PlotWidget(background=None),
        )
        self.lines = [self.histogram.plot(stepMode="center", pen=pg.mkPen(theme.colour(c), width=1)) for c in ("before", "after")]
        self.ranges = [self.channels.plot(pen=pg.mkPen(theme.colour(c), width=1)) for c in ("before", "before", "after", "after")]
        self.image = pg.ImageItem(axisOrder="row-major")
        self.image.setColorMap(pg.colormap.get("viridis"))
        self.heat.addItem(self.image)
        self.heat.invertY(True)
        self._lay()
        self.log.toggled.connect(lambda on: self.histogram.setLogMode(y=on))
        self.map.activated.connect(lambda _: self._paint_map())

    def _lay(self) -> None:
        grid = QGridLayout(self)
        for column, (name, widget) in enumerate(
            ((self.tr("Histogram"), self.histogram), (self.tr("Map"), self.heat), (self.tr("Range of each output channel"), self.channels))
        ):
            widget.setAccessibleName(name)
            widget.getPlotItem().setTitle(name, size="9pt")
            grid.addWidget(widget, 1, column)
        grid.addWidget(self.figures, 0, 0, 1, 3)
        grid.addWidget(self.log, 2, 0)
        grid.addWidget(self.map, 2, 1)

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        if len(snapshot.selection) == 1:
            want = (snapshot.selection[0], snapshot.current, snapshot.plan)
            if want != self._asked and not snapshot.busy:
                self._asked = want
                self.session.inspect(snapshot.selection[0])
        if snapshot.inspection is not None and snapshot.inspection is not self._drawn:
            self._drawn = snapshot.inspection
            self._paint(snapshot.inspection)

    def _paint(self, found: Inspection) -> None:
        sides = (found.before, found.after)
        for line, side in zip(self.lines, sides):
            line.setData(found.edges, side.counts if side else [0] * (len(found.edges) - 1))
        for i, side in enumerate(sides):
            for line, values in zip(self.ranges[2 * i : 2 * i + 2], (side.channels.low, side.channels.high) if side else ([], [])):
                line.setData(values)
        self._paint_map()
        error = (
            self.tr("error left {e}").format(e=numbers.significant(found.error)) if found.error is not None else self.tr("left as it is")
        )
        shape = " × ".join(map(str, found.shape))
        text = [f"<b>{found.name}</b>  {shape}  {error}", self.tr("before: {what}").format(what=self._said(found.before))]
        text += [self.tr("after: {what}").format(what=self._said(found.after))] if found.after else []
        self.figures.setText("<br>".join(text))

    def _said(self, side: Side) -> str:
        s = side.stats
        return self.tr("standard deviation {std}, largest {most}, kurtosis {k}, zeros {z}, outliers {n}").format(
            std=numbers.significant(s.std), most=numbers.significant(s.absmax), k=numbers.significant(s.kurtosis),
            z=numbers.percent(s.zeros), n=len(side.outliers),
        )  # fmt: skip

    def _paint_map(self) -> None:
        if self._drawn is not None:
            side = self._drawn.after or self._drawn.before
            self.image.setImage(getattr(side, self.map.currentData()))
