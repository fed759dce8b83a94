"""Calibration in the window: what is used, what each layer meets, what a plan will take, and what is in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent

from core import cached
from core.cli import main
from core.formats import open_checkpoint
from core.job import Job
from core.layers import layers
from core.resources import root
from core.store import Store
from core.types import Choice, Plan
from studio import kept
from studio.engine import Engine
from studio.forecast import Forecast
from studio.layers.model import PLANNED, LayersModel
from studio.opened import Opened
from studio.panels.cache import CacheDialog
from studio.panels.calibration import Calibration
from studio.session import Session
from studio.snapshot import Feed


@pytest.fixture
def session(qtbot: Any) -> Iterator[Session]:
    engine = Engine()
    made = Session(engine)
    with qtbot.waitSignal(made.changed, timeout=120_000, check_params_cb=lambda s: s.size is not None):
        made.open(root() / "samples" / "fashion-vit")
    yield made
    made.close()
    engine.close()


@pytest.fixture
def panel(session: Session, qtbot: Any) -> Calibration:
    made = Calibration(session)
    qtbot.addWidget(made)
    session.changed.connect(made.show)
    made.show(session.snapshot)
    return made


def covered(session: Session, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: session.snapshot.coverage is not None and session.snapshot.coverage.whole, timeout=90_000)


def test_a_look_at_a_small_model_measures_every_layer_and_the_error(session: Session, panel: Calibration, qtbot: Any) -> None:
    covered(session, qtbot)
    found = session.snapshot.coverage
    free = [x for x in session.snapshot.layers if x.prunable and not x.protected]
    assert panel.table.topLevelItemCount() == len(found.reach) == len(free)
    assert "calibrate.npz" in panel.dealt.text()
    assert "held out" in panel.dealt.text()
    assert len(panel.points()) == 1 + len(found.points) > 2
    assert panel.flat.isVisible() == (found.enough is not None)
    item = panel.table.topLevelItem(0)
    name = item.toolTip(0)
    panel.table.itemClicked.emit(item, 0)
    assert session.snapshot.selection == (name,)


def test_another_selection_moves_only_the_curve(session: Session, panel: Calibration, qtbot: Any) -> None:
    covered(session, qtbot)
    before = session.snapshot.coverage
    other = next(r.name for r in reversed(before.reach) if r.name != before.points[0].name and r.name.endswith("key"))
    session.select((other,))
    qtbot.waitUntil(lambda: session.snapshot.coverage.whole and session.snapshot.coverage.points[0].name == other, timeout=120_000)
    assert session.snapshot.coverage.reach == before.reach


def test_fewer_samples_are_asked_for_and_the_layers_that_saw_too_few_come_first(session: Session, panel: Calibration, qtbot: Any) -> None:
    covered(session, qtbot)
    panel.tokens.setValue(2)
    assert session.snapshot.feed == Feed(tokens=2)
    assert session.snapshot.coverage is None or not session.snapshot.coverage.whole
    covered(session, qtbot)
    few = [r for r in session.snapshot.coverage.reach if r.few]
    assert few, "two images are too few"
    assert "fewer than 10 samples" in panel.summary.text()
    assert panel.table.topLevelItem(0).text(2) == "few samples: damped more"
    panel.tokens.setValue(0)
    assert session.snapshot.feed == Feed()


def test_the_block_of_second_moments_is_a_knob_and_part_of_the_recipe(session: Session, panel: Calibration, qtbot: Any) -> None:
    panel.block.setValue(2048)
    assert session.snapshot.feed == Feed(block=2048)
    assert kept.recipe_of(session.snapshot).block == 2048
    panel.block.setValue(3)
    assert session.snapshot.feed == Feed(block=128), "no group of weights would fit"
    panel.show(session.snapshot)
    assert panel.block.value() == 128
    panel.block.setValue(0)
    assert session.snapshot.feed == Feed()


def test_a_dropped_file_is_calibrated_on(session: Session, panel: Calibration, qtbot: Any, tmp_path: Path) -> None:
    with np.load(root() / "samples" / "fashion-vit" / "calibrate.npz") as held:
        np.savez(tmp_path / "own.npz", **{k: held[k][:40] for k in held.files})
    what = QMimeData()
    what.setUrls([QUrl.fromLocalFile(str(tmp_path / "own.npz"))])
    panel.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, what, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier))
    assert session.snapshot.feed == Feed(tmp_path / "own.npz")
    assert "own.npz" in panel.dealt.text()
    covered(session, qtbot)
    assert "own.npz" in panel.dealt.text()
    dealt = session.snapshot.coverage.dealt
    assert dealt.solver + dealt.held == 40
    panel.back.click()
    assert session.snapshot.feed == Feed()


def test_a_measurement_of_the_plan_comes_before_a_running_coverage(session: Session, panel: Calibration, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: session.engine.busy("coverage"), timeout=120_000)
    session.evaluate()
    session.choose(bits=4)
    session.evaluate()
    keys = [j.key for j in session.engine.jobs() if j.state in ("waiting", "running")]
    assert keys.index("preview") < keys.index("coverage")
    covered(session, qtbot)
    assert session.snapshot.current >= 0


def test_memory_and_time_follow_the_plan_and_are_called_estimated(session: Session, qtbot: Any) -> None:
    line = Forecast(session)
    qtbot.addWidget(line)
    line.draw(session.snapshot)
    assert line.isHidden(), "nothing is planned yet"
    session.choose(bits=4)
    qtbot.waitUntil(lambda: session.snapshot.preflight is not None, timeout=120_000)
    line.draw(session.snapshot)
    assert "estimated" in line.text.text()
    assert line.apply.isHidden()
    session.undo()
    qtbot.waitUntil(lambda: session.snapshot.preflight is None, timeout=120_000)


def test_what_does_not_fit_is_amber_and_a_click_takes_the_proposal(session: Session, qtbot: Any) -> None:
    line = Forecast(session)
    qtbot.addWidget(line)
    session.choose(bits=4)
    qtbot.waitUntil(lambda: session.snapshot.preflight is not None, timeout=120_000)
    short = replace(session.snapshot.preflight, fits=False, proposal="calibrate on 4096 tokens instead of 16384", tokens=4096)
    session._set(replace(session.snapshot, preflight=short, task="causal-lm"))
    line.draw(session.snapshot)
    assert "4096" in line.text.text()
    assert line.text.styleSheet()
    assert not line.apply.isHidden()
    line.apply.click()
    assert session.snapshot.feed.tokens == 4096
    session._set(replace(session.snapshot, preflight=replace(short, tokens=0, block=2048)))
    line.draw(session.snapshot)
    assert "2048 inputs" in line.apply.text()
    line.apply.click()
    assert (session.snapshot.feed.tokens, session.snapshot.feed.block) == (4096, 2048)


def test_a_new_plan_begins_with_the_best_methods_where_there_is_data(session: Session, qtbot: Any, tmp_path: Path) -> None:
    first = session.snapshot.plan.model
    assert (first.prune, first.quantize, first.amount, first.bits) == ("admm", "slim", 0.0, 16)
    assert session.bearable is not None
    lone = tmp_path / "lone"
    lone.mkdir()
    for name in ("config.json", "model.safetensors"):
        (lone / name).write_bytes((root() / "samples" / "fashion-vit" / name).read_bytes())
    session.open(lone)
    qtbot.waitUntil(lambda: session.snapshot.checkpoint.path == lone, timeout=120_000)
    plain = session.snapshot.plan.model
    assert (plain.prune, plain.quantize) == ("magnitude", "rtn")
    assert session.bearable is None


def test_reset_goes_back_to_what_the_model_began_with(session: Session) -> None:
    session.choose(bits=4, quantize="rtn", prune="wanda")
    session.reset_scope()
    assert session.snapshot.plan == session.first


def test_the_tree_says_whether_a_result_is_in_the_store(session: Session, qtbot: Any) -> None:
    tree = LayersModel()
    tree.stored = session.feeding.stored
    session.choose(bits=4)
    tree.show_snapshot(session.snapshot)
    name = next(n for n, s in session.snapshot.settings.items() if not s.idle)
    node = tree.leaves[name]
    assert "store" not in tree._tip(node, PLANNED), "before anything was measured nothing is known of the statistics"
    qtbot.waitUntil(lambda: session.snapshot.current >= 0, timeout=90_000)
    tree.show_snapshot(session.snapshot)
    assert tree._tip(node, PLANNED).endswith("is in the layer store")
    session.choose(bits=3)
    tree.show_snapshot(session.snapshot)
    assert tree._tip(node, PLANNED).endswith("is not in the layer store yet")
    session.undo()
    cached.clear("layers")
    tree.show_snapshot(session.snapshot)
    assert tree._tip(node, PLANNED).endswith("is not in the layer store yet")


def test_the_cache_is_shown_cleared_and_kept_under_the_users_cap(session: Session, qtbot: Any) -> None:
    session.choose(bits=4)
    qtbot.waitUntil(lambda: session.snapshot.current >= 0, timeout=90_000)
    dialog = CacheDialog(session)
    qtbot.addWidget(dialog)
    held = {s.name: s for s in cached.shelves()}
    assert dialog.sizes["layers"].text().startswith(f"{held['layers'].count} kept")
    assert held["statistics"].count > 0
    dialog.caps["statistics"].setValue(1.5)
    qtbot.waitUntil(lambda: not session.engine.busy("cache"))
    assert {s.name: s.cap for s in cached.shelves()}["statistics"] == 1_500_000_000
    dialog.clears["layers"].click()
    qtbot.waitUntil(lambda: not dialog.clears["layers"].isEnabled(), timeout=120_000)
    assert {s.name: s.count for s in cached.shelves()}["layers"] == 0
    assert dialog.sizes["layers"].text().startswith("0 kept")


def test_the_calibration_is_kept_with_the_session_and_the_recipe(session: Session, tmp_path: Path) -> None:
    feed = Feed(root() / "samples" / "fashion-vit" / "calibrate.npz", 99, "sequential")
    session.set_calibration(feed)
    assert kept._told(kept._basis(None, 5, feed)) == (None, 5, feed)
    assert kept._told([None, 5]) == (None, 5, Feed()), "sessions kept before there was a choice"
    session.choose(bits=4)
    session.save_recipe(tmp_path / "plan.toml")
    session.set_calibration(Feed())
    session.open_recipe(tmp_path / "plan.toml")
    assert session.snapshot.feed == feed


def test_an_importance_matrix_stands_for_calibration(tmp_path: Path) -> None:
    """Chosen as the calibration file, it is what every layer's statistics come from: no network is run."""
    path, found = root() / "samples" / "sotu-lm", layers(checkpoint := open_checkpoint(root() / "samples" / "sotu-lm"))
    assert main(["imatrix", str(path), "--out", str(tmp_path / "m.imatrix"), "--tokens", "256"]) == 0
    opened = Opened(checkpoint, tuple(found), Store(tmp_path / "store"))
    opened.feed = Feed(tmp_path / "m.imatrix")
    name = next(x.name for x in found if x.name.endswith("0.mlp.up_proj"))
    seen = opened.calibration(Plan(layers={name: Choice(quantize="ggml", bits=4)}), None, None, Job()).seen
    assert list(seen) == [name]
    assert seen[name].samples == 512
    assert "network" not in opened._kept
