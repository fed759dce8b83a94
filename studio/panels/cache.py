"""What is kept on disk to save work: how much of each kind, under which cap, and how to let go of it."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QDoubleSpinBox, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.cached import LEAST, Shelf, shelves

from .. import numbers
from ..session import Session
from ..words import word

GB = 1_000_000_000


class CacheDialog(QDialog):
    """A row for each part; changes are made on the worker, behind what it is doing."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setWindowTitle(self.tr("Cache"))
        self.sizes: dict[str, QLabel] = {}
        self.caps: dict[str, QDoubleSpinBox] = {}
        self.clears: dict[str, QPushButton] = {}
        self.grid = QGridLayout()
        self.grid.setColumnStretch(1, 1)
        self.grid.setHorizontalSpacing(16)
        about = QLabel(self.tr("Nothing here is the only copy of anything: what is cleared is computed again when it is needed."))
        about.setWordWrap(True)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(about)
        column.addLayout(self.grid)
        column.addWidget(close)
        for i, shelf in enumerate(shelves()):
            self._row(i, shelf)
        self.draw()

    def _row(self, i: int, shelf: Shelf) -> None:
        name, title = shelf.name, word(shelf.what.capitalize())
        size, clear, session = QLabel(), QPushButton(self.tr("Clear")), self.session
        cap = QDoubleSpinBox(minimum=LEAST / GB, maximum=10_000, decimals=2, suffix=" GB")
        cap.setKeyboardTracking(False)
        cap.setAccessibleName(self.tr("Cap of: {what}").format(what=title))
        cap.setToolTip(self.tr("Kept under this; what was not used longest goes first"))
        clear.setAutoDefault(False)
        clear.clicked.connect(lambda: session.feeding.clear_cache(name, self.draw))
        cap.valueChanged.connect(lambda gb: session.feeding.set_cap(name, round(gb * GB), self.draw))
        for j, w in enumerate((QLabel(title), size, cap, clear)):
            w.setToolTip(w.toolTip() or str(shelf.path))
            self.grid.addWidget(w, i, j)
        self.sizes[name], self.caps[name], self.clears[name] = size, cap, clear

    def draw(self, _: Any = None) -> None:
        """The cache as it is now."""
        for s in shelves():
            self.sizes[s.name].setText(self.tr("{n} kept, {size}").format(n=s.count, size=numbers.size(s.nbytes)))
            box = self.caps[s.name]
            box.blockSignals(True)
            box.setValue(s.cap / GB)
            box.blockSignals(False)
            self.clears[s.name].setEnabled(s.count > 0)
