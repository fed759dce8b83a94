"""The export dialog shows what a format can be told, and the exact size that follows."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QComboBox, QDoubleSpinBox

from studio import numbers
from studio.panels.export import ExportDialog


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
