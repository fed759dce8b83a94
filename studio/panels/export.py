"""The export dialog, and what the fresh process said afterwards."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.formats import targets
from core.types import Verdict

from .. import numbers
from ..forms import Form
from ..session import Session
from ..snapshot import Snapshot
from ..words import said, word


class ExportDialog(QDialog):
    """Format, its knobs, the exact size, what the format can't hold, and the place."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setWindowTitle(self.tr("Export"))
        self.setMinimumWidth(620)
        self.format = QComboBox()
        self.format.setAccessibleName(self.tr("Format"))
        for key, target in targets.items():
            self.format.addItem(word(target.title), key)
            self._grey(self.format.count() - 1, target)
        self.format.setCurrentIndex(self.format.findData(session.snapshot.target.key))
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
        self.format.currentIndexChanged.connect(self._format_changed)
        session.changed.connect(self._draw)
        self._draw(session.snapshot)

    def _grey(self, at: int, target: Any) -> None:
        """A format this model can't have, with the reason as its tip."""
        checkpoint = self.session.snapshot.checkpoint
        if checkpoint and hasattr(target, "unfit") and (why := target().unfit(checkpoint)):
            self.format.setItemData(at, said(why), Qt.ItemDataRole.ToolTipRole)
            self.format.setItemData(at, 0, Qt.ItemDataRole.UserRole - 1)  # its flags: neither chosen nor reached

    def _lay_out(self) -> None:
        browse = QPushButton(self.tr("Browse…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        place = QHBoxLayout()
        place.addWidget(self.path, 1)
        place.addWidget(browse)
        self.form.addRow(self.tr("Format"), self.format)
        self.form.addRow(self.knobs)
        self.form.addRow(self.tr("Runs in"), self.runs_in)
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
        column.addLayout(self.form)
        column.addStretch(1)
        column.addWidget(box)

    def _format_changed(self, _: int) -> None:
        self.session.set_target(self.format.currentData())
        suffix, path = getattr(self.session.snapshot.target, "suffix", ""), Path(self.path.text())
        if suffix or path.suffix in self._single():
            self.path.setText(str(path.with_suffix(suffix or self._proposed().suffix)))
        self.session.trace()

    def _single(self) -> set[str]:
        return {getattr(t, "suffix", "") for t in targets.values()} - {""}

    def _edited(self, knob: str, value: object, gesture: int) -> None:
        target = self.session.snapshot.target
        self.session.set_target(target.key, **{**asdict(target), knob: value})

    def _draw(self, s: Snapshot) -> None:
        if s.checkpoint is None or s.size is None:
            self.reject()
            return
        self.knobs.show_knobs(type(s.target), asdict(s.target))
        self.runs_in.setText(word(s.target.runs_in))
        exact = f"{numbers.change(s.size.original, s.size.total)}   {numbers.exact(s.size.total)}"
        pending = hasattr(s.target, "pending") and s.target.pending(s.checkpoint)
        self.exact.setText(self.tr("{size} and the network's graph, which is being traced").format(size=exact) if pending else exact)
        detail = said(s.target.detail(s.layers, s.settings)) if hasattr(s.target, "detail") else ""
        self.detail.setText(detail)
        for part in (self.detail, self.detail_label):
            part.setVisible(bool(detail))
        refused = [(x.name, s.target.refuses(s.checkpoint, x, s.settings[x.name])) for x in s.layers if not s.settings[x.name].idle]
        lines = [f"{name}: {said(why)}" for name, why in refused if why]
        self.refused.setPlainText("\n".join(lines))
        self.refused_label.setVisible(bool(lines))
        self.refused.setVisible(bool(lines))

    def _proposed(self) -> Path:
        checkpoint = self.session.snapshot.checkpoint
        name = checkpoint.path.stem if checkpoint else "model"
        folder = Path.home() / f"{name}-slim"
        if suffix := getattr(self.session.snapshot.target, "suffix", ""):
            return folder.with_suffix(suffix)
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
        column.addWidget(
            QLabel(self.tr("{path}\nreopened in a fresh process by {tool}").format(path=path, tool=verdict.tool), wordWrap=True)
        )
        form = QFormLayout()
        for check in verdict.checks:
            form.addRow(("✓  " if check.passed else "✗  ") + word(check.name), _wrapped(said(check.detail)))
        column.addLayout(form)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        box.rejected.connect(self.reject)
        column.addWidget(box)


def _wrapped(text: str) -> Any:
    return QLabel(text, wordWrap=True)
