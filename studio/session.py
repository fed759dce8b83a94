"""The document: one snapshot, one signal, every edit an undo step, and every heavy call the window can make."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from core.energy import estimate
from core.formats import targets
from core.plans import MODEL, Scope, edit, reset, resolve
from core.recipe import Recipe, dumps, load
from core.registry import make
from core.size import size
from core.types import Outcome, Plan, Score, Value, Variant, Verdict

from . import work
from .engine import Engine
from .snapshot import Snapshot

REST = 180  # ms without an edit before the true measurement starts


class Edit(QUndoCommand):
    """One change of the plan; steps of one gesture merge into one."""

    def __init__(self, session: Session, label: str, old: Plan, new: Plan, gesture: int) -> None:
        super().__init__(label)
        self.session, self.old, self.new, self.gesture = session, old, new, gesture

    def redo(self) -> None:
        self.session.show_plan(self.new)

    def undo(self) -> None:
        self.session.show_plan(self.old)

    def id(self) -> int:
        return self.gesture

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Qt asks only when both ids are equal; -1 never merges."""
        self.new = other.new  # type: ignore[attr-defined]
        return True


class Session(QObject):
    """Views listen to `changed` and call the methods below; they know nothing else."""

    changed = Signal(object)
    notice = Signal(str, str)  # "info" | "warning", text
    exported = Signal(object)  # Verdict

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self.snapshot = Snapshot(target=targets["dense"]())
        self.undo_stack = QUndoStack(self)
        self.opened: work.Opened | None = None
        self._rest = QTimer(self, interval=REST, singleShot=True)
        self._rest.timeout.connect(self.evaluate)
        engine.failed.connect(lambda title, text: self.notice.emit("warning", f"{title}: {text}"))

    def open(self, path: Path) -> None:
        self.engine.run("open", self.tr("Opening"), work.open_model, Path(path), done=self._opened)

    def _opened(self, found: tuple[Any, Any]) -> None:
        checkpoint, layers = found
        self.undo_stack.clear()
        self.opened = work.Opened(checkpoint, layers)
        self.snapshot = Snapshot(checkpoint, layers, target=self.snapshot.target)
        self._derive(Plan())
        self._prepare(None)

    def _prepare(self, data: Path | None) -> None:
        s = self.snapshot
        self.engine.run("prepare", self.tr("Measuring the original"), work.prepare, s.checkpoint, s.layers, data, None, done=self._prepared)

    def set_data(self, path: Path) -> None:
        """Evaluate on the user's own file from now on; older points were measured on other data and go."""
        self._prepare(path)

    def _prepared(self, opened: work.Opened) -> None:
        self.opened = opened
        data = Path(opened.score.data) if opened.score else None
        self._set(original=opened.score, runnable=opened.why, variants=(), score=None, data=data)
        self._derive(self.snapshot.plan)
        self._rest.start()

    def edit(self, label: str, plan: Plan, gesture: int = -1) -> None:
        """One undo step; edits with the same gesture number are one."""
        if plan != self.snapshot.plan:
            self.undo_stack.push(Edit(self, label, self.snapshot.plan, plan, gesture))

    def show_plan(self, plan: Plan) -> None:
        """Called by the undo stack: derive what can be known at once, then measure when the hand rests."""
        self.engine.cancel("preview")
        self._derive(plan)
        self._rest.start()

    def choose(self, gesture: int = -1, **changes: Any) -> None:
        """Change fields of the plan for what is selected."""
        self.edit(self.tr("Change {what}").format(what=", ".join(changes)), edit(self.snapshot.plan, self.scope(), **changes), gesture)

    def choose_knob(self, key: str, value: Value) -> None:
        self.edit(self.tr("Change {what}").format(what=key), edit(self.snapshot.plan, self.scope(), knobs={key: value}))

    def reset_scope(self) -> None:
        self.edit(self.tr("Reset"), reset(self.snapshot.plan, self.scope()))

    def scope(self) -> Scope:
        """What the selection stands for: nothing = the model, all like layers = their group, else the layers."""
        chosen = set(self.snapshot.selection)
        if not chosen:
            return MODEL
        groups = {x.group for x in self.snapshot.layers if x.name in chosen}
        whole = {x.name for x in self.snapshot.layers if x.group in groups}
        return (
            Scope("group", tuple(sorted(groups)))
            if whole == chosen and len(whole) > len(groups)
            else Scope("layers", tuple(sorted(chosen)))
        )

    def select(self, names: tuple[str, ...]) -> None:
        if names != self.snapshot.selection:
            self._set(selection=names)

    def set_target(self, key: str, **knobs: Value) -> None:
        self.snapshot = replace(self.snapshot, target=make(targets[key], knobs))
        self._derive(self.snapshot.plan)

    def evaluate(self) -> None:
        """Measure the present plan on the worker; a newer plan replaces an older measurement."""
        s = self.snapshot
        known = next((v for v in s.variants if v.plan == s.plan), None)
        if known or self.opened is None or s.size is None:
            return
        plan, bytes_, energy = s.plan, s.size, s.energy

        def done(found: tuple[dict[str, Outcome], Score | None]) -> None:
            when = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
            v = Variant(plan, bytes_, energy, found[1], found[0], when=when)
            self._set(variants=(*self.snapshot.variants, v), score=found[1], outcomes=found[0])

        self.engine.run("preview", self.tr("Measuring"), work.preview, self.opened, plan, done=done, point=self._point)

    def _point(self, value: Any) -> None:
        if isinstance(value, Score):
            self._set(score=value)

    def restore(self, index: int) -> None:
        """Back to a measured plan, as an edit like any other."""
        self.edit(self.tr("Restore"), self.snapshot.variants[index].plan)

    def export(self, path: Path) -> None:
        args = (self.opened, self.snapshot.plan, self.snapshot.target, Path(path))
        self.engine.run("export", self.tr("Exporting"), work.export, *args, done=self._exported)

    def _exported(self, verdict: Verdict) -> None:
        self.notice.emit("info", self.tr("Exported and verified by {tool}").format(tool=verdict.tool))
        self.exported.emit(verdict)

    def open_recipe(self, path: Path) -> None:
        self.edit(self.tr("Open recipe"), load(path).plan)

    def save_recipe(self, path: Path) -> None:
        s = self.snapshot
        if s.checkpoint is not None:
            path.write_text(dumps(Recipe(s.checkpoint.path, s.plan, s.data, target=s.target.key)))
            self._set(dirty=False)

    def _derive(self, plan: Plan) -> None:
        """What follows from a plan within a frame: settings, exact bytes, modelled energy, and a measurement already made."""
        s = self.snapshot
        if s.checkpoint is None:
            return
        settings = resolve(plan, s.layers)
        bytes_ = size(s.checkpoint, s.layers, settings, s.target)
        task = s.original.task if s.original else "other"
        energy = estimate(s.checkpoint, s.layers, settings, bytes_, s.target, task) if s.original else None
        idle = resolve(Plan(), s.layers)
        dense = targets["dense"]()
        before = estimate(s.checkpoint, s.layers, idle, size(s.checkpoint, s.layers, idle, dense), dense, task) if s.original else None
        known = next((v for v in s.variants if v.plan == plan), None)
        self._set(
            plan=plan, settings=settings, size=bytes_, energy=energy, energy_original=before, dirty=plan != s.plan or s.dirty,
            score=known.score if known else None, outcomes=known.outcomes if known else {},
        )  # fmt: skip

    def _set(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, **changes)
        self.changed.emit(self.snapshot)
