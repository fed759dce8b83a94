"""The export dialog, and what the fresh process said afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.formats import targets
from core.types import Verdict

from .. import numbers, theme
from ..forms import Form
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word

if TYPE_CHECKING:
    from core.offers import Offer

HEADS: tuple[Any, ...] = (
    QT_TRANSLATE_NOOP("Formats", "Format"), QT_TRANSLATE_NOOP("Formats", "Exact size"), QT_TRANSLATE_NOOP("Formats", "Speed here"),
    QT_TRANSLATE_NOOP("Formats", "What it can't hold"),
)  # fmt: skip
WIDE = (17, 7, 11)  # em of the first columns


class Row(QStyledItemDelegate):
    """A row is marked as a whole, never one cell of it."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        option.state &= ~QStyle.StateFlag.State_HasFocus


class Formats(QTableWidget):
    """One row a registered format; what can't be had is grey, with the reason beside it."""

    chosen = Signal(str)  # target's key

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(HEADS), parent)
        self.offers: tuple[Offer, ...] = ()
        self.setHorizontalHeaderLabels([QCoreApplication.translate("Formats", h) for h in HEADS])
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setHighlightSections(False)
        self.verticalHeader().hide()
        self.setAccessibleName(self.tr("Format"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(True)
        self.setTabKeyNavigation(False)
        self.setFont(theme.tabular(self.font()))
        for column, em in enumerate(WIDE):
            self.setColumnWidth(column, em * self.fontMetrics().horizontalAdvance("m"))
        self.setItemDelegate(Row(self))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # all rows are seen
        self._later = QTimer(self, interval=0, singleShot=True)  # the last column has its width only after a resize
        self._later.timeout.connect(self._fit)
        self.horizontalHeader().sectionResized.connect(lambda *_: self._later.start())
        self.currentCellChanged.connect(self._moved)

    def draw(self, offers: tuple[Offer, ...], key: str, measured: Mapping[str, str]) -> None:
        """All formats, the chosen one marked; `measured` has the speed of those that were exported and run."""
        self.offers = offers
        with QSignalBlocker(self):
            self.setRowCount(len(offers))
            for row, o in enumerate(offers):
                for column, text in enumerate((word(o.title), _size(o), self._speed(o, measured.get(o.key, "")), self._loss(o))):
                    self.setItem(row, column, self._item(o, column, text))
                if o.key == key:
                    self.setCurrentCell(row, 0)
        self._fit()

    def _fit(self) -> None:
        """Rows as high as their words at this width, the table as high as its rows."""
        self.resizeRowsToContents()
        for row in range(self.rowCount()):
            self.setRowHeight(row, self.rowHeight(row) + 6)
        rows = sum(self.rowHeight(i) for i in range(self.rowCount()))
        self.setFixedHeight(rows + self.horizontalHeader().sizeHint().height() + 4)

    def row_of(self, key: str) -> int:
        return next(i for i, o in enumerate(self.offers) if o.key == key)

    def choose(self, key: str) -> None:
        """As a click on its row does."""
        self.setCurrentCell(self.row_of(key), 0)

    def _item(self, o: Offer, column: int, text: str) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setToolTip(self._tip(o, column, text))
        item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        if o.why:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
        return item

    def _tip(self, o: Offer, column: int, text: str) -> str:
        if column == 0:
            return self.tr("Runs in {what}").format(what=word(o.runs_in))
        if column == 1 and not o.why:
            return numbers.exact(o.nbytes)
        if column == 2 and o.speed is not None:
            return said(o.speed.how)
        return text

    def _speed(self, o: Offer, measured: str) -> str:
        if measured:
            return said(measured)
        if o.speed is None or not o.speed.seconds:
            return ""
        rate = numbers.significant(float(f"{1 / o.speed.seconds:.3g}"))
        unit = self.tr("tokens/s") if o.speed.unit == "token" else self.tr("samples/s")
        return f"{rate} {unit}\n" + (self.tr("modelled") if o.tested else self.tr("modelled as a laptop"))

    def _loss(self, o: Offer) -> str:
        if o.why:
            return said(o.why)
        if not o.dense:
            return self.tr("nothing: all as planned")
        lines = [self.tr("{n} layers stored dense: {why}").format(n=n, why=said(why)) for why, n in o.dense.items()]
        return "\n".join(lines[:2] + ["…"] * (len(lines) > 2))

    def _moved(self, row: int, *_: int) -> None:
        if 0 <= row < len(self.offers) and not self.offers[row].why:
            self.chosen.emit(self.offers[row].key)


def _size(o: Offer) -> str:
    return "" if o.why else numbers.size(o.nbytes) + (" +" if o.pending else "")


class ExportDialog(QDialog):
    """All formats, the chosen one's knobs and exact size, what it can't hold, and the place."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._drawn: tuple[Any, ...] = ()
        self.setWindowTitle(self.tr("Export"))
        self.setMinimumWidth(780)
        self.formats = Formats()
        self.exact, self.runs_in, self.detail = QLabel(), QLabel(wordWrap=True), QLabel(wordWrap=True)
        self.detail_label = QLabel(self.tr("Stored types"))
        self.refused = QPlainTextEdit(readOnly=True)
        self.refused.setMaximumHeight(110)
        self.refused.setAccessibleName(self.tr("Layers stored dense, and why"))
        self.refused_label = QLabel(self.tr("Stored dense"))
        self.path = QLineEdit(str(self._proposed()))
        self.path.setAccessibleName(self.tr("Where to"))
        self.form = QFormLayout()
        self.knobs = Form()
        self.knobs.edited.connect(self._edited)
        self._lay_out()
        self.formats.chosen.connect(self._choose)
        session.changed.connect(self._draw)
        self._draw()

    def _lay_out(self) -> None:
        browse = QPushButton(self.tr("Browse…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        place = QHBoxLayout()
        place.addWidget(self.path, 1)
        place.addWidget(browse)
        self.form.addRow(self.knobs)
        label = QLabel(self.tr("Runs in"))
        label.setMinimumWidth(self.knobs.label_width())
        self.form.addRow(label, self.runs_in)
        self.form.addRow(self.tr("Exact size"), self.exact)
        self.form.addRow(self.detail_label, self.detail)
        self.form.addRow(self.refused_label, self.refused)
        self.form.addRow(self.tr("Where to"), place)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = box.addButton(self.tr("Export and verify"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setDefault(True)
        box.accepted.connect(self._export)
        box.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.formats)
        column.addLayout(self.form)
        column.addStretch(1)
        column.addWidget(box)

    def _choose(self, key: str) -> None:
        self.session.set_target(key)
        suffix, path = getattr(self.session.snapshot.target, "suffix", ""), Path(self.path.text())
        if path.suffix in self._single() | {".safetensors"}:
            path = path.with_suffix("")
        self.path.setText(f"{path}{suffix or self._proposed().suffix * (not path.suffix)}")
        self.session.trace()

    def _single(self) -> set[str]:
        return {getattr(t, "suffix", "") for t in targets.values()} - {""}

    def _edited(self, knob: str, value: object, gesture: int) -> None:
        target = self.session.snapshot.target
        self.session.set_target(target.key, **{**asdict(target), knob: value})

    def _draw(self, _: Snapshot | None = None) -> None:
        s = self.session.staging.last()
        if s.checkpoint is None or s.size is None:
            self.reject()
            return
        now = (s.checkpoint, s.plan, s.target, s.size, s.verdicts)
        if len(now) == len(self._drawn) and all(a is b or a == b for a, b in zip(now, self._drawn)):
            return
        self._drawn = now
        from core.offers import offers  # brings the energy model: not before the first paint

        found = offers(s.checkpoint, s.layers, s.plan, s.task or "other", s.target)
        self.formats.draw(found, s.target.key, {k: v.speed for k, (of, v) in s.verdicts.items() if of == s.basis})
        why = found[self.formats.row_of(s.target.key)].why
        self.go.setEnabled(not why)
        self.go.setToolTip(said(why))
        self.knobs.show_knobs(type(s.target), asdict(s.target))
        self.runs_in.setText(word(s.target.runs_in))
        exact = f"{numbers.change(s.size.original, s.size.total)}   {numbers.exact(s.size.total)}"
        pending = hasattr(s.target, "pending") and s.target.pending(s.checkpoint)
        self.exact.setText(self.tr("{size} and the network's graph, which is being traced").format(size=exact) if pending else exact)
        self._details(s, why)

    def _details(self, s: Snapshot, why: str) -> None:
        """Stored types, and every layer that is stored dense with the reason."""
        detail = said(s.target.detail(s.layers, s.settings)) if hasattr(s.target, "detail") and not why else ""
        self.detail.setText(detail)
        for part in (self.detail, self.detail_label):
            part.setVisible(bool(detail))
        refused = [(x.name, s.target.refuses(s.checkpoint, x, s.settings[x.name])) for x in s.layers if not s.settings[x.name].idle]
        lines = [f"{name}: {said(because)}" for name, because in refused if because]
        self.refused.setPlainText("\n".join(lines))
        self.refused_label.setVisible(bool(lines))
        self.refused.setVisible(bool(lines))

    def _proposed(self) -> Path:
        checkpoint = self.session.snapshot.checkpoint
        name = checkpoint.path.stem if checkpoint else "model"
        folder = Path.home() / f"{name}-slim"
        if suffix := getattr(self.session.snapshot.target, "suffix", ""):
            return folder.with_name(folder.name + suffix)
        named = not checkpoint or checkpoint.config or hasattr(self.session.snapshot.target, "pending")
        return folder if named else folder.with_suffix(".safetensors")

    def _browse(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, self.tr("Folder to export into"), str(Path(self.path.text()).parent)):
            self.path.setText(str(Path(path) / Path(self.path.text()).name))

    def _export(self) -> None:
        self.session.export(Path(self.path.text().strip()).expanduser())
        self.accept()


class VerdictDialog(QDialog):
    """Every check of the export with what it found."""

    def __init__(self, path: Path, verdict: Verdict, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Exported and verified") if verdict.passed else self.tr("The export differs"))
        self.setMinimumWidth(620)
        column = QVBoxLayout(self)
        told = self.tr("{path}\nreopened in a fresh process by {tool}")
        lost = self.tr("{path}\nis not written: {tool} found something else in it, and the new file was removed. Please report this.")
        self.told = QLabel((told if verdict.passed else lost).format(path=path, tool=verdict.tool), wordWrap=True)
        column.addWidget(self.told)
        form = QFormLayout()
        for check in verdict.checks:
            form.addRow(("✓  " if check.passed else "✗  ") + word(check.name), _wrapped(said(check.detail)))
        column.addLayout(form)
        column.addStretch(1)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        column.addWidget(box)


def _wrapped(text: str) -> Any:
    return QLabel(text, wordWrap=True)
