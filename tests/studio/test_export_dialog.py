"""The export dialog shows what a format can be told, and the exact size that follows."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox

from studio import numbers
from studio.panels.export import ExportDialog
from tests.conftest import SAMPLES


def test_the_knobs_of_a_format_change_the_exact_size(digits: Any, qtbot: Any) -> None:
    dialog = ExportDialog(digits)
    qtbot.addWidget(dialog)
    assert list(dialog.knobs.fields) == ["shard_gb"]
    dialog.format.setCurrentIndex(dialog.format.findData("dense"))
    assert list(dialog.knobs.fields) == ["dtype", "shard_gb"]
    whole, kind, limit = digits.snapshot.size.total, dialog.knobs.fields["dtype"], dialog.knobs.fields["shard_gb"]
    assert isinstance(kind, QComboBox)
    kind.setCurrentIndex(kind.findData("F16"))
    kind.activated.emit(kind.currentIndex())
    halved = digits.snapshot.size.total
    assert halved < 0.6 * whole
    assert isinstance(limit, QDoubleSpinBox)
    limit.setValue(0.001)
    assert digits.snapshot.target.dtype == "F16"
    assert digits.snapshot.size.total > halved  # two headers and an index
    assert numbers.exact(digits.snapshot.size.total) in dialog.exact.text()


def test_a_format_this_model_cannot_have_is_greyed_with_the_reason(digits: Any, qtbot: Any) -> None:
    dialog = ExportDialog(digits)
    qtbot.addWidget(dialog)
    at = dialog.format.findData("gguf")
    assert not dialog.format.model().flags(dialog.format.model().index(at, 0)) & Qt.ItemFlag.ItemIsEnabled
    assert "not resnet" in dialog.format.itemData(at, Qt.ItemDataRole.ToolTipRole)
    assert dialog.format.model().flags(dialog.format.model().index(0, 0)) & Qt.ItemFlag.ItemIsEnabled


def test_gguf_is_one_file_whose_exact_size_the_dialog_shows(session: Any, qtbot: Any) -> None:
    session.open(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=20_000)
    sotu = session
    dialog = ExportDialog(sotu)
    qtbot.addWidget(dialog)
    folder = dialog.path.text()
    dialog.format.setCurrentIndex(dialog.format.findData("gguf"))
    assert dialog.path.text() == f"{folder}.gguf"
    assert list(dialog.knobs.fields) == ["dtype"]
    sotu.choose(quantize="ggml", bits=4)
    assert dialog.refused.isHidden()
    assert numbers.exact(sotu.snapshot.size.total) in dialog.exact.text()
    sotu.choose(quantize="codebook")
    assert "choose the quantizer GGUF blocks" in dialog.refused.toPlainText()
    dialog.format.setCurrentIndex(dialog.format.findData("packed"))
    assert dialog.path.text() == folder


def test_onnx_is_traced_when_it_is_chosen_and_then_has_an_exact_size(digits: Any, qtbot: Any) -> None:
    dialog = ExportDialog(digits)
    qtbot.addWidget(dialog)
    dialog.format.setCurrentIndex(dialog.format.findData("onnx"))
    assert list(dialog.knobs.fields) == ["dtype", "activations"]
    target, checkpoint = digits.snapshot.target, digits.snapshot.checkpoint
    qtbot.waitUntil(lambda: not target.pending(checkpoint), timeout=120_000)
    qtbot.waitUntil(lambda: "traced" not in dialog.exact.text() and not digits.snapshot.busy, timeout=20_000)
    assert numbers.exact(digits.snapshot.size.total) in dialog.exact.text()
    weights = sum(digits.snapshot.size.layers.values())
    assert weights + 10_000 < digits.snapshot.size.total < weights + 40_000  # with the graph
    assert "77 × F32" in dialog.detail.text()
