"""The inspector and the comparison draw what the worker found in a real sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytestqt.qtbot import QtBot

from studio.panels import panels
from studio.session import Session


def heaviest(session: Session) -> str:
    return max((x for x in session.snapshot.layers if x.prunable), key=lambda x: x.tensor.nbytes).name


def test_the_inspector_shows_the_selected_layer_before_and_after(digits: Session, qtbot: QtBot) -> None:
    panel = panels["inspector"](digits)
    qtbot.addWidget(panel)
    digits.choose(amount=0.5)
    name = heaviest(digits)
    digits.select([name])
    digits.inspect(name)
    qtbot.waitUntil(lambda: digits.snapshot.inspection is not None, timeout=120_000)
    found = digits.snapshot.inspection
    panel.show(digits.snapshot)
    assert found.name == name
    assert found.before.stats.zeros < 0.01
    assert abs(found.after.stats.zeros - 0.5) < 0.01
    assert found.before.counts.sum() == found.after.counts.sum() == np.prod(found.shape)
    assert panel.image.image is not None


def test_a_comparison_has_a_row_for_every_layer(digits: Session, qtbot: QtBot) -> None:
    digits.choose(amount=0.5)
    digits.evaluate()
    qtbot.waitUntil(lambda: len(digits.snapshot.variants) == 1, timeout=120_000)
    digits.compare((-1, 0))
    name = heaviest(digits)
    row = next(r for r in digits.snapshot.comparison if r.layer == name)
    assert row.before is None
    assert abs(row.after.sparsity - 0.5) < 0.01
    panel = panels["compare"](digits)
    qtbot.addWidget(panel)
    panel.show(digits.snapshot)
    assert panel.grab().toImage().size().width() > 0


def inspected(session: Session, qtbot: QtBot) -> Any:
    """The inspector on the heaviest layer, half of it pruned."""
    panel = panels["inspector"](session)
    qtbot.addWidget(panel)
    session.choose(amount=0.5)
    session.select([heaviest(session)])
    session.inspect(heaviest(session))
    qtbot.waitUntil(lambda: session.snapshot.inspection is not None, timeout=120_000)
    panel.show(session.snapshot)
    return panel


def test_the_histogram_has_a_logarithmic_scale_without_losing_empty_bins(digits: Session, qtbot: QtBot) -> None:
    panel = inspected(digits, qtbot)
    plain = panel.lines[0].getData()[1]
    panel.log.setChecked(True)
    assert np.allclose(panel.lines[0].getData()[1], np.log10(np.maximum(plain, 1)))
    assert panel.histogram.getAxis("left").logMode
    assert panel.counts()[1][2] == digits.snapshot.inspection.before.counts[0]


def test_the_map_shows_zeros_or_magnitude_before_or_after_in_the_matrixs_own_places(digits: Session, qtbot: QtBot) -> None:
    panel = inspected(digits, qtbot)
    found = digits.snapshot.inspection
    panel.map.setCurrentIndex(panel.map.findData("zeros"))
    panel._paint_map()
    assert np.array_equal(panel.image.image, found.after.zeros)
    panel.side.setCurrentIndex(panel.side.findData("before"))
    panel._paint_map()
    assert np.array_equal(panel.image.image, found.before.zeros)
    rect = panel.image.mapRectToParent(panel.image.boundingRect())
    assert (rect.height(), rect.width()) == (found.shape[0], np.prod(found.shape[1:]))
    assert "output 0, input 0" in panel.under(0.5, 0.5)
    assert panel.under(-1, 0) == ""


def test_the_channels_show_range_middle_half_and_error(digits: Session, qtbot: QtBot) -> None:
    panel = inspected(digits, qtbot)
    found = digits.snapshot.inspection
    assert np.array_equal(panel.ranges[2].getData()[1], found.after.channels.low)
    panel.lines_of.setCurrentIndex(panel.lines_of.findData("error"))
    panel._paint_channels()
    assert np.array_equal(panel.ranges[2].getData()[1], found.channel_errors)
    assert len(panel.rows()) == 1 + found.shape[0]


def test_the_figures_name_statistics_and_the_error_left(digits: Session, qtbot: QtBot) -> None:
    panel = inspected(digits, qtbot)
    text = panel.figures.text()
    for word in ("mean", "standard deviation", "kurtosis", "zeros", "outliers", "error left"):
        assert word in text


def test_without_a_selected_layer_the_inspector_says_what_to_do(digits: Session, qtbot: QtBot) -> None:
    panel = inspected(digits, qtbot)
    digits.select([])
    panel.show(digits.snapshot)
    assert panel.currentIndex() == 0
    assert "Select one layer" in panel.empty.text()


def test_a_comparison_sorts_by_its_numbers_and_a_click_selects_the_layer(digits: Session, qtbot: QtBot) -> None:
    from PySide6.QtCore import Qt

    from studio.panels.compare import KEY

    digits.choose(amount=0.5)
    digits.evaluate()
    qtbot.waitUntil(lambda: len(digits.snapshot.variants) == 1, timeout=120_000)
    digits.compare((-1, 0))
    panel = panels["compare"](digits)
    qtbot.addWidget(panel)
    panel.show(digits.snapshot)
    panel.table.sortItems(6, Qt.SortOrder.DescendingOrder)
    sizes = [panel.table.item(i, 6).data(KEY) for i in range(panel.table.rowCount())]
    assert sizes == sorted(sizes, reverse=True)
    panel.table.itemClicked.emit(panel.table.item(1, 3))
    assert digits.snapshot.selection == (panel.table.item(1, 0).text(),)
