"""Playground: the original and the variant on the user's own input, beside the held-out samples on which they differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QSize, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from .. import numbers
from ..hear import Hear
from ..look import Liken, Look, image
from ..session import Session
from ..snapshot import Snapshot
from ..talk import Talk
from ..words import said
from . import panels

if TYPE_CHECKING:
    from core.play import Sample

PAGES = {"causal-lm": 1, "image-classification": 2, "encoder": 3, "audio-classification": 4}
THUMB = 28  # pixels


@panels("playground")
class Playground(QWidget):
    """The page of the model's task on the left, the worst samples on the right; a click puts one into the page."""

    title = QT_TRANSLATE_NOOP("core", "Playground")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._worst: tuple[Sample, ...] | None = None
        self._put: Sample | None = None
        self._open: Any = None
        self.why = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignTop)
        self.talk, self.look, self.liken, self.hear = Talk(session), Look(session), Liken(session), Hear(session)
        self.pages = QStackedWidget()
        for page in (self.why, self.talk, self.look, self.liken, self.hear):
            self.pages.addWidget(page)
        self.stale = QLabel(wordWrap=True)
        self.stale.setEnabled(False)
        self.search, self.about = QPushButton(), QLabel(wordWrap=True)
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("The samples on which both differ most"))
        self.list.setWordWrap(True)
        self.list.setAlternatingRowColors(True)
        self.list.setIconSize(QSize(THUMB, THUMB))
        self.list.itemActivated.connect(self._pick)
        self.list.itemClicked.connect(self._pick)
        self.search.clicked.connect(self._search)
        session.engine.changed.connect(self._buttons)
        self._lay()

    def _lay(self) -> None:
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(8, 0, 0, 0)
        for w in (self.search, self.about, self.list):
            column.addWidget(w)
        left = QWidget()
        main = QVBoxLayout(left)
        main.setContentsMargins(0, 0, 0, 0)
        main.addWidget(self.pages, 1)
        main.addWidget(self.stale)
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(left)
        both.addWidget(right)
        both.setStretchFactor(0, 3)
        both.setStretchFactor(1, 1)
        both.setSizes([430, 170])
        box = QHBoxLayout(self)
        box.setContentsMargins(8, 6, 8, 4)
        box.addWidget(both)

    # --- drawing

    def show(self, snapshot: Snapshot | None = None) -> None:
        if snapshot is None:
            super().show()
            return
        s = snapshot
        page = 0 if s.runnable else PAGES.get(s.task or "", 0)
        self.pages.setCurrentIndex(page)
        none = self.tr("This network is for none of what can be tried here: prompts, pictures, recordings, sentences.")
        self.why.setText(said(s.runnable) or none)
        if page:
            part: Any = self.pages.currentWidget()
            part.draw(s)
        self._remark(s)
        if s.play.worst is not self._worst:
            self._worst = s.play.worst
            self._fill(s)
        self._buttons()

    def _remark(self, s: Snapshot) -> None:
        """That the answers are of another plan, or that the present one changes nothing."""
        other = s.play.found is not None and s.play.of != s.basis
        self.stale.setVisible(other or (s.checkpoint is not None and not s.runnable and self.session.playing.alike))
        told = self.tr("The plan changes nothing yet: both are the original.")
        self.stale.setText(self.tr("This was said under another plan or on other data.") if other else told)

    def _buttons(self) -> None:
        s, looking = self.session.snapshot, self.session.playing.looking
        why = said(s.runnable) or ("" if s.data else self.tr("Choose held-out data first, under Run."))
        self.search.setText(self.tr("Stop") if looking else self.tr("Find the worst samples"))
        self.search.setEnabled(not why)
        self.search.setToolTip(why or self.tr("Runs original and variant over the held-out data and lists where they differ most"))
        if s.task == "causal-lm":
            self.talk.ask.setText(self.tr("Stop") if self.session.playing.answering else self.tr("Ask both"))
        self.about.setText(self._about(s))

    def _about(self, s: Snapshot) -> str:
        if s.play.worst is None:
            return self.tr("What the average hides: single samples may suffer most. A click puts one into the playground.")
        units = {"causal-lm": self.tr("KL a token, passages of 32 tokens"), "encoder": "1 − cosine"}
        units["audio-classification"] = self.tr("KL a frame of 64 ms")
        text = self.tr("{unit}, dearest first").format(unit=units.get(s.task or "", self.tr("KL a picture")))
        return text if s.play.worst_of == s.basis else f"{text}; " + self.tr("of another plan")

    def _fill(self, s: Snapshot) -> None:
        self.list.clear()
        for sample in self._worst or ():
            text = sample.text if sample.picture is None else f"{sample.text}: {sample.note}"
            item = QListWidgetItem(f"{numbers.significant(sample.loss)}   {text}")
            item.setSizeHint(QSize(0, max(THUMB + 4, 2 * self.fontMetrics().lineSpacing() + 4)))
            item.setToolTip(f"{sample.text}\n{sample.note}")
            if sample.picture is not None:
                item.setIcon(QIcon(image(sample.picture, THUMB)))
            self.list.addItem(item)

    # --- acting

    def _pick(self, item: QListWidgetItem) -> None:
        """Put a sample into the page."""
        sample = (self._worst or ())[self.list.row(item)]
        page = self.pages.currentWidget()
        if isinstance(page, Liken | Talk):
            page.take(sample)
        if not isinstance(page, Talk):
            self.session.playing.put(sample)

    def _search(self) -> None:
        playing = self.session.playing
        playing.stop() if playing.looking else playing.find()
