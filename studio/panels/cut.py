"""The cut panel: how wide and how deep the network stays, in the widths that what loads it can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QSignalBlocker, Qt
from PySide6.QtWidgets import QComboBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from core.cut import Cut, Widths, why_not, widths
from core.registry import knobs
from core.types import Checkpoint, Value
from studio.panels import panels
from studio.session import Session
from studio.sliders import Dragged, gesture
from studio.snapshot import Snapshot
from studio.words import about, said, word

TITLES = {k.name: k.label for k in knobs(Cut)}
METHODS: dict[str, Any] = {
    "obs": QT_TRANSLATE_NOOP("core", "Chosen by second order, the rest refitted"),
    "taylor": QT_TRANSLATE_NOOP("core", "Chosen by gradients, the rest refitted"),
    "magnitude": QT_TRANSLATE_NOOP("core", "Chosen by size, the rest refitted"),
    "fresh": QT_TRANSLATE_NOOP("core", "Drawn anew, to be distilled"),
}


class WidthSlider(Dragged):
    """A slider that rests only on the widths that load, full width at the left."""

    def __init__(self, name: str, offered: Widths, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.offered = offered
        self.slider.setRange(0, len(offered.allowed) - 1)
        self.slider.setPageStep(max(1, len(offered.allowed) // 8))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider)

    def value_at(self, position: int) -> float:
        return self.offered.allowed[position]

    def set_value(self, width: int) -> None:
        """Show a width without telling anybody."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(self.offered.allowed.index(width))


class Row(QWidget):
    """One kind of unit: its name, what is left of how many, a slider, and why other widths are not offered."""

    def __init__(self, panel: CutPanel, offered: Widths, tip: str, moved: Callable[[str, int, int], None]) -> None:
        super().__init__(panel)
        self.offered, title = offered, word(TITLES[offered.kind])
        self.value, self.why = QLabel(), QLabel(said(offered.why))
        self.slider = WidthSlider(title, offered)
        self.why.setWordWrap(True)
        self.why.setEnabled(False)  # the palette's muted ink
        fixed = len(offered.allowed) == 1
        self.slider.setEnabled(not fixed)
        self.slider.setToolTip(said(offered.why) if fixed else tip)
        self.slider.moved.connect(lambda width, number: moved(offered.kind, int(width), number))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(0, 1)
        grid.addWidget(QLabel(f"<b>{title}</b>"), 0, 0)
        grid.addWidget(self.value, 0, 1)
        grid.addWidget(self.slider, 1, 0, 1, 2)
        grid.addWidget(self.why, 2, 0, 1, 2)

    def show_width(self, left: int) -> None:
        """Draw what is left."""
        self.slider.set_value(left)
        size = self.offered.size
        self.value.setText(str(size) if left == size else f"{size} → {left}")


@panels("cut")
class CutPanel(QScrollArea):
    """Channels, heads and blocks that are cut out of the whole model."""

    title = QT_TRANSLATE_NOOP("core", "Cut")
    area = "right"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.rows: dict[str, Row] = {}
        self._of: Checkpoint | None = None
        self._cuts: Any = None
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.method = QComboBox()
        self.method.setAccessibleName(self.tr("How the units to cut are chosen"))
        self.method.setToolTip(about(Cut))
        for name, text in METHODS.items():
            self.method.addItem(word(text), name)
        self.method.activated.connect(lambda i: self._say(self.method.itemText(i), gesture(), method=self.method.itemData(i)))
        body = QWidget()
        self.column = QVBoxLayout(body)
        self.column.addWidget(self.note)
        self.column.addWidget(self.method)
        self.column.addStretch(1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.show(session.snapshot)

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        if snapshot.checkpoint is not self._of or self._cuts is None:
            self._build(snapshot.checkpoint)
        elif snapshot.plan.cuts == self._cuts:
            return
        self._cuts = dict(snapshot.plan.cuts)
        for kind, row in self.rows.items():
            share = float(self._cuts.get(kind, 0))
            row.show_width(row.offered.size - int(share) if kind == "blocks" else row.offered.nearest(share))
        with QSignalBlocker(self.method):
            self.method.setCurrentIndex(max(0, self.method.findData(self._cuts.get("method", "obs"))))

    def _build(self, checkpoint: Checkpoint | None) -> None:
        """Rows for what this checkpoint has; without any, the reason."""
        for row in self.rows.values():
            row.deleteLater()
        self._of = checkpoint
        offered = widths(checkpoint) if checkpoint else {}
        tip = self.tr("What is left; the same in every block")
        self.rows = {kind: Row(self, w, tip, self._moved) for kind, w in offered.items()}
        for i, row in enumerate(self.rows.values()):
            self.column.insertWidget(1 + i, row)
        self.method.setVisible(bool(self.rows))
        why = said(why_not(checkpoint)) if checkpoint and not self.rows else ""
        self.note.setText(why or (self.tr("Cut weights are gone from the file: smaller and faster everywhere") if self.rows else ""))

    def _moved(self, kind: str, width: int, number: int) -> None:
        offered = self.rows[kind].offered
        gone = offered.size - width
        label = self.tr("{title} {n}").format(title=word(TITLES[kind]), n=width)
        self._say(label, number, **{kind: gone if kind == "blocks" else gone / offered.size})

    def _say(self, label: str, number: int, **changes: Value) -> None:
        plan = self.session.snapshot.plan
        cuts = {k: v for k, v in {**plan.cuts, **changes}.items() if v != 0 or isinstance(v, bool)}
        self.session.edit(label, replace(plan, cuts=cuts), number)
