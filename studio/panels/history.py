"""Every measured plan; a click returns to it."""

from __future__ import annotations

from PySide6.QtWidgets import QListWidget, QWidget

from core.types import METRICS, Variant

from .. import numbers
from ..session import Session
from ..snapshot import Snapshot


class HistoryPanel(QListWidget):
    """Solid dots: these were measured here."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Variant, ...] = ()
        self.setAccessibleName(self.tr("History of measured plans"))
        self.itemActivated.connect(lambda item: session.restore(self.row(item)))
        self.itemClicked.connect(lambda item: session.restore(self.row(item)))

    def show_snapshot(self, s: Snapshot) -> None:
        if s.variants is not self._drawn:
            self._drawn = s.variants
            self.clear()
            for v in s.variants:
                self.addItem(line(v))


def line(v: Variant) -> str:
    """One variant in a line: what was asked, what it weighs, how it did."""
    plan = f"{v.plan.model.bits} b, {v.plan.model.amount or 0:.0%}" + (" +" if v.plan.groups or v.plan.layers else "")
    key = next((k for k in ("perplexity", "top1", "cosine") if v.score and k in v.score.metrics), "")
    score = (
        f"  {METRICS[key][0]} {numbers.digits(v.score.metrics[key].value)} ± {numbers.digits(v.score.metrics[key].error, 2)}"
        if v.score and key
        else ""
    )
    return f"● {plan}  {numbers.nbytes(v.size.total)}{score}"
