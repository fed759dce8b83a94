"""Two measured plans side by side, layer by layer."""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP, Qt
from PySide6.QtWidgets import QAbstractItemView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from core.types import Outcome

from .. import numbers
from ..session import Session
from ..snapshot import Row, Snapshot
from . import panels


@panels("compare")
class Compare(QWidget):
    """Rows where the two differ come first by the difference of their errors."""

    title = QT_TRANSLATE_NOOP("core", "Compare")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawn: tuple[Row, ...] | None = None
        self.head = QLabel(self.tr("Choose two points of the history to compare them layer by layer."))
        heads = [
            self.tr("Layer"),
            *(f"{t} {w}" for t in (self.tr("Plan"), self.tr("Zeros"), self.tr("Bytes"), self.tr("Error")) for w in ("A", "B")),
        ]
        self.table = QTableWidget(0, len(heads))
        self.table.setHorizontalHeaderLabels(heads)
        self.table.setAccessibleName(self.tr("Comparison"))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.setColumnWidth(0, self.fontMetrics().horizontalAdvance("m") * 17)
        for c in range(1, len(heads)):
            self.table.setColumnWidth(c, self.fontMetrics().horizontalAdvance("m") * 6)
        box = QVBoxLayout(self)
        box.addWidget(self.head)
        box.addWidget(self.table)

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
        elif snapshot.comparison is not None and snapshot.comparison is not self._drawn:
            self._drawn = snapshot.comparison
            self._paint(snapshot, snapshot.comparison)

    def _paint(self, s: Snapshot, rows: tuple[Row, ...]) -> None:
        a, b = (sum(getattr(r, side) for r in rows) for side in ("before_bytes", "after_bytes"))
        self.head.setText(self.tr("A {a}, B {b}").format(a=numbers.size(a), b=numbers.size(b)))
        shown = sorted((r for r in rows if r.before or r.after), key=lambda r: -abs(_error(r.after) - _error(r.before)))
        self.table.setRowCount(len(shown))
        for i, r in enumerate(shown):
            cells = [
                r.layer,
                *(_plan(o) for o in (r.before, r.after)),
                *(numbers.percent(o.sparsity) if o else "–" for o in (r.before, r.after)),
            ]
            cells += [numbers.size(r.before_bytes), numbers.size(r.after_bytes)]
            cells += [numbers.significant(_error(o)) for o in (r.before, r.after)]
            for c, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignVCenter | (Qt.AlignmentFlag.AlignRight if c else Qt.AlignmentFlag.AlignLeft))
                self.table.setItem(i, c, item)


def _error(o: Outcome | None) -> float:
    return o.error if o else 0.0


def _plan(o: Outcome | None) -> str:
    return "–" if o is None else f"{o.setting.bits} b  {o.setting.amount:.0%}"
