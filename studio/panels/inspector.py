"""Inside the selected layer: histogram before and after, the map of its weights, its channels, its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QEvent, QRectF
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from .. import numbers, theme
from ..pictures import Rows
from ..plots import Plot
from ..session import Session
from ..snapshot import Snapshot
from . import panels

if TYPE_CHECKING:
    from core.inspection import Inspection, Outlier, Side

EMPTY: list[float] = []


@panels("inspector")
class Inspector(QStackedWidget):
    """Asks the worker when the selection changes; draws what comes back."""

    title = QT_TRANSLATE_NOOP("core", "Inspector")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._asked: tuple[Any, ...] = ()
        self._drawn: Inspection | None = None
        self.empty = QLabel(self.tr("Select one layer to look inside it."))
        self.empty.setMargin(12)
        self.figures = QLabel()
        self.log, self.map, self.side, self.lines_of = QCheckBox(self.tr("logarithmic")), QComboBox(), QComboBox(), QComboBox()
        self.histogram = Plot(self.tr("Histogram"), self.tr("weight"), self.tr("count"), zoom=True)
        self.heat = Plot(self.tr("Map"), self.tr("input"), self.tr("output"), zoom=True)
        self.channels = Plot(self.tr("Channels"), self.tr("output channel"), zoom=True)
        self.lines = [self.histogram.plot(stepMode="center") for _ in range(2)]
        self.ranges = [self.channels.plot() for _ in range(4)]
        self.far = pg.ScatterPlotItem(size=8, symbol="x", hoverable=True, tip=_outlier_tip)
        self.channels.addItem(self.far)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.image.setColorMap(pg.colormap.get("viridis"))
        self.heat.addItem(self.image)
        self.heat.invertY(True)
        self._offer()
        self._lay()
        self._tell()
        self.recolour()

    def _offer(self) -> None:
        """The choices below the plots."""
        for text, key in ((self.tr("Magnitude"), "magnitude"), (self.tr("Zeros"), "zeros")):
            self.map.addItem(text, key)
        for text, key in ((self.tr("after"), "after"), (self.tr("before"), "before")):
            self.side.addItem(text, key)
        ways = ((self.tr("Range and outliers"), "range"), (self.tr("Middle half"), "middle"), (self.tr("Error left"), "error"))
        for text, key in ways:
            self.lines_of.addItem(text, key)
        self.map.setAccessibleName(self.tr("What the map shows"))
        self.side.setAccessibleName(self.tr("Which weights the map shows"))
        self.lines_of.setAccessibleName(self.tr("What the channels show"))
        self.log.toggled.connect(lambda _: self._paint_histogram())
        for box in (self.map, self.side):
            box.activated.connect(lambda _: self._paint_map())
        self.lines_of.activated.connect(lambda _: self._paint_channels())

    def _lay(self) -> None:
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(8, 4, 8, 4)
        grid.addWidget(self.figures, 0, 0, 1, 4)
        for column, (plot, wide) in enumerate(((self.histogram, 1), (self.heat, 2), (self.channels, 1))):
            at = (0, 1, 3)[column]
            grid.addWidget(plot, 1, at, 1, wide)
            grid.setColumnStretch(at, 2 // wide)
        grid.setColumnStretch(2, 1)
        grid.setRowStretch(1, 1)
        for column, widget in enumerate((self.log, self.map, self.side, self.lines_of)):
            grid.addWidget(widget, 2, column)
        holder = QWidget()
        QVBoxLayout(holder).addWidget(self.empty)
        self.addWidget(holder)
        self.addWidget(page)

    def _tell(self) -> None:
        """What a copy, a pointer at rest and F1 say."""
        self.histogram.rows, self.heat.rows, self.channels.rows = self.counts, self.blocks, self.rows
        self.heat.tip = self.under
        for plot in (self.histogram, self.heat, self.channels):
            plot.fail = lambda why: self.session.notice.emit("error", why)
        wheel = self.tr("The wheel zooms, a drag moves, A in the corner shows all again; a right click copies.")
        about = (
            (self.histogram, self.tr("How often each weight occurs, orange before and blue after compression.")),
            (self.heat, self.tr("The matrix, one row per output; large ones are averaged over blocks of weights.")),
            (self.channels, self.tr("One value per output channel; crosses are outliers beyond six standard deviations.")),
        )
        for plot, text in about:
            plot.setWhatsThis(f"{text} {wheel}")

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "far"):
            self.recolour()

    def recolour(self) -> None:
        """Pens in the theme's colours."""
        pens = {c: pg.mkPen(theme.colour(c), width=1) for c in ("before", "after")}
        shade = theme.colour("before")
        shade.setAlpha(70)
        for line, c in zip(self.lines, ("before", "after")):
            line.setPen(pens[c])
        self.lines[0].setFillLevel(0)
        self.lines[0].setBrush(shade)
        for line, c in zip(self.ranges, ("before", "before", "after", "after")):
            line.setPen(pens[c])
        self.far.setPen(pg.mkPen(theme.colour("danger"), width=1))

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        one = len(snapshot.selection) == 1
        if one:
            want = (snapshot.selection[0], snapshot.current, snapshot.plan)
            if want != self._asked and not snapshot.busy:
                self._asked = want
                self.session.inspect(snapshot.selection[0])
        found = snapshot.inspection
        self.setCurrentIndex(1 if one and found is not None else 0)
        if found is not None and found is not self._drawn:
            other = self._drawn is None or self._drawn.name != found.name
            self._drawn = found
            self._paint(other)

    def _paint(self, other: bool) -> None:
        self._paint_histogram()
        self._paint_map()
        self._paint_channels()
        self._figures()
        for plot in (self.histogram, self.heat, self.channels) if other else ():
            plot.getPlotItem().autoRange()

    def _paint_histogram(self) -> None:
        """Counts, or their logarithm with empty bins at the floor: a true log scale has no place for zero."""
        if (found := self._drawn) is None:
            return
        logarithmic = self.log.isChecked()
        for line, side in zip(self.lines, (found.before, found.after)):
            counts = side.counts if side else np.zeros(len(found.edges) - 1)
            line.setData(found.edges, np.log10(np.maximum(counts, 1)) if logarithmic else counts)
        self.histogram.getAxis("left").setLogMode(y=logarithmic)

    def _paint_map(self) -> None:
        """The chosen figure of each block, in the matrix's own rows and columns."""
        if (found := self._drawn) is None:
            return
        side = found.after if self.side.currentData() == "after" and found.after else found.before
        picture = getattr(side, self.map.currentData())
        self.image.setImage(picture)
        height, width = _matrix(found.shape)
        self.image.setRect(QRectF(0, 0, width, height))

    def _paint_channels(self) -> None:
        """Two lines a side, or the error as one; outliers as crosses."""
        if (found := self._drawn) is None:
            return
        way = self.lines_of.currentData()
        for i, side in enumerate((found.before, found.after)):
            pair: Any = (EMPTY, EMPTY)
            if side and way == "range":
                pair = (side.channels.low, side.channels.high)
            elif side and way == "middle":
                pair = (side.channels.quantiles[1], side.channels.quantiles[3])
            elif side and way == "error" and i and found.channel_errors is not None:
                pair = (found.channel_errors, EMPTY)
            for line, values in zip(self.ranges[2 * i : 2 * i + 2], pair):
                line.setData(values)
        far = (found.after or found.before).outliers if way == "range" else ()
        self.far.setData([o.row for o in far], [o.value for o in far], data=list(far))

    def _figures(self) -> None:
        """The layer's figures in a small table."""
        assert self._drawn is not None
        found = self._drawn
        error = self.tr("left as it is")
        if found.error is not None:
            error = self.tr("error left {e}").format(e=numbers.significant(found.error))
        heads = (
            self.tr("mean"), self.tr("standard deviation"), self.tr("largest"), self.tr("kurtosis"), self.tr("zeros"), self.tr("outliers"),
        )  # fmt: skip
        muted = theme.colour("muted").name()
        rows = [("", *(f'<span style="color:{muted}">{h}</span>' for h in heads))]
        rows += [(f'<span style="color:{muted}">{name}</span>', *_said(side))
                 for name, side in ((self.tr("before"), found.before), (self.tr("after"), found.after)) if side]  # fmt: skip
        table = "".join("<tr>" + "".join(f'<td style="padding-right:14px">{c}</td>' for c in row) + "</tr>" for row in rows)
        shape = " × ".join(map(str, found.shape))
        self.figures.setText(f"<b>{found.name}</b>&nbsp;&nbsp; {shape} &nbsp; {error}<table>{table}</table>")

    def counts(self) -> Rows:
        """The histogram as a table."""
        head = ("from", "to", "before", "after")
        if (f := self._drawn) is None:
            return [head]
        after = f.after.counts if f.after else f.before.counts
        return [head, *zip(f.edges[:-1].tolist(), f.edges[1:].tolist(), f.before.counts.tolist(), after.tolist())]

    def blocks(self) -> Rows:
        """The map as a table."""
        return [] if self.image.image is None else self.image.image.tolist()

    def rows(self) -> Rows:
        """One line per output channel."""
        head = ("channel", "low before", "high before", "low after", "high after", "error")
        if (f := self._drawn) is None:
            return [head]
        a, b = f.before.channels, (f.after or f.before).channels
        errors = f.channel_errors if f.channel_errors is not None else np.zeros(len(a.low))
        columns = (range(len(a.low)), a.low.tolist(), a.high.tolist(), b.low.tolist(), b.high.tolist(), errors.tolist())
        return [head, *zip(*columns)]

    def under(self, x: float, y: float) -> str:
        """The block of the map under the pointer."""
        if (f := self._drawn) is None or self.image.image is None:
            return ""
        height, width = _matrix(f.shape)
        if not (0 <= x < width and 0 <= y < height):
            return ""
        picture = self.image.image
        value = float(picture[int(y * len(picture) / height), int(x * picture.shape[1] / width)])
        shown = numbers.percent(value) if self.map.currentData() == "zeros" else numbers.significant(value)
        return self.tr("output {row}, input {column}: {value}").format(row=int(y), column=int(x), value=shown)


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) as the inspection lays a tensor out; a vector is one row."""
    rows = shape[0] if len(shape) > 1 else 1
    return rows, int(np.prod(shape)) // max(1, rows)


def _said(side: Side) -> tuple[str, ...]:
    s, n = side.stats, numbers.significant
    return n(s.mean), n(s.std), n(s.absmax), n(s.kurtosis), numbers.percent(s.zeros), str(len(side.outliers))


def _outlier_tip(x: float, y: float, data: Outlier) -> str:
    return f"[{data.row}, {data.column}] = {numbers.significant(data.value)}, {numbers.significant(data.sigmas)} σ"
