"""The export dialog shows what a format can be told, and the exact size that follows."""

from __future__ import annotations

import shutil
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLabel

from core.formats import targets
from core.formats.packed import PackedTarget
from studio import numbers
from studio.panels.export import ExportDialog
from studio.window import MainWindow
from tests.conftest import SAMPLES


def test_the_knobs_of_a_format_change_the_exact_size(digits: Any, qtbot: Any) -> None:
    dialog = ExportDialog(digits)
    qtbot.addWidget(dialog)
    assert list(dialog.knobs.fields) == ["shard_gb"]
    dialog.formats.choose("dense")
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
    row = dialog.formats.row_of("gguf")
    assert dialog.formats.item(row, 0).flags() == Qt.ItemFlag.NoItemFlags
    assert "not resnet" in dialog.formats.item(row, 3).text()
    assert dialog.formats.item(dialog.formats.row_of("dense"), 0).flags() & Qt.ItemFlag.ItemIsEnabled
    dialog.formats.choose("gguf")
    assert digits.snapshot.target.key == "packed"


def test_gguf_is_one_file_whose_exact_size_the_dialog_shows(session: Any, qtbot: Any) -> None:
    session.open(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    sotu = session
    dialog = ExportDialog(sotu)
    qtbot.addWidget(dialog)
    folder = dialog.path.text()
    dialog.formats.choose("gguf")
    assert dialog.path.text() == f"{folder}.gguf"
    assert list(dialog.knobs.fields) == ["dtype"]
    sotu.choose(quantize="ggml", bits=4)
    assert dialog.refused.isHidden()
    assert numbers.exact(sotu.snapshot.size.total) in dialog.exact.text()
    sotu.choose(quantize="codebook")
    assert "choose the quantizer GGUF blocks" in dialog.refused.toPlainText()
    dialog.formats.choose("packed")
    assert dialog.path.text() == folder


def test_onnx_is_traced_when_it_is_chosen_and_then_has_an_exact_size(digits: Any, qtbot: Any) -> None:
    dialog = ExportDialog(digits)
    qtbot.addWidget(dialog)
    dialog.formats.choose("onnx")
    assert list(dialog.knobs.fields) == ["dtype", "activations", "one_gb"]
    target, checkpoint = digits.snapshot.target, digits.snapshot.checkpoint
    qtbot.waitUntil(lambda: not target.pending(checkpoint), timeout=120_000)
    qtbot.waitUntil(lambda: "traced" not in dialog.exact.text() and not digits.snapshot.busy, timeout=120_000)
    assert numbers.exact(digits.snapshot.size.total) in dialog.exact.text()
    weights = sum(digits.snapshot.size.layers.values())
    assert weights + 10_000 < digits.snapshot.size.total < weights + 40_000  # with the graph
    assert "77 × F32" in dialog.detail.text()


def test_every_format_says_its_exact_size_its_speed_and_what_it_loses(session: Any, qtbot: Any) -> None:
    session.open(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    session.choose(quantize="rtn", bits=4)
    session.choose_knob("rtn.granularity", "group")
    session.choose_knob("rtn.group_size", 64)
    dialog = ExportDialog(session)
    qtbot.addWidget(dialog)
    table = dialog.formats
    assert table.rowCount() == len(targets)
    for row, offer in enumerate(table.offers):
        if not offer.why:
            session.set_target(offer.key)
            assert offer.nbytes == session.snapshot.size.total
            assert table.item(row, 1).toolTip() == numbers.exact(offer.nbytes)
            assert "tokens/s\nmodelled" in table.item(row, 2).text()
    assert "28 layers stored dense" in table.item(table.row_of("dense"), 3).text()
    assert table.item(table.row_of("packed"), 3).text() == "nothing: all as planned"
    session.select(["model.layers.0.mlp.down_proj"])
    session.choose(bits=3)
    session.choose_knob("rtn.symmetric", False)
    clash = table.item(table.row_of("packed"), 3)
    assert clash.flags() == Qt.ItemFlag.NoItemFlags
    assert "only when all their grids are symmetric" in clash.text()
    assert session.snapshot.target.key != "packed" or not dialog.go.isEnabled()


def test_a_name_with_a_dot_in_it_keeps_all_of_it_in_the_proposed_file(session: Any, qtbot: Any, tmp_path: Any) -> None:
    shutil.copytree(SAMPLES / "sotu-lm", tmp_path / "sotu-1.5b.v2")
    session.open(tmp_path / "sotu-1.5b.v2")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    dialog = ExportDialog(session)
    qtbot.addWidget(dialog)
    folder = dialog.path.text()
    dialog.formats.choose("gguf")
    assert dialog.path.text() == f"{folder}.gguf"
    dialog.formats.choose("pt2")
    assert dialog.path.text() == f"{folder}.pt2"
    dialog.formats.choose("dense")
    assert dialog.path.text() == folder


def faulty(writes: Any) -> Any:
    """The writer with a mistake: the scales of one layer are twice what they should be."""

    def tensors(*args: Any) -> Any:
        return {n: 2 * t if n == "model.layers.1.mlp.up_proj.weight_scale" else t for n, t in writes(*args).items()}

    return tensors


def test_an_export_that_differs_is_shown_check_by_check_and_leaves_no_file(
    session: Any, qtbot: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(PackedTarget, "tensors", faulty(PackedTarget.tensors))
    window = MainWindow(session, session.engine)
    qtbot.addWidget(window)
    notices: list[tuple[str, str]] = []
    session.notice.connect(lambda level, text: notices.append((level, text)))
    session.open(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    session.set_data(session.snapshot.data, 64)
    session.choose(quantize="rtn", bits=4)
    session.choose_knob("rtn.group_size", 64)
    session.set_target("packed")
    qtbot.waitUntil(lambda: not session.engine.busy(), timeout=120_000)
    session.export(tmp_path / "out")
    qtbot.waitUntil(lambda: any(level == "error" for level, _ in notices), timeout=120_000)
    shown = [label.text() for label in window.verdict.findChildren(QLabel)]
    assert "was removed" in window.verdict.told.text()
    assert [s for s in shown if s.startswith("✗")] == ["✗  same answers"]
    assert sum(s.startswith("✓") for s in shown) >= 4
    assert "same answers: largest difference" in notices[-1][1]
    assert not list(tmp_path.glob("**/out*"))
    assert "packed" not in session.snapshot.verdicts
