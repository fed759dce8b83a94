"""The layers dock: search, sort, select, and set bits or pruning from the keyboard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QLineEdit, QMenu, QTreeView, QVBoxLayout, QWidget

from core import plans
from core.types import Layer
from studio import settings
from studio.session import Session
from studio.snapshot import Snapshot
from studio.theme import tabular

from .delegate import LayersDelegate
from .model import DTYPE, LAYER, Index, LayersModel
from .nodes import Node

WIDTHS = (13.6, 3.9, 4.2, 6.5, 4.8, 9, 5.5, 7, 8, 7, 7, 5)  # of the columns, in line heights
NUDGE = 0.05  # what one [ or ] adds to the share to prune
OPEN_MATCHES = 500  # a search with more hits stays folded


class Tree(QTreeView):
    """Rows of one height without editors: all that changed values need is a repaint."""

    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        """Qt's own would first ask for the place of every cell of the range: 25 ms of the window's thread on 100 layers."""
        self.viewport().update()


class LayersView(QWidget):
    """Tree of layers with a search box; its selection is the session's."""

    title = "Layers"
    area = "left"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.model = LayersModel(self)
        self.model.stored = session.feeding.stored
        self._quiet = False
        self.box = QLineEdit(placeholderText=self.tr("Search layers"), clearButtonEnabled=True)
        self.box.setAccessibleName(self.tr("Search layers"))
        self.box.setToolTip(self.tr("Part of a name (down_proj) or a type (linear, conv, norm)"))
        self._pause = QTimer(self, singleShot=True, interval=150)
        self._pause.timeout.connect(self._search)
        self.box.textChanged.connect(lambda _: self._pause.start())
        self.tree = self._make_tree()
        self.empty = QLabel(self.tr("Open a model to see its layers here"), alignment=Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 0)
        for widget in (self.box, self.tree, self.empty):
            column.addWidget(widget)
        self.show(session.snapshot)

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Draw a snapshot; without one, appear as any widget does."""
        if snapshot is None:
            super().show()
            return
        fresh = snapshot.layers != self.model.snapshot.layers
        self._quiet = True
        self.model.show_snapshot(snapshot)
        self._quiet = False
        self.tree.setVisible(bool(snapshot.layers))
        self.box.setEnabled(bool(snapshot.layers))
        self.empty.setVisible(not snapshot.layers)
        if fresh:
            self.tree.expandToDepth(0)
        self._mark(snapshot.selection)

    def selected(self) -> tuple[str, ...]:
        """Names of the layers under the selected rows, in the tree's order."""
        rows = self.tree.selectionModel().selectedRows()
        return tuple(dict.fromkeys(x.name for i in rows for x in self.model.node(i).layers))

    def select_similar(self) -> None:
        """Select every layer with the same last name and type as the selected ones."""
        chosen = [x for x in self.session.snapshot.layers if x.name in set(self.selected())]
        like = {(x.role, x.kind) for x in chosen}
        self.session.select(tuple(x.name for x in self.session.snapshot.layers if (x.role, x.kind) in like))

    def set_bits(self, bits: int) -> None:
        """Give the selection (or the model) these bits: one undo step."""
        session = self.session
        session.edit(self.tr("{n} bits").format(n=bits), plans.edit(session.snapshot.plan, session.scope(), bits=bits))

    def nudge(self, steps: int) -> None:
        """Prune the selection a little more or less: one undo step."""
        by = steps * NUDGE
        session, found = self.session, self._first()
        setting = session.snapshot.settings.get(found.name) if found else None
        amount = round(min(0.95, max(0.0, (setting.amount if setting else 0.0) + by)), 4)
        label = self.tr("Prune {n} %").format(n=round(100 * amount))
        session.edit(label, plans.edit(session.snapshot.plan, session.scope(), amount=amount))

    def compare(self) -> None:
        """Put the measured plan beside the original."""
        if (at := self.session.snapshot.current) >= 0:
            self.session.compare((-1, at))
        else:
            self.session.notice.emit("info", self.tr("Measure the plan first: let the sliders rest."))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Digits, brackets and Space act on the selection instead of jumping to a row that starts with them."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and self.key(event):
            return True
        return super().eventFilter(watched, event)

    def key(self, event: QKeyEvent) -> bool:
        """2 to 8 and 0 set bits, [ and ] nudge pruning, Space compares; whether it was one of them."""
        text = event.text()
        if self.session.snapshot.checkpoint is None:
            return False
        if text in ("[", "]"):
            self.nudge(1 if text == "]" else -1)
        elif text == " ":
            self.compare()
        elif text and text in "02345678":
            self.set_bits(int(text) or 16)
        else:
            return False
        return True

    def _make_tree(self) -> QTreeView:
        tree = Tree(uniformRowHeights=True, sortingEnabled=True)
        tree.setAlternatingRowColors(True)
        tree.setIndentation(tree.fontMetrics().height())
        tree.setAccessibleName(self.tr("Layers"))
        tree.setToolTip(self.tr("2 to 8 set the selection's bits, 0 leaves it at 16, [ and ] prune less and more, Space compares"))
        tree.setModel(self.model)
        tree.setItemDelegate(LayersDelegate(tree))
        tree.setFont(tabular(tree.font()))
        tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._menu)
        tree.selectionModel().selectionChanged.connect(self._chosen)
        tree.installEventFilter(self)
        header = tree.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(False)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        for i, width in enumerate(WIDTHS):
            header.resizeSection(i, round(width * tree.fontMetrics().height() * 0.8))
        if not (kept := settings.state("layers")).isEmpty():
            header.restoreState(kept)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._columns)
        return tree

    def _menu(self, where: QPoint) -> None:
        menu = QMenu(self)
        similar = menu.addAction(self.tr("Select similar"), self.select_similar)
        similar.setEnabled(bool(self.selected()))
        menu.addAction(self.tr("Select nothing (whole model)"), lambda: self.session.select(()))
        pins, chosen = self.session.snapshot.pins, self.selected()
        held = menu.addAction(self.tr("Hold as it is in searches"))
        held.setCheckable(True)
        held.setChecked(bool(chosen) and pins.issuperset(chosen))
        held.setEnabled(bool(chosen))
        held.triggered.connect(lambda on: self.session.pricing.pin(chosen, on))
        menu.addSeparator()
        menu.addAction(self.tr("Expand all"), self.tree.expandAll)
        menu.addAction(self.tr("Collapse all"), self.tree.collapseAll)
        menu.popup(self.tree.viewport().mapToGlobal(where))

    def _columns(self, where: QPoint) -> None:
        menu = QMenu(self)
        for i in range(LAYER + 1, DTYPE + 1):
            action = menu.addAction(str(self.model.headerData(i, Qt.Orientation.Horizontal)))
            action.setCheckable(True)
            action.setChecked(not self.tree.isColumnHidden(i))
            action.toggled.connect(lambda on, i=i: self.tree.setColumnHidden(i, not on))
        menu.popup(self.tree.header().mapToGlobal(where))

    def _search(self) -> None:
        self._quiet = True
        self.model.search(self.box.text())
        self._quiet = False
        if self.model.query and len(self.model.leaves) <= OPEN_MATCHES:
            self.tree.expandAll()
        else:
            self.tree.expandToDepth(0)
        self._mark(self.session.snapshot.selection)

    def _chosen(self) -> None:
        if not self._quiet and set(self.selected()) != set(self.session.snapshot.selection):
            self.session.select(self.selected())

    def _mark(self, names: Iterable[str]) -> None:
        """Show a selection made elsewhere; one made here is there already."""
        wanted = [n for n in names if n in self.model.leaves]
        if set(wanted) == set(self.selected()):
            return
        picked = QItemSelection()
        rows = self._rows(wanted)
        for node in rows:
            picked.select(self.model.at(node), self.model.at(node, DTYPE))
        self._quiet = True
        flag = QItemSelectionModel.SelectionFlag
        self.tree.selectionModel().select(picked, flag.ClearAndSelect)
        self._quiet = False
        if rows:
            self.tree.scrollTo(self.model.at(rows[0]))

    def _rows(self, names: list[str]) -> list[Node]:
        """The one row that stands for exactly these layers, else their own rows."""
        if not names:
            return []
        node: Node | None = self.model.leaves[names[0]]
        while node is not None and len(node.layers) < len(names):
            node = node.parent
        if node is not None and node.parent is not None and {x.name for x in node.layers} == set(names):
            return [node]
        return [self.model.leaves[n] for n in names]

    def _first(self) -> Layer | None:
        wanted = set(self.session.snapshot.selection)
        settings = self.session.snapshot.settings
        found = [x for x in self.session.snapshot.layers if not wanted or x.name in wanted]
        free = [x for x in found if x.name in settings and not settings[x.name].protected]
        return next(iter(free or found), None)
