"""The plan of what is selected: two sliders, two methods, their knobs, and where each value comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QPushButton, QSlider, QWidget

from core.prune import pruners
from core.quantize import quantizers
from core.registry import Knob, Registry, knobs
from core.types import Setting, Value

from ..session import Session
from ..snapshot import Snapshot
from ..words import word

BITS = (2, 3, 4, 5, 6, 7, 8, 16)


class PlanPanel(QWidget):
    """Draws the resolved setting of the selection; every change goes through the session."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._gesture = 0
        self.title, self.why = QLabel(), QLabel(wordWrap=True)
        self.override = QCheckBox(self.tr("slim it all the same"))
        self.override.toggled.connect(lambda on: self.session.choose(protect=False if on else None))
        self.amount, self.amount_label = self._slider(0, 95, self.tr("Pruning amount in percent"), lambda v: {"amount": v / 100})
        self.bits, self.bits_label = self._slider(0, len(BITS) - 1, self.tr("Bits per weight"), lambda v: {"bits": BITS[v]})
        self.prune = self._combo(pruners, "prune", self.tr("Pruning method"))
        self.quantize = self._combo(quantizers, "quantize", self.tr("Quantization method"))
        self.reset = QPushButton(self.tr("Reset to inherited"))
        self.reset.clicked.connect(self.session.reset_scope)
        self.form = QFormLayout(self)
        self.form.addRow(self.title)
        self.form.addRow(self.why)
        self.form.addRow(self.override)
        self.form.addRow(self.tr("Prune"), self.amount)
        self.form.addRow("", self.amount_label)
        self.form.addRow(self.tr("Method"), self.prune)
        self.form.addRow(self.tr("Bits"), self.bits)
        self.form.addRow("", self.bits_label)
        self.form.addRow(self.tr("Method"), self.quantize)
        self.knobs: dict[str, QWidget] = {}
        self.defaults: dict[str, Value] = {}
        for registry in (pruners, quantizers):
            for name, method in registry.items():
                for k in knobs(method):
                    self._knob(name, k)
        self.form.addRow(self.reset)

    def _slider(self, low: int, high: int, name: str, change: Callable[[int], dict[str, Any]]) -> tuple[QSlider, QLabel]:
        """A slider whose every tick edits; one drag is one gesture, so one undo step."""
        slider = QSlider(Qt.Orientation.Horizontal, minimum=low, maximum=high, pageStep=1)
        slider.setAccessibleName(name)
        slider.setToolTip(name)
        slider.sliderPressed.connect(self._press)
        slider.valueChanged.connect(lambda v: self.session.choose(self._gesture if slider.isSliderDown() else -1, **change(v)))
        return slider, QLabel()

    def _press(self) -> None:
        self._gesture += 1

    def _combo(self, registry: Registry, key: str, name: str) -> QComboBox:
        combo = QComboBox(accessibleName=name)
        for k, method in registry.items():
            combo.addItem(word(method.title), k)
            combo.setItemData(combo.count() - 1, word((method.__doc__ or "").strip()), Qt.ItemDataRole.ToolTipRole)
        combo.activated.connect(lambda i: self.session.choose(**{key: combo.itemData(i)}))
        return combo

    def _knob(self, method: str, k: Knob) -> None:
        """A check box for a yes or no, a list for a choice."""
        key, label = f"{method}.{k.name}", word(k.label or k.name.replace("_", " "))
        self.defaults[key] = k.default
        if isinstance(k.default, bool):
            box = QCheckBox(label, checked=k.default)
            box.clicked.connect(lambda on: self.session.choose_knob(key, on))
            self.knobs[key] = box
            self.form.addRow("", box)
            return
        combo = QComboBox(accessibleName=label)
        for c in k.choices:
            combo.addItem(word(str(c)), c)
        combo.activated.connect(lambda i: self.session.choose_knob(key, combo.itemData(i)))
        self.knobs[key] = combo
        self.form.addRow(label, combo)

    def show_snapshot(self, s: Snapshot) -> None:
        """Title, values and their origin for the selection."""
        names = s.selection or tuple(x.name for x in s.layers if not x.protected)
        settings = [s.settings[n] for n in names if n in s.settings]
        self.setEnabled(bool(settings))
        if not settings:
            return
        scope = self.session.scope()
        self.title.setText(f"<b>{self._name(scope.kind, names)}</b>")
        first = settings[0]
        lifted = first.origin.get("protect") is not None
        self.why.setText(self.tr("Protected: {why}").format(why=word(first.protected)) if first.protected else "")
        self.why.setVisible(bool(first.protected))
        self.override.setVisible(bool(first.protected) or lifted)
        with QSignalBlocker(self.override):
            self.override.setChecked(lifted)
        self._values(s, first, scope.kind)

    def _values(self, s: Snapshot, first: Setting, kind: str) -> None:
        amount = s.plan.model.amount or 0.0 if kind == "model" else first.amount
        bits = s.plan.model.bits or 16 if kind == "model" else first.bits
        for slider, value in ((self.amount, round(amount * 100)), (self.bits, BITS.index(bits))):
            slider.setEnabled(not first.protected)
            with QSignalBlocker(slider):
                slider.setValue(value)
        self.amount_label.setText(f"{amount:.0%}  {self._origin(first, 'amount')}")
        self.bits_label.setText((self.tr("as it is") if bits == 16 else f"{bits}") + f"  {self._origin(first, 'bits')}")
        given: dict[str, Value] = dict(self.defaults) | dict(s.plan.model.knobs)
        given |= {f"{first.prune}.{k}": v for k, v in first.prune_knobs.items()} | {
            f"{first.quantize}.{k}": v for k, v in first.quantize_knobs.items()
        }
        prune, quantize = first.prune or s.plan.model.prune, first.quantize or s.plan.model.quantize
        self.prune.setCurrentIndex(self.prune.findData(prune))
        self.quantize.setCurrentIndex(self.quantize.findData(quantize))
        for key, widget in self.knobs.items():
            self.form.setRowVisible(widget, key.split(".")[0] in (prune, quantize))
            if isinstance(widget, QComboBox) and key in given:
                widget.setCurrentIndex(widget.findData(given[key]))
            elif isinstance(widget, QCheckBox) and key in given:
                widget.setChecked(bool(given[key]))

    def _origin(self, s: Setting, key: str) -> str:
        return {"model": self.tr("from the model"), "group": self.tr("from the group"), "own": self.tr("own")}[s.origin.get(key, "model")]

    def _name(self, kind: str, names: tuple[str, ...]) -> str:
        if kind == "model":
            return self.tr("Whole model")
        role = names[0].rsplit(".", 1)[-1]
        return f"{len(names)} × {role}" if kind == "group" else names[0] if len(names) == 1 else self.tr("{n} layers").format(n=len(names))
