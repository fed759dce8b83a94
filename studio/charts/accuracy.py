"""Accuracy against size: every measured plan a solid point with its standard error, the present one hollow while it is only predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, Qt
from PySide6.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from core.plans import legs
from core.recover.methods import recoveries
from core.types import METRICS, Score, Variant

from .. import numbers, theme
from ..elided import Combo
from ..pictures import Rows
from ..plots import Plot, head, settle, solid
from ..session import Session
from ..snapshot import Snapshot
from ..trail import Trail
from ..words import word
from . import charts

ORDER = ("perplexity", "top1", "pitch", "cosine", "kl", "agreement", "bits_per_byte")


@charts("accuracy")
class AccuracyChart(QWidget):
    """The present plan's point sharpens while windows come in."""

    title = QT_TRANSLATE_NOOP("core", "Accuracy")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.choice = Combo()
        self.choice.setAccessibleName(self.tr("Measure of accuracy"))
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.choice.activated.connect(lambda _: self.show(session.snapshot))
        self.plot = Plot(self.tr("Accuracy"), "MB", headless=True)
        self.plot.rows, self.plot.fail = self.table, lambda why: session.notice.emit("error", why)
        self.errors = pg.ErrorBarItem(pen=pg.mkPen(theme.colour("muted"), width=1))
        self.dots = pg.ScatterPlotItem(size=9, pen=pg.mkPen(theme.colour("text"), width=1), hoverable=True, tip=self._tip)
        self.dots.sigClicked.connect(self._clicked)
        self.level = pg.InfiniteLine(angle=0, pen=pg.mkPen(theme.colour("before"), width=1))
        self.first = pg.ScatterPlotItem(size=9, symbol="s", pen=pg.mkPen(theme.colour("text"), width=1), hoverable=True, tip=self._tip)
        self.first.sigClicked.connect(lambda *_: session.restore(-1))
        self.hollow = pg.ScatterPlotItem(size=11, hoverable=True, tip=lambda x, y, data: self._foretold())
        self.band = pg.ErrorBarItem(beam=0)
        self.trail = Trail(self.plot, session)
        for item in (self.level, self.errors, self.band, self.first, self.dots, self.hollow):
            self.plot.addItem(item)
        self.text = QLabel()
        self.text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 2, 4, 2)
        box.addLayout(head(self.tr("Accuracy"), self.choice))
        box.addWidget(self.plot)
        box.addWidget(self.text)
        settle(self.text)

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        score = snapshot.original.score if snapshot.original else None
        if score is None:
            self.text.setText(snapshot.runnable or self.tr("The original is being measured."))
            self.dots.setData([])
            self.first.setData([])
            self._predict(snapshot, None)
            return
        self._offer(score)
        self._points(snapshot, score, self.choice.currentData())
        self.trail.draw(snapshot, lambda v: self._at(v, self.choice.currentData()))
        self._predict(snapshot, self.choice.currentData())
        self._say(snapshot, score, self.choice.currentData())

    def table(self) -> Rows:
        """Every measured plan with all its figures."""
        s = self.session.snapshot
        keys = sorted({k for v in s.variants if v.score for k in v.score.metrics})
        head = ("variant", "bytes", *(t for k in keys for t in (k, f"{k} standard error")), "n", "unit", "measured")
        rows = []
        for i, v in enumerate(s.variants):
            found = v.score.metrics if v.score else {}
            figures = [x for k in keys for x in ((found[k].value, found[k].error) if k in found else ("", ""))]
            rows.append((v.name or str(i + 1), v.size.total, *figures, *((v.score.n, v.score.unit) if v.score else ("", "")), v.when))
        return [head, *rows]

    def _offer(self, score: Score) -> None:
        """The metrics this task has; the human one first."""
        keys = [k for k in ORDER if k in score.metrics]
        if [self.choice.itemData(i) for i in range(self.choice.count())] != keys:
            self.choice.clear()
            for k in keys:
                self.choice.addItem(word(METRICS[k][0]), k)

    def _points(self, s: Snapshot, base: Score, key: str) -> None:
        rows = [(v.size.total, v.score, i) for i, v in enumerate(s.variants)]
        if s.score and s.size and not s.score.complete:
            rows.append((s.size.total, s.score, -1))
        found = [(b / 1e6, score.metrics[key], i) for b, score, i in rows if score and key in score.metrics]
        x, y = np.array([f[0] for f in found]), np.array([f[1].value for f in found])
        e = np.array([f[1].error for f in found])
        self.errors.setData(x=x, y=y, top=e, bottom=e, beam=0)
        self.errors.setVisible(bool(found))
        brushes = [solid("after" if f[2] >= 0 else "accent") for f in found]
        self.dots.setData(x=x, y=y, data=[f[2] for f in found], brush=brushes)
        start = [(s.original.size.total / 1e6, base.metrics[key].value)] if s.original and key in base.metrics else []
        self.first.setData([p[0] for p in start], [p[1] for p in start], data=[-2] * len(start), brush=solid("before"))
        self.level.setVisible(key in base.metrics)
        if key in base.metrics:
            self.level.setValue(base.metrics[key].value)

    def _at(self, v: Variant, key: str) -> tuple[float, float] | None:
        return (v.size.total / 1e6, v.score.metrics[key].value) if v.score and key in v.score.metrics else None

    def _predict(self, s: Snapshot, key: str | None) -> None:
        """A hollow point with its 90 % interval until this very plan is measured."""
        if key is None or s.estimate is None or s.size is None or (s.score is not None and s.score.complete):
            self.hollow.setData([])
            self.band.setVisible(False)  # an empty one would still claim the place at zero
            return
        value, low, high = self.session.pricing.human(s.estimate, key)
        x, y = np.array([s.size.total / 1e6]), np.array([value])
        thick, thin = (pg.mkPen(theme.colour("accent"), width=w) for w in (2, 1))
        self.hollow.setData(x, y, data=[-3], pen=thick, brush=None)
        self.band.setData(x=x, y=y, top=np.array([high - value]), bottom=np.array([value - low]), pen=thin)
        self.band.setVisible(True)

    def _foretold(self) -> str:
        """The prediction in words, with how well earlier ones did."""
        s, key = self.session.snapshot, self.choice.currentData()
        if s.estimate is None or key is None:
            return ""
        value, low, high = (numbers.significant(v) for v in self.session.pricing.human(s.estimate, key))
        form = self.tr("predicted {value} ({low}-{high})")
        if self.session.pricing.tuned(s):
            form = self.tr("predicted {value} ({low}-{high}) before tuning")
        lines = [form.format(value=value, low=low, high=high)]
        if s.record and s.record.of:
            lines.append(self.tr("{n} of {m} past predictions fell inside").format(n=s.record.inside, m=s.record.of))
        if s.estimate.missing:
            lines.append(self.tr("{n} layers by the error of their weights alone").format(n=s.estimate.missing))
        return "\n".join(lines)

    def _say(self, s: Snapshot, base: Score, key: str) -> None:
        score = s.score
        self.text.setToolTip(self._foretold())
        if score is None or key not in score.metrics:
            told = self._foretold().split("\n")
            first = self._waiting(s)
            self.text.setText("<br>".join([f"<i>{told[0]}</i>", *told[1:]]) if told[0] else first)
            return
        m = score.metrics[key]
        before = f"{numbers.significant(base.metrics[key].value)} → " if key in base.metrics else ""
        kl = score.metrics.get("kl")
        also = f"<br>KL {numbers.measured(kl.value, kl.error)}" if kl and key != "kl" else ""
        how = self.tr("measured on {n} {unit}").format(n=f"{score.n:,}", unit=word(score.unit))
        how += self.tr(", untrained") if s.plan.recover and s.current < 0 and not (s.training and s.training.live) else ""
        how += "" if score.complete else self.tr(", window {n} of {total}").format(n=score.done, total=score.total)
        self.text.setText(f"{before}<b>{numbers.measured(m.value, m.error)}</b>{also}<br>{how}")

    def _waiting(self, s: Snapshot) -> str:
        """What stands where nothing is measured or predicted yet."""
        if s.plan.before is None:
            return self.tr("Let the slider rest: the plan is measured by itself.")
        return self.tr("Measured only: a stage comes before, so nothing is predicted.") + "<br>" + self.session.staging.waits()

    def _tip(self, x: float, y: float, data: int) -> str:
        """The variant under the pointer: its plan, its exact bytes, all its figures."""
        s = self.session.snapshot
        if data == -2 and s.original:
            return self.tr("The original") + "\n" + numbers.exact(s.original.size.total)
        if not 0 <= data < len(s.variants):
            return self.tr("being measured")
        v, m = s.variants[data], s.variants[data].plan.model
        name = v.name or v.plan.name or self.tr("Variant {n}").format(n=data + 1)
        plan = f"{m.prune} {numbers.percent(m.amount or 0)}, {m.quantize} {m.bits} bit"
        plan += f", {word(recoveries[v.plan.recover].title)}" if v.plan.recover in recoveries else ""
        own = len(v.plan.groups) + len(v.plan.layers)
        plan += ", " + self.tr("stage {n}").format(n=len(list(legs(v.plan)))) if v.plan.before else ""
        lines = [name, plan + (f" (+{own})" if own else ""), numbers.exact(v.size.total)]
        found = v.score.metrics.items() if v.score else ()
        lines += [f"{word(METRICS[k][0])}: {numbers.measured(x.value, x.error)}" for k, x in found if k in METRICS]
        return "\n".join([*lines, self.tr("click restores it, Ctrl+click compares it")])

    def _clicked(self, _: Any, points: Any, event: Any = None) -> None:
        held = event is not None and bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        for p in points[:1]:
            if p.data() < 0:
                continue
            if held:
                self.session.compare((*(i for i in self.session.snapshot.compared if i != p.data()), p.data())[-2:])
            else:
                self.session.restore(p.data())
