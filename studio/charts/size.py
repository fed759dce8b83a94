"""Exact bytes of the export by layer group, before (orange) and now (blue)."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import floor, log10
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QEvent, Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core.layers import groups
from core.types import Layer, Size

from .. import numbers
from ..pictures import Rows
from ..plots import Plot, head, settle, solid
from ..session import Session
from ..snapshot import Snapshot
from . import charts

LONGEST = 16  # characters of a label
MOST = 6  # rows: with more the bars are too thin to hit; all other groups share one row


@lru_cache(maxsize=4)
def rows_of(layers: tuple[Layer, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(label, layer names): the heaviest groups of like layers, and the others together as ""."""
    found = sorted(groups(layers).items(), key=lambda g: -sum(x.tensor.nbytes for x in g[1]))
    keep = found if len(found) <= MOST + 1 else found[:MOST]
    last = Counter(_last(name, 1) for name, _ in keep)
    out = [(_short(_last(name, 1 if last[_last(name, 1)] == 1 else 2)), tuple(x.name for x in xs)) for name, xs in keep]
    rest = tuple(x.name for _, xs in found[len(keep) :] for x in xs)
    return (*out, ("", rest)) if rest else tuple(out)


def _last(group: str, parts: int) -> str:
    """The last parts of a group's name that are no number: "mlp.down_proj"."""
    return ".".join([p for p in group.split(".") if p != "*"][-parts:])


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else "…" + text[1 - LONGEST :]


@charts("size")
class SizeChart(QWidget):
    """Follows the slider at every tick: the bytes follow from the plan alone. A click selects a group's layers."""

    title = QT_TRANSLATE_NOOP("core", "Size")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: Size | None = None
        self.rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self.plot = Plot(QCoreApplication.translate("SizeChart", "Size"), "MB", headless=True)
        self.plot.rows, self.plot.tip, self.plot.fail = self.table, self.tip, lambda why: session.notice.emit("error", why)
        self.plot.getPlotItem().invertY(True)
        self.bars = pg.BarGraphItem(x0=[0], y=[0], width=[0], height=0.36)
        self.plot.addItem(self.bars)
        self.plot.scene().sigMouseClicked.connect(self._clicked)
        self.text = QLabel()
        self.text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 2, 4, 2)
        box.addLayout(head(self.plot.title))
        box.addWidget(self.plot)
        box.addWidget(self.text)
        settle(self.text)

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
        elif snapshot.size is not None and snapshot.original is not None and snapshot.size != self._drawn:
            self._drawn = snapshot.size
            self._draw(snapshot.layers, snapshot.original.size, snapshot.size)

    def _draw(self, layers: tuple[Layer, ...], before: Size, now: Size) -> None:
        rows = rows_of(layers)
        n, y = len(rows), np.arange(len(rows), dtype=float)
        wide = [[sum(s.layers.get(k, 0) for k in names) / 1e6 for _, names in rows] for s in (before, now)]
        brushes = [solid("before")] * n + [solid("after")] * n
        self.bars.setOpts(x0=np.zeros(2 * n), y=np.concatenate([y - 0.2, y + 0.2]), width=np.concatenate(wide), brushes=brushes, pen=None)
        if rows is not self.rows and rows:
            self.rows = rows
            ticks = [(i, label) for i, (label, _) in enumerate(self._rows_named())]
            self.plot.getAxis("left").setTicks([ticks])
            # pyqtgraph fits the axis to its labels only after a first paint, and that frame has none
            self.plot.getAxis("left").setWidth(max(self.fontMetrics().horizontalAdvance(text) for _, text in ticks) + 16)
        widest = max(max(w, default=0.0) for w in wide) or 1.0
        self.plot.setXRange(0, widest * 1.05, padding=0)
        whole = 10 ** floor(log10(widest))
        self.plot.getAxis("bottom").setTicks([[(0, "0"), (top := widest // whole * whole, f"{top:g}")]])  # the room is for two numbers
        self.plot.setYRange(-0.6, n - 0.4, padding=0)
        figures = f"{numbers.size(before.total)} → <b>{numbers.size(now.total)}</b>  ({numbers.significant(before.total / now.total)}×)"
        self.text.setText(f"{figures}<br>" + QCoreApplication.translate("SizeChart", "exact bytes, orange before, blue now"))
        self.text.setToolTip(f"{before.total:,} → {now.total:,} B")

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "text"):
            self._drawn = None
            self.show(self.session.snapshot)

    def table(self) -> Rows:
        """Group, layers, bytes before and now."""
        head = ("group", "layers", "bytes before", "bytes now")
        return [head, *((label, len(names), *self._bytes(names)) for label, names in self._rows_named())]

    def tip(self, x: float, y: float) -> str:
        """The group under the pointer with its exact bytes."""
        row = round(y)
        if not 0 <= row < len(self.rows):
            return ""
        label, names = self._rows_named()[row]
        before, now = self._bytes(names)
        how = QCoreApplication.translate("SizeChart", "{n} layers; a click selects them").format(n=len(names))
        return f"{label}\n{numbers.exact(before)} → {numbers.exact(now)} ({numbers.ratio(before, now)})\n{how}"

    def _rows_named(self) -> list[tuple[str, tuple[str, ...]]]:
        rest = QCoreApplication.translate("SizeChart", "{n} others")
        return [(label or rest.format(n=len(names)), names) for label, names in self.rows]

    def _bytes(self, names: tuple[str, ...]) -> tuple[int, int]:
        s = self.session.snapshot
        sizes = [x.layers if x else {} for x in (s.original.size if s.original else None, s.size)]
        return sum(sizes[0].get(n, 0) for n in names), sum(sizes[1].get(n, 0) for n in names)

    def pick(self, row: int) -> None:
        """Select the layers of a row everywhere."""
        if 0 <= row < len(self.rows):
            self.session.select(self.rows[row][1])

    def _clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.pick(round(self.plot.getPlotItem().vb.mapSceneToView(event.scenePos()).y()))
