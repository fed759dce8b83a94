"""The one document: a checkpoint, its plan, what was measured of it, and every change to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QUndoStack

from core import plans
from core.data import default as default_data
from core.formats import targets
from core.layers import groups
from core.registry import make
from core.types import Plan, Score, Value, Variant

from . import recipes, resuming
from .engine import Engine
from .feeding import Feeding
from .late import Late
from .playing import Playing
from .pricing import Pricing
from .snapshot import Feed, Snapshot, partial, side_by_side
from .staging import Staging
from .training import Trainer
from .weighing import Weighing

if TYPE_CHECKING:
    from . import kept, work
    from .opened import Opened
else:
    kept, work = Late("studio.kept"), Late("studio.work")

REST = 180  # ms of quiet before the true measurement begins
NAMED = attrgetter("plan", "whole", "variants")  # what has names, which are no difference to ==


class Session(QObject):
    """Everything a view may ask for or do; `changed` carries the new Snapshot."""

    changed = Signal(object)
    notice = Signal(str, str)  # level ("info", "warning", "error"), text
    exported = Signal(object, object)  # Path, Verdict (of a failed one, too)

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(500)
        self.undo_stack.indexChanged.connect(self._undo_texts)
        self.undo_stack.cleanChanged.connect(self._undo_texts)
        self._opened: Opened | None = None
        self._plan = Plan()  # what the open model began with
        self.bearable: float | None = None  # seconds the best methods were estimated to take then; None = no data for them
        self._shot = Snapshot(target=targets["packed"]())
        self._rest = QTimer(self, interval=REST, singleShot=True)
        self._rest.timeout.connect(self.evaluate)
        self._basis: list[kept.Basis] = []  # what each variant was measured on
        self.feeding = Feeding(self)
        self.pricing = Pricing(self)
        self.playing = Playing(self)
        self.training = Trainer(self)
        self.staging = Staging(self)
        self.weighing = Weighing(self)
        engine.changed.connect(self._busy)

    @property
    def snapshot(self) -> Snapshot:
        return self._shot

    @property
    def first(self) -> Plan:
        """What the open model began with: the original, with the methods that are recommended for it."""
        return self._plan

    # --- the model

    def open(self, path: Path, factory: str = "") -> None:
        """Open on the worker; what is open stays until the new one is there."""
        path = Path(path)
        self._open(path, factory, lambda _: self._begin())

    def resume(self, found: kept.Kept) -> None:
        """Open the model of a kept session and put its plan, its data and what was measured back; its factory is not run again."""
        self._open(found.path, "", lambda opened: resuming.put_back(self, found, opened))

    def _open(self, path: Path, factory: str, then: Callable[[Opened], None]) -> None:
        def done(opened: Opened) -> None:
            self._show(opened)
            then(opened)

        title = self.tr("Opening {name}").format(name=path.name)
        self.engine.run("open", title, work.open_model, path, factory, done=done, failed=self._fail)

    def close(self) -> None:
        """Nothing open; running work is dropped."""
        self.engine.cancel_all()
        self._rest.stop()
        self._opened, self._basis = None, []
        self.undo_stack.clear()
        self.pricing.forget()
        self._set(Snapshot(target=self._shot.target))

    def _show(self, opened: Opened) -> None:
        """Put the opened model in place of the old one."""
        for key in ("preview", "first", "inspect", "export", "trace", "zeros", "coverage", "play", "worst", "train"):
            self.engine.cancel(key)
        self._rest.stop()
        self.pricing.forget()
        self._opened, self._basis = opened, []
        self.engine.anew()
        checkpoint = opened.checkpoint
        task, why = work.runs(checkpoint)
        before = work.original_variant(checkpoint, opened.layers, task)
        target = work.suited(self._shot.target, checkpoint)
        self._set(
            Snapshot(checkpoint, opened.layers, target=target, energy_original=before.energy, original=before, runnable=why, task=task,
                     data=default_data(checkpoint), busy=self._shot.busy)
        )  # fmt: skip
        self.undo_stack.clear()
        self._plan, self.bearable = work.first_plan(opened, target, task, self._shot.data, self._shot.limit)
        self._take(self._plan, self._plan)

    def _begin(self) -> None:
        """What a freshly opened model has measured of itself."""
        self._first()
        if self._shot.checkpoint and self._shot.checkpoint.nbytes <= work.COUNTED:
            self.count_zeros()

    def bases(self) -> list[kept.Basis]:
        """What each variant was measured on."""
        return list(self._basis)

    def count_zeros(self) -> None:
        """How sparse every tensor is as it is stored; the tree fills while they are read."""
        if self._shot.checkpoint is None:
            return
        self.engine.run(
            "zeros", self.tr("Counting the zeros"), work.zeros, self._opened, failed=self._fail,
            point=lambda found: self._set(replace(self._shot, zeros={**self._shot.zeros, **found})),
        )  # fmt: skip

    def _first(self) -> None:
        """Score the original, so that every later number has something beside it."""
        s = self._shot
        if s.checkpoint is None or s.runnable or s.data is None:
            return
        self.engine.run(
            "first", self.tr("Scoring the original"), work.first_score, self._opened, s.data, s.limit,
            done=self._scored, point=self._scored, failed=self._cannot_score,
        )  # fmt: skip

    def _scored(self, score: Score) -> None:
        if self._shot.original is None:
            return
        before = replace(self._shot.original, score=score)
        self._set(replace(self._shot, original=before, score=score if self._idle() else self._shot.score))

    def _cannot_score(self, text: str) -> None:
        """The network could not be built or fed: sizes and exports still work, and the reason stays on screen."""
        self._set(replace(self._shot, runnable=text))
        self.notice.emit("warning", text)

    # --- the plan

    def edit(self, label: str, plan: Plan, gesture: int | None = None) -> None:
        """Change the stage in hand as one undoable step; edits of one gesture merge."""
        stages = tuple(plans.legs(plan))
        self.staging.put(label, (*stages, *self.staging.later), len(stages) - 1, gesture)

    def undo(self) -> None:
        self.undo_stack.undo()

    def redo(self) -> None:
        self.undo_stack.redo()

    def scope(self) -> plans.Scope:
        """What an edit is for, from the selection: nothing = the model, whole groups = these groups, else the layers."""
        names = set(self._shot.selection)
        if not names:
            return plans.MODEL
        touched = {g: xs for g, xs in groups(self._shot.layers).items() if any(x.name in names for x in xs)}
        if len(names) > 1 and all(x.name in names for xs in touched.values() for x in xs):
            return plans.Scope("group", tuple(touched))
        return plans.Scope("layers", self._shot.selection)

    def choose(self, gesture: int | None = None, label: str = "", **changes: Any) -> None:
        """Set fields of Choice for the current scope: choose(bits=4, amount=0.3)."""
        text = label or ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in changes.items())
        self.edit(text, plans.edit(self._shot.plan, self.scope(), **changes), gesture)

    def choose_knob(self, key: str, value: Value, gesture: int | None = None) -> None:
        """Set a method's knob for the current scope: choose_knob("rtn.group_size", 64)."""
        self.edit(
            f"{key.partition('.')[2].replace('_', ' ')} {value}", plans.edit(self._shot.plan, self.scope(), knobs={key: value}), gesture
        )

    def reset_scope(self) -> None:
        """The current scope says nothing of its own again."""
        plan, scope = self._shot.plan, self.scope()
        self.edit(self.tr("Reset"), replace(plan, model=self._plan.model) if scope.kind == "model" else plans.reset(plan, scope))

    def _take(self, plan: Plan, whole: Plan) -> None:
        """Put a stage of a plan in hand: exact size and modelled energy at once, the measurement after a rest."""
        s = self._shot
        if s.checkpoint is None:
            return
        self.engine.cancel("preview")
        price = self._price(plan)
        told = {**self.pricing.priced(plan, price["settings"]), **self.training.follow(whole)}
        variants = self.staging.renamed(s.variants, whole)
        self._set(replace(s, plan=plan, whole=whole, score=None, outcomes={}, freed=None, current=-1, variants=variants, **price, **told))
        self.feeding.soon()
        self.pricing.edited()
        if self._idle():
            self._set(replace(self._shot, score=self._shot.original.score if self._shot.original else None))
        elif (known := self._known(plan)) >= 0:
            self._measured(known)
        elif (found := self.pricing.known(plan)) is not None:
            self._keep(found)
        else:
            self.training.untrained()
            self._rest.start()
        if s.inspection is not None and s.selection and not self.staging.waits():
            self.inspect(s.selection[0])

    def _price(self, plan: Plan) -> dict[str, Any]:
        s = self._shot
        return work.priced(s.checkpoint, s.layers, plan, s.target, s.task or "other") if s.checkpoint else {}

    def _idle(self) -> bool:
        return not (self._shot.cut or plans.another(self._shot.plan)) and all(x.idle for x in self._shot.settings.values())

    def _known(self, plan: Plan) -> int:
        """Where this very plan was measured on this very data, or -1."""
        basis = self.training.basis(plan)
        both = enumerate(zip(self._shot.variants, self._basis))  # while a model is closed the second is empty already
        return next((i for i, (v, b) in both if v.plan == plan and b == basis), -1)

    def _measured(self, index: int) -> None:
        v = self._shot.variants[index]
        self._rest.stop()
        self._set(replace(self._shot, current=index, score=v.score, outcomes=v.outcomes, freed=v.freed))

    # --- what is shown and how it is exported

    def select(self, names: Iterable[str]) -> None:
        """The layers every view points at."""
        found = tuple(dict.fromkeys(names))
        if found != self._shot.selection:
            self._set(replace(self._shot, selection=found))

    def set_target(self, key: str, **knobs: Value) -> None:
        """What an export will be; sizes and energies of all variants follow."""
        target = make(targets[key], knobs)
        s = replace(self._shot, target=target)
        if s.checkpoint is not None:
            found = [work.priced(s.checkpoint, s.layers, v.plan, target, s.task or "other") for v in s.variants]
            again = tuple(replace(v, size=f["size"], energy=f["energy"]) for v, f in zip(s.variants, found, strict=True))
            s = replace(s, variants=again, **work.priced(s.checkpoint, s.layers, s.plan, target, s.task or "other"))
        self._set(s)
        self.pricing.edited()

    def trace(self) -> None:
        """Trace the network where the target wants its graph and there is none yet; then sizes are exact."""
        s = self._shot
        if s.checkpoint is not None and hasattr(s.target, "pending") and s.target.pending(s.checkpoint):
            self.engine.run(
                "trace", self.tr("Tracing the network"), work.trace, self._opened, s.target.key, None if s.runnable else s.data, s.limit,
                done=lambda _: self.set_target(self._shot.target.key, **asdict(self._shot.target)), failed=self._fail,
            )  # fmt: skip

    def set_data(self, path: Path | None, limit: int | None = None) -> None:
        """Held-out data to score on; the original is scored again, then the plan."""
        if (path, limit) == (self._shot.data, self._shot.limit):
            return
        before = replace(self._shot.original, score=None) if self._shot.original else None
        why = work.runs(self._shot.checkpoint)[1] if self._shot.checkpoint else ""
        self.engine.cancel("coverage")
        self.pricing.forget()
        self._set(replace(self._shot, data=path, limit=limit, original=before, runnable=why, coverage=None, calibrated=""))
        self._first()
        self._take(self._shot.plan, self._shot.whole)

    def set_calibration(self, feed: Feed) -> None:
        """Data for the methods that look at it; the plan is measured again."""
        if self._opened is not None and feed != self._shot.feed:
            self._opened.feed = feed
            self.feeding.choose(feed)

    # --- measuring

    def evaluate(self) -> None:
        """Compress and score the current plan now."""
        s = self._shot
        self._rest.stop()
        if s.checkpoint is None:
            return
        if self._idle():
            self._first()
            return
        if self.staging.waits() or self.training.look():
            return
        go_on = (self.feeding.aside(), self.pricing.aside())
        self.engine.run(
            "preview", self.tr("Measuring the plan"), work.rested, self._opened, s.plan, s.target, s.task,
            None if s.runnable else s.data, s.limit, point=self._partial, done=self.training.found, failed=self._fail,
        )  # fmt: skip
        for behind in go_on:
            behind()

    def _partial(self, point: Any) -> None:
        """A forecast, a layer's outcome or a growing score of the plan in force."""
        self.pricing.heard(point)
        self._set(partial(self._shot, point))

    def _keep(self, variant: Variant) -> None:
        """A measured plan joins the history; measured again on the same data it takes its old place."""
        if (at := self._known(variant.plan)) >= 0:
            variants = (*self._shot.variants[:at], replace(variant, name=self._shot.variants[at].name), *self._shot.variants[at + 1 :])
        else:
            at, variants = len(self._shot.variants), (*self._shot.variants, variant)
            self._basis.append(self.training.basis(variant.plan))
        self._set(replace(self._shot, variants=variants))
        self.pricing.learn(variant)
        self._measured(at) if variant.plan == self._shot.plan else self.training.untrained()

    def restore(self, index: int) -> None:
        """Go back to a measured plan, undoably; -1 is the untouched original. One that is a stage of the plan in force is put in hand."""
        plan, stages = self._shot.variants[index].plan if index >= 0 else self._plan, self.staging.stages
        label = self.tr("Restore variant {n}").format(n=index + 1) if index >= 0 else self.tr("Back to the original")
        self.staging.choose(stages.index(plan)) if plan in stages else self.staging.put(label, plans.legs(plan))

    def rename_variant(self, index: int, name: str) -> None:
        """Give a variant a name for the history and the charts."""
        v = self._shot.variants
        self._set(replace(self._shot, variants=(*v[:index], replace(v[index], name=name), *v[index + 1 :])))

    def compare(self, indices: Iterable[int]) -> None:
        """Put variants side by side (-1 = the original); two give a row per layer."""
        found = tuple(indices)
        rows = side_by_side(self._shot, *found) if len(found) == 2 else None
        self._set(replace(self._shot, compared=found, comparison=rows))

    def inspect(self, name: str) -> None:
        """Look inside one layer, before and after."""
        s, layer = self._shot, next((x for x in self._shot.layers if x.name == name), None)
        if layer is None:
            return
        go_on = self.training.aside()
        self.engine.run(
            "inspect", self.tr("Inspecting {name}").format(name=name), work.inspect, self._opened, layer, s.plan, s.data, s.limit,
            done=lambda found: self._set(replace(self._shot, inspection=found)), failed=self._fail,
        )  # fmt: skip
        go_on()

    # --- recipes and exports

    def open_recipe(self, path: Path) -> None:
        """Take a recipe's plan, data and target; its model must be the open one."""
        recipes.take(self, Path(path))

    def save_recipe(self, path: Path) -> None:
        """The plan with its model, data and target as TOML, for the command line and for later."""
        recipes.save(self, Path(path))

    def lies(self, path: Path) -> None:
        """The session is what stands in this file."""
        self.undo_stack.setClean()
        self._set(replace(self._shot, recipe_path=path, dirty=False))

    def export(self, path: Path) -> None:
        """Write the plan's model and have a fresh process verify it; `exported` follows."""
        recipes.export(self, Path(path))

    # --- telling

    def _fail(self, text: str) -> None:
        self.notice.emit("error", text)

    def _busy(self) -> None:
        busy = self.engine.busy()
        if busy != self._shot.busy:
            self._set(replace(self._shot, busy=busy))

    def _undo_texts(self, _: int | bool = 0) -> None:
        u = self.undo_stack
        self._set(replace(self._shot, undo_text=u.undoText(), redo_text=u.redoText(), dirty=not u.isClean()))

    def _set(self, shot: Snapshot) -> None:
        if shot != self._shot or any(a is not b for a, b in zip(NAMED(shot), NAMED(self._shot), strict=True)):
            self._shot = shot
            self.changed.emit(shot)
