"""Exact bytes of the export, before and now."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from core.types import Size

from .. import numbers
from ..session import Session
from ..snapshot import Snapshot
from . import charts
from .plots import Bars


@charts("size")
class SizeChart(Bars):
    """Follows the slider at every tick: the bytes follow from the plan alone."""

    title = "Size"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("SizeChart", "Size"), "MB", False, parent)
        self._drawn: Size | None = None

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
        elif snapshot.size is not None and snapshot.size != self._drawn:
            s = self._drawn = snapshot.size
            self.draw(s.original / 1e6, s.total / 1e6)
            figures = f"{numbers.size(s.original)} → <b>{numbers.size(s.total)}</b>  ({numbers.significant(s.original / s.total)}×)"
            self.text.setText(f"{figures}<br>" + QCoreApplication.translate("SizeChart", "exact bytes of the export"))
            self.text.setToolTip(f"{s.original:,} → {s.total:,} B")
