"""A chart as PNG, SVG or CSV: on the clipboard or, written whole or not at all, in a file."""

from __future__ import annotations

import atexit
import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QCoreApplication, QIODevice, QMimeData, QRect, QSaveFile, QSize
from PySide6.QtGui import QGuiApplication, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QGraphicsView, QMenu

Rows = Sequence[Sequence[str | float | int]]  # the first row names the columns, with their units
FINE = 3  # pixels of a PNG for one of the screen
KINDS = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv"}


def encode(kind: str, view: QGraphicsView, rows: Rows) -> bytes:
    """The chart as the bytes of such a file."""
    if kind == "csv":
        return _csv(rows)
    found: list[bytes] = []
    getattr(view, "picture", lambda draw: draw())(lambda: found.append(_png(view) if kind == "png" else _svg(view)))
    return found[0]


def copy(kind: str, view: QGraphicsView, rows: Rows) -> None:
    """Put the chart on the clipboard, an image as one and a table as text too."""
    found = encode(kind, view, rows)
    mime = QMimeData()
    mime.setData(KINDS[kind], found)
    if kind == "png":
        mime.setImageData(QImage.fromData(found))
    else:
        mime.setText(found.decode())
    QGuiApplication.clipboard().setMimeData(mime)
    atexit.unregister(_outlive)
    atexit.register(_outlive)


def _outlive() -> None:
    """At the end leave the clipboard a copy that Qt owns: our QMimeData would call an interpreter that is gone, and crash."""
    clipboard = QGuiApplication.clipboard() if QGuiApplication.instance() else None
    found = clipboard.mimeData() if clipboard else None
    if clipboard is None or found is None or not any(found.hasFormat(k) for k in KINDS.values()):
        return  # somebody else's by now
    clipboard.setImage(clipboard.image()) if found.hasImage() else clipboard.setText(found.text())


def save(path: Path, view: QGraphicsView, rows: Rows) -> str:
    """Write the file its suffix asks for; "" or why it could not be written."""
    file = QSaveFile(str(path))
    kind = path.suffix.lower().lstrip(".")
    found = encode(kind if kind in KINDS else "png", view, rows)
    if file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(found) == len(found) and file.commit():
        return ""
    said = QCoreApplication.translate("pictures", "{path} can't be written ({why}); choose another place.")
    return said.format(path=path, why=file.errorString())


def menu(view: QGraphicsView, name: str, rows: Callable[[], Rows], fail: Callable[[str], None]) -> QMenu:
    """What a right click on a chart offers."""
    found = QMenu(view)
    for kind in KINDS:
        text = QCoreApplication.translate("pictures", "Copy as {kind}").format(kind=kind.upper())
        found.addAction(text, partial(_copied, kind, view, rows))
    found.addSeparator()
    found.addAction(QCoreApplication.translate("pictures", "Save as…"), lambda: _ask(view, name, rows, fail))
    return found


def _copied(kind: str, view: QGraphicsView, rows: Callable[[], Rows], _: bool = False) -> None:
    copy(kind, view, rows())


def _ask(view: QGraphicsView, name: str, rows: Callable[[], Rows], fail: Callable[[str], None]) -> None:
    title = QCoreApplication.translate("pictures", "Save the chart")
    path, _ = QFileDialog.getSaveFileName(view, title, f"{name}.png", "PNG (*.png);;SVG (*.svg);;CSV (*.csv)")
    if path and (why := save(Path(path), view, rows())):
        fail(why)


def _png(view: QGraphicsView) -> bytes:
    """Finer than on the screen, for a page or a slide."""
    image = QImage(view.size() * FINE, QImage.Format.Format_ARGB32)
    image.fill(view.palette().window().color())
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    view.render(painter)
    painter.end()
    return _buffered(lambda buffer: QImageWriter(buffer, b"png").write(image))


def _svg(view: QGraphicsView) -> bytes:
    """The scene drawn again as lines and text, in the widget's size."""

    def draw(buffer: QBuffer) -> None:
        generator = QSvgGenerator()
        generator.setOutputDevice(buffer)
        generator.setSize(QSize(view.width(), view.height()))
        generator.setViewBox(QRect(0, 0, view.width(), view.height()))
        painter = QPainter(generator)
        view.render(painter)
        painter.end()

    return _buffered(draw)


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _buffered(write: Callable[[QBuffer], object]) -> bytes:
    held = QByteArray()
    buffer = QBuffer(held)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    write(buffer)
    buffer.close()
    return bytes(held.data())
