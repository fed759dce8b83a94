"""Everything that may be had at every size: the predicted front with its band, what was measured, uniform plans, and a handle to drag."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, isfinite, log10
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QBrush, QKeyEvent

from core.sensed import Front
from core.types import METRICS, Measured, Variant

from . import numbers, theme
from .pictures import Rows
from .plots import Plot, solid
from .session import Session
from .sliders import gesture
from .snapshot import Snapshot
from .trail import Trail
from .words import word

CURVED = ("perplexity", "kl", "bits_per_byte")  # drawn on a logarithmic scale
FLOOR = 1e-4  # where a logarithmic scale ends: below, nothing can be told apart
Place = tuple[float, float, float, float]  # x, value, low, high as drawn


class Handle(pg.ScatterPlotItem):
    """The plan in force; a drag slides it along the front, and one drag is one gesture."""

    def __init__(self, slide: Callable[[float, int], None], tip: Callable[..., str]) -> None:
        super().__init__(size=17, symbol="d", hoverable=True, tip=tip)
        self.slide, self.gesture = slide, 0

    def mouseDragEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton or (event.isStart() and not self.pointsAt(event.buttonDownPos()).size):
            event.ignore()
            return
        event.accept()
        if event.isStart():
            self.gesture = gesture()
        self.slide(float(event.pos().x()), self.gesture)


class Pareto(Plot):
    """Size or energy below, the cost to the left."""

    def __init__(self, session: Session) -> None:
        super().__init__(QCoreApplication.translate("Pareto", "Front"), "MB", headless=True)
        self.session = session
        self.measure, self.across = "kl", "size"
        self.limit: float | None = None  # the metric's value that is still bearable
        self.budget: int | None = None  # bytes
        self.places: list[Place] = []  # of the front's points
        self._drawn: tuple[Any, ...] = ()
        self.setWhatsThis(
            self.tr(
                "Line and band: predicted before any tuning, 90 %. Squares: the same bits everywhere, predicted. Solid points: measured. "
                "The diamond is the plan in force: drag it along the line, or use the arrow keys; "
                "all sliders follow, Undo takes one drag back."
            )
        )
        self._items()
        self.rows = self.table
        self.fail = lambda why: session.notice.emit("error", why)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.scene().sigMouseClicked.connect(self._clicked)
        self.repaint_()

    def _items(self) -> None:
        self.line, self.low, self.high = (pg.PlotCurveItem() for _ in range(3))
        self.band = pg.FillBetweenItem(self.low, self.high)
        self.uniform = pg.ScatterPlotItem(size=8, symbol="s", hoverable=True, tip=self._uniform_tip)
        self.measured = pg.ScatterPlotItem(size=9, hoverable=True, tip=self._measured_tip)
        self.measured.sigClicked.connect(self._restore)
        self.errors, self.doubt = pg.ErrorBarItem(beam=0), pg.ErrorBarItem(beam=0)
        self.handle = Handle(self.slide, self._handle_tip)
        self.trail = Trail(self, self.session)
        self.bearable = pg.InfiniteLine(angle=0, label="", labelOpts={"position": 0.99, "anchors": [(1, 1), (1, 1)]})
        self.most = pg.InfiniteLine(angle=90, label="", labelOpts={"position": 0.95, "anchors": [(0, 0), (0, 0)]})
        self.labels: list[pg.TextItem] = []
        for item in (self.band, self.bearable, self.most, self.line, self.errors, self.doubt, self.uniform, self.measured, self.handle):
            self.addItem(item)
        for curve in (self.low, self.high):
            curve.setPen(None)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "labels"):
            self.repaint_()
            self._drawn = ()
            self.draw(self.session.snapshot)

    def repaint_(self) -> None:
        """Pens in the theme's colours."""
        shade = theme.colour("after")
        shade.setAlpha(45)
        self.band.setBrush(QBrush(shade))
        self.line.setPen(pg.mkPen(theme.colour("after"), width=1))
        self.uniform.setPen(pg.mkPen(theme.colour("muted"), width=1))
        self.uniform.setBrush(QBrush(Qt.BrushStyle.NoBrush))
        self.measured.setPen(pg.mkPen(theme.colour("text"), width=1))
        for bar, ink in ((self.errors, "muted"), (self.doubt, "accent")):
            bar.setOpts(pen=pg.mkPen(theme.colour(ink), width=1))
        for mark, ink in ((self.bearable, "accent"), (self.most, "muted")):
            mark.setPen(pg.mkPen(theme.colour(ink), width=1, style=Qt.PenStyle.DashLine))
            mark.label.setColor(theme.colour(ink))

    # --- drawing

    def draw(self, s: Snapshot) -> None:
        """The front when it is another one, the handle always."""
        now = (s.fronts, s.variants, s.refined, self.measure, self.across, s.original, self.limit, self.budget, self.trail.steps(s))
        if len(now) != len(self._drawn) or any(a is not b and a != b for a, b in zip(now, self._drawn)):
            self._drawn = now
            self._draw_front(s)
            self._draw_measured(s)
            self.trail.draw(s, self._spot)
            self._draw_marks()
            self._fit()
        self._draw_handle(s)

    def _draw_front(self, s: Snapshot) -> None:
        points = s.fronts.points if s.fronts else ()
        self.places = [self._place(f) for f in points]
        x, y, low, high = (np.array([p[i] for p in self.places]) for i in range(4))
        for curve, values in ((self.line, y), (self.low, low), (self.high, high)):
            curve.setData(x, values)
        uniform = [(self._place(f), f) for f in (s.fronts.uniform if s.fronts else ())]
        self.uniform.setData([p[0] for p, _ in uniform], [p[1] for p, _ in uniform], data=[f for _, f in uniform])
        for label in self.labels:
            self.removeItem(label)
        self.labels = [pg.TextItem(f"{f.plan.model.bits} b", color=theme.colour("muted"), anchor=(-0.15, 0.9)) for _, f in uniform]
        for label, (p, _) in zip(self.labels, uniform):
            label.setPos(p[0], p[1])
            self.addItem(label, ignoreBounds=True)

    def _draw_measured(self, s: Snapshot) -> None:
        found: list[tuple[float, float, float, float, tuple[str, int], int]] = []
        for kind, variants, side in (("variant", s.variants, 10), ("refined", s.refined, 6)):
            for i, v in enumerate(variants):
                if v.score and (m := v.score.metrics.get(self.measure)) is not None and (x := self._across_of(v)) is not None:
                    y, e = self.up(m.value), self._noise(v, m)
                    found.append((x, y, self.up(m.value + e) - y, y - self.up(m.value - e), (kind, i), side))
        self.measured.setData(
            [f[0] for f in found], [f[1] for f in found], data=[f[4] for f in found], size=[f[5] for f in found],
            brush=[solid("after")] * len(found),
        )  # fmt: skip
        at = [np.array([f[i] for f in found]) for i in range(4)]
        self.errors.setData(x=at[0], y=at[1], top=at[2], bottom=at[3])
        self.errors.setVisible(bool(found))

    def _spot(self, v: Variant) -> tuple[float, float] | None:
        x, m = self._across_of(v), v.score.metrics.get(self.measure) if v.score else None
        return (x, self.up(m.value)) if x is not None and m is not None else None

    def _noise(self, v: Variant, m: Measured) -> float:
        """The standard error that counts beside plans measured on the same text: of perplexity only what KL's own says, as the text's
        difficulty is the same for all of them."""
        kl = v.score.metrics.get("kl") if v.score else None
        return m.value * kl.error if self.measure == "perplexity" and kl else m.error

    def _draw_marks(self) -> None:
        self.bearable.setVisible(self.limit is not None)
        if self.limit is not None:
            self.bearable.setValue(self.up(self.limit))
            self.bearable.label.setFormat(("≤ " if METRICS[self.measure][1] == "low" else "≥ ") + numbers.significant(self.limit))
        self.most.setVisible(self.budget is not None and self.across == "size")
        if self.budget is not None:
            self.most.setValue(self.budget / 1e6)
            self.most.label.setFormat(numbers.size(self.budget))

    def _draw_handle(self, s: Snapshot) -> None:
        """Hollow with its interval while it is predicted, solid when this very plan was measured."""
        m = s.score.metrics.get(self.measure) if s.score and s.score.complete and s.current >= 0 else None
        x = self.present(s)
        if x is None or (s.estimate is None and m is None):
            self.handle.setData([], [])
            self.doubt.setVisible(False)
            return
        e = self._noise(s.variants[s.current], m) if m else 0.0
        value, low, high = (m.value, m.value - e, m.value + e) if m else self._human(s)
        at, ends = self.up(value), sorted((self.up(low), self.up(high)))
        brush = solid("accent") if m else solid("window")
        self.handle.setData([x], [at], pen=pg.mkPen(theme.colour("accent"), width=2), brush=brush)
        self.doubt.setVisible(True)
        self.doubt.setData(x=np.array([x]), y=np.array([at]), top=np.array([ends[1] - at]), bottom=np.array([at - ends[0]]))

    def _human(self, s: Snapshot) -> tuple[float, float, float]:
        assert s.estimate is not None
        return self.session.pricing.human(s.estimate, self.measure)

    def _fit(self) -> None:
        """The room the front and what was measured take, with ticks where people look for them."""
        xs = [p[0] for p in self.places] + [float(p.pos().x()) for p in self.measured.points()]
        if (even := [float(p.pos().x()) for p in self.uniform.points()]) and self.across == "size":
            most = max(even) + 0.08 * (max(even) - min(even))  # beyond 8 bits everywhere the line is flat
            xs = [x for x in xs if x <= most] + [most]
        ys = [y for p in self.places for y in p[1:]] + [float(p.pos().y()) for p in self.measured.points()]
        self.bottom = "MB" if self.across == "size" else self.tr("mJ (modelled)")
        self.left = word(METRICS[self.measure][0])
        self.recolour()
        if not xs:
            return
        wide = (max(xs) - min(xs)) or 1.0
        self.setXRange(min(xs) - 0.03 * wide, max(xs) + 0.06 * wide, padding=0)
        low, high = min(ys), max(ys)
        high = max(min(high, self.up(self._top())), low + 1e-9) if self.measure in CURVED else high
        room = 0.06 * (high - low or 1.0)
        self.setYRange(low - 2 * room, high + room, padding=0)
        if self.measure in CURVED:
            self.getAxis("left").setTicks([[(log10(t), _round(t)) for t in ticks(10 ** (low - room), 10 ** (high + room))]])
        else:
            self.getAxis("left").setTicks(None)

    def _top(self) -> float:
        """Beyond this a model is broken, and how broken is no news: 30 times the perplexity, 5 nats."""
        score = self.session.snapshot.original.score if self.session.snapshot.original else None
        before = score.metrics.get(self.measure) if score else None
        return 30 * before.value if before and self.measure == "perplexity" else 5.0 if self.measure == "kl" else 1e9

    def up(self, value: float) -> float:
        """Where a value of the metric is drawn."""
        return log10(max(value, FLOOR)) if self.measure in CURVED else value

    def _place(self, f: Front) -> Place:
        value, low, high = self.session.pricing.human(f.estimate, self.measure)
        ends = sorted((self.up(low), self.up(high)))
        return self.x_of(f), self.up(value), ends[0], ends[1]

    def x_of(self, f: Front) -> float:
        """Where a point of the front lies across."""
        return f.size.total / 1e6 if self.across == "size" else f.joules * 1e3

    def _across_of(self, v: Variant) -> float | None:
        return v.size.total / 1e6 if self.across == "size" else v.energy.joules * 1e3 if v.energy else None

    def present(self, s: Snapshot) -> float | None:
        """Where the plan in force lies across."""
        if self.across == "size":
            return s.size.total / 1e6 if s.size else None
        return s.energy.joules * 1e3 if s.energy else None

    # --- acting

    def slide(self, x: float, of: int) -> None:
        """Put the point of the front in force that lies nearest to x."""
        fronts = self.session.snapshot.fronts
        if self.across == "size":
            self.session.pricing.slide(x * 1e6, of)
        elif fronts and fronts.points:
            self.session.pricing.take(fronts.points[fronts.nearest(x, self.x_of)], of)

    def step(self, by: int) -> None:
        """One point further along the front."""
        fronts, x = self.session.snapshot.fronts, self.present(self.session.snapshot)
        if fronts and fronts.points and x is not None:
            at = min(max(fronts.nearest(x, self.x_of) + by, 0), len(fronts.points) - 1)
            self.session.pricing.take(fronts.points[at])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.step(1 if event.key() == Qt.Key.Key_Right else -1)
        else:
            event.ignore()  # the window's keys work from here too

    def _clicked(self, event: Any) -> None:
        at = self.getPlotItem().vb.mapSceneToView(event.scenePos())
        taken = event.isAccepted() or event.button() != Qt.MouseButton.LeftButton or not self.places
        if not taken and self.getPlotItem().vb.sceneBoundingRect().contains(event.scenePos()):
            self.slide(float(at.x()), gesture())

    def _restore(self, _: Any, points: Any, event: Any = None) -> None:
        for p in points[:1]:
            kind, i = p.data()
            if kind == "variant":
                self.session.restore(i)
            else:
                self.session.staging.put(self.tr("A plan measured in quiet time"), (self.session.snapshot.refined[i].plan,))

    # --- telling

    def table(self) -> Rows:
        """Every point of the front, predicted."""
        s = self.session.snapshot
        head = ("bytes", "modelled J", "predicted cost", "low 90 %", "high 90 %", "cost of the next MB less")
        points = s.fronts.points if s.fronts else ()
        return [head, *((f.size.total, f.joules, f.estimate.value, f.estimate.low, f.estimate.high, f.shadow) for f in points)]

    def _uniform_tip(self, x: float, y: float, data: Front) -> str:
        said = self.tr("{bits} bits everywhere, predicted").format(bits=data.plan.model.bits)
        return f"{said}\n{numbers.exact(data.size.total)}\n{self._said(data)}"

    def _measured_tip(self, x: float, y: float, data: tuple[str, int]) -> str:
        kind, i = data
        s = self.session.snapshot
        v = (s.variants if kind == "variant" else s.refined)[i]
        name = v.name or v.plan.name or (self.tr("Variant {n}").format(n=i + 1) if kind == "variant" else self.tr("measured in quiet time"))
        m = v.score.metrics[self.measure] if v.score else None
        figure = f"{word(METRICS[self.measure][0])} {numbers.measured(m.value, m.error)}" if m else ""
        return "\n".join((name, numbers.exact(v.size.total), figure, self.tr("a click takes it")))

    def _handle_tip(self, x: float, y: float, data: object) -> str:
        s = self.session.snapshot
        lines = [self.tr("The plan in force: drag it along the front"), numbers.exact(s.size.total) if s.size else ""]
        reasons = self.session.pricing.reasons()
        return "\n".join([*lines, *list(reasons.values())[:4]])

    def _said(self, f: Front) -> str:
        value, low, high = self.session.pricing.human(f.estimate, self.measure)
        said = self.tr("{metric} {value} ({low} to {high}, 90 %)")
        n = numbers.significant
        return said.format(metric=word(METRICS[self.measure][0]), value=n(value), low=n(low), high=n(high))


def _round(t: float) -> str:
    return f"{t:g}"


def ticks(low: float, high: float) -> list[float]:
    """About five round values between two positive ones, for a logarithmic scale."""
    if not (0 < low < high and isfinite(high)):
        return []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        found = [s * 10.0**e for e in range(floor(log10(low)), floor(log10(high)) + 1) for s in steps if low <= s * 10.0**e <= high]
        if len(found) >= 4:
            return found if len(found) < 9 else found[:: len(found) // 5]
    step = 10 ** floor(log10((high - low) / 2))
    step = next(step * k for k in (5, 2, 1) if (high - low) / (step * k) >= 2)
    return [step * i for i in range(int(low // step) + 1, int(high // step) + 1)]
