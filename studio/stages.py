"""The stages of a plan as a short list: what each reached, which one is in hand, and the buttons that change their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QEvent, QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt
from PySide6.QtGui import QIcon, QKeySequence, QPainter, QPen, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.plans import legs
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


@dataclass(frozen=True)
class Line:
    """A stage as the list shows it."""

    name: str
    figure: str
    measured: bool
    hand: bool
    tip: str


class Stages(QWidget):
    """Nothing while the plan stands alone; `add`, which makes it the first of two, is laid out by who has room for it."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Any, ...] = ()
        self._lines: list[Line | None] = []
        self.list, self.where, self.add = QTreeWidget(), QLabel(), QPushButton(self.tr("Add stage"))
        self.up, self.down, self.more, self.out = QToolButton(), QToolButton(), QToolButton(), QToolButton()
        self._columns()
        self._offer()
        self._lay()

    def _columns(self) -> None:
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
        self.list.currentItemChanged.connect(lambda *_: self.session.staging.choose(self._row()))

    def _offer(self) -> None:
        arrows = Qt.ArrowType
        for button, arrow, name in ((self.up, arrows.UpArrow, self.tr("Earlier")), (self.down, arrows.DownArrow, self.tr("Later"))):
            button.setArrowType(arrow)
            button.setAccessibleName(name)
        for button, sign, name in ((self.more, "+", self.tr("Add stage")), (self.out, "−", self.tr("Remove the stage"))):
            button.setText(sign)
            button.setAccessibleName(name)
        for adds in (self.add, self.more):
            adds.clicked.connect(self.session.staging.add)
        self.up.clicked.connect(lambda: self._move(-1))
        self.down.clicked.connect(lambda: self._move(1))
        self.out.clicked.connect(self._remove)
        self.out.setToolTip(self.tr("Remove the stage (Delete); Undo brings it back"))
        delete = QShortcut(QKeySequence(QKeySequence.StandardKey.Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._remove)

    def _lay(self) -> None:
        row, column = QHBoxLayout(), QVBoxLayout(self)
        row.addWidget(self.where, 1)
        for button in (self.up, self.down, self.more, self.out):
            row.addWidget(button)
        row.setSpacing(2)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.list)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "out"):
            self._drawn, self._lines = (), []  # the discs are painted in its colours
            self.draw(self.session.snapshot)

    # --- what is shown

    def draw(self, s: Snapshot) -> None:
        """The stages with what each reached; only what has changed is written anew."""
        why = self.session.staging.closed()
        tip = self.tr("Another stage after this one: it begins with what this one leaves and keeps its settings")
        for adds in (self.add, self.more):
            adds.setEnabled(not why)
            adds.setToolTip(why or tip)
        now = (s.plan, s.whole, s.variants, s.data, s.limit, s.feed)
        if len(now) != len(self._drawn) or any(a is not b for a, b in zip(now, self._drawn, strict=True)):
            self._drawn = now
            self._fill(self.session.staging.stages)

    def _fill(self, stages: tuple[Plan, ...]) -> None:
        several = len(stages) > 1
        self.setVisible(several)
        if not several:
            self.list.clear()
            self._lines = []
            return
        self.where.setText(editing(self.session.snapshot, named=False))
        with QSignalBlocker(self.list):
            while self.list.topLevelItemCount() > len(stages):
                self.list.takeTopLevelItem(len(stages))
            while self.list.topLevelItemCount() < len(stages):
                self.list.addTopLevelItem(_blank())
            items = [item for i in range(len(stages)) if (item := self.list.topLevelItem(i))]
            self._lines = [*self._lines, *[None] * len(stages)][: len(stages)]
            for at, plan in enumerate(stages):
                self._write(at, self._line(plan, at == self.session.staging.at))
            self.list.setCurrentItem(items[self.session.staging.at])
        self._can(len(stages))
        high = max(self.list.sizeHintForRow(0), self.fontMetrics().height() + 4)
        self.list.setFixedHeight(min(len(stages), ROWS) * high + 2 * self.list.frameWidth() + 2)

    def _line(self, plan: Plan, hand: bool) -> Line:
        at = self.session.staging.found(plan)
        v = self.session.snapshot.variants[at] if at >= 0 else None
        return Line(called(plan), figure(v.score) if v else self.tr("not run"), v is not None, hand, self._tip(plan, v, hand))

    def _write(self, at: int, line: Line) -> None:
        """A row as it is to be, where it is another."""
        item = self.list.topLevelItem(at)
        if item is None or line == self._lines[at]:
            return
        self._lines[at] = line
        item.setText(0, line.name)
        item.setText(1, line.figure)
        ink = ("accent" if line.measured else "text") if line.hand else "muted"  # a thin ring of the accent is lost on the row's own colour
        item.setIcon(0, numbered(self.fontMetrics().height() + 2, at + 1, line.measured, ink))
        font = self.list.font()
        font.setBold(line.hand)
        item.setFont(0, font)
        for column in (0, 1):
            item.setToolTip(column, line.tip)

    def _tip(self, plan: Plan, v: Variant | None, hand: bool) -> str:
        lines = [plan.name, does(plan)] if plan.name else [does(plan)]
        lines += [f"{word(METRICS[k][0])}: {numbers.measured(m.value, m.error)}" for k, m in _metrics(v) if k in METRICS]
        size = self.tr("measured, {size}").format(size=numbers.exact(v.size.total)) if v else ""
        lines.append(size or self.tr("Not run as it stands: Run the stages (F7) does it"))
        here, there = self.tr("This one is what the sliders, the layers and Recovery edit"), self.tr("A click or the arrow keys edit it")
        lines.append(here if hand else there)
        return "\n".join([*lines, self.tr("Double click names it")])

    def _can(self, count: int) -> None:
        """The buttons as far as they can act, with the reason where they can't."""
        row = self.session.staging.at
        first, end = self.tr("It is the first stage already"), self.tr("It is the last stage already")
        self.up.setEnabled(row > 0)
        self.up.setToolTip(self.tr("Earlier") if row > 0 else first)
        self.down.setEnabled(row < count - 1)
        self.down.setToolTip(self.tr("Later") if row < count - 1 else end)

    # --- what is done

    def _row(self) -> int:
        return self.list.currentIndex().row()

    def _move(self, by: int) -> None:
        self.session.staging.move(self._row(), self._row() + by)

    def _remove(self) -> None:
        self.session.staging.remove(self._row())

    def _renamed(self, item: QTreeWidgetItem, column: int) -> None:
        at, text = self.list.indexOfTopLevelItem(item), item.text(0)
        plan = self.session.staging.stages[at]
        if column == 0 and text != called(plan):
            self._lines[at] = None  # what was typed is not always what it is then called
            self.session.staging.rename(at, "" if text == does(plan) else text)
            self._fill(self.session.staging.stages)


def _blank() -> QTreeWidgetItem:
    item = QTreeWidgetItem()
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


def editing(s: Snapshot, named: bool = True) -> str:
    """Which stage is in hand, and what it is called or does; "" where there is but one."""
    n, of = len(tuple(legs(s.plan))), len(tuple(legs(s.whole)))
    where = QCoreApplication.translate("Stages", "Editing stage {n} of {m}").format(n=n, m=of) if of > 1 else ""
    return f"{where}: {called(s.plan)}" if where and named else where


def partway(s: Snapshot, named: bool = True) -> str:
    """What the figures are of while an earlier stage is in hand; "" for the last."""
    n, of = len(tuple(legs(s.plan))), len(tuple(legs(s.whole)))
    long = QCoreApplication.translate("Stages", "All figures: what stage {n} of {m} leaves ({what}), not the whole plan")
    form = long if named else QCoreApplication.translate("Stages", "after stage {n} of {m}")
    return form.format(n=n, m=of, what=called(s.plan)) if n < of else ""


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
