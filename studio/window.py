"""The main window: docks around charts and tabs, menus from the actions, one line for notices."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.data import serves
from core.formats.imatrix_file import SUFFIXES as MATRICES
from core.formats.imatrix_file import is_imatrix
from core.types import Verdict

from . import numbers, settings, theme
from .coach import Coach
from .engine import Engine
from .explain import explain
from .menus import Menus
from .notice import Notice
from .panels.export import VerdictDialog
from .panels.welcome import Welcome
from .session import Session
from .snapshot import Snapshot
from .words import said, word

AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea, "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}  # fmt: skip
ORDER = ("plan", "cut", "history", "inspector", "front", "sensitivity", "calibration", "recovery", "compare", "playground", "jobs", "log")
BESIDE = ("cut",)  # panels that share the plan's place as tabs
CHARTS = ("size", "accuracy", "energy")
UNSEEN = 500  # ms after which a window that was shown and not painted (minimised, covered) is built all the same
REDRAW = 33  # ms: many changes, one redraw


class MainWindow(QMainWindow):
    """Draws the session's snapshots; every change goes through the session."""

    built = Signal()  # charts and panels stand

    reopen = Signal()  # the last session is asked for
    spoken = Signal()  # another language was chosen: a new window takes this one's place

    def __init__(self, session: Session, engine: Engine) -> None:
        super().__init__()
        self.session, self.engine = session, engine
        self.parts: dict[str, Any] = {}  # panels and charts by registered name
        self.docks: dict[str, QDockWidget] = {}
        self.coach: Coach | None = None
        self._replaced = False
        self._compared: object = None
        self._drawn: dict[str, Snapshot] = {}
        self._opened: bool | None = None  # whether the docks were last arranged for a document
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.setDockOptions(QMainWindow.DockOption.AllowTabbedDocks)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.notice, self.welcome = Notice(), Welcome(session)
        self.charts_row, self.tabs, self.pages = QWidget(), QTabWidget(), QStackedWidget()
        self.partway = QLabel(textFormat=Qt.TextFormat.PlainText, indent=4, margin=2)  # what the charts are of while an earlier stage is in hand
        self._centre()
        self.menus = Menus(self)
        self._entries()
        self._redraw = QTimer(self, interval=REDRAW, singleShot=True)
        self._redraw.timeout.connect(self._draw)
        session.changed.connect(self._changed)  # a method, not a lambda: it goes with the window
        session.notice.connect(self.notice.say)
        session.exported.connect(self._exported)
        geometry, _ = settings.layout()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self._draw()
        # pyqtgraph and the engine cost 0.6 s: the charts are built when the welcome page is on the screen, not when its paint is queued
        self._late = QTimer(self, singleShot=True)
        self._late.timeout.connect(self._build)
        self._late.start(0)

    # --- building

    def _centre(self) -> None:
        column = QVBoxLayout(self.charts_row)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.partway)
        column.addLayout(line := QHBoxLayout(), 1)
        self.charts_line = line
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)  # a white line in the dark
        self.notice.details.connect(lambda: self.parts["jobs"].fold.setChecked(True) if "jobs" in self.parts else None)
        self.tabs.currentChanged.connect(lambda _: self._redraw.start())
        self.split = split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.charts_row)
        split.addWidget(self.tabs)
        split.setSizes([270, 330])
        if not (kept := settings.state("split")).isEmpty():
            split.restoreState(kept)
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

    def _entries(self) -> None:
        self.welcome.folder.connect(lambda: self.menus.named("Open folder…").trigger())
        self.welcome.file.connect(lambda: self.menus.named("Open file…").trigger())

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
            self.parts[name] = chart = charts[name](self.session, self.charts_row)
            chart.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # else what needs most starves the others
            self.charts_line.addWidget(chart, 1)
        self.charts_row.setVisible(len(charts) > 0)
        self.menus.menus["View"].addSeparator()
        for dock in self.docks.values():
            self.menus.menus["View"].addAction(dock.toggleViewAction())
        for name in (n for n in self.docks if n in BESIDE and "plan" in self.docks):
            self.tabifyDockWidget(self.docks["plan"], self.docks[name])
        if "plan" in self.docks:
            self.docks["plan"].raise_()
        self._default = self.saveState()
        _, state = settings.layout()
        if state.isEmpty() or not self.restoreState(state):
            self.reset_layout()
        importlib.import_module("studio.work")  # the engine, before anything is opened
        self._opened = None
        self._draw()
        self.built.emit()
        QTimer.singleShot(0, self._draw)  # what was put into a layout is visible only after this

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
        for dock in self.docks.values():
            dock.setVisible(self.session.snapshot.checkpoint is not None)
        self._widths()
        self._draw()

    def _widths(self) -> None:
        if self.session.snapshot.checkpoint is None:
            return  # resizing would show what the welcome page hides
        wide = [(d, w) for n, w in (("layers", 385), ("plan", 315)) if (d := self.docks.get(n))]
        self.resizeDocks([d for d, _ in wide], [w for _, w in wide], Qt.Orientation.Horizontal)
        if {"plan", "history"} <= self.docks.keys():
            self.resizeDocks([self.docks["plan"], self.docks["history"]], [5, 1], Qt.Orientation.Vertical)
        if (jobs := self.docks.get("jobs")) is not None:
            self.resizeDocks([jobs], [34], Qt.Orientation.Vertical)
        for bar in self.findChildren(QTabBar):
            bar.setDrawBase(False)  # of docks in one place: a white line in the dark, too

    # --- drawing

    def _changed(self, _: Snapshot) -> None:
        if not self._redraw.isActive():
            self._redraw.start()

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
        if s.comparison is not None and s.comparison is not self._compared and "compare" in self.parts:
            self.tabs.setCurrentWidget(self.parts["compare"])
        self._compared = s.comparison
        if opened and self.docks and not settings.toured() and self.coach is None:
            QTimer.singleShot(0, self, self.tour)  # the docks have their places only after this frame
        self._facts(s)
        for name, part in self.parts.items():
            if part.isVisible() and self._drawn.get(name) is not s:
                self._drawn[name] = s
                part.show(s)

    def _facts(self, s: Snapshot) -> None:
        """Title, toolbar and status line."""
        self.menus.show(s)
        if s.checkpoint is None:
            self.setWindowTitle("Slim Studio")
            self.facts.clear()
            self.partway.hide()
            self.menus.data.clear()
            return
        name = s.checkpoint.path.name
        self.setWindowTitle(name + (self.tr(" ● unsaved plan") if s.dirty else "") + " – Slim Studio")
        parts = [name, self.tr("{n} parameters").format(n=numbers.si(s.checkpoint.parameters))]
        if s.size:
            parts.append(numbers.change(s.size.original, s.size.total))
        if s.runnable:
            parts.append(self.tr("can't be scored here"))
            self.facts.setToolTip(said(s.runnable))
        if part := self._partway(s):
            parts.append(part)
        self.facts.setText("   ·   ".join(parts))
        self.menus.data.setText(self.tr("Data: {name}").format(name=s.data.name) if s.data else self.tr("No data chosen"))
        self.menus.data.setToolTip(said(s.runnable) or (str(s.data) if s.data else self.tr("Choose held-out samples under Run › Choose data…")))

    def _partway(self, s: Snapshot) -> str:
        """While an earlier stage is in hand, say of which one all figures are."""
        self.partway.setVisible(s.plan is not s.whole)
        if s.plan is s.whole:
            return ""
        from .stages import partway  # brings the ways to train: not before the first paint

        self.partway.setText(partway(s))
        return partway(s, named=False)

    def set_theme(self, which: str) -> None:
        """Light, dark or as the system, at once."""
        settings.set_theme(which)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, which)
        self.menus.icons()
        self.welcome.refresh()
        self._drawn.clear()
        self._draw()

    def set_language(self, which: str) -> None:
        """Chinese, English or the system's, at once."""
        settings.set_language(which)
        self.spoken.emit()

    def tour(self) -> None:
        """The three notes of the first run."""
        if self.coach is not None:
            self.coach.end()
        self.coach = Coach(self)

    def explain(self) -> str:
        """Say what lies under the pointer."""
        return explain(self)

    def compare(self) -> None:
        """The measured plan beside the original, layer by layer."""
        self.parts["layers"].compare()

    def leave_to(self, other: MainWindow) -> None:
        """Another window shows the same session from now on."""
        self._keep_layout()
        self._replaced = True
        other.setGeometry(self.geometry())
        self.close()
        self.deleteLater()

    def _keep_layout(self) -> None:
        settings.keep_layout(self.saveGeometry(), self.saveState())
        settings.keep_state("split", self.split.saveState())
        if "layers" in self.parts:
            settings.keep_state("layers", self.parts["layers"].tree.header().saveState())

    def _exported(self, path: Path, verdict: Verdict) -> None:
        if verdict.passed:
            self.session.notice.emit("info", self.tr("{name} was exported and verified.").format(name=path.name))
        self.verdict = VerdictDialog(path, verdict, self)
        self.verdict.setModal(False)
        self.verdict.show()

    # --- events

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """What no focused part has used up: the keys of the layer tree work from everywhere."""
        if "layers" not in self.parts or not self.parts["layers"].key(event):
            super().keyPressEvent(event)

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
        elif opened and path.suffix in MATRICES and is_imatrix(path):
            self.session.set_calibration(replace(self.session.snapshot.feed, path=path))
        elif opened and serves(path):
            self.session.set_data(path, self.session.snapshot.limit)
        else:
            self.session.open(path)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._late.isActive():
            self._late.start(UNSEEN)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._late.isActive():
            self._late.start(0)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._replaced:
            self._keep_layout()
            self.engine.close()
        event.accept()
