"""A session whose layers were really sensed, once for a whole file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.sensed import Sensitivity
from studio.engine import Engine
from studio.session import Session
from studio.snapshot import Snapshot
from tests.conftest import SAMPLES


@dataclass
class Opened:
    """A session after a real pass, and how it was then."""

    session: Session
    seen: list[Sensitivity]  # every state of the pass that was shown
    before: Snapshot
    known: dict[str, Any]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, qapp: object) -> Iterator[Opened]:
    """The fashion ViT with round-to-nearest per channel, stored packed, after a real pass over its layers: once for this file."""
    bot = QtBot(request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIM_CACHE", str(tmp_path_factory.mktemp("prices")))
        patch.setenv("SLIM_SETTINGS", str(tmp_path_factory.mktemp("settings") / "settings.ini"))
        session, seen = Session(Engine()), list[Sensitivity]()
        session.open(SAMPLES / "fashion-vit")
        bot.waitUntil(lambda: scored(session.snapshot), timeout=120_000)
        session.set_data(session.snapshot.data, 100)
        session.set_target("packed")
        session.edit("no tuning", replace(session.snapshot.plan, tune=False))
        session.choose(prune="magnitude", quantize="rtn")
        session.choose_knob("rtn.granularity", "channel")
        session.changed.connect(lambda s: seen.append(s.sensitivity) if s.sensitivity and s.sensitivity not in seen[-1:] else None)
        session.pricing.sense()
        bot.waitUntil(lambda: session.snapshot.fronts is not None and not session.engine.busy(), timeout=300_000)
        yield Opened(session, seen[:], session.snapshot, dict(vars(session.pricing)))
        session.engine.close()


@pytest.fixture
def sensed(opened: Opened, qtbot: QtBot) -> Iterator[Session]:
    """The sensed session as it was after the pass."""
    session = opened.session
    yield session
    rested(session, qtbot)
    for name, value in opened.known.items():
        setattr(session.pricing, name, value)
    session.pricing.lessons, session._basis = [], []
    session._set(opened.before)


@pytest.fixture
def digits(qtbot: QtBot, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """The digit CNN with a cache of its own, scored on 100 images; nothing was ever trained here."""
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path_factory.mktemp("cache")))
    session = Session(Engine())
    session.open(SAMPLES / "digits-cnn")
    qtbot.waitUntil(lambda: session.snapshot.size is not None, timeout=120_000)
    session.set_data(session.snapshot.data, 100)
    qtbot.waitUntil(lambda: scored(session.snapshot), timeout=120_000)
    yield session
    session.close()
    session.engine.close()


def rested(session: Session, qtbot: QtBot) -> None:
    """Nothing of it runs or waits any more."""
    session.engine.cancel_all()
    qtbot.waitUntil(lambda: not session.engine.busy() and not session.engine._live, timeout=120_000)
    session.undo_stack.clear()
    for timer in (session._rest, session.pricing._soon, session.pricing._rest):
        timer.stop()


def scored(s: Snapshot) -> bool:
    return s.original is not None and s.original.score is not None and s.original.score.complete


def settled(session: Session, qtbot: QtBot) -> None:
    """Until the plan is measured and what it teaches is learned."""
    qtbot.waitUntil(lambda: session.snapshot.current >= 0 and not session.engine.busy(), timeout=120_000)
