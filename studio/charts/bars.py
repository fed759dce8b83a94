"""Two bars, before and after: exact bytes (solid) and modelled joules (hatched, with their range)."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core.types import Energy, Size

from .. import numbers, theme
from ..snapshot import Snapshot
from .plots import hatched, plot, solid


class Bars(QWidget):
    """Before above after, with the figures said in words below."""

    def __init__(self, title: str, unit: str, hatch: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fill = hatched if hatch else solid
        self.plot = plot(title, bottom=unit)
        self.plot.getAxis("left").setTicks([[(0, self.tr("now")), (1, self.tr("before"))]])
        pens = [pg.mkPen(theme.colour(c), width=1) for c in ("before", "after")]
        self.bars = pg.BarGraphItem(
            x0=[0, 0], y=[1, 0], height=0.6, width=[0, 0], brushes=[self.fill("before"), self.fill("after")], pens=pens
        )
        self.whisker = pg.ErrorBarItem(pen=pg.mkPen(theme.colour("text"), width=1))
        self.plot.addItem(self.bars)
        self.plot.addItem(self.whisker)
        self.text = QLabel(wordWrap=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 2)
        box.addWidget(self.plot)
        box.addWidget(self.text)

    def draw(self, before: float, after: float) -> None:
        self.bars.setOpts(width=[before, after])
        self.plot.setXRange(0, max(before, after, 1e-12) * 1.15, padding=0)
        self.plot.setYRange(-0.6, 1.6, padding=0)


class SizeChart(Bars):
    """Exact bytes: what the export will write."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("SizeChart", "Size"), "MB", False, parent)
        self._drawn: Size | None = None

    def show_snapshot(self, s: Snapshot) -> None:
        if s.size is None or s.size is self._drawn:
            return
        self._drawn = s.size
        self.draw(s.size.original / 1e6, s.size.total / 1e6)
        ratio = s.size.original / s.size.total
        figures = f"{numbers.nbytes(s.size.original)} → <b>{numbers.nbytes(s.size.total)}</b>  ({numbers.digits(ratio)}×)"
        self.text.setText(f"{figures}<br>" + self.tr("exact bytes of the export"))
        self.text.setToolTip(f"{s.size.original:,} → {s.size.total:,} B")


class EnergyChart(Bars):
    """Modelled joules with their 90 % range."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("EnergyChart", "Energy (modelled)"), "mJ", True, parent)
        self._drawn: Energy | None = None

    def show_snapshot(self, s: Snapshot) -> None:
        if s.energy is None or s.energy_original is None:
            self.text.setText(self.tr("Modelled when the network can run."))
            return
        if s.energy is self._drawn:
            return
        self._drawn = s.energy
        both = (s.energy_original, s.energy)
        self.draw(*(e.joules * 1e3 for e in both))
        self.plot.setXRange(0, max(e.high for e in both) * 1e3 * 1.05, padding=0)
        x, y = [e.joules * 1e3 for e in both], [1, 0]
        self.whisker.setData(
            x=_array(x), y=_array(y), left=_array([(e.joules - e.low) * 1e3 for e in both]),
            right=_array([(e.high - e.joules) * 1e3 for e in both]), beam=0.15,
        )  # fmt: skip
        figures = f"{numbers.joules(both[0].joules)} → <b>{numbers.joules(both[1].joules)}</b>"
        self.text.setText(
            f"{figures}<br>"
            + self.tr("a {unit}, modelled, ×÷{range}").format(unit=both[1].unit, range=numbers.digits(both[1].high / both[1].joules, 2))
        )
        self.text.setToolTip(s.energy.how)


def _array(x: list[float]) -> object:
    import numpy as np

    return np.array(x, dtype=float)
