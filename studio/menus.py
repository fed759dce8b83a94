"""Menu bar and toolbar, made from the actions: enabled, ticked and explained by the snapshot in force."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QLabel, QMainWindow, QMenu, QSizePolicy, QToolBar, QWidget

from . import theme
from .actions import MENUS, Action, actions
from .snapshot import Snapshot


class Menus:
    """All that a window offers by name."""

    def __init__(self, window: QMainWindow) -> None:
        self.window = window
        self.bar = QToolBar(QCoreApplication.translate("Menus", "Main"), window)
        self.bar.setObjectName("main")
        self.bar.setMovable(False)
        self.bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.data = QLabel()
        self.menus: dict[str, QMenu] = {name: window.menuBar().addMenu(self._title(name)) for name in MENUS}
        self._under: dict[tuple[str, str], QMenu] = {}
        self.actions: list[tuple[Action, QAction]] = [(a, self._add(a)) for a in actions()]
        self._lay_bar()
        self.icons()

    def named(self, name: str) -> QAction:
        """The entry with this English name."""
        return next(q for a, q in self.actions if a.name == name)

    def icons(self) -> None:
        """Icons in the theme's colours."""
        for a, q in self.actions:
            if a.icon:
                q.setIcon(theme.icon(a.icon))

    def show(self, s: Snapshot) -> None:
        """Enable what can act; what can't says why."""
        for a, q in self.actions:
            why = a.why(s)
            q.setEnabled(not why)
            key = q.shortcut().toString(QKeySequence.SequenceFormat.NativeText) or translate(a.keys)
            q.setToolTip(a.tip + (f" ({key})" if key else "") + (f"\n{why}" if why else ""))
            if a.on is not None:
                q.setChecked(a.on())

    def everything(self) -> list[tuple[str, QAction]]:
        """(menu › submenu, entry) of all entries, as the palette searches them."""
        return [found for menu in self.menus.values() for found in _inside(menu, menu.title().split("(")[0].replace("&", ""))]

    def _add(self, a: Action) -> QAction:
        q = QAction(a.label + (f"\t{translate(a.keys)}" if a.keys else ""), self.window)
        q.setShortcut(QKeySequence(a.shortcut))
        q.setCheckable(a.on is not None)
        q.triggered.connect(lambda _=False: self._run(a))
        self._menu(a).addAction(q)
        return q

    def _run(self, a: Action) -> None:
        a.run(self.window)
        for other, q in self.actions:
            if other.on is not None:
                q.setChecked(other.on())

    def _menu(self, a: Action) -> QMenu:
        if not a.under:
            return self.menus[a.menu]
        if (key := (a.menu, a.under)) not in self._under:
            self._under[key] = self.menus[a.menu].addMenu(QCoreApplication.translate("actions", a.under))
        return self._under[key]

    def _lay_bar(self) -> None:
        for a, q in self.actions:
            if a.bar:
                self.bar.addAction(q)
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.bar.addWidget(space)
        self.bar.addWidget(self.data)
        self.window.addToolBar(self.bar)

    def _title(self, name: str) -> str:
        return {
            "File": QCoreApplication.translate("Menus", "&File"), "Edit": QCoreApplication.translate("Menus", "&Edit"),
            "Model": QCoreApplication.translate("Menus", "&Model"), "Run": QCoreApplication.translate("Menus", "&Run"),
            "View": QCoreApplication.translate("Menus", "&View"), "Help": QCoreApplication.translate("Menus", "&Help"),
        }[name]  # fmt: skip


def translate(key: str) -> str:
    """A key's name as it is written on the keyboard there."""
    return QCoreApplication.translate("actions", key) if key else ""


def _inside(menu: QMenu, path: str) -> list[tuple[str, QAction]]:
    found: list[tuple[str, QAction]] = []
    for q in menu.actions():
        if isinstance(below := q.menu(), QMenu):
            found += _inside(below, f"{path} › {below.title()}")
        elif not q.isSeparator():
            found.append((path, q))
    return found
