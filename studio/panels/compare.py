"""Two measured plans side by side, layer by layer."""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP, Qt
from PySide6.QtWidgets import QAbstractItemView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from core.types import METRICS, Outcome, Variant

from .. import numbers, theme
from ..session import Session
from ..snapshot import Row, Snapshot
from ..words import word
from . import panels

KEY = int(Qt.ItemDataRole.UserRole) + 1  # the number behind a cell's text
LAYER = KEY + 1  # the layer of a cell's row
SHOWN = ("perplexity", "top1", "pitch", "cosine", "kl")


class Cell(QTableWidgetItem):
    """Sorted by its number, not by its text."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return self.data(KEY) < other.data(KEY)


@panels("compare")
class Compare(QWidget):
    """Rows where the two differ come first by the difference of their errors; a click selects the layer everywhere."""

    title = QT_TRANSLATE_NOOP("core", "Compare")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Row, ...] | None = None
        self.head = QLabel(self.tr("Choose two points of the history to compare them layer by layer, or press Space for the original."))
        self.head.setWordWrap(True)
        pairs = (self.tr("Plan"), self.tr("Zeros"), self.tr("Bytes"), self.tr("Error"))
        heads = [self.tr("Layer"), *(f"{t} {w}" for t in pairs for w in ("A", "B"))]
        self.table = QTableWidget(0, len(heads))
        self.table.setHorizontalHeaderLabels(heads)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.setAccessibleName(self.tr("Comparison"))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setAlternatingRowColors(True)
        self.table.setFont(theme.tabular(self.table.font()))
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(round(1.4 * self.fontMetrics().height()))
        em = self.fontMetrics().horizontalAdvance("m")
        for c in range(len(heads)):
            self.table.setColumnWidth(c, em * (6 if c else 17))
        self.table.itemClicked.connect(lambda item: session.select([str(item.data(LAYER))]))
        box = QVBoxLayout(self)
        box.setContentsMargins(8, 6, 8, 4)
        box.addWidget(self.head)
        box.addWidget(self.table)

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
        elif snapshot.comparison is not None and snapshot.comparison is not self._drawn:
            self._drawn = snapshot.comparison
            self._paint(snapshot, snapshot.comparison)

    def _paint(self, s: Snapshot, rows: tuple[Row, ...]) -> None:
        self.head.setText("<br>".join(f"<b>{side}</b>  {self._said(s, i)}" for side, i in zip("AB", s.compared)))
        shown = sorted((r for r in rows if r.before or r.after), key=lambda r: -abs(_error(r.after) - _error(r.before)))
        self.table.setSortingEnabled(False)
        self.table.setRowCount(len(shown))
        for i, r in enumerate(shown):
            both = (r.before, r.after)
            cells: list[tuple[str, object]] = [(r.layer, r.layer)]
            cells += [(_plan(o), (o.setting.bits, o.setting.amount) if o else (99, 0)) for o in both]
            cells += [(numbers.percent(o.sparsity) if o else "–", o.sparsity if o else -1.0) for o in both]
            cells += [(numbers.size(n), n) for n in (r.before_bytes, r.after_bytes)]
            cells += [(numbers.significant(o.error) if o else "–", _error(o)) for o in both]
            for c, (text, key) in enumerate(cells):
                item = Cell(text)
                item.setData(KEY, key)
                item.setData(LAYER, r.layer)
                item.setTextAlignment(Qt.AlignmentFlag.AlignVCenter | (Qt.AlignmentFlag.AlignRight if c else Qt.AlignmentFlag.AlignLeft))
                self.table.setItem(i, c, item)
        self.table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.table.setSortingEnabled(True)

    def _said(self, s: Snapshot, index: int) -> str:
        """One side in a line: its name, its bytes, how it did."""
        v: Variant | None = s.variants[index] if index >= 0 else s.original
        if v is None:
            return ""
        name = v.name or (self.tr("Variant {n}").format(n=index + 1) if index >= 0 else self.tr("Original"))
        found = v.score.metrics if v.score else {}
        figures = [f"{word(METRICS[k][0])} {numbers.measured(found[k].value, found[k].error)}" for k in SHOWN if k in found]
        return "  ·  ".join([name, numbers.size(v.size.total), *figures])


def _error(o: Outcome | None) -> float:
    return o.error if o else 0.0


def _plan(o: Outcome | None) -> str:
    return "–" if o is None else f"{o.setting.bits} b  {o.setting.amount:.0%}"
