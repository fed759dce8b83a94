"""The history panel: every measured variant, one click away; two selected are compared."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QT_TRANSLATE_NOOP, QSignalBlocker, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QApplication, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from core.plans import legs
from core.recover.methods import recoveries
from core.types import METRICS, Score, Variant
from studio import numbers
from studio.panels import panels
from studio.session import Session
from studio.snapshot import Snapshot
from studio.theme import colour, tabular
from studio.words import word

FIRST = ("perplexity", "top1", "pitch", "cosine")  # the figure people know, then KL beside it


@panels("history")
class HistoryPanel(QWidget):
    """Measured variants, oldest first."""

    title = QT_TRANSLATE_NOOP("core", "History")
    area = "right"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[object, ...] = ()
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Measured variants"))
        self.list.setToolTip(self.tr("Click restores a variant's plan; Ctrl+click a second one to compare both"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setFont(tabular(self.list.font()))
        self.list.setWordWrap(True)
        self.list.itemClicked.connect(self._clicked)
        self.list.itemActivated.connect(self._restore)
        self.list.itemSelectionChanged.connect(self._picked)
        self.empty = QLabel(self.tr("Every measured plan appears here: move a slider and rest"), alignment=Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.list)
        column.addWidget(self.empty)
        self.show(session.snapshot)

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        now = (snapshot.variants, snapshot.current)
        if len(self._drawn) == 2 and self._drawn[0] is now[0] and self._drawn[1] == now[1]:
            return
        self._drawn = now
        self.list.setVisible(bool(snapshot.variants))
        self.empty.setVisible(not snapshot.variants)
        with QSignalBlocker(self.list):
            self._fill(snapshot)

    def _fill(self, snapshot: Snapshot) -> None:
        chosen = {self.list.row(i) for i in self.list.selectedItems()}
        while self.list.count() > len(snapshot.variants):
            self.list.takeItem(self.list.count() - 1)
        while self.list.count() < len(snapshot.variants):
            self.list.addItem(QListWidgetItem())
        for i, variant in enumerate(snapshot.variants):
            item = self.list.item(i)
            item.setText(self._text(variant, i))
            item.setIcon(_dot(self.fontMetrics().height(), "accent" if i == snapshot.current else "muted"))
            item.setToolTip(self._tip(variant))
            item.setSelected(i in chosen if len(chosen) > 1 else i == snapshot.current)

    def _text(self, variant: Variant, row: int) -> str:
        stage = len(list(legs(variant.plan)))
        name = variant.name or variant.plan.name or self.tr("Variant {n}").format(n=row + 1)
        name += " · " + self.tr("stage {n}").format(n=stage) if stage > 1 else ""
        name += f" · {word(recoveries[variant.plan.recover].title)}" if variant.plan.recover in recoveries else ""
        return f"{name}\n" + " · ".join(t for t in (numbers.size(variant.size.total), short(variant.score), _clock(variant.when)) if t)

    def _tip(self, variant: Variant) -> str:
        lines = [numbers.exact(variant.size.total)]
        if variant.score:
            lines += [
                f"{word(METRICS[k][0])}: {numbers.measured(m.value, m.error)}" for k, m in variant.score.metrics.items() if k in METRICS
            ]
            lines.append(self.tr("measured on {n} {unit}").format(n=variant.score.n, unit=word(variant.score.unit)))
        return "\n".join(lines)

    def _clicked(self, item: QListWidgetItem) -> None:
        held = QApplication.keyboardModifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        if not held:
            self._restore(item)

    def _restore(self, item: QListWidgetItem) -> None:
        if self.list.row(item) != self.session.snapshot.current:
            self.session.restore(self.list.row(item))

    def _picked(self) -> None:
        rows = sorted(self.list.row(i) for i in self.list.selectedItems())
        if len(rows) == 2:
            self.session.compare(tuple(rows))


def short(score: Score | None) -> str:
    """The known figure and KL in a few characters: "Perplexity 12.3, KL 0.041"."""
    if score is None:
        return ""
    found = [(k, score.metrics[k]) for k in FIRST if k in score.metrics][:1]
    shares = ("top1", "pitch")
    out = [f"{numbers.percent(m.value)}" if k in shares else f"{word(METRICS[k][0])} {numbers.significant(m.value)}" for k, m in found]
    return ", ".join(out + ([f"KL {numbers.significant(score.metrics['kl'].value)}"] if "kl" in score.metrics else []))


def _clock(when: str) -> str:
    try:
        return datetime.fromisoformat(when).strftime("%H:%M")
    except ValueError:
        return ""


def _dot(side: int, ink: str) -> QIcon:
    """A solid dot: measured."""
    pixmap = QPixmap(QSize(side, side))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour(ink))
    painter.drawEllipse(side // 4, side // 4, side // 2, side // 2)
    painter.end()
    return QIcon(pixmap)
