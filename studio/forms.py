"""A form made from a method's knobs: nothing about a method is written in the window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QSizePolicy, QSpinBox, QWidget

from core.registry import Knob, knobs
from core.types import Value
from studio.sliders import gesture
from studio.words import about, word


class Form(QWidget):
    """The knobs of one method, rebuilt only when the method is another one."""

    edited = Signal(str, object, int)  # knob, value, gesture

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method: type[Any] | None = None
        self.fields: dict[str, QWidget] = {}
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    def show_knobs(self, method: type[Any] | None, values: Mapping[str, Value], mixed: frozenset[str] = frozenset()) -> None:
        """Show a method's knobs with these values; a missing value is the default, a mixed one says so."""
        if method is not self.method:
            self._build(method)
        for k in knobs(method) if method else []:
            _put(self.fields[k.name], values.get(k.name, k.default))
            label = self.rows.labelForField(self.fields[k.name])
            if isinstance(label, QLabel):
                label.setText(_label(k) + (self.tr(" (mixed)") if k.name in mixed else ""))

    def label_width(self) -> int:
        """What the labels of all forms keep free, so that their fields stand in one column."""
        return round(self.fontMetrics().height() * 5.5)

    def _build(self, method: type[Any] | None) -> None:
        while self.rows.rowCount():
            self.rows.removeRow(0)
        self.method, self.fields = method, {}
        for k in knobs(method) if method else []:
            field = self._field(k)
            field.setAccessibleName(_label(k))
            field.setToolTip(about(method))
            self.fields[k.name] = field
            self.rows.addRow(_label(k), field)
            self.rows.labelForField(field).setMinimumWidth(self.label_width())
        self.setVisible(bool(self.fields))

    def _field(self, k: Knob) -> QWidget:
        def tell(value: Value) -> None:
            self.edited.emit(k.name, value, gesture())

        if k.choices:
            combo = QComboBox()
            for choice in k.choices:
                combo.addItem(word(str(choice)), choice)
            combo.activated.connect(lambda i: tell(combo.itemData(i)))
            return combo
        if isinstance(k.default, bool):
            check = QCheckBox()
            check.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)  # only its box hears a click
            check.clicked.connect(lambda on: tell(bool(on)))
            return check
        return _number(k, tell)


def _number(k: Knob, tell: Any) -> QWidget:
    low, high = k.low if k.low is not None else 0, k.high if k.high is not None else 1_000_000
    box: QSpinBox | QDoubleSpinBox
    if isinstance(k.default, int):
        box = QSpinBox(minimum=int(low), maximum=int(high), singleStep=int(k.step or 1))
    else:
        box = QDoubleSpinBox(minimum=low, maximum=high, singleStep=k.step or (high - low) / 20, decimals=4)
    box.setSuffix(f" {word(k.unit)}" if k.unit else "")
    box.setKeyboardTracking(False)
    box.valueChanged.connect(tell)
    return box


def _put(field: QWidget, value: Value) -> None:
    with QSignalBlocker(field):
        if isinstance(field, QComboBox):
            field.setCurrentIndex(field.findData(value))
        elif isinstance(field, QCheckBox):
            field.setChecked(bool(value))
        elif isinstance(field, QSpinBox):
            field.setValue(int(value))
        elif isinstance(field, QDoubleSpinBox):
            field.setValue(float(value))


def _label(k: Knob) -> str:
    return word(k.label or k.name.replace("_", " ").capitalize())
