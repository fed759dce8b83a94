"""The main window: docks around charts and tabs, menus from the actions, one line for notices."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.data import serves
from core.types import Verdict

from . import numbers, settings, theme
from .actions import MENUS, Action, actions
from .engine import Engine
from .panels.export import VerdictDialog
from .panels.welcome import Welcome
from .session import Session
from .snapshot import Snapshot
from .words import word

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea, "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}  # fmt: skip
ORDER = ("plan", "history", "inspector", "compare", "jobs", "log")
CHARTS = ("size", "accuracy", "energy")
SHOWN = 8000  # ms an informative notice stays
REDRAW = 33  # ms: many changes, one redraw


class Notice(QFrame):
    """One line above the work that never asks for a click."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel(wordWrap=True)
        close = QToolButton()
        close.setText("×")
        close.setAccessibleName(self.tr("Close the notice"))
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
        row.addWidget(self.text, 1)
        row.addWidget(close)
        self._timer = QTimer(self, interval=SHOWN, singleShot=True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def say(self, level: str, text: str) -> None:
        """Show it; errors stay until they are closed."""
        colour = theme.colour({"error": "danger", "warning": "warning"}.get(level, "accent")).name()
        self.setStyleSheet(f"Notice {{ border: 0; border-left: 4px solid {colour}; background: {theme.colour('base').name()}; }}")
        self.text.setText(text)
        self.show()
        self._timer.start() if level == "info" else self._timer.stop()


class MainWindow(QMainWindow):
    """Draws the session's snapshots; every change goes through the session."""

    def __init__(self, session: Session, engine: Engine) -> None:
        super().__init__()
        self.session, self.engine = session, engine
        self.parts: dict[str, Any] = {}  # panels and charts by registered name
        self.docks: dict[str, QDockWidget] = {}
        self._drawn: dict[str, Snapshot] = {}
        self._opened: bool | None = None  # whether the docks were last arranged for a document
        self._menu_actions: list[tuple[Action, QAction]] = []
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setDockOptions(QMainWindow.DockOption.AllowTabbedDocks)
        self.notice, self.welcome = Notice(), Welcome(session)
        self.charts_row, self.tabs, self.pages = QWidget(), QTabWidget(), QStackedWidget()
        self._centre()
        self._menus()
        self._redraw = QTimer(self, interval=REDRAW, singleShot=True)
        self._redraw.timeout.connect(self._draw)
        session.changed.connect(lambda _: self._redraw.isActive() or self._redraw.start())
        session.notice.connect(self.notice.say)
        session.exported.connect(self._exported)
        geometry, _ = settings.layout()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self._draw()
        # pyqtgraph costs 0.5 s: the welcome page is on screen before the charts are built
        QTimer.singleShot(0, self._build)

    # --- building

    def _centre(self) -> None:
        self.charts_line = QHBoxLayout(self.charts_row)
        self.charts_line.setContentsMargins(0, 0, 0, 0)
        self.tabs.setDocumentMode(True)
        self.tabs.currentChanged.connect(lambda _: self._redraw.start())
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.charts_row)
        split.addWidget(self.tabs)
        split.setSizes([270, 330])
        self.pages.addWidget(self.welcome)
        self.pages.addWidget(split)
        self.pages.setMinimumWidth(420)  # the docks' own widths come first at 1280 pixels
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
        column.addWidget(self.pages, 1)
        self.setCentralWidget(box)
        self.local = QLabel(self.tr("nothing leaves this machine"))
        self.facts = QLabel()
        self.statusBar().addWidget(self.facts, 1)
        self.statusBar().addPermanentWidget(self.local)

    def _menus(self) -> None:
        self.bar = QToolBar(self.tr("Main"), self)
        self.bar.setObjectName("main")
        self.bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        menus = {name: self.menuBar().addMenu(self._menu_title(name)) for name in MENUS}
        found = actions()
        for a in found:
            q = QAction(a.label, self)
            q.setShortcut(QKeySequence(a.shortcut))
            q.triggered.connect(lambda _=False, a=a: a.run(self))
            menus[a.menu].addAction(q)
            if a.bar:
                self.bar.addAction(q)
            self._menu_actions.append((a, q))
        self.view_menu = menus["View"]
        self.addToolBar(self.bar)
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.bar.addWidget(space)
        self.data = QLabel()
        self.bar.addWidget(self.data)
        self.welcome.folder.connect(lambda: self._named("Open folder…").trigger())
        self.welcome.file.connect(lambda: self._named("Open file…").trigger())
        self._icons()

    def _menu_title(self, name: str) -> str:
        return {
            "File": self.tr("&File"), "Edit": self.tr("&Edit"), "Model": self.tr("&Model"), "Run": self.tr("&Run"), "View": self.tr("&View"),
            "Help": self.tr("&Help"),
        }[name]  # fmt: skip

    def _named(self, name: str) -> QAction:
        return next(q for a, q in self._menu_actions if a.name == name)

    def _icons(self) -> None:
        for a, q in self._menu_actions:
            if a.icon:
                q.setIcon(theme.icon(a.icon))

    def _build(self) -> None:
        """Charts, panels and docks: after the first paint."""
        from .charts import charts
        from .panels import panels

        if importlib.util.find_spec("studio.layers.view"):
            from .layers import view

            self._dock("layers", view.LayersView(self.session, self), self.tr("Layers"), "left")
        for name in sorted(panels, key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER)):
            panel = panels[name](self.session, self)
            if panel.area == "tabs":
                self.parts[name] = panel
                self.tabs.addTab(panel, word(panel.title))
            else:
                self._dock(name, panel, word(panel.title), panel.area)
        for name in sorted(charts, key=lambda n: CHARTS.index(n) if n in CHARTS else len(CHARTS)):
            self.parts[name] = charts[name](self.session, self.charts_row)
            self.charts_line.addWidget(self.parts[name], 1)
        self.charts_row.setVisible(len(charts) > 0)
        self.view_menu.addSeparator()
        for dock in self.docks.values():
            self.view_menu.addAction(dock.toggleViewAction())
        self._default = self.saveState()
        _, state = settings.layout()
        if state.isEmpty() or not self.restoreState(state):
            self.reset_layout()
        self._opened = None
        self._draw()

    def _dock(self, name: str, panel: QWidget, title: str, area: str) -> None:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(panel)
        if name == "jobs":
            dock.setTitleBarWidget(QWidget())  # a strip of one line needs no title
        self.addDockWidget(AREAS[area], dock)
        self.docks[name], self.parts[name] = dock, panel

    def reset_layout(self) -> None:
        """All docks where they were at first, in widths that show their content."""
        self.restoreState(self._default)
        self._widths()
        self._draw()

    def _widths(self) -> None:
        if self.session.snapshot.checkpoint is None:
            return  # resizing would show what the welcome page hides
        wide = [(d, w) for n, w in (("layers", 330), ("plan", 330)) if (d := self.docks.get(n))]
        self.resizeDocks([d for d, _ in wide], [w for _, w in wide], Qt.Orientation.Horizontal)
        if (jobs := self.docks.get("jobs")) is not None:
            self.resizeDocks([jobs], [60], Qt.Orientation.Vertical)

    # --- drawing

    def _draw(self) -> None:
        """Show the newest snapshot in every part that is visible and has not seen it."""
        s = self.session.snapshot
        opened = s.checkpoint is not None
        if opened and self.pages.currentIndex() == 0 and s.checkpoint:
            settings.remember(s.checkpoint.path)
        if not opened and self.pages.currentIndex() == 1:
            self.welcome.refresh()
        self.pages.setCurrentIndex(1 if opened else 0)
        if opened != self._opened:
            self._opened = opened
            for dock in self.docks.values():
                dock.setVisible(opened)
            if opened:
                self._widths()
        self._facts(s)
        for name, part in self.parts.items():
            if part.isVisible() and self._drawn.get(name) is not s:
                self._drawn[name] = s
                part.show(s)

    def _facts(self, s: Snapshot) -> None:
        """Title, toolbar and status line."""
        for a, q in self._menu_actions:
            why = a.why(s)
            q.setEnabled(not why)
            keys = f" ({q.shortcut().toString(QKeySequence.SequenceFormat.NativeText)})" if a.shortcut else ""
            q.setToolTip(a.tip + keys + (f"\n{why}" if why else ""))
        if s.checkpoint is None:
            self.setWindowTitle("Slim Studio")
            self.facts.clear()
            self.data.clear()
            return
        name = s.checkpoint.path.name
        self.setWindowTitle(name + (self.tr(" ● unsaved plan") if s.dirty else "") + " – Slim Studio")
        parts = [name, self.tr("{n} parameters").format(n=numbers.si(s.checkpoint.parameters))]
        if s.size:
            parts.append(numbers.change(s.size.original, s.size.total))
        if s.runnable:
            parts.append(self.tr("can't be scored here"))
            self.facts.setToolTip(s.runnable)
        self.facts.setText("   ·   ".join(parts))
        self.data.setText(self.tr("Data: {name}").format(name=s.data.name) if s.data else self.tr("No data chosen"))
        self.data.setToolTip(s.runnable or (str(s.data) if s.data else self.tr("Choose held-out samples under Run › Choose data…")))

    def set_theme(self, which: str) -> None:
        """Light, dark or as the system, at once."""
        settings.set_theme(which)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, which)
        self._icons()
        self.welcome.refresh()
        self._drawn.clear()
        self._draw()

    def _exported(self, path: Path, verdict: Verdict) -> None:
        self.session.notice.emit("info", self.tr("{name} was exported and verified.").format(name=path.name))
        self.verdict = VerdictDialog(path, verdict, self)
        self.verdict.setModal(False)
        self.verdict.show()

    # --- events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """A recipe, data for the open model, or a model."""
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.take(Path(url.toLocalFile()))

    def take(self, path: Path) -> None:
        """Do with a file what its kind asks for."""
        opened = self.session.snapshot.checkpoint is not None
        if path.suffix == ".toml":
            self.session.open_recipe(path)
        elif opened and serves(path):
            self.session.set_data(path, self.session.snapshot.limit)
        else:
            self.session.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        settings.keep_layout(self.saveGeometry(), self.saveState())
        self.engine.close()
        event.accept()
