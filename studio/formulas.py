"""The formulas the studio computes, beside the short forms they are often written in, with their sources; a page to read."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from core.resources import root

from . import settings


class Formulas(QDialog):
    """Selectable text in the window's language; nothing in it leads off this machine."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Formulas and sources"))
        self.resize(760, 640)
        self.page = QTextBrowser()
        self.page.setOpenLinks(False)
        self.page.setAccessibleName(self.tr("Formulas and sources"))
        self.page.document().setDocumentMargin(16)
        self.page.setMarkdown(text())
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self.page)
        column.addWidget(close)


def text(language: str = "") -> str:
    """The page as Markdown, in the language the window speaks unless another is named ("en", "zh_CN")."""
    return (root() / "help" / f"formulas.{language or settings.language()}.md").read_text(encoding="utf-8")
