"""The session comes back as it was: plan, history and scores survive a crash, and what can't come back is one notice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from studio import kept
from studio.engine import Engine
from studio.keeper import Keeper
from studio.session import Session
from tests.conftest import SAMPLES
from tests.studio.conftest import scored


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder of its own: these tests keep sessions."""
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(own_place: None, tmp_path: Path) -> Path:
    """A copy of the digit CNN that may be moved or changed."""
    return Path(shutil.copytree(SAMPLES / "digits-cnn", tmp_path / "digits"))


@pytest.fixture
def session(own_place: None, qapp: object) -> Iterator[Session]:
    engine = Engine()
    yield Session(engine)
    engine.close()


def measured(session: Session, model: Path, qtbot: QtBot, whole: bool = False) -> None:
    """Open the model, measure two plans, and select a layer; not `whole`: rounded to nearest, on 100 images."""
    session.open(model)
    qtbot.waitUntil(lambda: session.snapshot.size is not None, timeout=120_000)
    if not whole:
        session.set_data(session.snapshot.data, 100)
        session.choose(quantize="rtn")
        session.choose_knob("rtn.granularity", "channel")
    qtbot.waitUntil(lambda: scored(session.snapshot), timeout=120_000)
    for n, bits in enumerate((4, 3), 1):
        session.choose(bits=bits)
        qtbot.waitUntil(lambda n=n: len(session.snapshot.variants) == n, timeout=120_000)
    session.select([session.snapshot.layers[0].name])


def reborn(qtbot: QtBot) -> tuple[Session, Keeper]:
    """Another studio, started after the first is gone."""
    other = Session(Engine())
    keeper = Keeper(other)
    keeper.start()
    return other, keeper


def test_a_crash_loses_nothing_that_was_measured(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot, whole=True)
    qtbot.waitUntil(lambda: kept.exists() and bool(kept.read().selection), timeout=120_000)
    old = session.snapshot
    keeper._lock.unlock()  # what the system does for a process that died; nothing is flushed or closed
    other, again = reborn(qtbot)
    qtbot.waitUntil(lambda: len(other.snapshot.variants) == 2, timeout=120_000)
    qtbot.waitUntil(lambda: other.snapshot.current >= 0)
    new = other.snapshot
    assert (new.plan, new.current, new.selection, new.data, new.target) == (old.plan, old.current, old.selection, old.data, old.target)
    assert [v.score for v in new.variants] == [v.score for v in old.variants]
    assert [v.size for v in new.variants] == [v.size for v in old.variants]
    assert new.original.score == old.original.score
    assert {n: (o.error, o.setting.bits) for n, o in new.outcomes.items()} == {
        n: (o.error, o.setting.bits) for n, o in old.outcomes.items()
    }
    assert not any(j.key in ("first", "preview") for j in other.engine.jobs()), "nothing that was measured is measured again"
    keeper.close()
    again.close()
    other.engine.close()


def test_a_missing_model_is_one_notice_and_the_studio_starts_empty(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot)
    keeper.close()
    model.rename(model.with_name("elsewhere"))
    other = Session(Engine())
    heard: list[tuple[str, str]] = []
    other.notice.connect(lambda *a: heard.append(a))
    again = Keeper(other)
    again.start()
    assert [level for level, _ in heard] == ["warning"]
    assert str(model) in heard[0][1]
    assert other.snapshot.checkpoint is None
    assert kept.exists(), "it can still be opened when the model is put back"
    again.close()
    other.engine.close()


def test_changed_weights_keep_the_plan_but_not_what_was_measured(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot)
    keeper.close()
    weights = model / "model.safetensors"
    held = bytearray(weights.read_bytes())
    held[-1] ^= 1
    weights.write_bytes(held)
    other, again = reborn(qtbot)
    with qtbot.waitSignal(other.notice, timeout=120_000) as heard:
        pass
    assert "changed" in heard.args[1]
    assert other.snapshot.plan == session.snapshot.plan
    assert other.snapshot.variants == ()
    again.close()
    other.engine.close()


def test_closing_the_model_starts_empty_the_next_time(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot)
    qtbot.waitUntil(kept.exists, timeout=120_000)
    session.close()
    keeper.close()
    assert not kept.exists()


def test_a_torn_file_is_one_notice(session: Session, own_place: None, qtbot: QtBot) -> None:
    kept.write('{"version": 1, "path": ')
    heard: list[str] = []
    session.notice.connect(lambda level, text: heard.append(level))
    keeper = Keeper(session)
    keeper.start()
    assert heard == ["warning"]
    keeper.close()


def test_what_brought_the_studio_down_is_not_opened_twice(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot)
    keeper.close()
    (kept.folder() / "opening").touch()  # left by a start that died while it reopened the model
    other = Session(Engine())
    heard: list[str] = []
    other.notice.connect(lambda level, text: heard.append(text))
    again = Keeper(other)
    again.start()
    assert len(heard) == 1
    assert other.snapshot.checkpoint is None
    again.restore()
    qtbot.waitUntil(lambda: len(other.snapshot.variants) == 2, timeout=120_000)
    again.close()
    other.engine.close()


def test_a_second_studio_leaves_the_firsts_session_alone(session: Session, model: Path, qtbot: QtBot) -> None:
    keeper = Keeper(session)
    measured(session, model, qtbot)
    qtbot.waitUntil(kept.exists, timeout=120_000)
    other = Session(Engine())
    second = Keeper(other)
    assert not second.alone
    second.start()
    assert other.snapshot.checkpoint is None
    second.close()
    keeper.close()
    other.engine.close()


def test_a_variant_is_encoded_once_however_often_the_session_is_kept(session: Session, model: Path, qtbot: QtBot) -> None:
    measured(session, model, qtbot)
    writer = kept.Writer()
    first = json.loads(writer.text(session.snapshot, session.bases()))
    held: Any = dict(writer._done)
    session.choose(amount=0.2)
    second = json.loads(writer.text(session.snapshot, session.bases()))
    assert all(writer._done[k] is v for k, v in held.items())
    assert second["variants"] == first["variants"]
    assert second["plan"] != first["plan"]
