"""What a training's loss is made of before its first step: measured once a plan is, so that λ and temperature show their share at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from core.lessons import Terms

from .late import Late
from .snapshot import bare

if TYPE_CHECKING:
    from . import trainwork
else:
    trainwork = Late("studio.trainwork")

REMEMBERED = 20  # plans
KEY = "terms"


class Weighing(QObject):
    """Asks the worker when it has nothing else to do; another plan, other data or a training stop it."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session
        self._found: list[tuple[Any, Terms | None]] = []  # None: could not be measured, which a training will say better
        self._asked: Any = None  # what the worker was last asked for: who stops it is not asked again
        session.changed.connect(self._look)
        session.engine.changed.connect(self._look)

    def _look(self, *_: object) -> None:
        of, s, engine = self._of(), self.session.snapshot, self.session.engine
        known = next((x for x in self._found if x[0] == of), None) if of else None
        shown = known[1] if known else None
        if s.terms is not shown:
            self.session._set(replace(s, terms=shown))
        if of is None or known:
            self._asked = None
            engine.cancel(KEY)
        elif of != self._asked and not engine.busy():
            self._asked = of
            engine.run(
                KEY, self.tr("Weighing the loss"), trainwork.terms, self.session._opened, s.plan, s.data, s.limit,
                done=lambda found: self._keep(of, found), failed=lambda _: self._keep(of, None),
            )  # fmt: skip

    def _keep(self, of: Any, found: Terms | None) -> None:
        self._found = [*self._found, (of, found)][-REMEMBERED:]
        self._look()

    def _of(self) -> Any:
        """What the terms hang on; None where there are none to measure, or not yet."""
        session, s = self.session, self.session.snapshot
        plan = s.plan
        if not plan.recover or session.training.closed() or (s.training and s.training.live):
            return None
        if max(session._known(plan), session._known(bare(plan))) < 0:
            return None
        return s.checkpoint, bare(plan), session.training.basis(plan), plan.recovery.get("partition")
