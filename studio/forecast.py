"""One line beside the sliders: the memory and the time a plan will take, and, where it would not fit, what would."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from core.preflight import Preflight

from . import numbers, theme
from .session import Session
from .snapshot import Snapshot
from .words import said, word

STAGES: dict[str, Any] = {
    "compressing": QT_TRANSLATE_NOOP("core", "compressing"), "statistics": QT_TRANSLATE_NOOP("core", "statistics"),
    "gradients": QT_TRANSLATE_NOOP("core", "gradients"), "exporting": QT_TRANSLATE_NOOP("core", "exporting"),
    "scoring": QT_TRANSLATE_NOOP("core", "scoring"), "cutting": QT_TRANSLATE_NOOP("core", "cutting"),
}  # fmt: skip


class Forecast(QWidget):
    """Follows the plan; its button applies what is proposed where that is a matter of fewer tokens or smaller blocks."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.text, self.apply = QLabel(wordWrap=True), QPushButton()
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.apply.setToolTip(self.tr("Change the calibration so that the plan fits"))
        self.apply.clicked.connect(session.feeding.apply)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.text)
        column.addWidget(self.apply)

    def draw(self, snapshot: Snapshot) -> None:
        """Say what is foreseen; nothing where nothing is to be done."""
        found = snapshot.preflight
        self.setVisible(found is not None)
        if found is None:
            return
        self.text.setText(self._said(found))
        self.text.setStyleSheet("" if found.fits else f"color: {theme.colour('warning').name()}")
        self.text.setToolTip(self._how(found))
        offers = not found.fits and (found.block > 0 or (found.tokens > 0 and snapshot.task == "causal-lm"))
        self.apply.setVisible(offers)
        form = self.tr("Calibrate in blocks of {n} inputs") if found.block else self.tr("Calibrate on {n} tokens")
        self.apply.setText(form.format(n=found.block or found.tokens))

    def _said(self, found: Preflight) -> str:
        if found.fits:
            form = self.tr("Takes {memory} and {time} (estimated)")
            text = form.format(memory=numbers.size(found.peak_bytes), time=numbers.duration(max(1.0, found.seconds)))
            kept = self.tr("training keeps up to {size} of the teacher's answers on disk")
            return f"{text}; {kept.format(size=numbers.size(found.kept))}" if found.kept else text
        form = self.tr("⚠ Needs {memory}, {free} are free: {proposal}")
        return form.format(memory=numbers.size(found.peak_bytes), free=numbers.size(found.available), proposal=said(found.proposal))

    def _how(self, found: Preflight) -> str:
        stage = max((k for k in found.parts if found.scores or k != "scoring"), key=lambda k: found.parts[k])
        how = self.tr("Predicted from sizes, samples and this machine's measured speed, for layers that are not in the layer store yet.")
        most = self.tr("Most memory: {stage}, {size}.").format(stage=word(STAGES.get(stage, stage)), size=numbers.exact(found.parts[stage]))
        return how + " " + most + ("" if found.scores else " " + self.tr("Accuracy is not measured, as both models would not fit."))
