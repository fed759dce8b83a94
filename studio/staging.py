"""What the session does about a plan in several stages: they are added, named, moved and taken out, each edit one undo step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject

from core.plans import chained, legs
from core.types import Plan, Variant

from .snapshot import Snapshot, bare


class Staging(QObject):
    """The stages of the plan in force; the last one is what all other panels edit."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    @property
    def stages(self) -> tuple[Plan, ...]:
        """The first one first; a plan of its own is one."""
        return tuple(legs(self._shot.plan))

    # --- editing

    def closed(self) -> str:
        """Why the plan can't become a stage before another ("" = it can)."""
        s = self._shot
        if s.checkpoint is None:
            return self.tr("Open a model first")
        if s.runnable or s.data is None:
            return s.runnable or self.tr("Stages need data to be scored on; choose some under Run.")
        busy = s.cut or s.plan.rotate or any(not x.idle for x in s.settings.values()) or (s.plan.before and s.plan.recover)
        return "" if busy else self.tr("This stage changes nothing yet: prune, quantize, cut or train first")

    def add(self) -> None:
        """The plan as it stands becomes a stage; the next one begins with what it leaves, under the same settings and untrained."""
        plan = self._shot.plan
        if not self.closed():
            self.session.edit(self.tr("Add a stage"), replace(bare(plan), before=plan, name=""))

    def remove(self, at: int) -> None:
        """Without one stage; without the last, the one before it is the plan in force."""
        stages = self.stages
        if len(stages) > 1:
            self._chain(self.tr("Remove stage {n}").format(n=at + 1), (*stages[:at], *stages[at + 1 :]))

    def move(self, at: int, to: int) -> None:
        """A stage to another place in the order; the one that is then last is the plan in force."""
        stages = list(self.stages)
        if at != to and 0 <= to < len(stages):
            stages.insert(to, stages.pop(at))
            self._chain(self.tr("Move stage {n}").format(n=at + 1), stages)

    def rename(self, at: int, name: str) -> None:
        """Call a stage something; "" = by what it does."""
        stages = list(self.stages)
        if stages[at].name != (name := name.strip()):
            stages[at] = replace(stages[at], name=name)
            self._chain(self.tr("Rename stage {n}").format(n=at + 1), stages)

    def _chain(self, label: str, stages: Sequence[Plan]) -> None:
        self.session.edit(label, chained(stages))

    # --- what was measured

    def found(self, plan: Plan) -> int:
        """Where in the history a stage stands as it was measured, or -1."""
        return int(self.session._known(plan))

    def waits(self) -> str:
        """Why the plan in force is not measured by itself ("" = it is): a stage before it was not run on these data."""
        if all(self.found(p) >= 0 for p in self.stages[:-1]):
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
