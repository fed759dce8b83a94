"""The session: plans are undoable, drags are one step, resting measures, and known plans are not measured again."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from studio.session import Session
from tests.conftest import SAMPLES


def test_opening_scores_the_original(digits: Session, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: digits.snapshot.original.score is not None and digits.snapshot.original.score.complete, timeout=120_000)
    assert digits.snapshot.original.score.metrics["top1"].value > 0.98
    assert digits.snapshot.task == "image-classification"
    assert digits.snapshot.data == SAMPLES / "digits-cnn" / "heldout.npz"


def test_a_drag_is_one_undo_step(digits: Session) -> None:
    before = digits.snapshot.plan
    for amount in (0.1, 0.2, 0.3):
        digits.choose(gesture=7, amount=amount)
    assert digits.snapshot.plan.model.amount == 0.3
    assert digits.undo_stack.count() == 1
    digits.undo()
    assert digits.snapshot.plan == before
    digits.redo()
    assert digits.snapshot.plan.model.amount == 0.3


def test_the_size_answers_at_once_and_is_exact(digits: Session) -> None:
    idle = digits.snapshot.size.total
    digits.set_target("dense", dtype="F16")
    assert digits.snapshot.size.total < idle * 0.6


def test_resting_measures_and_a_known_plan_is_not_measured_again(digits: Session, qtbot: QtBot) -> None:
    digits.choose(bits=4)
    qtbot.waitUntil(lambda: digits.snapshot.current == 0, timeout=120_000)
    assert digits.snapshot.score.complete
    assert digits.snapshot.score.metrics["kl"].value > 0
    digits.undo()
    assert digits.snapshot.current == -1
    digits.redo()
    assert digits.snapshot.current == 0
    assert len(digits.snapshot.variants) == 1


def test_the_scope_follows_the_selection(digits: Session) -> None:
    conv = next(x for x in digits.snapshot.layers if x.kind == "conv" and not x.protected)
    assert digits.scope().kind == "model"
    digits.select([conv.name])
    assert digits.scope().names == (conv.name,)
    digits.choose(bits=3)
    assert digits.snapshot.settings[conv.name].bits == 3
    assert {s.bits for n, s in digits.snapshot.settings.items() if n != conv.name} == {16}
    digits.reset_scope()
    assert digits.snapshot.settings[conv.name].bits == 16


def test_a_comparison_has_a_row_for_every_layer(digits: Session, qtbot: QtBot) -> None:
    digits.choose(bits=4)
    qtbot.waitUntil(lambda: digits.snapshot.current == 0, timeout=120_000)
    digits.compare((-1, 0))
    rows = digits.snapshot.comparison
    assert [r.layer for r in rows] == [x.name for x in digits.snapshot.layers]
    assert all(r.before is None for r in rows)
    assert any(r.after is not None and r.after.error > 0 for r in rows)


def test_a_recipe_comes_back_as_it_was(digits: Session, tmp_path: Path) -> None:
    digits.choose(bits=4, amount=0.25)
    plan = digits.snapshot.plan
    digits.save_recipe(tmp_path / "plan.toml")
    assert not digits.snapshot.dirty
    digits.undo()
    assert digits.snapshot.dirty
    digits.open_recipe(tmp_path / "plan.toml")
    assert digits.snapshot.plan == plan


def test_a_broken_file_is_one_notice_and_nothing_opens(session: Session, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    with qtbot.waitSignal(session.notice) as heard:
        session.open(tmp_path / "broken.safetensors")
    assert heard.args[0] == "error"
    assert session.snapshot.checkpoint is None
