"""The way of a plan through its stages, on a chart: a thin line from one measured point to the next, each with its stage's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt

from core.plans import legs
from core.types import Variant

from . import theme
from .session import Session
from .snapshot import Snapshot

Place = Callable[[Variant], "tuple[float, float] | None"]


class Trail:
    """Nothing while the plan is a single one."""

    def __init__(self, plot: Any, session: Session) -> None:
        self.plot, self.session = plot, session
        self.line = pg.PlotCurveItem()
        self.labels: list[pg.TextItem] = []
        self.places: list[tuple[float, float]] = []
        plot.addItem(self.line, ignoreBounds=True)

    def steps(self, s: Snapshot) -> tuple[Variant, ...]:
        """What it leads through."""
        return self.session.staging.measured() if s.whole.before is not None else ()

    def draw(self, s: Snapshot, place: Place) -> None:
        """The measured stages of the plan, where `place` puts each; a number stands at the end of its stage."""
        steps = self.steps(s)
        found = [(p, len(list(legs(v.plan))), i + 1 == len(steps) or len(list(legs(steps[i + 1].plan))) > len(list(legs(v.plan))))
                 for i, v in enumerate(steps) if (p := place(v)) is not None]  # fmt: skip
        self.places = [p for p, _, _ in found]
        ink = theme.colour("after")
        self.line.setData([p[0] for p in self.places], [p[1] for p in self.places])
        self.line.setPen(pg.mkPen(ink, width=1, style=Qt.PenStyle.DotLine))
        for label in self.labels:
            self.plot.removeItem(label)
        self.labels = []
        for (x, y), n, ends in found:
            if ends:
                label = pg.TextItem(str(n), color=ink, anchor=(-0.3, 0.5))
                label.setPos(x, y)
                self.plot.addItem(label, ignoreBounds=True)
                self.labels.append(label)
