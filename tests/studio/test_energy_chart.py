"""The energy chart stacks what the joules go to, on the device and in the place one means; the what-if prices a plan everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from core.carbon import CHOSEN, Place, chosen
from core.energy import Scene, catalogue, device, estimate
from core.energy.devices import CEILINGS
from core.ledger import Took
from core.resources import cache_root
from studio import numbers, scene
from studio.charts import charts
from studio.charts.energy import WHOLE
from studio.session import Session
from studio.whatif import WhatIf
from studio.work import priced


@pytest.fixture(autouse=True)
def own_place() -> Iterator[None]:
    """Every test begins on the laptop, in the world, and leaves it so."""
    scene._now.clear()
    yield
    (cache_root() / CHOSEN).unlink(missing_ok=True)
    scene._now.clear()


@pytest.fixture
def chart(digits: Session, qtbot: QtBot) -> Any:
    found = charts["energy"](digits)
    qtbot.addWidget(found)
    digits.changed.connect(found.show)
    digits.choose(bits=4)
    found.show(digits.snapshot)
    return found


def test_the_pieces_of_a_row_add_up_to_its_joules(digits: Session, chart: Any) -> None:
    x0, y, width = (np.array(chart.bars.opts[k]) for k in ("x0", "y", "width"))
    s = digits.snapshot
    for at, e in ((-0.2, s.energy_original), (0.2, s.energy)):
        for i, name in enumerate(chart.rows):
            mine = np.isclose(y, i + at)
            said = e.joules if name == WHOLE else sum(e.by[name].values())
            assert width[mine].sum() == pytest.approx(1e3 * said)
            assert x0[mine][0] == 0
    assert chart.rows[0] == WHOLE
    assert "convolution" in chart.rows


def test_the_whole_has_its_interval_and_the_words_say_how_it_was_come_by(digits: Session, chart: Any) -> None:
    e = digits.snapshot.energy
    assert chart.whisker.opts["right"][1] == pytest.approx(1e3 * (e.high - e.joules))
    assert "modelled, catalogue (C)" in chart.text.text()
    assert "CO₂e a million" in chart.text.text()
    assert "embodied" in chart.text.toolTip()
    assert "physics floor" in chart.tip(0.0, 0.0)


def test_another_device_prices_the_original_the_plan_and_every_variant_anew(digits: Session, chart: Any) -> None:
    before = digits.snapshot
    chart.device.setCurrentIndex(chart.device.findData("raspberry"))
    chart.device.activated.emit(chart.device.currentIndex())
    s = digits.snapshot
    assert s.energy.device == s.energy_original.device == s.original.energy.device == "raspberry"
    assert s.energy_original.joules != before.energy_original.joules
    assert s.size == before.size
    assert chosen().device == "raspberry"  # kept, for the next start and the command line
    assert "Raspberry" in s.energy.how


def test_this_machine_is_measured_once_it_is_chosen(
    digits: Session, chart: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import ceilings

    fastest = ceilings._fastest
    monkeypatch.setattr(ceilings, "LARGE", 1 << 22)
    monkeypatch.setattr(ceilings, "_fastest", lambda call, job, seconds, clock: fastest(call, job, 0.02, clock))
    chart.device.setCurrentIndex(chart.device.findData("here"))
    chart.device.activated.emit(chart.device.currentIndex())
    try:
        qtbot.waitUntil(lambda: bool(ceilings.known()), timeout=120_000)
        found = ceilings.known()["flops"]
        qtbot.waitUntil(lambda: scene.scene().device.flops == found, timeout=120_000)
        assert f"{found / 1e9:.4g} GFLOP/s" in digits.snapshot.energy.how
    finally:
        (cache_root() / CEILINGS).unlink(missing_ok=True)


def test_the_slimmings_own_work_is_set_against_what_it_saves(digits: Session, chart: Any) -> None:
    digits.engine.spent = Took(100.0)
    less = replace(digits.snapshot.energy, joules=digits.snapshot.energy_original.joules / 2)
    chart.show(replace(digits.snapshot, energy=less))
    assert "paid back after" in chart.text.text()
    chart.show(replace(digits.snapshot, energy=digits.snapshot.energy_original))
    assert "paid back" not in chart.text.text()
    assert "The slimming has taken 2.80 kJ" in chart.text.toolTip()


def test_work_on_the_worker_is_counted(digits: Session, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: digits.snapshot.original.score is not None and digits.snapshot.original.score.complete, timeout=120_000)
    qtbot.waitUntil(lambda: not digits.engine.busy(), timeout=120_000)
    assert 0 < digits.engine.spent.seconds < 60


def test_what_if_prices_the_plan_on_every_device_and_takes_every_question(digits: Session, chart: Any, qtbot: QtBot) -> None:
    digits.engine.spent = Took(100.0)
    dialog = WhatIf(digits)
    qtbot.addWidget(dialog)
    assert "has taken 2.80 kJ on this machine" in dialog.foot.text()
    server = next(i for i in range(dialog.table.rowCount()) if dialog.table.item(i, 0).text().startswith("Server"))
    s = digits.snapshot
    of = Scene(device("server"))
    before = estimate(s.checkpoint, s.layers, {}, s.original.size, None, s.task, of)
    saved = before.joules - priced(s.checkpoint, s.layers, s.plan, s.target, s.task, of)["energy"].joules
    told = dialog.table.item(server, 6).text()
    assert told == ("–" if saved <= 0 else numbers.significant(2800 / saved / of.daily))
    assert dialog.table.rowCount() == 1 + len(catalogue())
    was = [dialog.table.item(1, j).text() for j in range(6)]
    dialog.region.setCurrentIndex(dialog.region.findData("POL"))
    dialog.region.activated.emit(dialog.region.currentIndex())
    assert dialog.table.item(1, 4).text() != was[4]
    assert dialog.table.item(1, 1).text() == was[1]
    assert "Poland 2023" in dialog.foot.text()
    assert "Poland" in chart.text.toolTip()
    dialog.batch.setValue(16)
    assert scene.scene().batch == 16
    assert digits.snapshot.energy.joules < digits.snapshot.energy.high
    assert "batch 16" in digits.snapshot.energy.how
    dialog.watts.setValue(56)
    assert digits.snapshot.energy.level == "B"
    assert chosen() == Place("POL", watts=56.0)
    dialog.device.setCurrentIndex(dialog.device.findData("h100"))
    dialog.device.activated.emit(dialog.device.currentIndex())
    assert chosen() == Place("POL", device="h100"), "the watts were the laptop's"


def test_a_recipe_carries_where_its_model_will_live_and_asks_nothing_of_the_machines_own_place(digits: Session, tmp_path: Path) -> None:
    scene.choose(digits, Place("DEU", device="phone"), batch=4)
    joules = digits.snapshot.energy.joules
    digits.save_recipe(tmp_path / "r.toml")
    assert 'device = "phone"' in (tmp_path / "r.toml").read_text()
    scene.choose(digits, Place("FRA"), batch=1)
    assert digits.snapshot.energy.joules != joules
    digits.open_recipe(tmp_path / "r.toml")
    assert digits.snapshot.energy.joules == pytest.approx(joules)
    assert (scene.place().region, scene.scene().batch) == ("DEU", 4)
    assert chosen().region == "FRA"
