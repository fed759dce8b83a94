"""The first page: samples to begin with, recent files, and how to open one's own."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from core.samples import Sample, samples
from core.types import METRICS

from .. import numbers, settings, theme
from ..session import Session
from ..words import word

ICONS = {"causal-lm": "text", "audio-classification": "sound"}


class Card(QPushButton):
    """One sample: title, what it is, and how good it is before anything is done to it."""

    def __init__(self, sample: Sample, chinese: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title = sample.title_zh if chinese else sample.title
        self.setAccessibleName(title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setMinimumHeight(self.fontMetrics().height() * 16)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        picture = QLabel()
        picture.setPixmap(theme.icon(ICONS.get(sample.task, "image"), "accent").pixmap(QSize(24, 24)))
        column.addWidget(picture)
        for text, role in ((title, "title"), (sample.summary_zh if chinese else sample.summary, ""), (_score(sample), "muted")):
            label = QLabel(text, wordWrap=True)
            label.setProperty("role", role)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            column.addWidget(label, 0, Qt.AlignmentFlag.AlignTop)
        column.insertStretch(3, 1)


class Welcome(QWidget):
    """What is shown while nothing is open."""

    folder = Signal()
    file = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setObjectName("welcome")
        self.column = QVBoxLayout(self)
        self.refresh()

    def refresh(self) -> None:
        """Build the page again: recent files and colours may have changed."""
        while self.column.count():
            item = self.column.takeAt(0)
            if item is not None and (w := item.widget()) is not None:
                w.deleteLater()
        page = QWidget()
        page.setMaximumWidth(1000)
        inner = QVBoxLayout(page)
        inner.setContentsMargins(32, 32, 32, 32)
        inner.setSpacing(12)
        self._head(inner)
        self._cards(inner)
        self._own(inner)
        self._recent(inner)
        self.column.addStretch(1)
        self.column.addWidget(page, 4, Qt.AlignmentFlag.AlignHCenter)
        self.column.addStretch(2)
        c = theme.colour
        self.setStyleSheet(
            f"QLabel[role=title] {{ font-weight: 600; }} QLabel[role=muted] {{ color: {c('muted').name()}; }}"
            f"Card {{ text-align: left; background: {c('base').name()}; }}"
        )

    def _head(self, inner: QVBoxLayout) -> None:
        title = QLabel(self.tr("Slim Studio"))
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 2)
        title.setFont(font)
        said = QLabel(
            self.tr("Make a neural network smaller and greener, and see at once what it costs. Begin with a sample:"), wordWrap=True
        )
        said.setProperty("role", "muted")
        inner.addWidget(title)
        inner.addWidget(said)

    def _cards(self, inner: QVBoxLayout) -> None:
        row = QHBoxLayout()
        row.setSpacing(16)
        chinese = settings.language() == "zh_CN"
        for sample in samples():
            card = Card(sample, chinese)
            card.clicked.connect(self._opener(sample))
            row.addWidget(card, 1)
        inner.addLayout(row)

    def _opener(self, sample: Sample) -> Callable[[], None]:
        return lambda: self.session.open(sample.path)

    def _own(self, inner: QVBoxLayout) -> None:
        row = QHBoxLayout()
        folder, file = QPushButton(self.tr("Open folder…")), QPushButton(self.tr("Open file…"))
        folder.setIcon(theme.icon("folder"))
        file.setIcon(theme.icon("file"))
        folder.clicked.connect(self.folder)
        file.clicked.connect(self.file)
        hint = QLabel(self.tr("or drop a model here: a transformers folder, .safetensors, .gguf, .pt, .pt2"))
        hint.setProperty("role", "muted")
        for w in (folder, file, hint):
            row.addWidget(w)
        row.addStretch(1)
        inner.addSpacing(8)
        inner.addLayout(row)

    def _recent(self, inner: QVBoxLayout) -> None:
        paths = settings.recent()
        if not paths:
            return
        inner.addSpacing(8)
        inner.addWidget(QFrame(frameShape=QFrame.Shape.NoFrame))
        head = QLabel(self.tr("Recent"))
        head.setProperty("role", "muted")
        inner.addWidget(head)
        for path in paths[:5]:
            link = QPushButton(f"{path.name}   –   {path.parent}", flat=True)
            link.setStyleSheet("text-align: left; border: 0; padding: 2px;")
            link.clicked.connect(lambda _=False, p=path: self.session.open(p))
            inner.addWidget(link)


def _score(sample: Sample) -> str:
    metric = sample.score["metric"]
    label = word(METRICS[metric][0]) if metric in METRICS else metric
    value = float(sample.score["value"])
    shown = numbers.percent(value) if metric in ("top1", "pitch", "agreement") else numbers.significant(value)
    return QCoreApplication.translate("Welcome", "{metric} {value}, uncompressed").format(metric=label, value=shown)
