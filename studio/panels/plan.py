"""The plan panel: what the selection (or the whole model) is to become, and who says so."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core import plans
from core.plans import Scope
from core.prune import pruners
from core.quantize import quantizers
from core.registry import Registry, knobs
from core.types import Choice, Layer, Plan
from studio import work
from studio.elided import Combo, Elided
from studio.forecast import Forecast
from studio.forms import Form
from studio.numbers import duration
from studio.panels import panels
from studio.session import Session
from studio.sliders import ShareSlider, StopSlider, gesture
from studio.snapshot import Snapshot
from studio.stages import Stages
from studio.whole import Whole
from studio.words import about, word
from studio.words import said as told

BITS = (2, 3, 4, 5, 6, 7, 8, 16)


@dataclass(frozen=True)
class Said:
    """A field over a selection: its value (of the first layer), whether others differ, and who says it."""

    value: Any
    mixed: bool = False
    origin: str = "model"


def chain(plan: Plan, layer: Layer) -> list[tuple[str, Choice]]:
    """Who speaks for a layer, nearest first."""
    near = [("own", plan.layers[layer.name])] if layer.name in plan.layers else []
    match = [("group", c) for k, c in plan.groups.items() if k == layer.group or fnmatchcase(layer.name, k)]
    return near + match[::-1] + [("model", plan.model)]


def said(plan: Plan, layers: list[Layer], field: str, default: Any = None) -> Said:
    """A field of Choice, or a knob ("rtn.group_size"), over these layers; no layers: the model's own."""
    found = [_nearest(chain(plan, x), field, default) for x in layers] or [_nearest([("model", plan.model)], field, default)]
    values, origins = {v for v, _ in found}, {o for _, o in found}
    return Said(found[0][0], len(values) > 1, "own" if "own" in origins else "group" if "group" in origins else "model")


def _nearest(said_by: list[tuple[str, Choice]], field: str, default: Any) -> tuple[Any, str]:
    for who, choice in said_by:
        value = choice.knobs.get(field) if "." in field else getattr(choice, field)
        if value is not None:
            return value, who
    return default, "model"


class Half(QWidget):
    """One half of the panel: a slider, its method and the method's knobs."""

    def __init__(self, panel: PlanPanel, title: str, registry: Registry, field: str, slider: ShareSlider | StopSlider) -> None:
        super().__init__(panel)
        self.registry, self.field, self.slider = registry, field, slider
        self.title, self.value, self.origin = QLabel(f"<b>{title}</b>"), QLabel(), QLabel()
        self.combo, self.form, self.from_ = Combo(), Form(), QLabel()
        self.combo.setAccessibleName(QCoreApplication.translate("Half", "{title} method").format(title=title))
        # the longest method's name would take 100 pixels from the charts at 1280
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(12)
        for key, method in registry.items():
            self.combo.addItem(word(method.title), key)
            self.combo.setItemData(self.combo.count() - 1, about(method), Qt.ItemDataRole.ToolTipRole)
        for quiet in (self.origin, self.from_):
            quiet.setEnabled(False)  # the palette's muted ink
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        how = QLabel(QCoreApplication.translate("Half", "Method"))
        how.setMinimumWidth(self.form.label_width())
        for i, (a, b, c) in enumerate(((self.title, self.value, self.origin), (how, self.combo, self.from_))):
            for j, w in enumerate((a, b, c)):
                grid.addWidget(w, 2 * i, j)
        grid.addWidget(slider, 1, 0, 1, 3)
        grid.addWidget(self.form, 3, 0, 1, 3)


@panels("plan")
class PlanPanel(QScrollArea):
    """Sliders, methods and knobs for the current selection."""

    title = QT_TRANSLATE_NOOP("core", "Plan")
    area = "right"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Any, ...] = ()
        self.heading, self.note = Elided(), QLabel()
        self.heading.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setWordWrap(True)
        font = self.heading.font()
        font.setPointSizeF(font.pointSizeF() * 1.15)
        font.setBold(True)
        self.heading.setFont(font)
        self.override = QCheckBox(self.tr("Compress it anyway"))
        self.reset = QPushButton(self.tr("Reset"))
        self.prune = Half(self, self.tr("Prune"), pruners, "prune", ShareSlider(self.tr("Share to prune")))
        self.quantize = Half(self, self.tr("Bits"), quantizers, "quantize", StopSlider(self.tr("Bits"), BITS))
        self.whole, self.forecast, self.stages = Whole(session), Forecast(session), Stages(session)
        self._lay()
        self._connect()
        self.show(session.snapshot)

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        self.forecast.draw(snapshot)
        self.stages.draw(snapshot)
        target = (snapshot.layers, snapshot.plan, snapshot.whole, snapshot.selection, snapshot.target, snapshot.runnable)
        if len(self._drawn) == 6 and all(a is b for a, b in zip(self._drawn, target, strict=True)):
            return
        self._drawn = target
        scope, chosen = self.session.scope(), self._chosen(snapshot)
        editable = [x for x in chosen if x.prunable] or chosen
        layers = [] if scope.kind == "model" else editable
        self.heading.setText(self._title(scope, snapshot))
        self._half(self.prune, snapshot.plan, layers, "amount")
        self._half(self.quantize, snapshot.plan, layers, "bits")
        self._protection(snapshot, scope, chosen)
        self._reset(snapshot.plan, scope)
        self.whole.setVisible(scope.kind == "model")
        self.stages.add.setVisible(scope.kind == "model" and snapshot.whole.before is None)
        self.whole.draw(snapshot)

    def _half(self, half: Half, plan: Plan, layers: list[Layer], field: str) -> None:
        amount, method = said(plan, layers, field, 0.0 if field == "amount" else 16), said(plan, layers, half.field)
        half.slider.set_value(amount.value)
        shown = f"{100 * amount.value:.3g} %" if field == "amount" else self.tr("{n} bits").format(n=amount.value)
        if field == "bits" and amount.value == 16:
            shown = self.tr("as stored")
        half.value.setText(self.tr("mixed, first {shown}").format(shown=shown) if amount.mixed else shown)
        half.origin.setText(self._from(amount.origin) if layers else "")
        half.combo.setCurrentIndex(-1 if method.mixed else half.combo.findData(method.value))
        half.combo.setPlaceholderText(self.tr("mixed"))
        half.from_.setText(self._from(method.origin) if layers else "")
        cls = None if method.mixed or method.value not in half.registry else half.registry[method.value]
        mixed = self.tr("The selected layers use different methods; choosing one gives it to all")
        half.combo.setToolTip("\n\n".join(t for t in (about(cls) if cls else mixed, self._recommended(half.field, method.value)) if t))
        head = f"{method.value}."
        found = {k: said(plan, layers, head + k) for k in _names(cls)}
        half.form.show_knobs(
            cls, {k: s.value for k, s in found.items() if s.value is not None}, frozenset(k for k, s in found.items() if s.mixed)
        )

    def _recommended(self, field: str, method: str) -> str:
        """Why a new plan begins with this method, where it does."""
        if method != getattr(self.session.first.model, field):
            return ""
        best, seconds = method in work.BEST, self.session.bearable
        if best:
            form = self.tr("Recommended: there is calibration data, and a first result takes about {time} (estimated).")
            return form.format(time=duration(max(1.0, seconds or 0.0)))
        if seconds is None:
            return self.tr("Chosen because there is nothing to calibrate on; with calibration data, ADMM and Slim are better.")
        form = self.tr("Chosen because a first result of the better methods, ADMM and Slim, would take about {time} (estimated).")
        return form.format(time=duration(seconds))

    def _protection(self, snapshot: Snapshot, scope: Scope, chosen: list[Layer]) -> None:
        """Say why layers are left alone or stored dense, and offer the way out where there is one."""
        held = [x for x in chosen if x.name in snapshot.settings and snapshot.settings[x.name].protected]
        fixed = all(not x.prunable for x in chosen)
        locked = scope.kind != "model" and bool(held) and len(held) == len(chosen)
        lifted = scope.kind != "model" and any(said(snapshot.plan, [x], "protect").value is False for x in chosen if x.protected)
        why = word(snapshot.settings[held[0].name].protected) if held else ""
        note = self.tr("Left alone: {why}").format(why=why) if locked else ""
        if not locked and held and scope.kind != "model":
            note = self.tr("{n} of {m} left alone: {why}").format(n=len(held), m=len(chosen), why=why)
        self.note.setText("\n".join(t for t in (note, self._refusal(snapshot, chosen)) if t))
        self.note.setVisible(bool(self.note.text()))
        self.override.setVisible(scope.kind != "model" and (bool(held) or lifted))
        self.override.setChecked(lifted)
        self.override.setEnabled(not fixed)
        self.override.setToolTip(
            self.tr("Only floating-point weight matrices can be compressed") if fixed else self.tr("Lift the protection for the selection")
        )
        self._enable(not locked and bool(snapshot.layers), why)

    def _enable(self, on: bool, why: str) -> None:
        closed = self.tr("Left alone: {why}").format(why=why) if why else self.tr("Open a model first")
        for half, tip in (
            (self.prune, self.tr("Share of the weights set to exact zero")),
            (self.quantize, self.tr("Bits of each weight; 16 leaves it as stored")),
        ):
            half.setEnabled(on)
            half.slider.setToolTip(tip if on else closed)
            half.setToolTip("" if on else closed)

    def _refusal(self, snapshot: Snapshot, chosen: list[Layer]) -> str:
        if snapshot.target is None or snapshot.checkpoint is None:
            return ""
        settings = snapshot.settings
        active = [x for x in chosen if x.name in settings and not settings[x.name].idle]
        reasons = [r for x in active if (r := snapshot.target.refuses(snapshot.checkpoint, x, settings[x.name]))]
        if not reasons:
            return told(snapshot.target.detail(active, settings)) if active and hasattr(snapshot.target, "detail") else ""
        form = self.tr("{target} stores {n} of {m} dense: {why}")
        return form.format(target=word(snapshot.target.title), n=len(reasons), m=len(active), why=told(reasons[0]))

    def _reset(self, plan: Plan, scope: Scope) -> None:
        where = plan.groups if scope.kind == "group" else plan.layers
        own = plan.model != self.session.first.model if scope.kind == "model" else any(n in where for n in scope.names)
        self.reset.setEnabled(own)
        back = (
            self.tr("Say nothing of its own again and inherit")
            if scope.kind != "model"
            else self.tr("Leave the whole model as it was stored")
        )
        self.reset.setToolTip(back if own else self.tr("Nothing to reset: nothing is said here"))

    def _title(self, scope: Scope, snapshot: Snapshot) -> str:
        if scope.kind == "model":
            return self.tr("Whole model")
        if scope.kind == "group" and len(scope.names) == 1:
            n = sum(x.group == scope.names[0] for x in snapshot.layers)
            return f"{n} × {scope.names[0].rsplit('.', 1)[-1]}" if n > 1 else scope.names[0]
        n = len(snapshot.selection)
        return scope.names[0] if len(scope.names) == 1 else self.tr("{n} layers").format(n=n)

    def _from(self, origin: str) -> str:
        return {"model": self.tr("from model"), "group": self.tr("from group")}.get(origin, self.tr("own"))

    def _chosen(self, snapshot: Snapshot) -> list[Layer]:
        names = set(snapshot.selection)
        return [x for x in snapshot.layers if not names or x.name in names]

    def _say(self, label: str, number: int | None, knobs: dict[str, Any] | None = None, **changes: Any) -> None:
        session = self.session
        session.edit(label, plans.edit(session.snapshot.plan, session.scope(), knobs=knobs, **changes), number)

    def _connect(self) -> None:
        self.prune.slider.moved.connect(lambda v, g: self._say(self.tr("Prune {n} %").format(n=f"{100 * v:.3g}"), g, amount=v))
        self.quantize.slider.moved.connect(lambda v, g: self._say(self.tr("{n} bits").format(n=v), g, bits=v))
        for half in (self.prune, self.quantize):
            half.combo.activated.connect(lambda _, h=half: self._say(h.combo.currentText(), gesture(), **{h.field: h.combo.currentData()}))
            half.form.edited.connect(lambda k, v, g, h=half: self._say(f"{k} = {v}", g, {f"{h.combo.currentData()}.{k}": v}))
        self.override.clicked.connect(lambda on: self._say(self.tr("Protection"), gesture(), protect=False if on else None))
        self.reset.clicked.connect(lambda: self.session.reset_scope())

    def _lay(self) -> None:
        body = QWidget()
        column = QVBoxLayout(body)
        top = QHBoxLayout()
        top.addWidget(self.heading, 1)
        top.addWidget(self.stages.add, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.reset, 0, Qt.AlignmentFlag.AlignTop)
        column.addWidget(self.stages)
        column.addLayout(top)
        column.addWidget(self.forecast)
        column.addWidget(self.note)
        column.addWidget(self.override)
        for half in (self.prune, self.quantize):
            column.addWidget(half)
            column.addSpacing(self.fontMetrics().height() // 2)
        column.addWidget(self.whole)
        column.addStretch(1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(body.minimumSizeHint().width() + self.fontMetrics().height())


def _names(method: type[Any] | None) -> list[str]:
    return [k.name for k in knobs(method)] if method else []
