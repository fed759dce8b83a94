"""The main window: docks around the charts, menus over the session; no logic."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QLocale, Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from core.formats import targets
from core.samples import samples

from . import numbers
from .engine import Engine
from .layers.view import LayerView
from .panels.history import HistoryPanel
from .panels.plan import PlanPanel
from .session import Session
from .snapshot import Snapshot
from .words import word


class MainWindow(QMainWindow):
    """Tree left, charts in the middle, plan and history right, the running job below."""

    def __init__(self, session: Session, engine: Engine) -> None:
        super().__init__()
        self.session, self.engine = session, engine
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self.pages = QStackedWidget()
        self.pages.addWidget(self._welcome())
        self.charts = QWidget()
        self.pages.addWidget(self.charts)
        self.setCentralWidget(self.pages)
        self.tree, self.plan, self.history = LayerView(session), PlanPanel(session), HistoryPanel(session)
        self.views: list[LayerView | PlanPanel | HistoryPanel] = [self.tree, self.plan, self.history]
        self.docks = [
            self._dock(self.tr("Layers"), self.tree, Qt.DockWidgetArea.LeftDockWidgetArea),
            self._dock(self.tr("Plan"), self.plan, Qt.DockWidgetArea.RightDockWidgetArea),
            self._dock(self.tr("History"), self.history, Qt.DockWidgetArea.RightDockWidgetArea),
        ]
        self.resizeDocks(self.docks[:2], [470, 300], Qt.Orientation.Horizontal)
        self._menus()
        self._strip()
        session.changed.connect(self.show_snapshot)
        session.notice.connect(lambda _, text: self.statusBar().showMessage(text, 15000))
        engine.changed.connect(self._jobs)
        self.show_snapshot(session.snapshot)
        QTimer.singleShot(0, self.add_charts)

    def add_charts(self) -> None:
        """After the first paint: pyqtgraph takes half a second to import."""
        if len(self.views) > 3:
            return
        from .charts.accuracy import AccuracyChart
        from .charts.bars import EnergyChart, SizeChart

        row = QHBoxLayout(self.charts)
        row.setContentsMargins(4, 4, 4, 4)
        for chart, stretch in ((SizeChart(), 2), (AccuracyChart(self.session), 3), (EnergyChart(), 2)):
            row.addWidget(chart, stretch)
            self.views.append(chart)  # type: ignore[arg-type]
        self.show_snapshot(self.session.snapshot)

    def show_snapshot(self, s: Snapshot) -> None:
        self.pages.setCurrentIndex(0 if s.checkpoint is None else 1)
        for d in self.docks:
            d.setVisible(s.checkpoint is not None)
        mark = " ●" if s.dirty else ""
        self.setWindowTitle(f"{s.checkpoint.path.name}{mark} – Slim Studio" if s.checkpoint else "Slim Studio")
        self.format.setCurrentIndex(self.format.findData(s.target.key))
        for view in self.views:
            view.show_snapshot(s)

    def _welcome(self) -> QWidget:
        """The bundled samples, each with its measured score."""
        page = QWidget()
        box = QVBoxLayout(page)
        box.addStretch(1)
        box.addWidget(
            QLabel(f"<h1>Slim Studio</h1><p>{self.tr('Open a model, move a slider, see its honest price, export a file that works.')}</p>")
        )
        chinese = QLocale().language() == QLocale.Language.Chinese
        for s in samples():
            score = f"{word(s.metric)} {numbers.digits(s.value, 4)} ({self.tr('measured')})"
            button = QPushButton(f"{s.title_zh if chinese else s.title}    {score}")
            button.setToolTip(s.summary_zh if chinese else s.summary)
            button.clicked.connect(lambda _=False, p=s.path: self.session.open(p))
            box.addWidget(button)
        box.addWidget(QLabel(self.tr("Or drop a model folder or file here, or press Ctrl+O.")))
        box.addStretch(2)
        box.setContentsMargins(120, 20, 120, 20)
        return page

    def _dock(self, title: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(type(widget).__name__)
        dock.setWidget(widget)
        self.addDockWidget(area, dock)
        return dock

    def _menus(self) -> None:
        file, edit = self.menuBar().addMenu(self.tr("File")), self.menuBar().addMenu(self.tr("Edit"))
        for text, key, do in (
            (self.tr("Open folder…"), "Ctrl+O", self._open_folder), (self.tr("Open file…"), "Ctrl+Shift+O", self._open_file),
            (self.tr("Evaluate on…"), "Ctrl+D", self._open_data), (self.tr("Open recipe…"), "Ctrl+R", self._open_recipe),
            (self.tr("Save recipe…"), "Ctrl+S", self._save_recipe), (self.tr("Export…"), "Ctrl+E", self._export), (self.tr("Quit"), "Ctrl+Q", self.close),
        ):  # fmt: skip
            action = QAction(text, self, shortcut=QKeySequence(key))
            action.triggered.connect(lambda _=False, f=do: f())
            file.addAction(action)
        for action, key in (
            (self.session.undo_stack.createUndoAction(self, self.tr("Undo")), "Ctrl+Z"),
            (self.session.undo_stack.createRedoAction(self, self.tr("Redo")), "Ctrl+Shift+Z"),
        ):
            action.setShortcut(QKeySequence(key))
            edit.addAction(action)

    def _strip(self) -> None:
        """Format, running job with progress and cancel, and the promise."""
        self.format = QComboBox(accessibleName=self.tr("Export format"))
        for key, target in targets.items():
            self.format.addItem(word(target.title), key)
        self.format.activated.connect(lambda i: self.session.set_target(self.format.itemData(i)))
        self.bar, self.cancel = QProgressBar(maximum=1000), QPushButton(self.tr("Cancel"))
        self.bar.setMinimumWidth(260)
        self.cancel.clicked.connect(lambda: [self.engine.cancel(k) for k, _, _ in self.engine.jobs()])
        for w in (self.format, self.bar, self.cancel, QLabel(self.tr("nothing leaves this machine"))):
            self.statusBar().addPermanentWidget(w)
        self._jobs()

    def _jobs(self) -> None:
        jobs = self.engine.jobs()
        self.cancel.setEnabled(bool(jobs))
        _, title, p = jobs[0] if jobs else ("", "", None)
        self.bar.setValue(round(1000 * p.share) if p else 0)
        left = f", {numbers.seconds(p.eta)}" if p and p.eta is not None else ""
        self.bar.setFormat(f"{title}: {word(p.phase)} %p%{left}" if p and p.phase else title)

    def _open_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, self.tr("Open a model folder")):
            self.session.open(Path(path))

    def _open_file(self) -> None:
        if path := QFileDialog.getOpenFileName(self, self.tr("Open a model file"))[0]:
            self.session.open(Path(path))

    def _open_data(self) -> None:
        if path := QFileDialog.getOpenFileName(self, self.tr("Evaluate on"), filter="*.txt *.npz")[0]:
            self.session.set_data(Path(path))

    def _open_recipe(self) -> None:
        if path := QFileDialog.getOpenFileName(self, self.tr("Open recipe"), filter="*.toml")[0]:
            self.session.open_recipe(Path(path))

    def _save_recipe(self) -> None:
        if path := QFileDialog.getSaveFileName(self, self.tr("Save recipe"), filter="*.toml")[0]:
            self.session.save_recipe(Path(path))

    def _export(self) -> None:
        if path := QFileDialog.getSaveFileName(self, self.tr("Export to a new folder"))[0]:
            self.session.export(Path(path))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = Path(event.mimeData().urls()[0].toLocalFile())
        if path.suffix in (".txt", ".npz"):
            self.session.set_data(path)
        else:
            self.session.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.engine.close()
        super().closeEvent(event)
