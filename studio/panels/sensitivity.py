"""Sensitivity: what an error of each layer costs, by layer or by type, and how the selected layer's cost goes with bits or pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QEvent, Qt
from PySide6.QtGui import QBrush
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from core.plans import another
from core.sensed import Sensed

from .. import numbers, theme
from ..curve import Curve
from ..pictures import Rows
from ..plots import Plot, hatched, solid
from ..session import Session
from ..snapshot import Snapshot
from ..words import said
from . import panels

FEW = 9  # bars up to which each has its name below it
DOUBT = 1.645  # standard deviations of a 90 % interval


@dataclass(frozen=True)
class Bar:
    """One bar: a layer, or all layers of a type."""

    label: str
    layers: tuple[str, ...]
    value: float
    how: str  # "measured", "gradient" or "prior": the weakest of its layers


@panels("sensitivity")
class SensitivityPanel(QWidget):
    """Grows while the pass runs; a click on a bar selects its layers everywhere."""

    title = QT_TRANSLATE_NOOP("core", "Sensitivity")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.bars_: tuple[Bar, ...] = ()
        self._drawn: tuple[Any, ...] = ()
        self.figure, self.order = QComboBox(), QComboBox()
        self.start, self.text = QPushButton(), QLabel(wordWrap=True)
        self.plot = Plot(self.tr("Sensitivity"), "", "KL", zoom=False, headless=True)
        self.plot.rows, self.plot.tip, self.plot.fail = self.table, self.tip, lambda why: session.notice.emit("error", why)
        self.plot.setWhatsThis(
            self.tr(
                "What an error of a layer costs. Solid: measured by really disturbing it; hatched: from gradients; hollow: only assumed "
                "from its type so far. A click selects the layer."
            )
        )
        self.bars = pg.BarGraphItem(x=[0], height=[0], width=0.8)
        self.plot.addItem(self.bars)
        self.plot.scene().sigMouseClicked.connect(self._clicked)
        self.curve = Curve(session)
        self.verdict, self.relieve = QLabel(wordWrap=True), QPushButton(self.tr("Give them more bits"))
        self._offer()
        self._lay()

    def _offer(self) -> None:
        for text, key in ((self.tr("Cost of an error"), "alpha"), (self.tr("Cost in this plan"), "plan")):
            self.figure.addItem(text, key)
        for text, key in ((self.tr("costliest first"), "cost"), (self.tr("by type"), "type"), (self.tr("in the model's order"), "order")):
            self.order.addItem(text, key)
        self.figure.setAccessibleName(self.tr("What the bars show"))
        self.figure.setToolTip(self.tr("What a unit of relative output error costs, or what the present plan is predicted to cost there"))
        self.order.setAccessibleName(self.tr("How the bars are sorted"))
        for box in (self.figure, self.order):
            box.activated.connect(lambda _: self._paint(self.session.snapshot))
        self.start.clicked.connect(self._toggle)
        self.relieve.setToolTip(self.tr("About twice the bits and half the pruning for these layers; Undo takes it back"))
        self.relieve.clicked.connect(self.session.pricing.relieve)
        self.session.engine.changed.connect(self._button)

    def _lay(self) -> None:
        top, strip = QHBoxLayout(), QHBoxLayout()
        for w in (self.figure, self.order):
            top.addWidget(w)
        top.addStretch(1)
        top.addWidget(self.start)
        strip.addWidget(self.verdict, 1)
        strip.addWidget(self.relieve)
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(self.plot)
        both.addWidget(self.curve)
        both.setSizes([320, 170])
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.text)
        column.addLayout(strip)
        column.addWidget(both, 1)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "relieve"):
            self._paint(self.session.snapshot)

    # --- drawing

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        now = (snapshot.sensitivity, snapshot.estimate, snapshot.selection, snapshot.guilt, snapshot.runnable, snapshot.settings)
        if len(now) == len(self._drawn) and all(a is b for a, b in zip(now, self._drawn)):
            return
        self._drawn = now
        self._button()
        self._say(snapshot)
        self._paint(snapshot)
        self.curve.draw(snapshot)

    def _button(self) -> None:
        s = self.session.snapshot
        sensing = self.session.pricing.sensing
        self.start.setText(self.tr("Stop") if sensing else self.tr("Sense again") if _complete(s) else self.tr("Sense the layers"))
        why = s.runnable or ("" if s.data else self.tr("Choose held-out data first, under Run."))
        self.start.setEnabled(not why)
        tip = self.tr("Disturbs one layer after the other and measures the answers; what is finished is kept, so stopping loses nothing")
        self.start.setToolTip(why or tip)

    def _say(self, s: Snapshot) -> None:
        found = s.sensitivity
        if found is None:
            self.text.setText(self.tr("One pass over the layers, then every setting shows its price at once."))
        elif found.complete:
            self.text.setText(self.tr("{n} layers measured").format(n=found.done))
        else:
            self.text.setText(self.tr("{n} of {m} layers measured, the others assumed").format(n=found.done, m=found.total))
        for w in (self.verdict, self.relieve):
            w.setVisible(s.guilt is not None)
        if (guilt := s.guilt) is not None:
            self.verdict.setText(said(guilt.told))
            self.verdict.setToolTip(self.tr("Measured, in {n} evaluations").format(n=guilt.evaluations))
            self.relieve.setEnabled(bool(guilt.suspects) and self.session.pricing.accused == s.plan)

    def _paint(self, s: Snapshot) -> None:
        self.bars_ = self._gathered(s)
        n = len(self.bars_)
        picked = set(s.selection)
        brushes = [_brush(b.how, bool(picked) and picked.issuperset(b.layers)) for b in self.bars_]
        pens = [pg.mkPen(theme.colour("accent" if picked and picked.issuperset(b.layers) else "after"), width=1) for b in self.bars_]
        height = np.array([b.value for b in self.bars_])
        self.bars.setVisible(n > 0)
        if n:
            self.bars.setOpts(x=np.arange(n, dtype=float), height=height, width=0.8, brushes=brushes, pens=pens)
        few = n <= FEW
        self.plot.getAxis("bottom").setTicks([[(i, b.label) for i, b in enumerate(self.bars_)]] if few else [[]])
        unit = "1 − cosine" if s.sensitivity and s.sensitivity.currency != "kl" else "KL"
        self.plot.left = self.tr("{unit} per unit of error").format(unit=unit) if self.figure.currentData() == "alpha" else unit
        self.plot.bottom = self._order_said() if n else ""
        self.plot.getPlotItem().setLabel("bottom", self.plot.bottom)
        self.plot.recolour()
        self.plot.setXRange(-0.6, max(n, 4) - 0.4, padding=0)
        self.plot.setYRange(0, float(height.max(initial=0.0)) * 1.08 or 1.0, padding=0)

    def _order_said(self) -> str:
        return self.tr("{n} layers, {order}").format(n=sum(len(b.layers) for b in self.bars_), order=self.order.currentText())

    def _gathered(self, s: Snapshot) -> tuple[Bar, ...]:
        """The bars in their order."""
        if s.sensitivity is None:
            return ()
        costs = self._costs(s)
        known = [x for x in s.layers if x.name in costs]
        how = {k: v.how for k, v in s.sensitivity.layers.items()}
        if self.order.currentData() == "type":
            roles: dict[str, list[str]] = {}
            for x in known:
                roles.setdefault(x.role, []).append(x.name)
            found = [Bar(_short(r), tuple(ns), sum(costs[n] for n in ns), _weakest(how[n] for n in ns)) for r, ns in roles.items()]
        else:
            found = [Bar(_short(x.role), (x.name,), costs[x.name], how[x.name]) for x in known]
        return tuple(found if self.order.currentData() == "order" else sorted(found, key=lambda b: -b.value))

    def _costs(self, s: Snapshot) -> dict[str, float]:
        assert s.sensitivity is not None
        if self.figure.currentData() == "alpha" or self.session.pricing.predictor is None:
            return {k: v.alpha for k, v in s.sensitivity.layers.items()}
        found = {} if another(s.plan) else self.session.pricing.predictor.contributions(s.settings)
        return {k: float(found.get(k, 0.0)) for k in s.sensitivity.layers}

    # --- telling

    def table(self) -> Rows:
        """Every layer with its price, where that is from, and its 90 % range."""
        s = self.session.snapshot
        head = ("layer", "cost of a unit of error", "low 90 %", "high 90 %", "how", "cost in this plan (predicted)")
        found = s.sensitivity.layers if s.sensitivity else {}
        plan = self.session.pricing.predictor.contributions(s.settings) if self.session.pricing.predictor and not another(s.plan) else {}
        return [head, *((k, v.alpha, *_range(v), v.how, float(plan.get(k, 0.0))) for k, v in found.items())]

    def tip(self, x: float, y: float) -> str:
        """The bar under the pointer: what, how much, and where that is from."""
        if not 0 <= round(x) < len(self.bars_) or self.session.snapshot.sensitivity is None:
            return ""
        bar = self.bars_[round(x)]
        found = self.session.snapshot.sensitivity.layers
        name = bar.layers[0] if len(bar.layers) == 1 else self.tr("{type}: {n} layers").format(type=bar.label, n=len(bar.layers))
        lines = [name, numbers.significant(bar.value)]
        if len(bar.layers) == 1 and self.figure.currentData() == "alpha":
            low, high = _range(found[bar.layers[0]])
            lines[1] += "  " + self.tr("({low} to {high}, 90 %)").format(low=numbers.significant(low), high=numbers.significant(high))
        return "\n".join([*lines, self._how(bar.how), self.tr("a click selects it")])

    def _how(self, how: str) -> str:
        told: dict[str, Callable[[], str]] = {
            "measured": lambda: self.tr("measured: this layer alone was disturbed"),
            "gradient": lambda: self.tr("estimated from gradients"),
            "prior": lambda: self.tr("assumed from its type, not measured yet"),
        }
        if self.figure.currentData() == "plan":
            return self.tr("predicted for the present plan")
        return told[how]()

    # --- acting

    def pick(self, index: int) -> None:
        """Select the layers of a bar everywhere."""
        if 0 <= index < len(self.bars_):
            self.session.select(self.bars_[index].layers)

    def _clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.pick(round(self.plot.getPlotItem().vb.mapSceneToView(event.scenePos()).x()))

    def _toggle(self) -> None:
        pricing = self.session.pricing
        pricing.stop() if pricing.sensing else pricing.sense()


def _complete(s: Snapshot) -> bool:
    return s.sensitivity is not None and s.sensitivity.complete


def _range(v: Sensed) -> tuple[float, float]:
    return v.alpha * exp(-DOUBT * v.doubt), v.alpha * exp(DOUBT * v.doubt)


def _brush(how: str, picked: bool) -> QBrush:
    """Solid is measured, hatched is from gradients, hollow is only assumed."""
    name = "accent" if picked else "after"
    return solid(name) if how == "measured" else hatched(name) if how == "gradient" else QBrush(Qt.BrushStyle.NoBrush)


def _weakest(hows: Any) -> str:
    found = set(hows)
    return next(h for h in ("prior", "gradient", "measured") if h in found)


def _short(role: str) -> str:
    return role.removesuffix("_proj")
