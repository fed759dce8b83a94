"""The playground of networks that hear: a recording with the pitch both hear over time, and the KL of every frame."""

from __future__ import annotations

from math import log2, nan
from pathlib import Path
from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.data.sounds import SUFFIX
from core.pitch import SURE
from core.play import Heard, Looked, Nats

from . import numbers, theme
from .look import Page, file, share
from .plots import Plot
from .session import Session
from .snapshot import Snapshot
from .strip import Legend, Strip

if TYPE_CHECKING:
    from .pictures import Rows

TICKS = (50, 100, 200, 400, 800, 1600)  # Hz
THUMB = 72  # pixels of a frame's picture


class Hear(Page):
    """A recording of one's own or of the held-out data; a worst frame with the likeliest pitches of both."""

    shows = Heard | Looked

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.choose, self.sample = QPushButton(self.tr("Recording…")), QPushButton(self.tr("Sample"))
        self.plot = Plot(self.tr("Pitch"), self.tr("seconds"), self.tr("Hz"), headless=True)
        self.plot.getAxis("left").setTicks([[(log2(hz), str(hz)) for hz in TICKS]])
        self.plot.rows, self.plot.tip, self.plot.fail = self._rows, self._tip, session._fail
        self.plot.setAcceptDrops(False)  # what is dropped here is the page's
        self.curves = [self.plot.plot(connect="finite") for _ in range(2)]
        self.strip, self.legend = Strip(), Legend()
        self.strip.setAccessibleName(self.tr("KL per frame"))
        self.strip.setWhatsThis(self.tr("One cell every 10 ms: how far the variant's answer is from the original's."))
        self.picture, self.name = QLabel(), QLabel(wordWrap=True)
        self.bars.setAccessibleName(self.tr("The likeliest pitches of both"))
        self.choose.clicked.connect(self._choose)
        self.sample.clicked.connect(lambda: session.playing.hear())
        self.setAcceptDrops(True)
        self._lay()

    def _lay(self) -> None:
        self.sample.setToolTip(self.tr("The first recording of the held-out data"))
        buttons, below, frame = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for b in (self.choose, self.sample):
            buttons.addWidget(b)
        buttons.addStretch(1)
        below.addWidget(self.key)
        below.addStretch(1)
        below.addWidget(self.legend, 0, Qt.AlignmentFlag.AlignTop)
        side = QVBoxLayout()
        for w in (self.picture, self.name):
            side.addWidget(w)
        side.addStretch(1)
        frame.addLayout(side)
        frame.addWidget(self.bars, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(buttons)
        column.addWidget(self.plot, 1)
        column.addWidget(self.strip)
        column.addLayout(below)
        column.addWidget(self.said)
        column.addLayout(frame)

    # --- drawing

    def draw(self, s: Snapshot) -> None:
        self.sample.setEnabled(s.data is not None)
        super().draw(s)

    def _fill(self, found: Heard | Looked | None) -> None:
        frame = found if isinstance(found, Looked) else None
        heard: tuple[QWidget, ...] = (self.plot, self.strip, self.legend)
        seen: tuple[QWidget, ...] = (self.picture, self.name, self.bars)
        for w in (*heard, *seen):
            w.setVisible((w in seen) == (frame is not None))
        self._curves(found if isinstance(found, Heard) else None)
        if frame is not None:
            self._looked(frame, self.picture, self.name, THUMB)

    def _curves(self, found: Heard | None) -> None:
        """Pitches where each is sure of a voice, and the strip below."""
        instants = found.instants if found else ()
        times = self._times(found)
        for c, ink, row in zip(self.curves, ("before", "after"), self._pitches(found)):
            c.setData(times, row)
            c.setPen(pg.mkPen(theme.colour(ink), width=1))
        heard = [y for row in self._pitches(found) for y in row if y == y] or [log2(80), log2(500)]
        self.plot.setYRange(min(heard) - 0.2, max(heard) + 0.2, padding=0)
        self.plot.setXRange(0, max(times, default=1.0), padding=0.01)
        said = [Nats(f"{t:.2f} s", n.kl, n.likeliest, n.likeliest_after) for t, n in zip(times, instants)]
        self.strip.draw(said, 0)
        self.said.setText(self._told(found) if found else self.tr("Choose a recording (.wav) of a voice, or drop one here."))

    def _times(self, found: Heard | None) -> list[float]:
        return [found.first + i * found.step for i in range(len(found.instants))] if found else []

    def _pitches(self, found: Heard | None) -> tuple[list[float], list[float]]:
        """log2 of both's Hz, NaN where a side hears no voice."""
        instants = found.instants if found else ()
        one = [log2(n.before) if n.sure >= SURE else nan for n in instants]
        return one, [log2(n.after) if n.sure_after >= SURE else nan for n in instants]

    def _told(self, found: Heard) -> str:
        parts = [
            f"<b>{found.name}</b>", self.tr("KL {kl} nats a frame, measured").format(kl=numbers.significant(found.mean)),
            self.tr("{share} of the frames alike (within a quarter tone, or no voice)").format(share=numbers.percent(found.alike)),
        ]  # fmt: skip
        if found.apart is not None:
            parts.append(self.tr("{cents} cents apart in the median").format(cents=numbers.significant(found.apart)))
        return "; ".join(parts)

    def _tip(self, x: float, y: float) -> str:
        """Both pitches at a time."""
        found = self._drawn if isinstance(self._drawn, Heard) else None
        i = round((x - found.first) / found.step) if found else -1
        if found is None or not 0 <= i < len(found.instants):
            return ""
        n = found.instants[i]
        sides = ((self.tr("original"), n.before, n.sure), (self.tr("variant"), n.after, n.sure_after))
        return "\n".join([f"{found.first + i * found.step:.2f} s", *(f"{name}: {hz:.1f} Hz, {share(sure)}" for name, hz, sure in sides)])

    def _rows(self) -> Rows:
        """What a copy as CSV holds: activations are between 0 and 1."""
        found = self._drawn if isinstance(self._drawn, Heard) else None
        rows = zip(self._times(found), found.instants if found else ())
        head = ["seconds", "original Hz", "original activation", "variant Hz", "variant activation", "KL nats"]
        return [head, *([t, n.before, n.sure, n.after, n.sure_after, n.kl] for t, n in rows)]

    # --- acting

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if file(event, (SUFFIX,)):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.session.playing.hear(file(event, (SUFFIX,)))
        event.acceptProposedAction()

    def _choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a recording…"), "", self.tr("Recordings (*.wav)"))
        if path:
            self.session.playing.hear(Path(path))
