"""The playground of classifiers and sentence encoders: a picture with both's likeliest classes, or two sentences with both's similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from core.data.pictures import SUFFIXES
from core.play import Likeness, Looked

from . import numbers, theme
from .session import Session
from .snapshot import Snapshot

if TYPE_CHECKING:
    from core.play import Sample

translate = QCoreApplication.translate
SIDES = 96, 200  # pixels of a picture's longer side, at least and at most: a third of the page


@dataclass(frozen=True)
class Pair:
    """Two bars under one name; `right`: this is the label."""

    name: str
    before: float
    after: float
    right: bool = False


class Pairs(QWidget):
    """Rows of two bars, the original's above the variant's, from 0 to 1, with their figures behind them."""

    def __init__(self, figure: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.figure = figure  # float -> text
        self.rows: Sequence[Pair] = ()
        self.setMinimumWidth(160)

    def draw(self, rows: Sequence[Pair]) -> None:
        self.rows = rows
        self.setAccessibleDescription("; ".join(f"{r.name}: {self.figure(r.before)}, {self.figure(r.after)}" for r in rows))
        self.updateGeometry()
        self.update()

    def _tall(self) -> int:
        return 2 * (self.fontMetrics().height() - 1) + 4

    def sizeHint(self) -> QSize:
        return QSize(200, self._tall() * max(1, len(self.rows)))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names right-aligned to one edge, bars from there, each with its figure at the other edge."""
        if not self.rows:
            return
        painter, m, tall = QPainter(self), self.fontMetrics(), self._tall()
        ticked = m.horizontalAdvance(" ✓")
        names = min(max(m.horizontalAdvance(r.name) for r in self.rows) + ticked + 2, self.width() * 2 // 5)
        figures = max(m.horizontalAdvance(self.figure(v)) for r in self.rows for v in (r.before, r.after))
        room = max(8, self.width() - names - figures - 16)
        high, middle = (tall - 4) // 2, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for i, r in enumerate(self.rows):
            text = m.elidedText(r.name, Qt.TextElideMode.ElideRight, names - ticked) + (" ✓" if r.right else "")
            painter.setPen(theme.colour("text"))
            painter.drawText(QRect(0, i * tall, names, tall - 4), middle, text)
            for k, (value, ink) in enumerate(((r.before, "before"), (r.after, "after"))):
                top = i * tall + k * high
                painter.fillRect(names + 8, top + 2, max(1, round(room * max(0.0, value))), high - 3, theme.colour(ink))
                painter.setPen(theme.colour("muted"))
                painter.drawText(QRect(names + 8 + room, top, figures + 8, high), middle, self.figure(value))
        painter.end()


def share(p: float) -> str:
    """A probability to a tenth of a per cent."""
    return f"{100 * p:.1f} %" if p >= 0.0005 else "< 0.1 %"


def file(event: QDropEvent, suffixes: Sequence[str]) -> Path | None:
    """The first file of a drag that has one of these suffixes."""
    paths = (Path(u.toLocalFile()) for u in event.mimeData().urls())
    return next((p for p in paths if p.suffix.lower() in suffixes), None)


def image(picture: Any, side: int) -> QPixmap:
    """(height, width, 1 or 3) uint8, enlarged without blur where it is small."""
    height, width, channels = picture.shape
    kind = QImage.Format.Format_Grayscale8 if channels == 1 else QImage.Format.Format_RGB888
    found = QImage(picture.data, width, height, width * channels, kind).copy()
    way = Qt.TransformationMode.FastTransformation if max(height, width) < side else Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(found).scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, way)


class Frame(QLabel):
    """Where a picture is shown, and may be dropped."""

    dropped = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.setFixedSize(SIDES[0], SIDES[0])
        self.setAcceptDrops(True)
        self.setText(self.tr("Drop a picture here"))
        self.setAccessibleName(self.tr("The picture both look at"))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if file(event, SUFFIXES):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.dropped.emit(file(event, SUFFIXES))
        event.acceptProposedAction()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.pixmap().isNull():
            painter = QPainter(self)
            painter.setPen(theme.colour("grid"))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
            painter.end()


class Page(QWidget):
    """A way to play, painted when both have answered something else and when the colours change."""

    shows: Any = Looked  # which answers

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: Any = None
        self.key, self.said, self.bars = QLabel(), QLabel(wordWrap=True), Pairs(share)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "bars") and self.key.text():
            self._paint()

    def draw(self, s: Snapshot) -> None:
        """What both answered last."""
        found = s.play.found if isinstance(s.play.found, self.shows) else None
        if found is not self._drawn or not self.key.text():
            self._drawn = found
            self._paint()

    def _paint(self) -> None:
        sides = (("before", translate("Look", "original")), ("after", translate("Look", "variant")))
        parts = (f'<span style="color:{theme.colour(ink).name()}">■</span> {name}' for ink, name in sides)
        self.key.setText("&nbsp;&nbsp; ".join(parts))
        self._fill(self._drawn)

    def _fill(self, found: Any) -> None:
        """Put an answer, or none, into the page."""

    def _looked(self, found: Looked, picture: QLabel, name: QLabel, side: int) -> None:
        """A picture, and what both take it for."""
        picture.setPixmap(image(found.picture, side))
        name.setText(f"<b>{found.name}</b>" + (f"<br>{found.label} ✓" if found.label else ""))
        self.bars.draw([Pair(c.label, c.before, c.after, c.label == found.label) for c in found.classes])
        self.said.setText(translate("Look", "KL {kl} nats, measured").format(kl=numbers.significant(found.kl)))


class Look(Page):
    """A picture of one's own or of the held-out data."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.frame, self.name = Frame(), QLabel(wordWrap=True)
        self.choose, self.sample = QPushButton(self.tr("Picture…")), QPushButton(self.tr("Next sample"))
        self.bars.setAccessibleName(self.tr("The likeliest classes of both"))
        self.choose.clicked.connect(self._choose)
        self.sample.clicked.connect(session.playing.sample)
        self.frame.dropped.connect(session.playing.look)
        self._lay()

    def _lay(self) -> None:
        buttons = QHBoxLayout()
        for b in (self.choose, self.sample):
            buttons.addWidget(b)
        buttons.addStretch(1)
        left, right, row = QVBoxLayout(), QVBoxLayout(), QHBoxLayout()
        for side, parts in ((left, (self.frame, self.name)), (right, (self.key, self.bars, self.said))):
            for part in parts:
                side.addWidget(part)
        for side, stretch in ((left, 0), (right, 1)):
            side.addStretch(1)
            row.addLayout(side, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(buttons)
        column.addLayout(row)
        column.addStretch(1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        side = min(max(SIDES[0], event.size().width() // 3), SIDES[1])
        if side != self.frame.width():
            self.frame.setFixedSize(side, side)
            self.name.setFixedWidth(side)
            self._paint()

    def draw(self, s: Snapshot) -> None:
        self.sample.setEnabled(s.data is not None)
        super().draw(s)

    def _fill(self, found: Looked | None) -> None:
        if found is not None:
            self._looked(found, self.frame, self.name, self.frame.width())
            return
        self.frame.setText(self.tr("Drop a picture here"))
        self.bars.draw(())
        for label in (self.name, self.said):
            label.clear()

    def _choose(self) -> None:
        masks = self.tr("Pictures ({suffixes})").format(suffixes=" ".join(f"*{s}" for s in SUFFIXES))
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a picture…"), "", masks)
        if path:
            self.session.playing.look(Path(path))


class Liken(Page):
    """Two sentences, and how alike both hold them."""

    shows = Likeness

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.first, self.second = QLineEdit(), QLineEdit()
        self.go = QPushButton(self.tr("Compare"))
        self.bars.figure = numbers.significant
        self.bars.setAccessibleName(self.tr("How alike both hold them"))
        lines, top = QVBoxLayout(), QHBoxLayout()
        for name, line in ((self.tr("First sentence"), self.first), (self.tr("Second sentence"), self.second)):
            line.setAccessibleName(name)
            line.setAcceptDrops(False)
            line.setPlaceholderText(name)
            line.returnPressed.connect(self._go)
            lines.addWidget(line)
        top.addLayout(lines, 1)
        top.addWidget(self.go, 0, Qt.AlignmentFlag.AlignTop)
        self.go.clicked.connect(self._go)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.key, 0, Qt.AlignmentFlag.AlignRight)
        for w in (self.bars, self.said):
            column.addWidget(w)
        column.addStretch(1)

    def take(self, sample: Sample) -> None:
        """One of the worst samples, with the sentence that it has moved from or to."""
        self.first.setText(sample.put[0])
        self.second.setText(sample.put[1])
        for line in (self.first, self.second):
            line.setCursorPosition(0)

    def _fill(self, found: Likeness | None) -> None:
        self.bars.draw([Pair(self.tr("cosine"), found.before, found.after)] if found else ())
        said = self.tr("Each sentence's own embedding has kept a cosine of {a} and {b} to the original's, measured")
        a, b = (numbers.significant(c, 4) for c in (found.cosines if found else (1.0, 1.0)))
        self.said.setText(said.format(a=a, b=b) if found else "")

    def _go(self) -> None:
        self.session.playing.liken(self.first.text(), self.second.text())
