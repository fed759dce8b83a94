"""The stages of a plan as a short list: what runs before the plan in hand, what each reached, and the buttons that change the order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt
from PySide6.QtGui import QIcon, QKeySequence, QPainter, QPen, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.recover.methods import recoveries
from core.types import METRICS, Plan, Score, Variant

from . import numbers
from .session import Session
from .snapshot import Snapshot
from .theme import colour, tabular
from .words import word

ROWS = 4  # shown without scrolling
HUMAN = ("perplexity", "top1", "pitch", "cosine", "kl")
SHARES = ("top1", "pitch")
IDLE: Any = QT_TRANSLATE_NOOP("core", "as it is")
CUT: Any = QT_TRANSLATE_NOOP("core", "cut")
PRUNED: Any = QT_TRANSLATE_NOOP("core", "{n} % pruned")
BITS: Any = QT_TRANSLATE_NOOP("core", "{n} bits")


class Stages(QWidget):
    """Nothing but one button while the plan stands alone."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Any, ...] = ()
        self.list, self.add = QTreeWidget(), QPushButton(self.tr("Add as a stage"))
        self.up, self.down, self.out = QToolButton(), QToolButton(), QToolButton()
        self._offer()
        self._lay()

    def _offer(self) -> None:
        self.list.setAccessibleName(self.tr("Stages of the plan"))
        self.list.setColumnCount(2)
        self.list.setHeaderHidden(True)
        self.list.setRootIsDecorated(False)
        self.list.setFont(tabular(self.list.font()))
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.list.setItemDelegateForColumn(1, _Fixed(self.list))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.itemChanged.connect(self._renamed)
        self.list.currentItemChanged.connect(lambda *_: self._can())
        self.add.clicked.connect(self.session.staging.add)
        arrows = Qt.ArrowType
        for button, arrow, name in ((self.up, arrows.UpArrow, self.tr("Earlier")), (self.down, arrows.DownArrow, self.tr("Later"))):
            button.setArrowType(arrow)
            button.setAccessibleName(name)
        self.up.clicked.connect(lambda: self._move(-1))
        self.down.clicked.connect(lambda: self._move(1))
        self.out.setText("−")
        self.out.setAccessibleName(self.tr("Remove the stage"))
        self.out.clicked.connect(self._remove)
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._remove)

    def _lay(self) -> None:
        row, column = QHBoxLayout(), QVBoxLayout(self)
        row.addWidget(self.add)
        row.addStretch(1)
        for button in (self.up, self.down, self.out):
            row.addWidget(button)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.list)
        column.addLayout(row)

    # --- what is shown

    def draw(self, s: Snapshot) -> None:
        """The stages with what each reached; the last one is the plan that the sliders edit."""
        why = self.session.staging.closed()
        tip = self.tr("The plan as it stands becomes a stage of its own; the next one begins with what it leaves and keeps its settings")
        self.add.setEnabled(not why)
        self.add.setToolTip(why or tip)
        now = (s.plan, s.variants, s.data, s.limit, s.feed)
        if len(now) != len(self._drawn) or any(a is not b for a, b in zip(now, self._drawn, strict=True)):
            self._drawn = now
            self._fill(self.session.staging.stages)
            self._can()

    def _fill(self, stages: tuple[Plan, ...]) -> None:
        for w in (self.list, self.up, self.down, self.out):
            w.setVisible(len(stages) > 1)
        if len(stages) < 2:
            self.list.clear()
            return
        row = self._row() if self.list.topLevelItemCount() == len(stages) else -1
        with QSignalBlocker(self.list):
            self.list.clear()
            for n, plan in enumerate(stages, 1):
                self.list.addTopLevelItem(self._item(n, plan, n == len(stages)))
            self._go(row if 0 <= row < len(stages) else len(stages) - 1)
        high = max(self.list.sizeHintForRow(0), self.fontMetrics().height() + 4)
        self.list.setFixedHeight(min(len(stages), ROWS) * high + 2 * self.list.frameWidth() + 2)

    def _item(self, n: int, plan: Plan, last: bool) -> QTreeWidgetItem:
        at = self.session.staging.found(plan)
        v = self.session.snapshot.variants[at] if at >= 0 else None
        item = QTreeWidgetItem([called(plan), figure(v.score) if v else self.tr("not run")])
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setIcon(0, numbered(self.fontMetrics().height() + 2, n, v is not None, "accent" if last else "muted"))
        font = item.font(0)
        font.setBold(last)
        item.setFont(0, font)
        for column in (0, 1):
            item.setToolTip(column, self._tip(plan, v, last))
        return item

    def _tip(self, plan: Plan, v: Variant | None, last: bool) -> str:
        lines = [plan.name, does(plan)] if plan.name else [does(plan)]
        lines += [f"{word(METRICS[k][0])}: {numbers.measured(m.value, m.error)}" for k, m in _metrics(v) if k in METRICS]
        size = self.tr("measured, {size}").format(size=numbers.exact(v.size.total)) if v else ""
        lines.append(size or self.tr("Not run yet: Run the stages (F7) does it"))
        lines.append(self.tr("This one is what the sliders edit") if last else self.tr("To change it, move it to the end and back"))
        return "\n".join([*lines, self.tr("Double click names it")])

    def _can(self) -> None:
        """The buttons as far as they can act, with the reason where they can't."""
        row, count = self._row(), self.list.topLevelItemCount()
        first, end = self.tr("It is the first stage already"), self.tr("It is the last stage already")
        self.up.setEnabled(row > 0)
        self.up.setToolTip(self.tr("Earlier") if row > 0 else first)
        self.down.setEnabled(0 <= row < count - 1)
        self.down.setToolTip(self.tr("Later; the last stage is the plan that the sliders edit") if row < count - 1 else end)
        self.out.setToolTip(self.tr("Remove the stage (Delete); Undo brings it back"))

    # --- what is done

    def _row(self) -> int:
        return self.list.currentIndex().row()

    def _go(self, row: int) -> None:
        if (item := self.list.topLevelItem(row)) is not None:
            self.list.setCurrentItem(item)

    def _move(self, by: int) -> None:
        at = self._row()
        with QSignalBlocker(self.list):
            self._go(at + by)
        self.session.staging.move(at, at + by)

    def _remove(self) -> None:
        self.session.staging.remove(self._row())

    def _renamed(self, item: QTreeWidgetItem, column: int) -> None:
        at, text = self.list.indexOfTopLevelItem(item), item.text(0)
        plan = self.session.staging.stages[at]
        if column == 0 and text != called(plan):
            self.session.staging.rename(at, "" if text == does(plan) else text)


class _Fixed(QStyledItemDelegate):
    """Figures are nobody's to type."""

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QWidget:
        return None  # type: ignore[return-value]


def called(plan: Plan) -> str:
    """A stage's name, or what it does."""
    return plan.name or does(plan)


def does(plan: Plan) -> str:
    """What a stage does, in a few words."""
    return ", ".join(_said(plan)) or word(IDLE)


def _said(plan: Plan) -> Iterator[str]:
    m, own = plan.model, len(plan.groups) + len(plan.layers)
    if any(plan.cuts.values()) and plan.before is None:
        yield word(CUT)
    kept = plan.before is not None and (plan.before.model.prune, plan.before.model.amount) == (m.prune, m.amount)
    if m.amount and not kept:
        yield word(PRUNED).format(n=f"{100 * m.amount:.3g}")
    if m.bits is not None and m.bits < 16:
        yield word(BITS).format(n=m.bits)
    if own:
        yield f"+{own}"
    if plan.recover in recoveries:
        yield word(recoveries[plan.recover].title)


def figure(score: Score | None) -> str:
    """The figure people know, in a few characters."""
    key = next((k for k in HUMAN if score and k in score.metrics), "")
    if score is None or not key:
        return ""
    value = score.metrics[key].value
    return numbers.percent(value) if key in SHARES else f"{word(METRICS[key][0])} {numbers.significant(value)}"


def _metrics(v: Variant | None) -> list[tuple[str, Any]]:
    return list(v.score.metrics.items()) if v and v.score else []


def numbered(side: int, n: int, solid: bool, ink: str) -> QIcon:
    """A disc with a number: solid where it was measured, a ring where it was not."""
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen if solid else QPen(colour(ink), 1.2))
    painter.setBrush(colour(ink) if solid else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(1, 1, side - 2, side - 2)
    painter.setPen(colour("window") if solid else colour(ink))
    font = painter.font()
    font.setPixelSize(round(side * 0.68))
    painter.setFont(font)
    painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, str(n))
    painter.end()
    return QIcon(pixmap)
