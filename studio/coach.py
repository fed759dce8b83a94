"""The first-run tour: three notes beside what they speak of, ten seconds each, never again unless asked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QObject, QRect, Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from . import settings, theme

EACH = 10_000  # ms a step stays when nobody clicks


class Ring(QWidget):
    """A frame around the thing a step speaks of; clicks go through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(QPen(theme.colour("accent"), 3))
        painter.drawRect(self.rect().adjusted(1, 1, -2, -2))
        painter.end()


class Coach(QFrame):
    """One note at a time; the work goes on beneath it."""

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self.window_, self.step = window, -1
        self.steps: list[tuple[QWidget, str]] = [
            (window.docks["layers"], self.tr("The layers. Select one, a group, or nothing for the whole model; type 4 for four bits.")),
            (window.docks["plan"], self.tr("The sliders. The size is exact at every tick; let go, and the accuracy is measured.")),
            (window.charts_row, self.tr("What it costs. Every measured plan stays as a point; Export writes it and proves that it loads.")),
        ]
        self.setObjectName("coach")
        self.setStyleSheet(f"#coach {{ background: {theme.colour('tooltip').name()}; border: 1px solid {theme.colour('accent').name()}; }}")
        self.text, self.count = QLabel(wordWrap=True), QLabel()
        self.count.setEnabled(False)  # the palette's muted ink
        self.text.setMinimumWidth(self.fontMetrics().height() * 18)
        self.next, skip = QPushButton(), QPushButton(self.tr("Skip"))
        self.next.clicked.connect(self.advance)
        skip.clicked.connect(self.end)
        row = QHBoxLayout()
        row.addWidget(self.count, 1)
        row.addWidget(skip)
        row.addWidget(self.next)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addLayout(row)
        self.ring = Ring(window)
        self.timer = QTimer(self, interval=EACH)
        self.timer.timeout.connect(self.advance)
        window.installEventFilter(self)
        self.advance()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay beside the thing when the window changes its size; end when it closes."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        elif event.type() == QEvent.Type.Close:
            self.end()
        return False

    def advance(self) -> None:
        """The next step, or the end after the last."""
        self.step += 1
        if self.step == len(self.steps) or self.window_.session.snapshot.checkpoint is None:
            self.end()
            return
        last = self.step == len(self.steps) - 1
        self.text.setText(self.steps[self.step][1])
        self.count.setText(f"{self.step + 1} / {len(self.steps)}")
        self.next.setText(self.tr("Done") if last else self.tr("Next"))
        self.timer.start()
        self._place()
        self.ring.show()
        self.show()
        self.raise_()

    def end(self) -> None:
        """Seen or skipped: it does not come again by itself."""
        settings.set_toured()
        self.timer.stop()
        self.window_.removeEventFilter(self)
        self.window_.coach = None
        self.ring.hide()
        self.hide()
        self.ring.deleteLater()
        self.deleteLater()

    def _place(self) -> None:
        """Beside the thing, on the side where there is room."""
        thing, whole = self.steps[min(self.step, len(self.steps) - 1)][0], self.window_.rect()
        where = QRect(thing.mapTo(self.window_, thing.rect().topLeft()), thing.size())
        self.ring.setGeometry(where)
        self.adjustSize()
        gap = self.fontMetrics().height() // 2
        x, y = where.right() + gap, where.top() + 3 * gap
        if x + self.width() > whole.right():
            x = where.left() - self.width() - gap
        if x < 0:
            x, y = where.left() + (where.width() - self.width()) // 2, where.bottom() + gap
        self.move(max(0, x), min(y, whole.bottom() - self.height()))
