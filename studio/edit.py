"""One change of the plan on the undo stack."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QUndoCommand

from core.types import Plan


class Edit(QUndoCommand):
    """One change of the plan; changes of one drag (same gesture) are one undo step. `new`: the stage in hand and the whole plan; taking
    the change back puts the stage in hand that it was made of."""

    def __init__(self, session: Any, label: str, new: tuple[Plan, Plan], gesture: int | None) -> None:
        super().__init__(label)
        s = session.snapshot
        self.session, self.old, self.new, self.gesture = session, (s.plan, s.whole), new, gesture

    def id(self) -> int:
        return -1 if self.gesture is None else self.gesture

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, Edit) or other.gesture != self.gesture:
            return False
        self.new = other.new
        return True

    def redo(self) -> None:
        self.session._take(*self.new)

    def undo(self) -> None:
        self.session._take(*self.old)
