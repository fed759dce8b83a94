"""What if: the same plan on every device, in another region, at another batch and context, at so many tokens a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.carbon import Place, grams, kwh, regions
from core.energy import Device, Scene, catalogue, device, estimate, ratio
from core.errors import SlimError
from core.ledger import spent
from core.types import Energy
from studio import numbers
from studio.scene import choose, place, scene
from studio.session import Session
from studio.words import word
from studio.work import priced

DAYS = 365


class WhatIf(QDialog):
    """Every change is in force at once, for the charts too; the place is kept."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Dialog)
        self.session = session
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("What if…"))
        self.resize(860, 560)
        self.region, self.device, self.phase = QComboBox(editable=True), QComboBox(), QComboBox()
        self.pue, self.grams = _number(1, 5, 0.05, 2), _number(0, 3000, 10, 0)
        self.watts, self.daily = _number(0, 99_999, 5, 0), _number(1, 1e12, 100_000, 0)
        self.batch, self.context = QSpinBox(minimum=1, maximum=4096), QSpinBox(minimum=1, maximum=1_000_000)
        self.table = QTableWidget(0, 7)
        self.foot = QLabel(wordWrap=True)
        self._fill()
        form = QFormLayout()
        for name, field in self._fields():
            form.addRow(name, field)
            field.setAccessibleName(name)
        box = QVBoxLayout(self)
        box.addLayout(form)
        box.addWidget(self.table, 1)
        box.addWidget(self.foot)
        self._listen()
        self.draw()

    def _fields(self) -> tuple[tuple[str, QWidget], ...]:
        return (
            (self.tr("Device"), self.device), (self.tr("Its watts under full load"), self.watts), (self.tr("Region"), self.region),
            (self.tr("Grid, g CO₂e a kWh"), self.grams), (self.tr("PUE of the data centre"), self.pue), (self.tr("Tokens are"), self.phase),
            (self.tr("Batch"), self.batch), (self.tr("Context, tokens"), self.context), (self.tr("Tokens or samples a day"), self.daily),
        )  # fmt: skip

    def _fill(self) -> None:
        at, of = place(), scene()
        for key in ("here", *catalogue()):
            self.device.addItem(word("This machine" if key == "here" else catalogue()[key].title), key)
        for r in regions().values():
            self.region.addItem(f"{r.name} ({r.code})", r.code)
        self.region.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        for key, text in (("decode", self.tr("written one at a time")), ("prefill", self.tr("read at once"))):
            self.phase.addItem(text, key)
        self.watts.setSpecialValueText(self.tr("catalogue"))
        self.grams.setSpecialValueText(self.tr("yearly mean of the region"))
        for box, value in ((self.device, at.device), (self.region, at.region), (self.phase, of.phase)):
            box.setCurrentIndex(max(0, box.findData(value)))
        for spin, number in (
            (self.watts, at.watts or 0), (self.grams, at.grams or 0), (self.pue, at.pue), (self.batch, of.batch),
            (self.context, of.context), (self.daily, of.daily),
        ):  # fmt: skip
            spin.setValue(number)  # type: ignore[arg-type]

    def _listen(self) -> None:
        self.device.activated.connect(self._device)
        for box in (self.region, self.phase):
            box.activated.connect(self._take)
        for spin in (self.watts, self.grams, self.pue, self.batch, self.context, self.daily):
            spin.valueChanged.connect(self._take)

    def _device(self) -> None:
        """Another device's watts are not those given for the last one."""
        with QSignalBlocker(self.watts):
            self.watts.setValue(0)
        self._take()

    def _take(self, _: Any = None) -> None:
        try:
            at = Place(
                self.region.currentData() or place().region, self.grams.value() or None, self.pue.value(), self.device.currentData(),
                self.watts.value() or None,
            )  # fmt: skip
        except SlimError as e:
            self.foot.setText(str(e))
            return
        choose(
            self.session, at, phase=self.phase.currentData(), batch=self.batch.value(), context=self.context.value(),
            daily=self.daily.value(),
        )  # fmt: skip
        self.draw()

    def draw(self) -> None:
        """A row for every device: the original, the plan, their ratio, grams and kilowatt-hours."""
        s = self.session.snapshot
        heads = (self.tr("Device"), self.tr("Before"), self.tr("Now"), self.tr("Times less (90 %)"), self.tr("g CO₂e a million"),
                 self.tr("kWh a year saved"), self.tr("Paid back after days"))  # fmt: skip
        self.table.setHorizontalHeaderLabels(list(heads))
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        found = [(d, *both) for d in self._devices() if (both := self._both(d))] if s.checkpoint and s.original else []
        self.table.setRowCount(len(found))
        for i, (d, before, now) in enumerate(found):
            for j, text in enumerate(self._row(d, before, now)):
                item = QTableWidgetItem(text)
                item.setToolTip(d.source)
                self.table.setItem(i, j, item)
        self.foot.setText(f"{place().told}. {self.tr('Modelled, location-based; excludes embodied carbon.')}\n{self._ledger()}")

    def _ledger(self) -> str:
        """What the slimming itself has taken on this machine."""
        took = spent(self.session.engine.spent)
        metered, modelled = self.tr("metered"), self.tr("modelled")
        return self.tr("The slimming itself has taken {joules} on this machine ({low} to {high}, 90 %, {how}; {seconds} of work).").format(
            joules=numbers.si(took.joules, "J"), low=numbers.si(took.low, "J"), high=numbers.si(took.high, "J"),
            how=metered if took.level == "A" else modelled, seconds=numbers.duration(took.seconds),
        )  # fmt: skip

    def _devices(self) -> list[Device]:
        at = place()
        return [device(k, at.watts if k == at.device else None) for k in ("here", *catalogue())]

    def _both(self, d: Device) -> tuple[Energy, Energy] | None:
        s = self.session.snapshot
        of: Scene = replace(scene(), device=d)
        if s.checkpoint is None or s.original is None:
            return None
        before = estimate(s.checkpoint, s.layers, {}, s.original.size, None, s.task or "other", of)
        now: Energy = priced(s.checkpoint, s.layers, s.plan, s.target, s.task or "other", of)["energy"]
        return before, now

    def _row(self, d: Device, before: Energy, now: Energy) -> tuple[str, ...]:
        r, g = ratio(before, now), grams(now, place())
        less = "=" if r.low == r.high else f"{numbers.significant(r.value)} ({numbers.significant(r.low)}–{numbers.significant(r.high)})"
        saved = kwh((before.joules - now.joules) / d.supply * place().pue) * scene().daily * DAYS
        spread = f"{numbers.significant(g.value)} ({numbers.significant(g.low)}–{numbers.significant(g.high)})"
        paid = spent(self.session.engine.spent, before, now).payback
        days = "–" if paid is None else numbers.significant(paid / scene().daily)
        return word(d.title), numbers.si(before.joules, "J"), numbers.si(now.joules, "J"), less, spread, numbers.significant(saved), days


def _number(low: float, high: float, step: float, places: int) -> QDoubleSpinBox:
    box = QDoubleSpinBox(minimum=low, maximum=high, singleStep=step, decimals=places)
    box.setGroupSeparatorShown(True)
    return box
