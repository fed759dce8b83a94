"""The curves of a training: each term of the loss a line, the loss on pieces kept apart as points, its start dashed, its best marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QEvent, Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.lessons import Lesson

from . import numbers, theme
from .pictures import Rows
from .plots import Plot
from .session import Session
from .snapshot import Training
from .words import word

TERMS: dict[str, tuple[Any, str]] = {
    "task": (QT_TRANSLATE_NOOP("core", "task"), "before"), "teacher": (QT_TRANSLATE_NOOP("core", "teacher"), "after"),
    "clients": (QT_TRANSLATE_NOOP("core", "clients, mean"), "before"),
}  # fmt: skip
PLACES = {"task": 3, "teacher": 6, "clients": 4}  # eighths of the line where its name stands
NAMED = 6  # clients whose names find room at the ends of their lines
ROOM = 0.08  # of the range, above and below


class Curves(QWidget):
    """Grows while a training runs; empty, it says what will stand here."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._now: Training | None = None
        self.plot = Plot(self.tr("Loss while training"), self.tr("step"), self.tr("loss"), zoom=True)
        self.plot.rows, self.plot.fail = self.table, lambda why: session.notice.emit("error", why)
        self.plot.setWhatsThis(
            self.tr("Measured: each step's loss on what it learns from, and now and then the loss on pieces that are never trained on.")
        )
        self.clients: dict[str, Any] = {}  # of a federation: each one's own loss, thin beneath the rest
        self.ends: dict[str, Any] = {}  # its name where its line ends
        self.lines = {name: self.plot.plot() for name in TERMS}
        self.names = {name: pg.TextItem(anchor=(0.5, 1)) for name in TERMS}
        self.held = pg.ScatterPlotItem(size=8, symbol="o", hoverable=True, tip=_tip)
        self.best = pg.ScatterPlotItem(size=15, symbol="o", brush=None)
        self.mark = pg.TextItem(anchor=(0.5, 0))
        self.start = pg.InfiniteLine(angle=0, label=self.tr("before"), labelOpts={"position": 0.5, "anchors": [(0.5, 1), (0.5, 1)]})
        self.empty = pg.TextItem(self.tr("Curves appear here"), anchor=(0.5, 0.5))
        for item in (*self.names.values(), self.held, self.best, self.mark, self.start, self.empty):
            self.plot.addItem(item, ignoreBounds=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.plot)
        self.recolour()
        self._draw(None)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "empty"):
            self.recolour()

    def recolour(self) -> None:
        """Pens in the theme's colours."""
        for name, (_, ink) in TERMS.items():
            self.lines[name].setPen(pg.mkPen(theme.colour(ink), width=1))
            self.names[name].setColor(theme.colour(ink))
        for name in self.clients:
            self.clients[name].setPen(_thin())
            self.ends[name].setColor(theme.colour("muted"))
        for dots in (self.held, self.best):
            dots.setPen(pg.mkPen(theme.colour("accent"), width=1))
        self.held.setBrush(theme.colour("accent"))
        self.mark.setColor(theme.colour("accent"))
        self.start.setPen(pg.mkPen(theme.colour("accent"), width=1, style=Qt.PenStyle.DashLine))
        self.start.label.setColor(theme.colour("accent"))
        self.empty.setColor(theme.colour("muted"))

    def draw(self, now: Training | None) -> None:
        """Show a training, or none."""
        if now is not self._now:
            self._draw(now)

    def _draw(self, now: Training | None) -> None:
        self._now, lessons = now, now.lessons if now else ()
        steps = np.array([x.step for x in lessons])
        seen: list[float] = []
        for name, line in self.lines.items():
            values = np.array([x.terms[name] for x in lessons if name in x.terms])
            shown = len(values) == len(steps) > 0
            line.setData(steps if shown else [], values if shown else [])
            self.names[name].setVisible(shown)
            if shown:
                seen += [float(np.quantile(values, q)) for q in (0.01, 0.99)]
                self.names[name].setText(word(TERMS[name][0]))
                at = PLACES[name] * (len(steps) - 1) // 8
                self.names[name].setPos(float(steps[at]), float(values[at]))
        self._clients(lessons, seen)
        self._held(now, seen)
        bottom = self.tr("round") if lessons and "clients" in lessons[0].terms else self.tr("step")
        if bottom != self.plot.bottom:
            self.plot.bottom = bottom
            self.plot.recolour()
        self.empty.setVisible(not lessons and (now is None or now.before is None))
        self._frame(lessons[-1].steps if lessons else 1, seen)

    def _clients(self, lessons: tuple[Lesson, ...], seen: list[float]) -> None:
        """Each client's own loss in the rounds it took part in."""
        names = sorted({name for x in lessons for name in x.each})
        for gone in set(self.clients) - set(names):
            for item in (self.clients.pop(gone), self.ends.pop(gone)):
                self.plot.removeItem(item)
        for name in names:
            if name not in self.clients:
                self.clients[name] = self.plot.plot(pen=_thin(), name=name)
                self.clients[name].setZValue(-1)
                self.ends[name] = pg.TextItem(name, color=theme.colour("muted"), anchor=(0, 0.5))
                self.plot.addItem(self.ends[name], ignoreBounds=True)
            found = [(x.step, x.each[name]) for x in lessons if name in x.each and np.isfinite(x.each[name])]
            self.clients[name].setData([a for a, _ in found], [b for _, b in found])
            self.ends[name].setVisible(bool(found) and len(names) <= NAMED)
            self.ends[name].setPos(*(found[-1] if found else (0, 0)))
        losses = [v for x in lessons for v in x.each.values() if np.isfinite(v)]
        seen += [float(np.quantile(losses, q)) for q in (0.05, 0.95)] if losses else []

    def _held(self, now: Training | None, seen: list[float]) -> None:
        """The checks, the loss before the first step, and the best of all."""
        checks = [x for x in now.lessons if x.held is not None] if now else []
        self.held.setData([x.step for x in checks], [x.held for x in checks], data=checks)
        begun = now.before if now else None
        self.start.setVisible(begun is not None)
        if begun is not None:
            self.start.setValue(begun)
            seen.append(begun)
        seen += [x.held for x in checks if x.held is not None and np.isfinite(x.held)]
        best = now.best if now else None
        self.best.setData([best.step] if best else [], [best.held] if best else [])
        self.mark.setVisible(best is not None)
        if best is not None and best.held is not None:
            self.mark.setText(self.tr("best {loss}").format(loss=numbers.significant(best.held)))
            self.mark.setPos(best.step, best.held)
            self.mark.setAnchor((1 if best.step > 0.8 * best.steps else 0 if best.step < 0.2 * best.steps else 0.5, 0))

    def _frame(self, steps: int, seen: list[float]) -> None:
        low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
        room = ROOM * (high - low) or 0.1 * abs(high) or 1.0
        self.plot.setXRange(0, steps, padding=0.02)
        self.plot.setYRange(low - 2 * room, high + 2 * room, padding=0)
        self.empty.setPos(steps / 2, (low + high) / 2)

    def table(self) -> Rows:
        """Every step with its figures."""
        lessons = self._now.lessons if self._now else ()
        keys, each = [k for k in TERMS if any(k in x.terms for x in lessons)], sorted({name for x in lessons for name in x.each})

        def row(x: Lesson) -> tuple[Any, ...]:
            own = (*(x.terms.get(k, "") for k in keys), x.rate, "" if x.held is None else x.held, x.before)
            return (x.step, *own, *(x.each.get(name, "") for name in each))

        return [("step", *keys, "rate", "held out", "before", *each), *map(row, lessons)]


def _thin() -> Any:
    return pg.mkPen(theme.colour("muted"), width=1, style=Qt.PenStyle.DotLine)


def _tip(x: float, y: float, data: Any) -> str:
    return f"{data.step:,} / {data.steps:,}: {numbers.significant(data.before)} → {numbers.significant(data.held)}"
