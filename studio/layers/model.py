"""The tree of layers as Qt asks for it: values are made when a row is looked at, and kept until the next snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QBrush

from core.types import Layer, Setting
from studio import numbers
from studio.snapshot import Snapshot
from studio.theme import colour
from studio.words import word

from .nodes import Node, fold

Index = QModelIndex | QPersistentModelIndex
LAYER, BITS, PRUNE, PLANNED, COST, ERROR, SPARSITY, TYPE, SHAPE, PARAMETERS, STORED, DTYPE = range(12)
DRAW = int(Qt.ItemDataRole.UserRole) + 1  # ("bar", stored share, planned share), ("line", values) or ("cost", share, solid)
Role = Qt.ItemDataRole
DISPLAY, TOOLTIP = int(Role.DisplayRole), int(Role.ToolTipRole)
ALIGN, FOREGROUND = int(Role.TextAlignmentRole), int(Role.ForegroundRole)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
NUMERIC = (BITS, PRUNE, PARAMETERS, STORED, SPARSITY, PLANNED, COST, ERROR)
NONE = QModelIndex()


class LayersModel(QAbstractItemModel):
    """Folded layers; the columns one decides by come first, what a checkpoint says of itself after them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.snapshot = Snapshot()
        self.stored: Callable[[str], bool | None] = lambda name: None  # whether a layer's result lies in the layer store
        self.query = ""
        self.root = fold(())
        self.leaves: dict[str, Node] = {}
        self._kept: dict[tuple[Node, int], Any] = {}
        self._order = (-1, Qt.SortOrder.AscendingOrder)
        self._titles = (
            self.tr("Layer"), self.tr("Bits"), self.tr("Prune"), self.tr("Planned"), self.tr("Cost"), self.tr("Error"), self.tr("Zeros"),
            self.tr("Type"), self.tr("Shape"), self.tr("Parameters"), self.tr("Stored"), self.tr("Dtype"),
        )  # fmt: skip
        self._tips = {
            LAYER: self.tr("Like blocks are folded into one row; open it to see its layers"),
            BITS: self.tr("Planned bits of a weight. ● said by the layer itself, ◐ by its group, else by the model; ■ held in searches"),
            PRUNE: self.tr("Planned share of weights set to zero. ● said by the layer itself, ◐ by its group"),
            SPARSITY: self.tr("Share of exact zeros: measured after compression where the plan was measured, else as stored"),
            TYPE: self.tr("What the tensor does in the network"),
            SHAPE: self.tr("Outputs × inputs"),
            PARAMETERS: self.tr("How many numbers the layer stands for"),
            STORED: self.tr("Bytes in the opened file"),
            DTYPE: self.tr("Type in the opened file"),
            PLANNED: self.tr("Exact bytes an export will write. Frame: stored now, fill: planned, against the largest row beside it"),
            COST: self.tr("Sensitivity: what a unit of output error costs. Solid bar: measured; hollow: still assumed or from gradients"),
            ERROR: self.tr("Measured: squared distance to the original over its squared norm. Line: one value per block"),
        }
        self._values: dict[int, Callable[[Node], Any]] = {
            TYPE: self._type, SHAPE: self._shape, DTYPE: self._dtype, PARAMETERS: lambda n: sum(x.tensor.parameters for x in n.layers),
            STORED: lambda n: sum(x.tensor.nbytes for x in n.layers), SPARSITY: self._sparsity,
            BITS: lambda n: self._planned_as(n, "bits"), PRUNE: lambda n: self._planned_as(n, "amount"),
            PLANNED: self._planned, ERROR: self._error, COST: self._cost,
        }  # fmt: skip

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw another moment; the tree itself is rebuilt only when the layers are other ones."""
        old, self.snapshot = self.snapshot, snapshot
        if old.layers is not snapshot.layers and old.layers != snapshot.layers:
            self._rebuild()
        elif any(getattr(old, f) != getattr(snapshot, f) for f in ("settings", "size", "outcomes", "cut", "zeros", "sensitivity", "pins")):
            self.refresh()

    def refresh(self) -> None:
        """Values may have changed: one signal per parent."""
        self._kept.clear()
        for node in self.branches():
            self.dataChanged.emit(
                self.createIndex(0, BITS, node.children[0]), self.createIndex(len(node.children) - 1, DTYPE, node.children[-1])
            )

    def search(self, query: str) -> None:
        """Keep only the layers whose name or type has this text."""
        self.query = query.strip().lower()
        self._rebuild()

    def branches(self, node: Node | None = None) -> Iterator[Node]:
        """Every node that has children, the root first."""
        node = node or self.root
        if node.children:
            yield node
            for child in node.children:
                yield from self.branches(child)

    def at(self, node: Node, column: int = 0) -> QModelIndex:
        return NONE if node.parent is None else self.createIndex(node.row, column, node)

    def node(self, index: Index) -> Node:
        return index.internalPointer() if index.isValid() else self.root

    def value(self, node: Node, column: int) -> Any:
        """What a cell stands for: a number, a text, or None where nothing is known."""
        if column == LAYER:
            return node.label
        key = (node, column)
        if key not in self._kept:
            self._kept[key] = self._values[column](node)
        return self._kept[key]

    def rowCount(self, parent: Index = NONE) -> int:
        return 0 if parent.column() > 0 else len(self.node(parent).children)

    def columnCount(self, parent: Index = NONE) -> int:
        return len(self._titles)

    def index(self, row: int, column: int, parent: Index = NONE) -> QModelIndex:
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self.node(parent).children[row])

    def parent(self, index: Index = NONE) -> Any:
        above = self.node(index).parent if index.isValid() else None
        return QModelIndex() if above is None else self.at(above)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = DISPLAY) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self._titles):
            return None
        return {DISPLAY: self._titles[section], TOOLTIP: self._tips.get(section), ALIGN: RIGHT if section in NUMERIC else LEFT}.get(role)

    def data(self, index: Index, role: int = DISPLAY) -> Any:
        if not index.isValid():
            return None
        node, column = self.node(index), index.column()
        if role == DISPLAY:
            return self._text(node, column)
        if role == ALIGN:
            return RIGHT if column in NUMERIC else LEFT
        if role == DRAW:
            return self._draw(node, column)
        if role == TOOLTIP:
            return self._tip(node, column)
        if role == FOREGROUND and (self._guessed(node) if column == COST else len(node.layers) == 1 and self._protected(node.layers[0])):
            return QBrush(colour("muted"))
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort the rows under every parent; column -1 is the model's own order."""
        self._order = (column, order)
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        nodes = [(self.node(i), i.column()) for i in held]
        self._arrange()
        self.changePersistentIndexList(held, [self.at(n, c) for n, c in nodes])
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        column, order = self._order
        down = order == Qt.SortOrder.DescendingOrder
        for node in list(self.branches()):
            node.arrange(list(node.natural) if column < 0 else sorted(node.natural, key=lambda n: self._key(n, column), reverse=down))

    def _key(self, node: Node, column: int) -> tuple[bool, Any]:
        if column in (BITS, PRUNE):
            field = "bits" if column == BITS else "amount"
            free = self._free(node)
            return (bool(free), min((getattr(s, field) for s in free), default=0))
        value = self.value(node, column)
        return (False, 0) if value is None else (True, value if column in NUMERIC else str(value).lower())

    def _rebuild(self) -> None:
        self.beginResetModel()
        found = [x for x in self.snapshot.layers if self.query in x.name.lower() or self.query in x.kind]
        self._kept.clear()
        self.root = fold(found)
        self.leaves = {n.layers[0].name: n for b in self.branches() for n in b.children if not n.children}
        self._arrange()
        self.endResetModel()

    def _text(self, node: Node, column: int) -> str:
        value = self.value(node, column)
        if value is None:
            return "–"
        if column == PARAMETERS:
            return str(value) if value < 1000 else numbers.si(value)
        if column in (STORED, PLANNED):
            return numbers.size(value)
        if column == SPARSITY:
            return numbers.percent(value)
        return numbers.significant(value) if column in (ERROR, COST) else str(value)

    def _tip(self, node: Node, column: int) -> str | None:
        if column == LAYER:
            return node.layers[0].name if len(node.layers) == 1 else self.tr("{n} tensors").format(n=len(node.layers))
        if column in (STORED, PLANNED) and self.value(node, column) is not None:
            kept = self._in_store(node) if column == PLANNED else ""
            return "\n".join(t for t in (numbers.exact(self.value(node, column)), kept) if t)
        if column in (BITS, PRUNE) and len(node.layers) == 1 and self._protected(node.layers[0]):
            return self.tr("Left alone: {why}").format(why=word(self._protected(node.layers[0])))
        return self._tips.get(column)

    def _in_store(self, node: Node) -> str:
        """How many of a row's layers need not be computed again under the plan; "" where none is changed or it can't be told."""
        told = [found for x in node.layers if (found := self.stored(x.name)) is not None]
        if not told:
            return ""
        if len(node.layers) == 1:
            return self.tr("Its result is in the layer store") if told[0] else self.tr("Its result is not in the layer store yet")
        return self.tr("{n} of {m} results are in the layer store").format(n=sum(told), m=len(told))

    def _draw(self, node: Node, column: int) -> tuple[Any, ...] | None:
        if column == PLANNED and node.parent is not None:
            most = self._most(node.parent, PLANNED)
            return ("bar", min(1.0, self.value(node, STORED) / most), min(1.0, (self.value(node, PLANNED) or 0) / most))
        if column == COST and node.parent is not None and (cost := self.value(node, COST)) is not None:
            return ("cost", min(1.0, cost / self._most(node.parent, COST)), not self._guessed(node))
        if column == ERROR and len(node.children) > 1 and all(not n.children for n in node.children):
            values = [self.value(n, ERROR) for n in node.natural]
            # a layer left alone has no error; one not measured yet must not look like that
            waiting = any(v is None and not self._idle(n.layers[0]) for v, n in zip(values, node.natural, strict=True))
            return None if waiting or not any(values) else ("line", tuple(v or 0.0 for v in values))
        return None

    def _most(self, above: Node, column: int) -> float:
        """The largest figure among the rows of one parent: the width of a full bar."""
        key = (above, -1 - column)
        if key not in self._kept:
            stored = (self.value(n, STORED) for n in above.children) if column == PLANNED else ()
            self._kept[key] = max(*stored, *(self.value(n, column) or 0 for n in above.children), 0) or 1
        return self._kept[key]

    def _type(self, node: Node) -> str:
        return _one(x.kind for x in node.layers) or ""

    def _shape(self, node: Node) -> str:
        return _one(self._width(x) for x in node.layers) or ""

    def _width(self, x: Layer) -> str:
        """The shape, and what a cut leaves of it: "1536×576 → 768×576"."""
        shape = "×".join(map(str, x.tensor.shape))
        after = self.snapshot.cut.get(x.name)
        return f"{shape} → {'×'.join(map(str, after))}" if after else shape

    def _dtype(self, node: Node) -> str:
        return _one(x.tensor.dtype for x in node.layers) or self.tr("mixed")

    def _sparsity(self, node: Node) -> float | None:
        s = self.snapshot
        shares = ((x, s.outcomes[x.name].sparsity if x.name in s.outcomes else s.zeros.get(x.name)) for x in node.layers)
        known = [(share, x.tensor.parameters) for x, share in shares if share is not None]
        return sum(s * n for s, n in known) / max(1, sum(n for _, n in known)) if known else None

    def _error(self, node: Node) -> float | None:
        known = [self.snapshot.outcomes[x.name].error for x in node.layers if x.name in self.snapshot.outcomes]
        return sum(known) / len(known) if known else None

    def _cost(self, node: Node) -> float | None:
        """What a unit of error in every layer of a row would cost together."""
        found = self.snapshot.sensitivity
        known = [found.layers[x.name].alpha for x in node.layers if x.name in found.layers] if found else []
        return sum(known) if known else None

    def _guessed(self, node: Node) -> bool:
        """Whether some layer of a row was not disturbed itself yet."""
        found = self.snapshot.sensitivity
        return found is not None and any(x.name in found.layers and found.layers[x.name].how != "measured" for x in node.layers)

    def _planned(self, node: Node) -> int | None:
        size = self.snapshot.size
        return None if size is None else sum(size.layers.get(x.name, 0) for x in node.layers)

    def _idle(self, x: Layer) -> bool:
        found = self.snapshot.settings.get(x.name)
        return found is None or found.idle

    def _protected(self, x: Layer) -> str:
        found = self.snapshot.settings.get(x.name)
        return found.protected if found else ""

    def _free(self, node: Node) -> list[Setting]:
        return [s for x in node.layers if (s := self.snapshot.settings.get(x.name)) and not s.protected]

    def _planned_as(self, node: Node, field: str) -> str | None:
        """ "● 4", "◐ 2-8" or "30 %": what is planned and who says so; None where everything is protected."""
        if not (free := self._free(node)):
            return self.tr("kept") if field == "bits" and any(x.name in self.snapshot.settings for x in node.layers) else None
        values = [getattr(s, field) for s in free]
        text = _span(values) if field == "bits" else _span([round(100 * v) for v in values]) + " %" if any(values) else "–"
        who = {s.origin.get(field, "model") for s in free}
        held = field == "bits" and self.snapshot.pins.issuperset(x.name for x in node.layers)
        return ("■ " if held else "") + ("● " if "own" in who else "◐ " if "group" in who else "") + text


def _one(values: Iterator[str]) -> str | None:
    """The value all share, else None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"
