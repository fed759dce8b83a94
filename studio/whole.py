"""Two choices that concern the whole model: tuning after compression, and rotation before it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from core import rotate
from studio.numbers import exact
from studio.session import Session
from studio.sliders import gesture
from studio.snapshot import Snapshot
from studio.words import said

STATES = {True: Qt.CheckState.Checked, False: Qt.CheckState.Unchecked, None: Qt.CheckState.PartiallyChecked}


class Tune(QCheckBox):
    """Free recovery: on, off, or (half-checked) decided by the plan itself."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setText(self.tr("Tune norms and row scales"))
        self.setTristate(True)
        self.setToolTip(
            self.tr(
                "Trains norm gains, biases and one factor per row towards the original's answers; no byte is added. "
                "Half-checked: by itself at 3 bits and below, or half the weights gone"
            )
        )
        self.clicked.connect(self._said)

    def draw(self, snapshot: Snapshot) -> None:
        """Show what the plan says."""
        with QSignalBlocker(self):
            self.setCheckState(STATES[snapshot.plan.tune])
        self.setEnabled(snapshot.checkpoint is not None and not snapshot.runnable)

    def _said(self) -> None:
        state = next(k for k, v in STATES.items() if v == self.checkState())
        self.session.edit(self.text(), replace(self.session.snapshot.plan, tune=state), gesture())


class Whole(QWidget):
    """Check boxes below the sliders."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.tune, self.rotate = Tune(session), QCheckBox(self.tr("Rotate the hidden states"))
        self.rotate.clicked.connect(self._rotate)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.tune)
        column.addWidget(self.rotate)

    def draw(self, snapshot: Snapshot) -> None:
        """Show what the plan says, and why a choice is closed."""
        self.tune.draw(snapshot)
        with QSignalBlocker(self.rotate):
            self.rotate.setChecked(snapshot.plan.rotate)
        why = rotate.refuses(snapshot.checkpoint) if snapshot.checkpoint else ""
        self.rotate.setEnabled(snapshot.checkpoint is not None and (not why or snapshot.plan.rotate))
        self.rotate.setToolTip(said(why) if why else self._price(snapshot))

    def _price(self, snapshot: Snapshot) -> str:
        tip = self.tr("Spreads outliers over all features by a Hadamard matrix; the network answers as before")
        price = rotate.price(snapshot.checkpoint) if snapshot.checkpoint else 0
        more = self.tr("The output layer can't share the embedding any more: {n} more").format(n=exact(price))
        return f"{tip}. {more}" if price else tip

    def _rotate(self, on: bool) -> None:
        self.session.edit(self.rotate.text(), replace(self.session.snapshot.plan, rotate=on), gesture())
