"""What the session does about a plan in several stages: one is in hand, and they are added, named, moved and taken out, each edit one undo
step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject

from core.plans import chained, legs, names
from core.types import Plan, Variant

from .edit import Edit
from .snapshot import Snapshot, bare


class Staging(QObject):
    """The stages of the plan; the one in hand is what all other panels show and edit."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    @property
    def stages(self) -> tuple[Plan, ...]:
        """The first one first; a plan of its own is one."""
        return tuple(legs(self._shot.whole))

    @property
    def at(self) -> int:
        """Which one is in hand, from 0."""
        return len(tuple(legs(self._shot.plan))) - 1

    @property
    def later(self) -> tuple[Plan, ...]:
        """The stages after the one in hand."""
        return self.stages[self.at + 1 :]

    def last(self) -> Snapshot:
        """The session as it were with its last stage in hand: what is exported."""
        s = self._shot
        if s.plan is s.whole or s.checkpoint is None:
            return s
        return replace(s, plan=s.whole, current=self.found(s.whole), **self.session._price(s.whole))

    # --- choosing

    def choose(self, at: int) -> None:
        """Put a stage in hand; the plan stays as it is, so nothing is to be undone and a running training goes on."""
        if at != self.at and 0 <= at < len(self.stages):
            self.session._take(self.stages[at], self._shot.whole)

    # --- editing

    def put(self, label: str, stages: Iterable[Plan], at: int = -1, gesture: int | None = None) -> None:
        """Other stages, and which of them is in hand, as one undoable step; edits of one gesture merge."""
        whole, was = chained(stages, at), self._shot.whole
        if self._shot.checkpoint is not None and (whole != was or names(whole) != names(was)):
            self.session.undo_stack.push(Edit(self.session, label, (tuple(legs(whole))[at], whole), gesture))

    def closed(self) -> str:
        """Why the stage in hand can't have another after it ("" = it can)."""
        s = self._shot
        if s.checkpoint is None:
            return self.tr("Open a model first")
        if s.runnable or s.data is None:
            return s.runnable or self.tr("Stages need data to be scored on; choose some under Run.")
        busy = s.cut or s.plan.rotate or any(not x.idle for x in s.settings.values()) or (s.plan.before and s.plan.recover)
        return "" if busy else self.tr("This stage changes nothing yet: prune, quantize, cut or train first")

    def add(self) -> None:
        """Another stage after the one in hand, which begins with what that leaves, under the same settings and untrained."""
        plan = self._shot.plan
        if not self.closed():
            self.session.edit(self.tr("Add a stage"), replace(bare(plan), before=plan, name=""))

    def remove(self, at: int) -> None:
        """Without one stage; without the one in hand, that before it is."""
        stages = self.stages
        if len(stages) > 1:
            rest = (*stages[:at], *stages[at + 1 :])
            self.put(self.tr("Remove stage {n}").format(n=at + 1), rest, max(0, self.at - (at <= self.at)))

    def move(self, at: int, to: int) -> None:
        """A stage to another place in the order, where it is in hand."""
        stages = list(self.stages)
        if at != to and 0 <= to < len(stages):
            stages.insert(to, stages.pop(at))
            self.put(self.tr("Move stage {n}").format(n=at + 1), stages, to)

    def rename(self, at: int, name: str) -> None:
        """Call a stage something; "" = by what it does."""
        stages = list(self.stages)
        if stages[at].name != (name := name.strip()):
            stages[at] = replace(stages[at], name=name)
            self.put(self.tr("Rename stage {n}").format(n=at + 1), stages, self.at)

    # --- what was measured

    def found(self, plan: Plan) -> int:
        """Where in the history a stage stands as it was measured, or -1."""
        return int(self.session._known(plan))

    def waits(self) -> str:
        """Why the stage in hand is not measured by itself ("" = it is): one before it was not run on these data."""
        if all(self.found(p) >= 0 for p in self.stages[: self.at]):
            return ""
        return self.tr("The stages before this one were not run yet: Run the stages (F7) runs and measures each.")

    def measured(self) -> tuple[Variant, ...]:
        """What was measured on the way, in its order: each stage as compressed and as trained."""
        from core.legs import untrained  # brings the whole engine: not before the first paint

        variants = self._shot.variants
        plans = (p for x in self.stages for p in ((untrained(x, self._shot.layers), x) if x.recover else (x,)))
        return tuple(variants[at] for p in plans if (at := self.found(p)) >= 0)

    def renamed(self, variants: tuple[Variant, ...], plan: Plan) -> tuple[Variant, ...]:
        """The history with a plan's stages under the names they have now."""
        if plan.before is None and not plan.name:
            return variants  # as at each tick of a slider
        named = {at: x for x in legs(plan) if (at := self.found(x)) >= 0 and variants[at].plan.name != x.name}
        return tuple(replace(v, plan=named.get(i, v.plan)) for i, v in enumerate(variants)) if named else variants
