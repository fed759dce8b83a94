"""A strip of cells, one per token, coloured by its KL on one fixed scale, so that strips of two plans can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from core.play import Nats

from . import numbers, theme

LOW, HIGH = 1e-3, 3.0  # nats: nothing is seen below, all above is alike
MARKS = (0.01, 0.1, 1.0)
WIDE, TALL, GAP = 9, 16, 1  # pixels of a cell and between two
ROWS = 4  # at most; a longer strip has narrower cells


def shade(kl: float) -> QColor:
    """From the colour of an empty field to orange to red, by the logarithm."""
    share = min(1.0, max(0.0, log10(max(kl, LOW) / LOW) / log10(HIGH / LOW)))
    middle = theme.colour("before").darker(170) if theme.dark() else theme.colour("before")  # lightness goes one way all along
    stops = (theme.colour("base"), middle, theme.colour("danger"))
    a, b, t = (*stops[:2], 2 * share) if share < 0.5 else (*stops[1:], 2 * share - 1)
    ends = ((a.redF(), b.redF()), (a.greenF(), b.greenF()), (a.blueF(), b.blueF()))
    return QColor.fromRgbF(*(x + t * (y - x) for x, y in ends))


class Strip(QWidget):
    """Cells from left to right, row after row; the prompt's are lower than the answer's."""

    pointed = Signal(int)  # the cell under the pointer, -1 for none

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cells: Sequence[Nats] = ()
        self.prompt = 0
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("KL per token"))
        self.setWhatsThis(
            self.tr(
                "One cell a token of the prompt (low) and of the original's answer (high): how far the variant's guess at it is from the "
                "original's, both reading the original's text."
            )
        )

    def draw(self, cells: Sequence[Nats], prompt: int) -> None:
        if cells is not self.cells or prompt != self.prompt:
            self.cells, self.prompt = cells, prompt
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, self._rows() * (TALL + GAP))

    def _across(self) -> int:
        """Cells in a row."""
        fit = max(1, self.width() // (WIDE + GAP))
        return max(fit, -(-len(self.cells) // ROWS))

    def _rows(self) -> int:
        return max(1, -(-len(self.cells) // self._across()))

    def place(self, i: int) -> QRect:
        """Where a cell is painted."""
        across = self._across()
        step = min(WIDE + GAP, self.width() / across)
        row, column = divmod(i, across)
        low = i < self.prompt
        x, y = round(column * step), row * (TALL + GAP)
        return QRect(x, y + (TALL // 2 if low else 0), max(1, round((column + 1) * step) - x - GAP), TALL // 2 if low else TALL)

    def at(self, x: int, y: int) -> int:
        """The cell there, -1 for none."""
        across = self._across()
        step = min(WIDE + GAP, self.width() / across)
        i = int(y // (TALL + GAP)) * across + int(x // step)
        return i if 0 <= x // step < across and 0 <= i < len(self.cells) else -1

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(theme.colour("grid"))
        for i, cell in enumerate(self.cells):
            where = self.place(i)
            painter.fillRect(where, shade(cell.kl))
            if where.width() > 3:
                painter.drawRect(where.adjusted(0, 0, -1, -1))
        painter.end()

    def resizeEvent(self, event: QEvent) -> None:
        self.updateGeometry()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.pointed.emit(self.at(round(event.position().x()), round(event.position().y())))

    def leaveEvent(self, event: QEvent) -> None:
        self.pointed.emit(-1)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            i = self.at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), self.tip(i) if i >= 0 else "", self)
            return True
        return super().event(event)

    def tip(self, i: int) -> str:
        """The token, its KL, and what both thought likeliest there."""
        cell = self.cells[i]
        lines = [f"{cell.text!r}   KL {numbers.significant(cell.kl)}"]
        for name, guesses in ((self.tr("original"), cell.before), (self.tr("variant"), cell.after)):
            lines.append(f"{name}: " + ", ".join(f"{t!r} {numbers.percent(p)}" for t, p in guesses))
        return "\n".join(lines)


class Legend(QWidget):
    """The strip's colours with their nats."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Colours of the strip, in nats"))
        self.setToolTip(self.tr("KL of a token in nats, on a logarithmic scale that is the same for every plan"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(20 * self.fontMetrics().horizontalAdvance("0"), 12 + self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        unit = self.tr("nats")
        wide = self.width() - self.fontMetrics().horizontalAdvance(unit) - 8
        for x in range(wide):
            painter.fillRect(x, 0, 1, 10, shade(LOW * (HIGH / LOW) ** (x / wide)))
        painter.setPen(theme.colour("grid"))
        painter.drawRect(0, 0, wide - 1, 9)
        painter.setPen(theme.colour("muted"))
        high = self.fontMetrics().height()
        for mark in MARKS:
            x = round(wide * log10(mark / LOW) / log10(HIGH / LOW))
            painter.drawText(QRect(x - 30, 11, 60, high), Qt.AlignmentFlag.AlignHCenter, f"{mark:g}")
        painter.drawText(QRect(wide + 8, 11, self.width() - wide - 8, high), Qt.AlignmentFlag.AlignLeft, unit)
        painter.end()
