"""One line above the work that tells without asking for a click."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from . import theme
from .words import said

SHOWN = 8000  # ms an informative notice stays


class Notice(QFrame):
    """The newest thing said; errors and warnings stay until they are closed."""

    details = Signal()  # the log is asked for

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel(wordWrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QToolButton()
        close.setText("×")
        close.setAccessibleName(self.tr("Close the notice"))
        close.clicked.connect(self.hide)
        self.log = QToolButton()
        self.log.setText(self.tr("Log"))
        self.log.setToolTip(self.tr("What the worker did before"))
        self.log.clicked.connect(self.details)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
        row.addWidget(self.text, 1)
        row.addWidget(self.log)
        row.addWidget(close)
        self._timer = QTimer(self, interval=SHOWN, singleShot=True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def say(self, level: str, text: str) -> None:
        """Show it: "info", "warning" or "error"."""
        self.level = level
        self._colour()
        self.text.setText(said(text))
        self.log.setVisible(level == "error")
        self.show()
        self._timer.start() if level == "info" else self._timer.stop()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "level"):
            self._colour()

    def _colour(self) -> None:
        """The theme's colours, which a style sheet does not follow by itself."""
        colour = theme.colour({"error": "danger", "warning": "warning"}.get(self.level, "accent")).name()
        sheet = f"Notice {{ border: 0; border-left: 4px solid {colour}; background: {theme.colour('base').name()}; }}"
        if sheet != self.styleSheet():
            self.setStyleSheet(sheet)
