"""The command palette: every entry of the menus, every panel and every layer, found by a part of its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from . import theme

MOST = 40  # rows: what is farther down is found by typing more
LAYERS = 12  # of them layers


@dataclass(frozen=True)
class Command:
    """One row: what it is called, where it stands, and what it does; `why` says why it can't."""

    name: str
    place: str
    run: Callable[[], None]
    why: str = ""


class Palette(QDialog):
    """Type, choose with the arrows, Enter."""

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self.setWindowTitle(self.tr("Commands"))
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        em = self.fontMetrics().height()
        self.resize(em * 36, em * 24)
        self.box = QLineEdit(placeholderText=self.tr("A command or a layer"))
        self.box.setAccessibleName(self.tr("A command or a layer"))
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Found commands"))
        self.box.textChanged.connect(self._fill)
        self.box.installEventFilter(self)
        self.list.itemActivated.connect(lambda _: self._go())
        self.list.itemClicked.connect(lambda _: self._go())
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self.box)
        column.addWidget(self.list)
        self._commands = [_command(path, q) for path, q in window.menus.everything()]
        self._layers = [x.name for x in window.session.snapshot.layers]
        self._session = window.session
        self.found: list[Command] = []
        self._fill("")
        _centre(self, window)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows move in the list, Enter runs, while the text keeps the focus."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
                step = 1 if event.key() == Qt.Key.Key_Down else -1
                self.list.setCurrentRow(min(max(0, self.list.currentRow() + step), self.list.count() - 1))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._go()
                return True
        return super().eventFilter(watched, event)

    def _fill(self, text: str) -> None:
        words = text.lower().split()
        self.found = [c for c in self._commands if all(w in f"{c.name} {c.place}".lower() for w in words)]
        self.found.sort(key=lambda c: (bool(c.why), not c.name.lower().startswith(text.lower())))
        if words:
            names = [n for n in self._layers if all(w in n.lower() for w in words)][:LAYERS]
            self.found += [Command(n, self.tr("select this layer"), partial(self._session.select, [n])) for n in names]
        self.found = self.found[:MOST]
        self.list.clear()
        for c in self.found:
            item = QListWidgetItem(f"{c.name}    {c.place}" + (f"    {c.why}" if c.why else ""))
            item.setForeground(theme.colour("disabled" if c.why else "text"))
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _go(self) -> None:
        if 0 <= (at := self.list.currentRow()) < len(self.found) and not self.found[at].why:
            self.accept()
            self.found[at].run()


def _command(path: str, q: Any) -> Command:
    name = q.text().split("\t")[0].replace("&", "").rstrip("…")
    keys = q.shortcut().toString(QKeySequence.SequenceFormat.NativeText) or q.text().partition("\t")[2]
    why = "" if q.isEnabled() else q.toolTip().rpartition("\n")[2]
    return Command(name, f"{path}  {keys}".rstrip(), q.trigger, why)


def _centre(dialog: QWidget, window: QWidget) -> None:
    """Below the toolbar, in the middle of the window."""
    corner = window.mapToGlobal(window.rect().topLeft())
    dialog.move(corner.x() + (window.width() - dialog.width()) // 2, corner.y() + window.height() // 8)
