"""The tree's model: like layers of all blocks folded under their group; values are computed when they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from core.layers import groups
from core.types import Layer

from .. import numbers, theme
from ..snapshot import Snapshot

Index = QModelIndex | QPersistentModelIndex
DISPLAY, TIP, INK, ALIGN = (
    int(r)
    for r in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.ForegroundRole, Qt.ItemDataRole.TextAlignmentRole)
)


@dataclass(eq=False)
class Node:
    """A group or a layer; lives as long as the document, because Qt keeps pointers to it."""

    text: str
    layers: list[Layer]
    row: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)


class LayerModel(QAbstractItemModel):
    """Columns: what is stored, what is planned, what was measured."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.snapshot = Snapshot()
        self.roots: list[Node] = []
        self.columns = [
            self.tr("Layer"), self.tr("Plan"), self.tr("Planned"), self.tr("Stored"), self.tr("Parameters"), self.tr("Type"), self.tr("Shape"),
            self.tr("Dtype"), self.tr("Zeros"), self.tr("Error"),
        ]  # fmt: skip

    def show(self, snapshot: Snapshot) -> None:
        """Rebuild for another document, else repaint the rows."""
        old, self.snapshot = self.snapshot, snapshot
        if snapshot.layers is not old.layers:
            self.beginResetModel()
            self.roots = _nodes(snapshot.layers)
            self.endResetModel()
        elif (snapshot.settings, snapshot.outcomes) != (old.settings, old.outcomes) and self.roots:
            last = len(self.columns) - 1
            self.dataChanged.emit(self.index(0, 1), self.index(len(self.roots) - 1, last))
            for node in self.roots:
                if node.children:
                    here = self.index(node.row, 0)
                    self.dataChanged.emit(self.index(0, 1, here), self.index(len(node.children) - 1, last, here))

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 (Qt's signature)
        nodes = parent.internalPointer().children if parent.isValid() else self.roots
        return self.createIndex(row, column, nodes[row]) if 0 <= row < len(nodes) and 0 <= column < len(self.columns) else QModelIndex()

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        up = index.internalPointer().parent if index.isValid() else None
        return self.createIndex(up.row, 0, up) if up else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if parent.isValid():
            return len(parent.internalPointer().children) if parent.column() == 0 else 0
        return len(self.roots)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        return self.columns[section] if int(role) == DISPLAY and orientation == Qt.Orientation.Horizontal else None

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        role = int(role)
        if not index.isValid() or role not in (DISPLAY, TIP, INK, ALIGN):
            return None
        node: Node = index.internalPointer()
        if role == DISPLAY:
            return self._text(node, index.column())
        if role == TIP:
            return node.layers[0].protected or node.layers[0].name
        if role == INK:
            return QColor(theme.colour("muted")) if node.layers[0].protected else None
        right = index.column() in (2, 3, 4, 8, 9)
        return int(Qt.AlignmentFlag.AlignVCenter | (Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft))

    def _text(self, node: Node, column: int) -> str:
        first, s = node.layers[0], self.snapshot
        if column == 1:
            return self._plan(node)
        if column == 2:
            return numbers.nbytes(sum(s.size.layers.get(x.name, 0) for x in node.layers)) if s.size else ""
        if column in (8, 9):
            found = [s.outcomes[x.name] for x in node.layers if x.name in s.outcomes]
            values = [o.sparsity if column == 8 else o.error for o in found]
            return "" if not values else f"{sum(values) / len(values):.1%}" if column == 8 else numbers.digits(max(values))
        stored, parameters = sum(x.tensor.nbytes for x in node.layers), sum(x.tensor.parameters for x in node.layers)
        shape = " × ".join(map(str, first.tensor.shape))
        return (node.text, "", "", numbers.nbytes(stored), numbers.count(parameters), first.kind, shape, first.tensor.dtype)[column]

    def _plan(self, node: Node) -> str:
        settings = [self.snapshot.settings[x.name] for x in node.layers if x.name in self.snapshot.settings]
        said = {(s.bits, s.amount, bool(s.protected)) for s in settings}
        if len(said) != 1:
            return self.tr("mixed") if said else ""
        bits, amount, protected = said.pop()
        if protected:
            return self.tr("protected")
        mark = "" if {settings[0].origin.get(k, "model") for k in ("bits", "amount")} == {"model"} else " •"
        return (f"{bits} b" + (f"  {amount:.0%}" if amount else "") if bits < 16 or amount else self.tr("as it is")) + mark


def _nodes(layers: tuple[Layer, ...]) -> list[Node]:
    roots = []
    for row, (name, members) in enumerate(groups(layers).items()):
        text = f"{name}  × {len(members)}" if len(members) > 1 else members[0].name
        node = Node(text, members, row)
        if len(members) > 1:
            node.children = [Node(x.name, [x], i, node) for i, x in enumerate(members)]
        roots.append(node)
    return roots
