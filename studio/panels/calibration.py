"""Calibration: which data the methods look at, what each layer meets of it, and from how many samples on more do not pay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QT_TRANSLATE_NOOP, QEvent, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSpinBox,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.coverage import TIMES, Coverage, Reach
from core.data import SUFFIXES, serves
from core.formats.imatrix_file import SUFFIXES as MATRICES
from core.formats.imatrix_file import is_imatrix
from core.spans import NARROW

from .. import numbers, theme
from ..pictures import Rows
from ..plots import Plot
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word
from . import panels

SMALL = 10_000_000  # parameters: up to here coverage is measured as soon as the tab is looked at, in seconds


@panels("calibration")
class Calibration(QWidget):
    """Shows the session's feed and coverage; both are changed through the session."""

    title = QT_TRANSLATE_NOOP("core", "Calibration")
    area = "tabs"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._asked: tuple[Any, ...] = ()
        self._drawn: Coverage | None = None
        self.setAcceptDrops(True)
        self.dealt, self.summary = QLabel(), QLabel()
        self.file, self.folder = QPushButton(self.tr("File…")), QPushButton(self.tr("Folder…"))
        self.back, self.measure = QPushButton(self.tr("Automatic")), QPushButton(self.tr("Measure"))
        self.tokens, self.order = QSpinBox(), QComboBox()
        self.block = QSpinBox()
        self.table = QTreeWidget()
        self.plot = Plot(self.tr("Error against samples"), self.tr("samples seen"), self.tr("held-out error, % of the output"), zoom=True)
        self.line = self.plot.plot()
        self.marks = pg.ScatterPlotItem(size=8, symbol="o", hoverable=True, tip=_tip)
        self.flat = pg.InfiniteLine(angle=90, label=self.tr("enough"), labelOpts={"position": 0.9, "anchors": [(0, 0), (0, 0)]})
        self.plot.addItem(self.marks)
        self.plot.addItem(self.flat)
        self.plot.rows, self.plot.fail = self.points, lambda why: session.notice.emit("error", why)
        self._offer()
        self._lay()
        self._connect()
        self.recolour()

    def _offer(self) -> None:
        """What the controls say of themselves."""
        self.tokens.setRange(0, 1_000_000)
        self.tokens.setSingleStep(1024)
        self.tokens.setKeyboardTracking(False)
        self.tokens.setSpecialValueText(self.tr("as usual"))
        self.tokens.setAccessibleName(self.tr("Calibration samples"))
        self.tokens.setToolTip(self.tr("Tokens, sentences or images for both parts; as usual: 16384 tokens, 512 sentences, 256 images"))
        self.file.setToolTip(self.tr("Own text, images or sounds ({suffixes}); or drop them here").format(suffixes=", ".join(SUFFIXES)))
        self.folder.setToolTip(self.tr("A folder of texts, or of pictures: in one subfolder per class, or without labels"))
        self.back.setToolTip(self.tr("What the scored data leaves over, else the bundled text"))
        self.measure.setToolTip(self.tr("What each layer meets, and the error of the selected one (else of the widest) against samples"))
        self.block.setRange(0, 1 << 16)
        self.block.setSingleStep(1024)
        self.block.setKeyboardTracking(False)
        self.block.setSpecialValueText(self.tr("as usual"))
        self.block.setPrefix(self.tr("H of "))
        self.block.setAccessibleName(self.tr("Inputs that share second moments"))
        self.block.setToolTip(self.tr("Inputs of a layer solved together, 8192 as usual: fewer take less memory and time on wide layers"))
        self._order()
        self.table.setHeaderLabels([self.tr("Layer"), self.tr("Samples"), self.tr("What happens")])
        self.table.headerItem().setToolTip(1, self.tr("Samples it met, and how many times its inputs that is"))
        self.table.setRootIsDecorated(False)
        self.table.setUniformRowHeights(True)
        self.table.setAccessibleName(self.tr("What each layer meets"))
        head = self.table.header()
        head.setStretchLastSection(True)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.table.setTextElideMode(Qt.TextElideMode.ElideLeft)  # the end of a layer's name is what tells it apart
        self.plot.setWhatsThis(self.tr("Measured: the error left on inputs the solver never sees, for an eighth to all of its samples."))
        for quiet in (self.dealt, self.summary):
            quiet.setWordWrap(True)

    def _order(self) -> None:
        """What a layer's inputs come from, each choice with what it does."""
        for key, label, does in (
            ("parallel", self.tr("Original's inputs"), self.tr("Layers are compressed side by side; statistics are cached")),
            ("sequential", self.tr("Behind compressed blocks"),
             self.tr("Each block's statistics come from the compressed blocks before it: slower, and not cached")),
            ("corrected", self.tr("Layer by layer, corrected"),
             self.tr("Each layer makes up for what the compressed layers before it did to its inputs: best and slowest, and not cached")),
        ):  # fmt: skip
            self.order.addItem(label, key)
            self.order.setItemData(self.order.count() - 1, does, Qt.ItemDataRole.ToolTipRole)
        self.order.setAccessibleName(self.tr("What layers are calibrated behind"))

    def _lay(self) -> None:
        top, under = QHBoxLayout(), QSplitter(Qt.Orientation.Horizontal)
        for w in (self.file, self.folder, self.back, self.tokens):
            top.addWidget(w)
        top.addStretch(1)
        top.addWidget(self.measure)
        second = QHBoxLayout()
        second.addWidget(self.dealt, 1)
        second.addWidget(self.block)
        second.addWidget(self.order)
        under.addWidget(self.plot)
        under.addWidget(self.table)
        under.setSizes([220, 270])
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        for part in (top, second):
            column.addLayout(part)
        column.addWidget(self.summary)
        column.addWidget(under, 1)

    def _connect(self) -> None:
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_folder)
        self.back.clicked.connect(lambda: self._feed(path=None))
        self.tokens.valueChanged.connect(lambda n: self._feed(tokens=n or None))
        self.block.valueChanged.connect(lambda n: self._feed(block=max(NARROW, n) if n else None))
        self.order.activated.connect(lambda n: self._feed(order=self.order.itemData(n)))
        self.measure.clicked.connect(lambda: self.session.feeding.cover(self._selected(self.session.snapshot)))
        self.table.itemClicked.connect(lambda item, _: self.session.select((item.data(0, Qt.ItemDataRole.UserRole),)))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "flat"):
            self.recolour()

    def recolour(self) -> None:
        """Pens in the theme's colours."""
        self.line.setPen(pg.mkPen(theme.colour("after"), width=1))
        self.marks.setBrush(theme.colour("after"))
        self.marks.setPen(pg.mkPen(theme.colour("after"), width=1))
        self.flat.setPen(pg.mkPen(theme.colour("accent"), width=1, style=Qt.PenStyle.DashLine))
        self.flat.label.setColor(theme.colour("accent"))

    # --- what is used

    def _feed(self, **changes: Any) -> None:
        self.session.set_calibration(replace(self.session.snapshot.feed, **changes))

    def _choose_file(self) -> None:
        suffixes = " ".join(f"*{s}" for s in (*SUFFIXES, *MATRICES))
        masks = self.tr("Text, images, recordings or importance matrix ({suffixes})").format(suffixes=suffixes)
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Calibration data"), "", masks)
        if path:
            self._feed(path=Path(path))

    def _choose_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, self.tr("Calibration data")):
            self._feed(path=Path(path))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() and all(_feeds(Path(u.toLocalFile())) for u in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """The last of what was dropped is what is calibrated on."""
        for url in event.mimeData().urls()[-1:]:
            self._feed(path=Path(url.toLocalFile()))

    # --- what is shown

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        self._draw_feed(snapshot)
        self._follow(snapshot)
        found = snapshot.coverage or Coverage()
        self._say(snapshot, found)
        if found is not self._drawn:
            listed = self._drawn is not None and self._drawn.reach is found.reach
            self._drawn = found
            self._plot(found)
            if not listed:
                self._list(snapshot, found)

    def _draw_feed(self, s: Snapshot) -> None:
        feed, can = s.feed, s.checkpoint is not None and not s.runnable
        self.dealt.setToolTip(str(feed.path) if feed.path else self.tr("Drop a .txt here to calibrate on your own text"))
        for box, n in ((self.tokens, feed.tokens), (self.block, feed.block)):
            box.blockSignals(True)
            box.setValue(n or 0)
            box.blockSignals(False)
        self.order.setCurrentIndex(self.order.findData(feed.order))
        self.order.setToolTip(self.order.currentData(Qt.ItemDataRole.ToolTipRole))
        self.back.setEnabled(feed.path is not None)
        for w in (self.file, self.folder, self.tokens, self.block, self.order, self.measure):
            w.setEnabled(can)

    def _follow(self, s: Snapshot) -> None:
        """A small model is measured as soon as it is looked at; another selection or another plan for the layer only moves the curve."""
        if s.checkpoint is None or s.runnable or s.busy or s.checkpoint.parameters > SMALL:
            return
        name = self._selected(s)
        reach = s.coverage is None or not s.coverage.whole
        want = (s.checkpoint, s.data, s.limit, s.feed.calibrating, name, s.settings.get(self._shown(s)))
        known = want[:-1] == self._asked[:-1] and self._asked[-1] in (None, want[-1])  # the layer is known only once it was measured
        self._asked = want
        if not known:
            self.session.feeding.cover(name, reach)

    def _shown(self, s: Snapshot) -> str:
        return s.coverage.points[0].name if s.coverage and s.coverage.points else ""

    def _selected(self, s: Snapshot) -> str:
        """The one selected layer that can be watched."""
        one = s.selection[0] if len(s.selection) == 1 else ""
        found = next((x for x in s.layers if x.name == one), None)
        return one if found is not None and found.kind in ("linear", "conv") and not s.settings[one].protected else ""

    def _say(self, s: Snapshot, found: Coverage) -> None:
        d = found.dealt
        if d is None:
            name = s.feed.path.name if s.feed.path else self.tr("Drop a .txt here to calibrate on your own text")
            waits = self.tr("{name}. Measure shows what each layer meets, and how many samples are enough.").format(name=name)
            self.dealt.setText(said(s.runnable) if s.runnable else waits)
        else:
            form = self.tr("{told}: {n} {unit} for the solver, {m} held out for the scores")
            self.dealt.setText(form.format(told=said(d.told), n=f"{d.solver:,}", m=f"{d.held:,}", unit=word(d.unit)))
        self.summary.setText("  ·  ".join(t for t in (self._reached(found), self._enough(found)) if t))
        self.summary.setVisible(bool(self.summary.text()))

    def _reached(self, found: Coverage) -> str:
        if not found.reach:
            return ""
        few, blind = sum(r.few for r in found.reach), sum(r.blind for r in found.reach)
        if not few and not blind:
            return self.tr("All {n} layers saw at least {times} samples per input").format(n=len(found.reach), times=TIMES)
        parts = [self.tr("{n} of {m} layers saw fewer than {times} samples per input").format(n=few, m=len(found.reach), times=TIMES)]
        parts += [self.tr("{n} saw nothing").format(n=blind)] if blind else []
        return self.tr(", ").join(parts)

    def _enough(self, found: Coverage) -> str:
        if len(found.points) < 2:
            return ""
        p, how = found.points[-1], found.points[0].setting
        method = " + ".join(t for t in (how.prune, f"{how.quantize} {how.bits}" if how.quantize else "") if t)
        place = f"{p.name.rsplit('.', 1)[-1]} ({method})"
        if (flat := found.enough) is not None:
            return self.tr("{layer}: flat from {n} samples on").format(layer=place, n=f"{flat.samples:,}")
        off = 1 - found.points[-1].error / max(1e-30, found.points[-2].error)
        form = self.tr("{layer}: the last step still took {share} off the error")
        return form.format(layer=place, share=numbers.percent(round(off, 3))) if found.whole else ""

    def _plot(self, found: Coverage) -> None:
        x, y = [p.samples for p in found.points], [100 * p.error for p in found.points]
        self.line.setData(x, y)
        self.marks.setData(x, y, data=list(found.points))
        self.flat.setVisible(found.enough is not None)
        if found.enough is not None:
            self.flat.setValue(found.enough.samples)
        if y:
            self.plot.setYRange(0, 1.1 * max(y), padding=0)
            self.plot.setXRange(0, 1.05 * max(x), padding=0)

    def _list(self, s: Snapshot, found: Coverage) -> None:
        """The layers that lack most come first."""
        rows = sorted(found.reach, key=lambda r: (not r.blind, r.samples / max(1, r.inputs)))
        items = []
        for r in rows:
            item = QTreeWidgetItem([r.name, _met(r), self._what(s, r)])
            item.setData(0, Qt.ItemDataRole.UserRole, r.name)
            item.setToolTip(0, r.name)
            item.setToolTip(2, self._what(s, r))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if r.few or r.blind:
                item.setForeground(2, theme.colour("warning"))
            items.append(item)
        self.table.clear()
        self.table.addTopLevelItems(items)
        for column, ems in enumerate((7, 6)):
            self.table.setColumnWidth(column, ems * self.fontMetrics().height())

    def _what(self, s: Snapshot, r: Reach) -> str:
        setting = s.settings.get(r.name)
        if r.blind:
            free = setting is None or setting.idle
            return self.tr("met nothing: stays as stored") if free else self.tr("met nothing: compressed without data")
        return self.tr("few samples: damped more") if r.few else self.tr("enough")

    def points(self) -> Rows:
        """The curve as a table."""
        return [("samples", "error"), *((p.samples, p.error) for p in (self._drawn.points if self._drawn else ()))]


def _feeds(path: Path) -> bool:
    """Whether a dropped file can be calibrated on."""
    return serves(path) or is_imatrix(path)


def _met(r: Reach) -> str:
    return f"{numbers.si(r.samples)} ({numbers.significant(r.samples / max(1, r.inputs), 2)}×)" if r.samples else "0"


def _tip(x: float, y: float, data: Any) -> str:
    return f"{data.samples:,} → {numbers.significant(100 * data.error)} %"
