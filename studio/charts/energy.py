"""Joules of one token or sample by part of the network, before and now, with intervals, grams, and what the slimming itself took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QEvent, QSignalBlocker, Qt
from PySide6.QtGui import QBrush, QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from core.types import LEVELS, Energy, Median

from .. import numbers, theme
from ..elided import Combo
from ..pictures import Rows
from ..plots import Plot, head, settle
from ..scene import choose, place
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word
from . import charts

PATTERNS = {
    "arithmetic": Qt.BrushStyle.DiagCrossPattern, "weights": Qt.BrushStyle.BDiagPattern, "activations": Qt.BrushStyle.HorPattern,
    "kv cache": Qt.BrushStyle.VerPattern, "overhead": Qt.BrushStyle.Dense6Pattern,
}  # fmt: skip
SIGNS = {"arithmetic": "╳", "weights": "╱", "activations": "═", "kv cache": "‖", "overhead": "∷"}
MOST = 5  # rows beside the whole: more would be too thin to hit
WHOLE = "all"
ROOM = 300  # pixels from which the hatchings are explained below the bars
NAMES = (
    QT_TRANSLATE_NOOP("core", "all"), QT_TRANSLATE_NOOP("core", "attention"), QT_TRANSLATE_NOOP("core", "feed-forward"),
    QT_TRANSLATE_NOOP("core", "convolution"), QT_TRANSLATE_NOOP("core", "embedding"), QT_TRANSLATE_NOOP("core", "output"),
    QT_TRANSLATE_NOOP("core", "other"), QT_TRANSLATE_NOOP("core", "kv cache"), QT_TRANSLATE_NOOP("core", "overhead"),
    QT_TRANSLATE_NOOP("core", "measured"), QT_TRANSLATE_NOOP("core", "calibrated"), QT_TRANSLATE_NOOP("core", "catalogue"),
    QT_TRANSLATE_NOOP("core", "physics floor"), QT_TRANSLATE_NOOP("core", "Modelled"), QT_TRANSLATE_NOOP("core", "Calibrated"),
    QT_TRANSLATE_NOOP("core", "This machine"), QT_TRANSLATE_NOOP("core", "Laptop"), QT_TRANSLATE_NOOP("core", "Server"),
    QT_TRANSLATE_NOOP("core", "Phone"), QT_TRANSLATE_NOOP("core", "processor package"), QT_TRANSLATE_NOOP("core", "GPU board"),
    QT_TRANSLATE_NOOP("core", "board"), QT_TRANSLATE_NOOP("core", "system on chip with memory"), QT_TRANSLATE_NOOP("core", "samples"),
)  # fmt: skip


@charts("energy")
class EnergyChart(QWidget):
    """Hatched, because nothing here was metered; the hatching says what a part of a bar is spent on."""

    title = QT_TRANSLATE_NOOP("core", "Energy")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.plot = Plot(self.tr("Energy"), "mJ", headless=True)
        self.plot.rows, self.plot.tip, self.plot.fail = self.table, self.tip, lambda why: session.notice.emit("error", why)
        self.plot.getPlotItem().invertY(True)
        self.bars = pg.BarGraphItem(x0=[0], y=[0], width=[0], height=0.36)
        self.whisker = pg.ErrorBarItem(pen=pg.mkPen(theme.colour("text"), width=1))
        for item in (self.bars, self.whisker):
            self.plot.addItem(item)
        self.rows: tuple[str, ...] = ()
        self._drawn: tuple[Energy, Energy] | None = None
        self._told: object = None
        self.device, self.more, self.text = Combo(), QToolButton(), QLabel(wordWrap=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 2, 4, 2)
        box.addLayout(head(self.plot.title, self._beside()))
        box.addWidget(self.plot)
        box.addWidget(self.text)
        settle(self.text)

    def _beside(self) -> QWidget:
        """The device, and everything else one may ask."""
        from core.energy import catalogue

        self.device.setAccessibleName(self.tr("Device"))
        self.device.setToolTip(self.tr("Where the model will live: joules are modelled of this device"))
        self.device.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.device.setMinimumContentsLength(6)
        for key, title in (("here", "This machine"), *((k, d.title) for k, d in catalogue().items())):
            self.device.addItem(word(title), key)
        self.device.activated.connect(lambda _: self._choose())
        self.more.setText("…")
        self.more.setStyleSheet("padding: 3px 1px")  # the charts are narrow
        self.more.setToolTip(self.tr("What if: another device, region, batch, context, use"))
        self.more.setAccessibleName(self.tr("What if…"))
        self.more.clicked.connect(self.ask)
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.device, 1)
        row.addWidget(self.more)
        return both

    def _choose(self) -> None:
        from dataclasses import replace

        choose(self.session, replace(place(), device=self.device.currentData(), watts=None))

    def ask(self) -> QWidget:
        """The same plan on every device, and the questions."""
        from ..whatif import WhatIf

        dialog = WhatIf(self.session, self)
        dialog.show()
        return dialog

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._label()

    def _label(self) -> None:
        """The unit, and what the hatchings mean where there is room to say it; a bar's tooltip always does."""
        known = self._drawn is not None and self.width() > ROOM
        text = f"mJ  {_legend(self._drawn[0].parts)}" if known and self._drawn else "mJ"
        if text != self.plot.bottom:
            self.plot.bottom = text
            self.plot.recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_drawn", None):
            self._paint(*self._drawn)  # type: ignore[misc]

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        with QSignalBlocker(self.device):
            self.device.setCurrentIndex(self.device.findData(place().device))
        if snapshot.energy is None or snapshot.energy_original is None:
            self.text.setText(self.tr("Modelled when the network can run."))
            return
        if (both := (snapshot.energy_original, snapshot.energy)) != self._drawn:
            self._drawn = both
            self._paint(*both)
        if (told := (both, place(), round(self.session.engine.spent.seconds))) != self._told:
            self._told = told
            self._say(*both)

    def table(self) -> Rows:
        """Joules with their range and level, the whole and its places, before and now, by part."""
        head_ = ("plan", "place", "per", "device", "level", "J", "low J", "high J", "floor J", *(f"{p} J" for p in PATTERNS))
        values: list[tuple[str | float, ...]] = []
        for who, e in zip(("before", "now"), self._drawn or (), strict=False):
            kind = LEVELS.get(e.level, e.level)
            parts = [e.parts.get(p, 0.0) for p in PATTERNS]
            values.append((who, WHOLE, e.unit, e.device, kind, e.joules, e.low, e.high, e.floor, *parts))
            for name, by in e.by.items():
                values.append((who, name, e.unit, e.device, kind, sum(by.values()), "", "", "", *(by.get(p, 0.0) for p in PATTERNS)))
        return [head_, *values]

    def tip(self, x: float, y: float) -> str:
        """What a bar is made of, and what was assumed."""
        row = round(y)
        if self._drawn is None or not 0 <= row < len(self.rows):
            return ""
        e, name = self._drawn[y > row], self.rows[row]
        parts = e.parts if name == WHOLE else e.by.get(name, {})
        range_ = self.tr("{low} to {high} (90 %), modelled").format(low=numbers.si(e.low, "J"), high=numbers.si(e.high, "J"))
        lines = [f"{word(name)}: {numbers.si(sum(parts.values()), 'J')}" + (f": {range_}" if name == WHOLE else "")]
        lines += [f"{SIGNS[p]} {word(p)}: {numbers.si(j, 'J')}" for p, j in parts.items() if j]
        floor = self.tr("physics floor: {joules}").format(joules=numbers.si(e.floor, "J"))
        return "\n".join([*lines, *((floor, said(e.how)) if name == WHOLE else ())])

    def _paint(self, before: Energy, now: Energy) -> None:
        heavy = sorted(before.by.keys() | now.by.keys(), key=lambda p: -max(_sum(before, p), _sum(now, p)))
        self.rows = (WHOLE, *heavy[:MOST])
        pieces = list(self._pieces(before, now))
        x0, y, width = (np.array([p[i] for p in pieces]) for i in range(3))
        brushes, pens = [p[3] for p in pieces], [pg.mkPen(p[3].color(), width=1) for p in pieces]
        self.bars.setOpts(x0=x0, y=y, width=width, brushes=brushes, pens=pens)
        x, low, high = (np.array([getattr(e, f) * 1e3 for e in (before, now)]) for f in ("joules", "low", "high"))
        pen = pg.mkPen(theme.colour("text"), width=1)
        self.whisker.setData(pen=pen, x=x, y=np.array([-0.2, 0.2]), left=x - low, right=high - x, beam=0.12)
        self._label()
        self.plot.getAxis("left").setTicks([[(i, word(name)) for i, name in enumerate(self.rows)]])
        self.plot.setXRange(0, float(max(x.max() * 1.15, min(high.max(), 2.4 * x.max()))) or 1.0, padding=0)
        self.plot.setYRange(-0.5, len(self.rows) - 0.5, padding=0.02)

    def _pieces(self, before: Energy, now: Energy) -> Iterator[tuple[float, float, float, QBrush]]:
        """(start, height, width, fill) of every stacked piece, in mJ."""
        for i, name in enumerate(self.rows):
            for at, e, colour in ((i - 0.2, before, "before"), (i + 0.2, now, "after")):
                start, parts = 0.0, e.parts if name == WHOLE else e.by.get(name, {})
                for part, pattern in PATTERNS.items():
                    if wide := 1e3 * parts.get(part, 0.0):
                        yield start, at, wide, QBrush(theme.colour(colour), pattern)
                        start += wide

    def _say(self, before: Energy, now: Energy) -> None:
        from core.carbon import grams
        from core.energy import ratio
        from core.ledger import spent

        r, g, p = ratio(before, now), [grams(e, place()) for e in (before, now)], place()
        less = self.tr("nothing saved while it runs")
        if r.low != r.high:
            less = f"÷{numbers.significant(r.value)} ({numbers.significant(r.low)}–{numbers.significant(r.high)})"
        kind = self.tr("modelled, {level} ×÷{range}").format(
            level=f"{word(LEVELS.get(now.level, ''))} ({now.level})", range=numbers.significant(now.high / now.joules, 2)
        )
        each = self.tr("a {unit}").format(unit=word(now.unit))
        lines = [f"{numbers.si(before.joules, 'J')} → <b>{numbers.si(now.joules, 'J')}</b> {each}", less, kind]
        lines.append(self.tr("{before} → {after} CO₂e a million").format(before=_g(g[0]), after=_g(g[1])))
        paid = spent(self.session.engine.spent, before, now)
        if paid.payback is not None and paid.seconds >= 1:
            form = self.tr("paid back after {n} {unit}")
            lines.append(form.format(n=numbers.si(paid.payback), unit=word(now.unit + "s")))
        self.text.setText("<br>".join(lines))
        took = (
            self.tr("The slimming has taken {joules} so far ({seconds} of work), metered.")
            if paid.level == "A"
            else self.tr("The slimming has taken {joules} so far ({seconds} of work), modelled.")
        )
        took = took.format(joules=numbers.si(paid.joules, "J"), seconds=numbers.duration(paid.seconds))
        self.text.setToolTip("\n".join([_legend(before.parts), said(now.how), p.told, took, self.tr("Excludes embodied carbon.")]))


def _sum(e: Energy, name: str) -> float:
    return sum(e.by.get(name, {}).values())


def _g(m: Median) -> str:
    return numbers.si(m.value, "g")


def _legend(parts: Mapping[str, float]) -> str:
    """The hatchings that are to be seen, in words."""
    whole = sum(parts.values()) or 1.0
    return " ".join(f"{SIGNS[p]} {word(p)}" for p, j in parts.items() if j / whole > 0.01)
