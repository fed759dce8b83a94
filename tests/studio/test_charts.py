"""The charts draw what the session knows of a real sample."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from studio import numbers, pictures
from studio.charts import charts
from studio.elided import Combo
from studio.engine import Engine
from studio.session import Session
from tests.conftest import SAMPLES
from tests.studio.conftest import rested, scored


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, qapp: object) -> Iterator[Session]:
    """The digit CNN with one measured plan, 3 bits per channel: once for this file."""
    bot = QtBot(request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SLIM_SETTINGS", str(tmp_path_factory.mktemp("settings") / "settings.ini"))
        session = Session(Engine())
        session.open(SAMPLES / "digits-cnn")
        bot.waitUntil(lambda: scored(session.snapshot), timeout=120_000)
        session.choose_knob("rtn.granularity", "channel")
        session.choose(bits=3)
        session.evaluate()
        bot.waitUntil(lambda: len(session.snapshot.variants) == 1, timeout=120_000)
        rested(session, bot)
        yield session
        session.close()
        session.engine.close()


@pytest.fixture
def measured(once: Session, qtbot: QtBot) -> Iterator[Session]:
    """It as it was when it was measured."""
    before = once.snapshot
    yield once
    rested(once, qtbot)
    once._set(before)


def test_every_tick_redraws_the_bars_with_the_exact_bytes(digits: Session, qtbot: QtBot) -> None:
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


def test_every_layer_is_in_one_row_and_a_click_selects_its_layers(digits: Session, qtbot: QtBot) -> None:
    chart = charts["size"](digits)
    qtbot.addWidget(chart)
    chart.show(digits.snapshot)
    assert sorted(n for _, names in chart.rows for n in names) == sorted(x.name for x in digits.snapshot.layers)
    chart.pick(1)
    assert digits.snapshot.selection == chart.rows[1][1]


def test_a_measured_plan_is_a_point_with_its_standard_error(measured: Session, qtbot: QtBot) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    v = measured.snapshot.variants[0]
    found = v.score.metrics[chart.choice.currentData()]
    point = next(p for p in chart.dots.points() if p.data() == 0)
    assert (point.pos().x(), point.pos().y()) == pytest.approx((v.size.total / 1e6, found.value))
    assert found.error in list(chart.errors.opts["top"])
    assert "3 bit" in chart._tip(0, 0, 0)


def test_a_click_on_a_point_restores_its_plan(measured: Session, qtbot: QtBot) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    old = measured.snapshot.plan
    measured.choose(bits=8)
    chart.show(measured.snapshot)
    chart._clicked(None, [p for p in chart.dots.points() if p.data() == 0])
    assert measured.snapshot.plan == old


def test_energy_is_called_modelled(digits: Session, qtbot: QtBot) -> None:
    chart = charts["energy"](digits)
    qtbot.addWidget(chart)
    chart.show(digits.snapshot)
    assert "modelled" in chart.text.text()


def test_the_original_is_the_first_point_and_a_click_goes_back_to_it(measured: Session, qtbot: QtBot) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    before = measured.snapshot.original
    point = chart.first.points()[0]
    assert (point.pos().x(), point.pos().y()) == pytest.approx(
        (before.size.total / 1e6, before.score.metrics[chart.choice.currentData()].value)
    )
    chart.first.sigClicked.emit(chart.first, [point], None)
    assert all(s.idle for s in measured.snapshot.settings.values())


def test_the_pointer_on_a_bar_is_told_the_exact_bytes_of_the_group(measured: Session, qtbot: QtBot) -> None:
    chart = charts["size"](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    names = chart.rows[0][1]
    now = sum(measured.snapshot.size.layers[n] for n in names)
    assert numbers.exact(now) in chart.tip(0.0, 0.0)
    assert chart.tip(0.0, 99.0) == ""


def test_the_pointer_on_an_energy_bar_is_told_the_range_and_that_it_is_modelled(measured: Session, qtbot: QtBot) -> None:
    chart = charts["energy"](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    e = measured.snapshot.energy
    said = chart.tip(0.0, 0.0)
    assert "modelled" in said
    assert numbers.si(e.low, "J") in said
    assert numbers.si(e.high, "J") in said


@pytest.mark.parametrize("name", ["size", "accuracy", "energy"])
def test_a_chart_is_copied_as_a_table_of_what_it_shows(measured: Session, qtbot: QtBot, name: str) -> None:
    chart = charts[name](measured)
    qtbot.addWidget(chart)
    chart.show(measured.snapshot)
    pictures.copy("csv", chart.plot, chart.plot.rows())
    rows = list(csv.reader(QGuiApplication.clipboard().text().splitlines()))
    assert len(rows) > 1
    assert {len(r) for r in rows} == {len(rows[0])}
    if name == "size":
        assert sum(int(r[3]) for r in rows[1:]) == sum(measured.snapshot.size.layers.values())
    elif name == "accuracy":
        assert int(rows[1][1]) == measured.snapshot.variants[0].size.total
    else:
        now = next(r for r in rows if r[:2] == ["now", "all"])
        assert float(now[5]) == measured.snapshot.energy.joules


def test_a_chart_is_saved_as_a_picture_with_its_title_and_as_vectors(measured: Session, qtbot: QtBot, tmp_path: Path) -> None:
    chart = charts["accuracy"](measured)
    qtbot.addWidget(chart)
    chart.resize(400, 300)
    chart.show()
    chart.show(measured.snapshot)
    for kind in ("png", "svg", "csv"):
        assert pictures.save(tmp_path / f"chart.{kind}", chart.plot, chart.plot.rows()) == ""
    assert QImage(str(tmp_path / "chart.png")).width() == pictures.FINE * chart.plot.width()
    vectors = (tmp_path / "chart.svg").read_text()
    assert "<svg" in vectors
    assert "<path" in vectors
    assert chart.plot.headless, "on the screen the title stands above the plot again"


def test_a_chart_that_can_not_be_written_says_why(measured: Session, qtbot: QtBot, tmp_path: Path) -> None:
    chart = charts["size"](measured)
    qtbot.addWidget(chart)
    why = pictures.save(tmp_path / "nowhere" / "chart.csv", chart.plot, chart.plot.rows())
    assert "choose another place" in why
    assert not (tmp_path / "nowhere").exists()
    assert not list(tmp_path.rglob("*chart*")), "no half of it is left"


def test_a_right_click_offers_to_copy_and_to_save(measured: Session, qtbot: QtBot) -> None:
    chart = charts["size"](measured)
    qtbot.addWidget(chart)
    menu = pictures.menu(chart.plot, "size", chart.plot.rows, chart.plot.fail)
    assert [a.text() for a in menu.actions() if not a.isSeparator()] == ["Copy as PNG", "Copy as SVG", "Copy as CSV", "Save as…"]
    menu.actions()[2].trigger()
    assert QGuiApplication.clipboard().text().startswith("group,layers")


def test_a_choice_too_long_for_its_box_goes_on_in_an_ellipsis(qtbot: QtBot) -> None:
    def drawn(kind: type[QComboBox], text: str) -> QImage:
        box = kind()
        qtbot.addWidget(box)
        box.addItem(text)
        box.setFixedSize(130, 26)
        return box.grab().toImage()

    assert drawn(Combo, "KL") == drawn(QComboBox, "KL"), "one that fits is drawn as ever"
    long = "KL to the original model"
    assert drawn(Combo, long) == drawn(Combo, long + " and more") != drawn(QComboBox, long)


def test_the_studio_ends_well_with_a_copied_chart_on_the_clipboard() -> None:
    code = """
import pyqtgraph as pg
from PySide6.QtGui import QGuiApplication
from studio import pictures
app = pg.mkQApp()
for kind in ("png", "svg", "csv"):
    pictures.copy(kind, pg.PlotWidget(), [["a"], [1]])
print(QGuiApplication.clipboard().text().strip())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["a", "1"]), done.stderr
