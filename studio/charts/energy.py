"""Modelled joules of one token or sample, before and now, each with its range."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication
from PySide6.QtWidgets import QWidget

from core.types import Energy

from .. import numbers, theme
from ..pictures import Rows
from ..plots import Bars
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word
from . import charts


@charts("energy")
class EnergyChart(Bars):
    """Hatched, because nothing here was metered."""

    title = QT_TRANSLATE_NOOP("core", "Energy")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("EnergyChart", "Energy (modelled)"), "mJ", True, parent)
        self.plot.rows, self.plot.tip, self.plot.fail = self.table, self.tip, lambda why: session.notice.emit("error", why)
        self.whisker = pg.ErrorBarItem(pen=pg.mkPen(theme.colour("text"), width=1))
        self.plot.addItem(self.whisker)
        self._drawn: tuple[Energy, Energy] | None = None

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
        elif snapshot.energy is None or snapshot.energy_original is None:
            self.text.setText(QCoreApplication.translate("EnergyChart", "Modelled when the network can run."))
        elif (both := (snapshot.energy_original, snapshot.energy)) != self._drawn:
            self._drawn = both
            self._paint(*both)

    def table(self) -> Rows:
        """Joules with their range and parts, before and now."""
        parts = ("arithmetic", "weights", "activations")
        rows = zip(("before", "now"), self._drawn or (), strict=False)
        values: list[tuple[str | float, ...]] = []
        for who, e in rows:
            values.append((who, e.unit, e.joules, e.low, e.high, *(e.parts.get(p, 0.0) for p in parts)))
        return [("plan", "per", "modelled J", "low J", "high J", *(f"{p} J" for p in parts)), *values]

    def tip(self, x: float, y: float) -> str:
        """What a bar is made of, and what was assumed."""
        if self._drawn is None or round(y) not in (0, 1):
            return ""
        e = self._drawn[1 - round(y)]
        range_ = QCoreApplication.translate("EnergyChart", "{low} to {high} (90 %), modelled")
        lines = [f"{numbers.si(e.joules, 'J')}: " + range_.format(low=numbers.si(e.low, "J"), high=numbers.si(e.high, "J"))]
        lines += [f"{word(name)}: {numbers.si(joules, 'J')}" for name, joules in e.parts.items() if joules]
        return "\n".join([*lines, said(e.how)])

    def _paint(self, before: Energy, now: Energy) -> None:
        x, low, high = (np.array([getattr(e, f) * 1e3 for e in (before, now)]) for f in ("joules", "low", "high"))
        self.draw(*x)
        self.plot.setXRange(0, float(high.max()) * 1.05, padding=0)
        pen = pg.mkPen(theme.colour("muted"), width=1)
        self.whisker.setData(pen=pen, x=x, y=np.array([1.0, 0.0]), left=x - low, right=high - x, beam=0.15)
        range_ = QCoreApplication.translate("EnergyChart", "a {unit}, modelled, ×÷{range}")
        range_ = range_.format(unit=word(now.unit), range=numbers.significant(now.high / now.joules, 2))
        self.text.setText(f"{numbers.si(before.joules, 'J')} → <b>{numbers.si(now.joules, 'J')}</b><br>{range_}")
        self.text.setToolTip(said(now.how))
