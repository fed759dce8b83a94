"""Quiet time: the worker measures what teaches most and looks for better plans while nobody asks for anything."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from pytestqt.qtbot import QtBot

from core.predict import Predictor
from core.search.fronts import point
from core.types import Choice, Plan
from studio import settings
from studio.app import quiet
from studio.engine import Engine
from studio.pricing import MOST, currency
from studio.session import Session
from tests.conftest import SAMPLES
from tests.studio.conftest import scored, settled


def test_quiet_time_measures_what_teaches_most_and_its_plans_need_no_second_measurement(sensed: Session, qtbot: QtBot) -> None:
    sensed.pricing.refine()
    assert not sensed.engine.busy(), "nobody has said that quiet time may be used"
    sensed.pricing.quiet = lambda: True
    aim = sensed.snapshot.fronts.points[-6]
    sensed.pricing.aims = (aim,)
    sensed.pricing.refine()
    assert any(j.key == "refine" for j in sensed.engine.jobs()), "and it is among the jobs"
    qtbot.waitUntil(lambda: len(sensed.snapshot.refined) == 1 and not sensed.engine.busy(), timeout=120_000)
    assert not sensed.snapshot.variants, "what nobody asked for is not in the history"
    assert len(sensed.pricing.lessons) == 1
    assert sensed.pricing.most_telling() is not aim
    sensed.pricing.take(aim)
    assert sensed.snapshot.current == 0
    assert sensed.snapshot.score.complete


def test_quiet_time_ends_with_a_search_for_a_better_plan_of_the_same_size(sensed: Session, qtbot: QtBot) -> None:
    sensed.pricing.quiet, sensed.pricing._spent = lambda: True, MOST
    t = sensed.pricing.table
    few, many = t.knapsack.cheapest(), t.knapsack.best(0.0)
    dear = t.values[few] > np.median(t.values[few])
    sensed.pricing.take(point(t, np.where(dear, few, many), 0.0))  # as bad as it can be: the dearest layers have the fewest bits
    settled(sensed, qtbot)
    plan, said, before = sensed.snapshot.plan, [], currency(sensed.snapshot.score).value
    sensed.notice.connect(lambda level, text: said.append(text))
    sensed.pricing.refine()
    assert searching(sensed)
    qtbot.waitUntil(lambda: not sensed.engine.busy(), timeout=120_000)
    assert sensed.snapshot.plan == plan, "nothing is put in force that nobody took"
    (better,) = sensed.snapshot.refined
    assert better.plan != plan
    assert better.size.total <= sensed.snapshot.size.total
    assert currency(better.score).value < before
    assert "of the same size" in said[-1]
    sensed.pricing.refine()
    assert not searching(sensed), "it is looked for once"


def searching(session: Session) -> bool:
    """Whether a local search is among the jobs, waiting or at work."""
    return any("better plan of the same size" in j.title and j.state in ("waiting", "running") for j in session.engine.jobs())


def test_what_quiet_time_finds_out_about_the_answers_reaches_every_tick(qtbot: QtBot) -> None:
    session = Session(Engine())
    session.open(SAMPLES / "fashion-vit")
    qtbot.waitUntil(lambda: scored(session.snapshot), timeout=120_000)
    last = [x.name for x in session.snapshot.layers if x.prunable and not x.protected][-2:]
    held = {x.name: Choice(protect=True) for x in session.snapshot.layers if x.name not in last}
    session.edit("two layers", Plan(Choice("magnitude", 0.0, "rtn", 3, {"rtn.granularity": "channel"}), layers=held, tune=False))
    session.set_data(session.snapshot.data, 64)
    session.pricing.sense()
    settled(session, qtbot)
    before, session.pricing.quiet, session.pricing._spent = session.snapshot.estimate, lambda: True, MOST
    assert session.snapshot.sensitivity.answers is None
    session.pricing.refine()
    qtbot.waitUntil(lambda: not session.engine.busy(), timeout=120_000)
    s = session.snapshot
    assert set(s.sensitivity.answers.moved) == set(last)
    assert s.estimate == Predictor.of(s.sensitivity, [e for _, e in session.pricing.lessons]).estimate(s.settings) != before
    session.engine.close()


def test_any_edit_ends_quiet_time_at_once(sensed: Session, qtbot: QtBot) -> None:
    sensed.pricing.quiet = lambda: True
    sensed.pricing.refine()
    assert sensed.engine.busy("refine")
    sensed.choose(bits=5)
    assert not sensed.engine.busy("refine")
    settled(sensed, qtbot)
    assert not sensed.snapshot.refined


def test_whoever_stops_quiet_work_by_hand_is_left_alone(sensed: Session, qtbot: QtBot) -> None:
    sensed.pricing.quiet = lambda: True
    sensed.pricing.refine()
    sensed.engine.cancel_all()
    qtbot.waitUntil(lambda: any(j.key == "refine" and j.state == "cancelled" for j in sensed.engine.jobs()), timeout=120_000)
    sensed.pricing.refine()
    assert not sensed.engine.busy()


@pytest.mark.parametrize(("plugged", "used"), [(True, True), (None, True), (False, False)])
def test_quiet_time_is_off_on_a_battery_and_by_the_switch(plugged: bool | None, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: SimpleNamespace(percent=80, power_plugged=plugged), raising=False)
    assert quiet() is used
    settings.set_refines(False)
    assert not quiet()
