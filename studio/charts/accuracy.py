"""Accuracy against size: every measured plan a solid point with its standard error; a click restores it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from core.types import METRICS, Score

from .. import numbers, theme
from ..session import Session
from ..snapshot import Snapshot
from ..words import word
from .plots import plot, solid


class AccuracyChart(QWidget):
    """The present plan's point sharpens while windows come in."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.metric = QComboBox(accessibleName=self.tr("Measure of accuracy"))
        self.metric.currentIndexChanged.connect(lambda _: self.show_snapshot(session.snapshot))
        self.plot = plot(self.tr("Accuracy (measured)"), bottom="MB")
        self.errors = pg.ErrorBarItem(pen=pg.mkPen(theme.colour("muted"), width=1))
        self.dots = pg.ScatterPlotItem(size=9, pen=pg.mkPen(theme.colour("base"), width=1), hoverable=True, tip=None)
        self.dots.sigClicked.connect(self._clicked)
        self.level = pg.InfiniteLine(angle=0, pen=pg.mkPen(theme.colour("before"), width=1))
        for item in (self.level, self.errors, self.dots):
            self.plot.addItem(item)
        self.text = QLabel(wordWrap=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 2)
        box.addWidget(self.metric)
        box.addWidget(self.plot)
        box.addWidget(self.text)

    def show_snapshot(self, s: Snapshot) -> None:
        if s.original is None:
            self.text.setText(s.runnable or self.tr("The original is being measured."))
            self.dots.setData([])
            return
        self._offer(s.original)
        key = self.metric.currentData()
        now = [(s.size.total, s.score, -1)] if s.score and s.size and not s.score.complete else []
        rows = [
            (b / 1e6, sc.metrics[key], i)
            for b, sc, i in [*((v.size.total, v.score, i) for i, v in enumerate(s.variants)), *now]
            if sc and key in sc.metrics
        ]
        x, y, e = (np.array([f(r) for r in rows], dtype=float) for f in (lambda r: r[0], lambda r: r[1].value, lambda r: r[1].error))
        self.errors.setData(x=x, y=y, top=e, bottom=e, beam=0)
        self.dots.setData(x=x, y=y, data=[r[2] for r in rows], brush=[solid("after" if r[2] >= 0 else "accent") for r in rows])
        base = s.original.metrics.get(key)
        self.level.setVisible(base is not None)
        if base:
            self.level.setValue(base.value)
        self._say(s, key)

    def _offer(self, score: Score) -> None:
        """The metrics this task has; the human one first."""
        keys = [k for k in ("perplexity", "top1", "cosine", "kl", "agreement", "bits_per_byte") if k in score.metrics]
        if [self.metric.itemData(i) for i in range(self.metric.count())] != keys:
            self.metric.blockSignals(True)
            self.metric.clear()
            for k in keys:
                self.metric.addItem(word(METRICS[k][0]), k)
            self.metric.blockSignals(False)

    def _say(self, s: Snapshot, key: str) -> None:
        score = s.score
        if score is None or key not in score.metrics or s.original is None:
            self.text.setText(self.tr("Let the slider rest: the plan is measured by itself."))
            return
        m, base = score.metrics[key], s.original.metrics.get(key)
        before = f"{numbers.digits(base.value)} → " if base else ""
        done = "" if score.complete else self.tr(", window {n} of {total}").format(n=score.done, total=score.total)
        kl = score.metrics.get("kl")
        also = f"  KL {numbers.digits(kl.value)} ± {numbers.digits(kl.error, 2)}" if kl and key != "kl" else ""
        how = self.tr("measured on {n} {unit}").format(n=f"{score.n:,}", unit=word(score.unit))
        self.text.setText(f"{before}<b>{numbers.digits(m.value)}</b> ± {numbers.digits(m.error, 2)}{also}<br>{how}{done}")

    def _clicked(self, _: Any, points: Any) -> None:
        for p in points[:1]:
            if p.data() >= 0:
                self.session.restore(p.data())
