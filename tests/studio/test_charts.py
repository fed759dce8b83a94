"""The charts draw what the session knows of a real sample."""

from __future__ import annotations

import numpy as np
import pytest

from studio.charts import charts
from studio.session import Session


@pytest.fixture
def measured(digits: Session, qtbot: object) -> Session:
    """The digit CNN with one measured plan: 3 bits per channel."""
    qtbot.waitUntil(lambda: digits.snapshot.original.score is not None and digits.snapshot.original.score.complete, timeout=30_000)
    digits.choose_knob("rtn.granularity", "channel")
    digits.choose(bits=3)
    digits.evaluate()
    qtbot.waitUntil(lambda: len(digits.snapshot.variants) == 1, timeout=30_000)
    return digits


def test_every_tick_redraws_the_bars_with_the_exact_bytes(digits: Session, qtbot: object) -> None:
    chart = charts["size"](digits)
    qtbot.addWidget(chart)
    digits.set_target("dense", dtype="F32")
    chart.show(digits.snapshot)
    whole = np.array(chart.bars.opts["width"])
    digits.set_target("dense", dtype="F16")
    chart.show(digits.snapshot)
    n, half = len(chart.rows), np.array(chart.bars.opts["width"])
    assert half[:n] == pytest.approx(whole[:n])
    assert half[n] == pytest.approx(whole[n] / 2)
    assert half[n:].sum() * 1e6 == pytest.approx(sum(digits.snapshot.size.layers.values()))


def test_every_layer_is_in_one_row_and_a_click_selects_its_layers(digits: Session, qtbot: object) -> None:
    chart = charts["size"](digits)
    qtbot.addWidget(chart)
    chart.show(digits.snapshot)
    assert sorted(n for _, names in chart.rows for n in names) == sorted(x.name for x in digits.snapshot.layers)
    chart.pick(1)
    assert digits.snapshot.selection == chart.rows[1][1]


def test_a_measured_plan_is_a_point_with_its_standard_error(measured: Session, qtbot: object) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    v = measured.snapshot.variants[0]
    found = v.score.metrics[chart.choice.currentData()]
    point = next(p for p in chart.dots.points() if p.data() == 0)
    assert (point.pos().x(), point.pos().y()) == pytest.approx((v.size.total / 1e6, found.value))
    assert found.error in list(chart.errors.opts["top"])
    assert "3 bit" in chart._tip(0, 0, 0)


def test_a_click_on_a_point_restores_its_plan(measured: Session, qtbot: object) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    old = measured.snapshot.plan
    measured.choose(bits=8)
    chart.show(measured.snapshot)
    chart._clicked(None, [p for p in chart.dots.points() if p.data() == 0])
    assert measured.snapshot.plan == old


def test_energy_is_called_modelled(digits: Session, qtbot: object) -> None:
    chart = charts["energy"](digits)
    qtbot.addWidget(chart)
    chart.show(digits.snapshot)
    assert "modelled" in chart.text.text()
