"""Recovery: how a slimmed model is trained, what it learns from, what that takes, and its curves while it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.data import SUFFIXES
from core.lessons import carried
from core.recover.methods import recoveries
from core.registry import knobs, make
from core.types import Value

from .. import numbers
from ..forms import Form
from ..learning import Curves
from ..session import Session
from ..sliders import gesture
from ..snapshot import Snapshot, Training
from ..stages import editing
from ..whole import Tune
from ..words import about, said, word
from . import panels


@panels("recovery")
class Recovery(QWidget):
    """The plan's way of training as a form, one button that trains, pauses and goes on, and the curves."""

    title = QT_TRANSLATE_NOOP("core", "Recovery")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.way, self.tune, self.form = QComboBox(), Tune(session), Form()
        self.train, self.cancel = QPushButton(), QPushButton(self.tr("Cancel"))
        self.file, self.folder = QPushButton(self.tr("File…")), QPushButton(self.tr("Folder…"))
        self.back, self.teacher = QPushButton(self.tr("Automatic")), QPushButton(self.tr("Teacher…"))
        self.count, self.source, self.told, self.free, self.terms = QSpinBox(), QLabel(), QLabel(), QLabel(), QLabel()
        self.where = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.curves = Curves(session)
        self._offer()
        self._lay()
        self._connect()

    def _offer(self) -> None:
        """What the controls say of themselves."""
        self.way.addItem(self.tr("No training"), "")
        for name, method in recoveries.items():
            self.way.addItem(word(method.title), name)
            self.way.setItemData(self.way.count() - 1, about(method), Qt.ItemDataRole.ToolTipRole)
        self.way.setAccessibleName(self.tr("Way to train"))
        self.cancel.setToolTip(self.tr("Stop and forget this training; Pause keeps it"))
        self.file.setToolTip(self.tr("Your own text, images or recordings to learn from ({suffixes})").format(suffixes=", ".join(SUFFIXES)))
        self.folder.setToolTip(self.tr("A folder of texts, or of pictures: in one subfolder per class, or without labels"))
        self.back.setToolTip(self.tr("Learn from the calibration data, taught by the original"))
        self.teacher.setMenu(self._teachers())
        self.count.setRange(0, 100_000_000)
        self.count.setSingleStep(1024)
        self.count.setKeyboardTracking(False)
        self.count.setSpecialValueText(self.tr("all"))
        self.count.setAccessibleName(self.tr("Training samples"))
        self.count.setToolTip(self.tr("Tokens, sentences or images to learn from; every eighth piece is kept apart for the check"))
        for quiet in (self.source, self.told, self.free, self.terms):
            quiet.setWordWrap(True)
            quiet.setTextFormat(Qt.TextFormat.PlainText)

    def _lay(self) -> None:
        top, second, under = QHBoxLayout(), QHBoxLayout(), QSplitter(Qt.Orientation.Horizontal)
        for w in (self.way, self.tune, None, self.train, self.cancel):
            top.addWidget(w) if w else top.addStretch(1)
        for x in (self.file, self.folder, self.teacher, self.back, self.count):
            second.addWidget(x)
        second.addStretch(1)
        self.knobs = QScrollArea()
        self.knobs.setWidget(self.form)
        self.knobs.setWidgetResizable(True)
        self.form.rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.knobs.setFrameShape(QFrame.Shape.NoFrame)
        self.knobs.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        under.addWidget(self.knobs)
        under.addWidget(self.curves)
        under.setSizes([240, 260])
        under.setStretchFactor(1, 1)
        under.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addWidget(self.where)
        for part in (top, second):
            column.addLayout(part)
        for line in (self.source, self.free, self.terms, self.told):
            column.addWidget(line)
        column.addWidget(under, 1)

    def _connect(self) -> None:
        self.way.activated.connect(lambda i: self._choose(self.way.itemData(i)))
        self.form.edited.connect(self._say)
        self.train.clicked.connect(self.session.training.press)
        self.cancel.clicked.connect(self.session.training.cancel)
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_folder)
        self.back.clicked.connect(lambda: self._feed(train=None, lessons=None, teacher=None))
        self.count.valueChanged.connect(lambda n: self._feed(lessons=n or None))

    # --- what is edited

    def _choose(self, way: str) -> None:
        """Another way; the knobs both ways have keep their values."""
        plan = self.session.snapshot.plan
        known = {k.name for k in knobs(recoveries[way])} if way else set()
        had = {k: v for k, v in plan.recovery.items() if k in known}
        self.session.edit(self.way.currentText(), replace(plan, recover=way, recovery=had), gesture())

    def _say(self, knob: str, value: Value, number: int) -> None:
        plan = self.session.snapshot.plan
        label = f"{self.way.currentText()}: {knob.replace('_', ' ')} {value}"
        self.session.edit(label, replace(plan, recovery={**plan.recovery, knob: value}), number)

    def _feed(self, **changes: Any) -> None:
        self.session.training.choose(replace(self.session.snapshot.feed, **changes))

    def _choose_file(self) -> None:
        masks = self.tr("Text, images or recordings ({suffixes})").format(suffixes=" ".join(f"*{s}" for s in SUFFIXES))
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Training data"), "", masks)
        if path:
            self._feed(train=Path(path))

    def _choose_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, self.tr("Training data")):
            self._feed(train=Path(path))

    def _teachers(self) -> QMenu:
        """Who distilling learns from."""
        menu = QMenu(self)
        menu.addAction(self.tr("The original"), lambda: self._feed(teacher=None))
        menu.addAction(self.tr("Another model's folder…"), self._choose_teacher)
        menu.addAction(self.tr("Another model's file…"), lambda: self._choose_teacher(file=True))
        return menu

    def _choose_teacher(self, file: bool = False) -> None:
        said = self.tr("Teacher")
        masks = self.tr("Models ({suffixes})").format(suffixes="*.gguf *.pt2")
        path = QFileDialog.getOpenFileName(self, said, "", masks)[0] if file else QFileDialog.getExistingDirectory(self, said)
        if path:
            self.session.training.teach(Path(path))

    # --- what is shown

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        plan, now = snapshot.plan, snapshot.training
        with QSignalBlocker(self.way), QSignalBlocker(self.count):
            self.way.setCurrentIndex(max(0, self.way.findData(plan.recover)))
            self.count.setValue(snapshot.feed.lessons or 0)
        method = recoveries[plan.recover] if plan.recover else None
        self.way.setToolTip(about(method) if method else self.tr("Training after compression: better answers at the same bytes"))
        self.form.show_knobs(method, plan.recovery)
        self.knobs.setVisible(method is not None)
        self.tune.draw(snapshot)
        self.where.setText(editing(snapshot))
        self.where.setVisible(bool(self.where.text()))
        self._buttons(snapshot, now)
        self._data(snapshot)
        self.told.setText(self._said(snapshot, now))
        self.told.setToolTip(self._how(snapshot) if method and not (now and now.state in ("kept", "refused")) else "")
        self._freed(snapshot)
        self._weighed(snapshot)
        self.curves.draw(now)

    def _buttons(self, s: Snapshot, now: Training | None) -> None:
        state = now.state if now else ""
        live, why = state in ("waiting", "running"), said(self.session.training.closed())
        begin = self.tr("Run the stages") if s.whole.before else self.tr("Train")
        self.train.setText(self.tr("Pause") if live else self.tr("Continue") if state == "paused" else begin)
        self.train.setEnabled(live or not why)
        tip = self.tr("Stop and keep what was trained: Continue goes on from there") if live else self.tr("Training never starts by itself")
        if s.whole.before and not live:
            tip = self.tr("Train and measure one stage after the other; what was run before is taken as it is")
        self.train.setToolTip(why or tip)
        self.train.setDefault(not live and not why)
        self.cancel.setEnabled(live or state == "paused")

    def _data(self, s: Snapshot) -> None:
        feed, can = s.feed, s.checkpoint is not None and not s.runnable
        name = feed.train.name if feed.train else self.tr("the calibration data")
        by = feed.teacher.name if feed.teacher else self.tr("the original")
        taught = "share" in {k.name for k in knobs(recoveries[s.plan.recover])} if s.plan.recover else False
        told = self.tr("Learns from {name}, taught by {teacher}") if taught else self.tr("Learns from {name}")
        self.source.setText(told.format(name=name, teacher=by))
        which = self.tr("Any model with the same vocabulary, or the same classes; it is looked at first")
        self.teacher.setToolTip(which if taught or not s.plan.recover else self.tr("Fine-tuning has no teacher; choose Distil"))
        self.teacher.setEnabled(can and taught)
        usual = self.tr("Chosen under Calibration; never what the variants are scored on")
        self.source.setToolTip(str(feed.train) if feed.train else usual)
        self.back.setEnabled(feed != feed.calibrating)
        for w in (self.way, self.file, self.folder, self.count):
            w.setEnabled(can)

    def _freed(self, s: Snapshot) -> None:
        """What closed forms gave back, before and after, or that they will come first."""
        wanted = s.plan.tune is not False and (bool(s.plan.recover) or any(s.plan.cuts.values())) and not self.session.training.closed()
        self.free.setVisible(s.freed is not None or wanted)
        self.free.setToolTip("\n".join(self._step(*x) for x in s.freed or ()) or self._about_free())
        if s.freed is None:
            self.free.setText(self.tr("Free recovery comes first, in seconds and without training; its gain is told here."))
        elif not s.freed:
            self.free.setText(self.tr("Free recovery: no closed form brought it nearer to the original (measured)"))
        else:
            form = self.tr("Free recovery: distance to the original {before} → {after} on data it did not see (measured)")
            before, after = s.freed[0][1], s.freed[-1][2]
            self.free.setText(form.format(before=numbers.significant(before), after=numbers.significant(after)))

    def _step(self, name: str, before: float, after: float) -> str:
        return f"{word(name)}: {numbers.significant(before)} → {numbers.significant(after)}"

    def _about_free(self) -> str:
        return self.tr(
            "Batch norms are counted anew, mean errors go into biases, scales and norm gains are refitted by least squares; "
            "each only where pieces it was not made from come nearer to the original. No byte is added."
        )

    def _weighed(self, s: Snapshot) -> None:
        """What the loss is made of before the first step, at the knobs as they stand; a training tells it itself."""
        how = make(recoveries[s.plan.recover], s.plan.recovery) if s.plan.recover and s.terms and not s.training else None
        total = s.terms.mixed(how.share, how.temperature) if how and s.terms else None
        self.terms.setVisible(total is not None)
        if s.terms is None or how is None or total is None:
            return
        task, teacher = self.tr("task"), self.tr("teacher, T = {n}").format(n=f"{how.temperature:g}")
        both = ((1 - how.share, s.terms.task, task), (how.share, s.terms.teacher.get(how.temperature), teacher))
        known = [(weight, f"{numbers.significant(x)} ({name})") for weight, x, name in both if weight and x is not None]
        parts = known[0][1] if len(known) == 1 else f"{' + '.join(f'{w:.3g} × {x}' for w, x in known)} = {numbers.significant(total)}"
        self.terms.setText(self.tr("Loss before training: {parts}, measured").format(parts=parts))
        where = self.tr("On {n} pieces it does not learn from.").format(n=s.terms.pieces)
        leads = self.tr("The larger share leads: move λ and the temperature until both terms count as you want.")
        self.terms.setToolTip(where + ("\n" + leads if "share" in {k.name for k in knobs(type(how))} else ""))

    def _said(self, s: Snapshot, now: Training | None) -> str:
        """One line: why not, how long, how far, or how it ended."""
        if why := self.session.training.closed():
            return said(why)
        state = now.state if now else ""
        if now is None or state in ("waiting", "failed"):
            return self._foretold(s)
        if state in ("kept", "refused") or now.after is not None:
            return self._ended(now)
        parts = [*self._leg(now), self.tr("Step {n} of {m}").format(n=now.step, m=now.lessons[-1].steps if now.lessons else "…")]
        if now.sent:
            joules = numbers.si(carried(now.sent)[0], "J")
            parts.append(self.tr("{n} sent a round, {energy} to carry (modelled)").format(n=numbers.size(now.sent), energy=joules))
        if (best := now.best) is not None:
            loss = self.tr("loss on data it does not see {before} → {after} (measured)")
            parts.append(loss.format(before=numbers.significant(best.before), after=numbers.significant(best.held or 0.0)))
        if state == "paused":
            parts.insert(0, self.tr("Paused: Continue goes on from here"))
        elif (left := self.session.training.expected()) is not None:
            parts.append(self.tr("{time} left").format(time=numbers.duration(left[0])))
        return "  ·  ".join(parts)

    def _leg(self, now: Training) -> list[str]:
        """Whose training it is: of several stages the one it is in, not always the one in hand."""
        where = self.tr("Stage {n} of {m}").format(n=now.leg, m=now.legs)
        return [f"{where} ({now.name})" if now.name else where] if now.legs > 1 else []

    def _foretold(self, s: Snapshot) -> str:
        """What the run will take, before it starts."""
        found = self.session.training.expected()
        if s.whole.before and found is not None and not found[0]:
            return self.tr("No stage is trained: each is compressed and measured.")
        if found is None:
            return self.tr("How long it takes is known once the original is measured.")
        spent = self.session.training.costs(found[0])
        form = self.tr("Takes about {time}, {energy}, {grams} CO₂e ({how})")
        how = self.tr("a step was measured; energy modelled") if found[1] else self.tr("modelled: passes counted, at the original's pace")
        energy, grams = numbers.si(spent.joules / 3600, "Wh"), numbers.si(spent.grams, "g")
        return form.format(time=numbers.duration(max(1.0, found[0])), energy=energy, grams=grams, how=how)

    def _how(self, s: Snapshot) -> str:
        """What the forecast is made of."""
        found = self.session.training.expected() if not self.session.training.closed() else None
        if not found or not found[0]:
            return ""
        spent = self.session.training.costs(found[0])
        form = self.tr("{time} of this machine at {watts}")
        watts = numbers.si(spent.joules / found[0], "W")
        return form.format(time=numbers.duration(max(1.0, found[0])), watts=watts) + "\n" + said(spent.grid)

    def _ended(self, now: Training) -> str:
        figures = {"before": numbers.significant(now.before or 0.0), "after": numbers.significant(now.after or 0.0)}
        form = self.tr("Kept: loss on data it did not see {before} → {after} (measured)")
        if now.state == "refused":
            form = self.tr("Refused, as it was no better: loss on data it did not see {before} → {after} (measured)")
        early = self.tr("Stopped early, as the loss was no number twice; the best state counts.") if now.early else ""
        return "  ·  ".join(t for t in (*self._leg(now), form.format(**figures), early) if t)
