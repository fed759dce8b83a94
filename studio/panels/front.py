"""The front: drag the plan along it, ask for the best under a budget, or for the smallest that is hardly worse."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.sensed import Front
from core.types import METRICS, Score

from .. import numbers
from ..elided import Elided
from ..pareto import Pareto
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word
from . import panels

ORDER = ("perplexity", "top1", "pitch", "cosine", "kl")
LAYER = int(Qt.ItemDataRole.UserRole) + 1


@panels("front")
class FrontPanel(QStackedWidget):
    """An invitation until the layers are sensed, then the chart with its two questions."""

    title = QT_TRANSLATE_NOOP("core", "Front")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.sweet: Front | None = None
        self._why: Any = None
        self.plot = Pareto(session)
        self.measure, self.across = QComboBox(), QComboBox()
        self.measure.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)  # its entries come with the first score
        self.budget, self.solve = QDoubleSpinBox(), QPushButton(self.tr("Best under it"))
        self.worse, self.take = QDoubleSpinBox(), QPushButton()
        self.why, self.told = QListWidget(), Elided()
        self.empty, self.begin = QLabel(wordWrap=True), QPushButton(self.tr("Sense the layers"))
        self._offer()
        self._lay()
        self._connect()

    def _offer(self) -> None:
        """What the controls say of themselves."""
        for text, key in ((self.tr("over size"), "size"), (self.tr("over energy"), "energy")):
            self.across.addItem(text, key)
        self.across.setAccessibleName(self.tr("What lies across"))
        self.measure.setAccessibleName(self.tr("Measure of accuracy"))
        self.budget.setRange(0, 1e6)
        self.budget.setDecimals(2)
        self.budget.setSuffix(" MB")
        self.budget.setPrefix("≤ ")
        self.budget.setSpecialValueText(self.tr("any size"))
        self.budget.setKeyboardTracking(False)
        self.budget.setAccessibleName(self.tr("Budget of bytes"))
        self.budget.setToolTip(self.tr("The largest export that will do"))
        self.solve.setToolTip(self.tr("Put the plan in force that is predicted to cost least within this budget; Undo takes it back"))
        self.worse.setRange(0.1, 100)
        self.worse.setDecimals(1)
        self.worse.setValue(1)
        self.worse.setPrefix(self.tr("at most "))
        self.worse.setSuffix(self.tr(" % worse"))
        self.worse.setKeyboardTracking(False)
        self.worse.setAccessibleName(self.tr("How much worse it may be"))
        self.worse.setToolTip(self.tr("The sweet spot: the smallest plan whose whole predicted interval is no worse than this"))
        self.take.setToolTip(self.tr("Put the sweet spot in force; it is predicted, and measured as soon as the hand rests"))
        self.why.setAccessibleName(self.tr("Why each layer is held as it is"))
        self.why.setToolTip(self.tr("What each layer's bits buy; a click selects the layer"))
        self.why.setWordWrap(True)
        self.why.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _lay(self) -> None:
        invitation, page, first, second = QWidget(), QWidget(), QHBoxLayout(), QHBoxLayout()
        column = QVBoxLayout(invitation)
        column.setContentsMargins(12, 12, 12, 12)
        column.addWidget(self.empty)
        column.addWidget(self.begin, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        for w in (self.measure, self.across, self.budget, self.solve):
            first.addWidget(w)
        first.addStretch(1)
        for w in (self.worse, self.take):
            second.addWidget(w)
        second.addWidget(self.told, 1)
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(self.plot)
        both.addWidget(self.why)
        both.setSizes([310, 180])
        column = QVBoxLayout(page)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(first)
        column.addLayout(second)
        column.addWidget(both, 1)
        self.addWidget(invitation)
        self.addWidget(page)

    def _connect(self) -> None:
        for box in (self.measure, self.across):
            box.activated.connect(lambda _: self.show(self.session.snapshot))
        for spin in (self.budget, self.worse):
            spin.valueChanged.connect(lambda _: self.show(self.session.snapshot))
        self.solve.clicked.connect(self._solve)
        self.take.clicked.connect(self._take)
        self.begin.clicked.connect(self.session.pricing.sense)
        self.why.itemClicked.connect(lambda item: self.session.select([str(item.data(LAYER))]))

    def _solve(self) -> None:
        from core.search import Goal  # brings the whole engine: not before the first paint

        self.session.pricing.solve(Goal(size=round(self.budget.value() * 1e6)))

    def _take(self) -> None:
        if self.sweet is not None:
            self.session.pricing.take(self.sweet)

    # --- drawing

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        line = snapshot.fronts is not None and len(snapshot.fronts.points) > 1
        ready = line or (snapshot.whole.before is not None and len(self.session.staging.measured()) > 0)
        self.setCurrentIndex(1 if ready else 0)
        for w in (self.budget, self.solve, self.worse, self.take, self.why):
            w.setVisible(line and (w is not self.why or self.why.count() > 0))
        if not ready:
            self._invite(snapshot)
            return
        score = snapshot.original.score if snapshot.original else None
        self._metrics(score)
        self.plot.measure, self.plot.across = self.measure.currentData() or "kl", self.across.currentData()
        self.plot.limit = bearable(score, self.plot.measure, self.worse.value() / 100) if line else None
        self.plot.budget = round(self.budget.value() * 1e6) or None if line else None
        self.sweet = self._sweetest(snapshot)
        self._offer_sweet(snapshot)
        self._staged(snapshot, line)
        self.solve.setEnabled(self.plot.budget is not None)
        self.session.pricing.aims = self._aims(snapshot)
        self.plot.draw(snapshot)
        self._reasons()

    def _staged(self, s: Snapshot, line: bool) -> None:
        """Of a plan in several stages nothing is predicted, and the chart says so."""
        if s.whole.before is not None:
            rest = self.tr("Stages are measured only: the line is of the model without them")
            self.told.setText(rest if line else self.tr("Stages are measured only: the numbers say which ends where"))

    def _invite(self, s: Snapshot) -> None:
        sensing = self.session.pricing.sensing
        if s.runnable:
            text = self.tr("The front needs a network that runs here: {why}").format(why=said(s.runnable))
        elif s.fronts is not None and not s.fronts.points:
            text = self.tr("A cut or rotated model is another network, of which nothing is predicted; take that back to see the front.")
        elif s.fronts is not None:
            text = self.tr("This format stores all plans in the same bytes; choose another one under Export to see the front.")
        elif sensing:
            text = self.tr("The layers are being sensed; the front appears as soon as the first ones are.")
        else:
            text = self.tr(
                "Sense the layers once, and here is what may be had at every size: a line to drag the plan along, the best plan under a "
                "budget, and the smallest that is hardly worse. All of it is predicted with its interval, then measured when you rest."
            )
        self.empty.setText(text)
        self.begin.setVisible(not sensing and not s.runnable and s.fronts is None)
        self.begin.setEnabled(s.data is not None)
        self.begin.setToolTip("" if s.data else self.tr("Choose held-out data first, under Run."))

    def _metrics(self, score: Score | None) -> None:
        """The metrics this task has; the one people know first."""
        keys = [k for k in ORDER if score and k in score.metrics] or ["kl"]
        if [self.measure.itemData(i) for i in range(self.measure.count())] != keys:
            with QSignalBlocker(self.measure):
                self.measure.clear()
                for k in keys:
                    self.measure.addItem(word(METRICS[k][0]), k)

    def _sweetest(self, s: Snapshot) -> Front | None:
        """The smallest point of the front that is no worse than the user bears, with 90 % certainty."""
        limit, high = self.plot.limit, METRICS[self.plot.measure][1] == "high"
        if limit is None or s.fronts is None:
            return None
        good = ((f, self.session.pricing.human(f.estimate, self.plot.measure)[1 if high else 2]) for f in s.fronts.points)
        return next((f for f, v in good if (v >= limit if high else v <= limit)), None)

    def _offer_sweet(self, s: Snapshot) -> None:
        self.take.setEnabled(self.sweet is not None)
        self.told.setText("")
        if self.sweet is None:
            self.take.setText(self.tr("Nothing is that good"))
            return
        self.take.setText(self.tr("Take {size}").format(size=numbers.size(self.sweet.size.total)))
        record = s.record
        told = self.tr("{n} of {m} past predictions fell inside").format(n=record.inside, m=record.of) if record and record.of else ""
        self.told.setText(told)

    def _aims(self, s: Snapshot) -> tuple[Front, ...]:
        """What the user looks for here: measured first when there is quiet time."""
        under = [f for f in (s.fronts.points if s.fronts else ()) if self.plot.budget and f.size.total <= self.plot.budget]
        return tuple(f for f in (*under[-1:], self.sweet) if f is not None)

    def _reasons(self) -> None:
        """Of the layers that had a choice, those with the most bits first."""
        found, s = self.session.pricing.reasons(), self.session.snapshot
        if found is self._why or s.sensitivity is None:
            return
        self._why = found
        self.why.clear()
        free = [n for n in found if n in s.sensitivity.layers]
        for name in sorted(free, key=lambda n: -s.settings[n].bits):
            item = QListWidgetItem(f"{'.'.join([p for p in name.split('.') if p.isdigit()] + [name.split('.')[-1]])}: {said(found[name])}")
            item.setData(LAYER, name)
            item.setToolTip(f"{name}\n{said(found[name])}")
            self.why.addItem(item)
        self.why.setVisible(bool(found))


def bearable(score: Score | None, metric: str, share: float) -> float | None:
    """The value of a metric that is `share` worse than the original's: relative where it can grow without end, else in points."""
    if score is None or metric not in score.metrics:
        return None
    before = score.metrics[metric].value
    return {"perplexity": before * (1 + share), "kl": share, "cosine": 1 - share}.get(metric, before - share)
