"""The tree with its search box; the selection is the session's."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QSortFilterProxyModel, Qt, QTimer
from PySide6.QtWidgets import QAbstractItemView, QLineEdit, QTreeView, QVBoxLayout, QWidget

from ..session import Session
from ..snapshot import Snapshot
from .model import LayerModel, Node


class LayerView(QWidget):
    """Search, sort by name, multi-select; digits set bits for the selection."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.model = LayerModel(self)
        self.proxy = QSortFilterProxyModel(self, recursiveFilteringEnabled=True, filterCaseSensitivity=Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setSourceModel(self.model)
        self.search = QLineEdit(placeholderText=self.tr("Search layers"), clearButtonEnabled=True)
        self.search.setAccessibleName(self.tr("Search layers"))
        wait = QTimer(self, interval=150, singleShot=True)
        wait.timeout.connect(lambda: self.proxy.setFilterFixedString(self.search.text()))
        self.search.textChanged.connect(lambda: wait.start())
        self.tree = QTreeView(uniformRowHeights=True, alternatingRowColors=True)
        self.tree.setAccessibleName(self.tr("Layers"))
        self.tree.setModel(self.proxy)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.selectionModel().selectionChanged.connect(self._selected)
        self.tree.setColumnWidth(0, self.fontMetrics().horizontalAdvance("m") * 19)
        for c in range(1, len(self.model.columns)):
            self.tree.setColumnWidth(c, self.fontMetrics().horizontalAdvance("m") * 7)
        box = QVBoxLayout(self)
        box.setContentsMargins(4, 4, 4, 4)
        box.addWidget(self.search)
        box.addWidget(self.tree)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.model.show(snapshot)

    def select(self, node: Node) -> None:
        """As a click on the row."""
        at = self.proxy.mapFromSource(self.model.createIndex(node.row, 0, node))
        self.tree.selectionModel().select(at, QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows)

    def _selected(self) -> None:
        nodes = [self.proxy.mapToSource(i).internalPointer() for i in self.tree.selectionModel().selectedRows()]
        self.session.select(tuple(dict.fromkeys(x.name for n in nodes for x in n.layers)))
