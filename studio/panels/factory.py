"""The explicit yes before the user's own Python runs: the code is shown whole."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from .. import theme
from ..session import Session


class FactoryDialog(QDialog):
    """Shows a Python file, asks for the function that builds the network, and runs nothing before the yes."""

    def __init__(self, session: Session, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session, self.path = session, path
        self.setWindowTitle(self.tr("Run this code?"))
        self.resize(720, 560)
        code = path.read_text(encoding="utf-8", errors="replace")
        names = re.findall(r"^def (\w+)\(", code, re.MULTILINE)
        self.function = QLineEdit(names[-1] if names else "")
        self.function.setAccessibleName(self.tr("Function that returns the network"))
        shown = QPlainTextEdit(code, readOnly=True)
        shown.setFont(theme.monospace())
        shown.setAccessibleName(self.tr("The code that will run"))
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.yes = box.addButton(self.tr("Yes, run this code"), QDialogButtonBox.ButtonRole.AcceptRole)
        box.accepted.connect(self._run)
        box.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        warning = self.tr("{name} can do anything you can do on this computer. Run it only if you know where it comes from.")
        column.addWidget(QLabel(warning.format(name=path.name), wordWrap=True))
        column.addWidget(shown, 1)
        column.addWidget(QLabel(self.tr("Function that returns the network, called without arguments:")))
        column.addWidget(self.function)
        column.addWidget(box)

    def _run(self) -> None:
        checkpoint = self.session.snapshot.checkpoint
        if checkpoint is not None:
            self.session.open(checkpoint.path, f"{self.path}:{self.function.text().strip()}")
        self.accept()
