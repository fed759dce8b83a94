"""Bars and sparklines of the tree, drawn from one custom role under the cell's own text."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize
from PySide6.QtGui import QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from studio.theme import colour

from .model import DRAW

Index = QModelIndex | QPersistentModelIndex


class LayersDelegate(QStyledItemDelegate):
    """Draws ("bar", stored, planned), ("cost", share, measured) or ("line", values) at the left of a cell; the text stays at the right."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        found = index.data(DRAW)
        if not found:
            return
        em = option.fontMetrics.height()
        rect: QRect = option.rect
        words = option.fontMetrics.horizontalAdvance("000 MB") + em * 0.9
        where = QRectF(rect.left() + em * 0.3, rect.center().y() - em * 0.35, max(0.0, rect.width() - words), em * 0.7)
        if where.width() < em * 0.7:
            return
        painter.save()
        if found[0] == "bar":
            _bar(painter, where, found[1], found[2])
        elif found[0] == "cost":
            _cost(painter, where, found[1], found[2])
        else:
            _line(painter, where, found[1])
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        hint = super().sizeHint(option, index)
        return QSize(hint.width(), round(option.fontMetrics.height() * 1.4))


def _bar(painter: QPainter, where: QRectF, stored: float, planned: float) -> None:
    """A frame as wide as what is stored now, filled as far as what is planned."""
    painter.fillRect(QRectF(where.left(), where.top(), where.width() * stored, where.height()), colour("grid"))
    painter.fillRect(QRectF(where.left(), where.top(), max(1.0, where.width() * planned), where.height()), colour("after"))


def _cost(painter: QPainter, where: QRectF, share: float, measured: bool) -> None:
    """Solid where it was measured, else a hollow frame."""
    bar = QRectF(where.left(), where.top(), max(2.0, where.width() * share), where.height())
    if measured:
        painter.fillRect(bar, colour("after"))
    else:
        painter.setPen(QPen(colour("after"), 1))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))


def _line(painter: QPainter, where: QRectF, values: tuple[float, ...]) -> None:
    """One point per block, from zero to the largest."""
    top = max(values) or 1.0
    step = where.width() / max(1, len(values) - 1)
    points = [QPointF(where.left() + i * step, where.bottom() - where.height() * v / top) for i, v in enumerate(values)]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour("after"), 1))
    painter.drawPolyline(QPolygonF(points))
