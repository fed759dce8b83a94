"""Sliders whose drag is one gesture: every tick is heard, and the session undoes them in one step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QStyle, QStyleOptionSlider, QVBoxLayout, QWidget

from studio.theme import colour

_gestures = count(1)


def gesture() -> int:
    """A number no other drag has."""
    return next(_gestures)


class Dragged(QWidget):
    """A slider with a gesture: it is new at every press and release and when the focus leaves; keys and wheel between share one."""

    moved = Signal(object, int)  # value, gesture

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(name)
        self.gesture = gesture()
        self.slider.sliderPressed.connect(self._renew)
        self.slider.sliderReleased.connect(self._renew)
        self.slider.valueChanged.connect(self._tell)
        self.slider.installEventFilter(self)
        self.setFocusProxy(self.slider)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A focus session ends where the focus leaves."""
        if event.type() == QEvent.Type.FocusOut:
            self._renew()
        return super().eventFilter(watched, event)

    def _renew(self) -> None:
        self.gesture = gesture()

    def _tell(self, position: int) -> None:
        self.moved.emit(self.value_at(position), self.gesture)

    def value_at(self, position: int) -> float:
        """What a position of the slider means."""
        return position


class ShareSlider(Dragged):
    """A share from 0 to `most`, as a slider in per cent with a spin box for tenths."""

    def __init__(self, name: str, most: float = 0.95, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.slider.setRange(0, round(100 * most))
        self.slider.setPageStep(5)
        self.box = QDoubleSpinBox(minimum=0, maximum=100 * most, decimals=1, singleStep=1, suffix=" %")
        self.box.setKeyboardTracking(False)
        self.box.setAccessibleName(name)
        self.box.installEventFilter(self)
        self.box.valueChanged.connect(self._typed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.box)

    def value_at(self, position: int) -> float:
        return position / 100

    def set_value(self, share: float) -> None:
        """Show a share without telling anybody."""
        with QSignalBlocker(self.slider), QSignalBlocker(self.box):
            self.slider.setValue(round(100 * share))
            self.box.setValue(100 * share)

    def _tell(self, position: int) -> None:
        with QSignalBlocker(self.box):
            self.box.setValue(position)
        super()._tell(position)

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(value))
        self.moved.emit(round(value / 100, 4), self.gesture)


class StopSlider(Dragged):
    """A slider that rests only on given stops, each with its label below."""

    def __init__(self, name: str, stops: Sequence[int], parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.stops = tuple(stops)
        self.slider.setRange(0, len(self.stops) - 1)
        self.slider.setPageStep(1)
        self.labels = _Labels(self.slider, [str(s) for s in self.stops])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.slider)
        column.addWidget(self.labels)

    def value_at(self, position: int) -> float:
        return self.stops[position]

    def set_value(self, value: int) -> None:
        """Show the nearest stop without telling anybody."""
        nearest = min(range(len(self.stops)), key=lambda i: abs(self.stops[i] - value))
        with QSignalBlocker(self.slider):
            self.slider.setValue(nearest)
        self.labels.update()


class _Labels(QWidget):
    """The stops' names under the positions where the handle rests."""

    def __init__(self, slider: QSlider, texts: list[str]) -> None:
        super().__init__()
        self.slider, self.texts = slider, texts
        slider.valueChanged.connect(lambda _: self.update())

    def sizeHint(self) -> QSize:
        m = self.fontMetrics()  # an average character of a Chinese font is twice as wide as its digits
        widest = max(m.horizontalAdvance(text) for text in self.texts)
        return QSize((widest + m.horizontalAdvance("0")) * len(self.texts), m.height())

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionSlider()
        self.slider.initStyleOption(option)
        handle = self.slider.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self.slider)
        painter = QPainter(self)
        for i, text in enumerate(self.texts):
            x = QStyle.sliderPositionFromValue(0, len(self.texts) - 1, i, self.width() - handle) + handle // 2
            ink = "text" if i == self.slider.value() and self.isEnabled() else "muted"
            painter.setPen(colour(ink if self.isEnabled() else "disabled"))
            width = self.fontMetrics().horizontalAdvance(text)
            left = min(max(0, x - width // 2), self.width() - width)
            painter.drawText(left, self.fontMetrics().ascent(), text)
        painter.end()
