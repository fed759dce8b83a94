"""The playground asks both on the worker and draws what comes back; the worst samples are a click away."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent

from core.play import Dialogue, Heard, Likeness, Looked
from studio.panels.playground import Playground
from studio.snapshot import Snapshot
from studio.strip import shade
from tests.conftest import SAMPLES
from tests.core.test_sound import recorded, tone

PROMPT = "My fellow Americans, the state of our union is"


def shown(session: Any, qtbot: Any) -> Playground:
    panel = Playground(session)
    qtbot.addWidget(panel)
    session.changed.connect(panel.show)
    panel.show(session.snapshot)
    panel.show()
    return panel


@pytest.fixture
def sotu(session: Any, qtbot: Any) -> Any:
    """The language model at 3 bits, untuned, scored on 256 tokens."""
    session.open(SAMPLES / "sotu-lm")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    session.set_data(session.snapshot.data, 256)
    session.edit("no tuning", replace(session.snapshot.plan, tune=False))
    session.choose(quantize="rtn", bits=3)
    session.engine.cancel_all()
    session._rest.stop()
    return session


@pytest.fixture
def coarse(digits: Any) -> Any:
    """The digit CNN at 3 bits, untuned."""
    digits.edit("no tuning", replace(digits.snapshot.plan, tune=False))
    digits.choose(quantize="rtn", bits=3)
    digits.engine.cancel_all()
    digits._rest.stop()
    return digits


def test_both_answers_grow_token_by_token_beside_each_other(sotu: Any, qtbot: Any) -> None:
    panel, seen = shown(sotu, qtbot), list[Dialogue]()
    sotu.changed.connect(lambda s: seen.append(s.play.found) if s.play.found is not None and s.play.found not in seen[-1:] else None)
    panel.talk.prompt.setPlainText(PROMPT)
    panel.talk.tokens.setValue(12)
    panel.talk.ask.click()
    assert panel.talk.ask.text() == "Stop"
    qtbot.waitUntil(lambda: sotu.snapshot.play.found is not None and sotu.snapshot.play.found.whole, timeout=120_000)
    lengths = [len(d.before) for d in seen]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 3
    said = sotu.snapshot.play.found
    for box, tokens in zip(panel.talk.answers, (said.before, said.after)):
        assert box.toPlainText().split() == "".join(t.text for t in tokens).split()
    own = "".join(t.text for t in said.after if not t.same).strip()
    assert own
    assert "underline" in panel.talk.answers[1].toHtml()
    assert f"{said.apart} of 12 tokens differ" in panel.talk.said.text()
    assert "measured" in panel.talk.said.text()
    qtbot.waitUntil(lambda: panel.talk.ask.text() == "Ask both", timeout=120_000)


def test_the_strip_colours_each_token_and_says_what_both_expected(sotu: Any, qtbot: Any) -> None:
    panel = shown(sotu, qtbot)
    panel.talk.prompt.setPlainText(PROMPT)
    panel.talk.tokens.setValue(4)
    panel.talk.ask.click()
    qtbot.waitUntil(lambda: sotu.snapshot.play.found is not None and sotu.snapshot.play.found.whole, timeout=120_000)
    strip, said = panel.talk.strip, sotu.snapshot.play.found
    panel.resize(700, 360)
    assert len(strip.cells) == said.prompt + 4
    first = strip.place(said.prompt)
    assert first.height() > strip.place(0).height()
    assert strip.at(first.center().x(), first.center().y()) == said.prompt
    middle = strip.grab().toImage().pixelColor(first.center())
    wanted = shade(said.strip[said.prompt].kl)
    assert max(abs(a - b) for a, b in zip(middle.getRgb(), wanted.getRgb())) <= 2
    tip = strip.tip(said.prompt)
    assert "original: " in tip
    assert "variant: " in tip
    qtbot.mouseMove(strip, first.center())
    qtbot.waitUntil(lambda: "background-color" in panel.talk.answers[0].toHtml(), timeout=120_000)


def test_asking_stops_within_a_second(sotu: Any, qtbot: Any) -> None:
    panel = shown(sotu, qtbot)
    panel.talk.prompt.setPlainText(PROMPT)
    panel.talk.tokens.setValue(256)
    panel.talk.ask.click()
    qtbot.waitUntil(lambda: sotu.snapshot.play.found is not None and len(sotu.snapshot.play.found.before) > 1, timeout=120_000)
    panel.talk.ask.click()
    start = time.process_time()  # of our own: other processes may have the cores
    qtbot.waitUntil(lambda: not sotu.engine._live, timeout=20_000)
    assert time.process_time() - start < 1.0
    assert not sotu.snapshot.play.found.whole


def test_an_empty_prompt_says_what_to_do(sotu: Any, qtbot: Any) -> None:
    panel, told = shown(sotu, qtbot), list[str]()
    sotu.notice.connect(lambda level, text: told.append(text))
    panel.talk.ask.click()
    qtbot.waitUntil(lambda: bool(told), timeout=120_000)
    assert "write the beginning of a text" in told[0]


def test_an_answer_of_another_plan_says_so(sotu: Any, qtbot: Any) -> None:
    panel = shown(sotu, qtbot)
    panel.talk.prompt.setPlainText(PROMPT)
    panel.talk.tokens.setValue(2)
    panel.talk.ask.click()
    qtbot.waitUntil(lambda: sotu.snapshot.play.found is not None and sotu.snapshot.play.found.whole, timeout=120_000)
    assert panel.stale.isHidden()
    sotu.choose(bits=8)
    assert "under another plan" in panel.stale.text()
    assert not panel.stale.isHidden()
    sotu.undo()
    assert panel.stale.isHidden()


def test_a_plan_that_changes_nothing_says_that_both_are_the_original(digits: Any, qtbot: Any) -> None:
    panel = shown(digits, qtbot)
    assert "both are the original" in panel.stale.text()
    assert not panel.stale.isHidden()
    digits.choose(quantize="rtn", bits=4)
    assert panel.stale.isHidden()


def test_a_click_on_one_of_the_worst_passages_asks_both_about_it(sotu: Any, qtbot: Any) -> None:
    panel = shown(sotu, qtbot)
    panel.talk.tokens.setValue(1)
    panel.search.click()
    qtbot.waitUntil(lambda: sotu.snapshot.play.worst is not None, timeout=120_000)
    worst = sotu.snapshot.play.worst
    assert panel.list.count() == len(worst)
    panel._pick(panel.list.item(0))
    assert panel.talk.prompt.toPlainText() == worst[0].put[0]
    qtbot.waitUntil(lambda: sotu.snapshot.play.found is not None and sotu.snapshot.play.found.whole, timeout=120_000)
    tail = [n.kl for n in sotu.snapshot.play.found.strip[: sotu.snapshot.play.found.prompt]][-32:]
    assert sum(tail) / 32 == pytest.approx(worst[0].loss, rel=1e-2)


def test_a_held_out_picture_and_the_worst_one_are_shown_with_both_answers(coarse: Any, qtbot: Any) -> None:
    panel = shown(coarse, qtbot)
    panel.look.sample.click()
    qtbot.waitUntil(lambda: isinstance(coarse.snapshot.play.found, Looked), timeout=120_000)
    first = coarse.snapshot.play.found
    assert [r.name for r in panel.look.bars.rows] == [c.label for c in first.classes]
    assert sum(r.right for r in panel.look.bars.rows) == 1
    assert not panel.look.frame.pixmap().isNull()
    panel.search.click()
    qtbot.waitUntil(lambda: coarse.snapshot.play.worst is not None, timeout=120_000)
    panel._pick(panel.list.item(0))
    qtbot.waitUntil(lambda: coarse.snapshot.play.found is not first, timeout=120_000)
    assert coarse.snapshot.play.found.kl == pytest.approx(coarse.snapshot.play.worst[0].loss, rel=1e-3)


def test_a_picture_dropped_on_the_frame_is_looked_at(coarse: Any, qtbot: Any, tmp_path: Any) -> None:
    panel = shown(coarse, qtbot)
    Image.new("L", (40, 30), 200).save(tmp_path / "mine.png")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "mine.png"))])
    panel.look.frame.dropEvent(
        QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    )
    qtbot.waitUntil(lambda: isinstance(coarse.snapshot.play.found, Looked), timeout=120_000)
    assert coarse.snapshot.play.found.name == "mine.png"
    assert "mine.png" in panel.look.name.text()


def test_the_similarity_of_both_is_drawn_as_a_pair_of_bars(coarse: Any, qtbot: Any) -> None:
    panel = shown(coarse, qtbot)
    panel.liken.draw(Snapshot(play=type(coarse.snapshot.play)(found=Likeness("a", "b", 0.8, 0.7, (0.99, 0.98)))))
    assert [(r.before, r.after) for r in panel.liken.bars.rows] == [(0.8, 0.7)]
    assert "0.9900" in panel.liken.said.text()


def test_a_model_that_cannot_run_says_why_there_is_nothing_to_play(session: Any, qtbot: Any, tmp_path: Any) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a.weight": torch.ones(4, 4)}, str(tmp_path / "bare.safetensors"))
    session.open(tmp_path / "bare.safetensors")
    qtbot.waitUntil(lambda: session.snapshot.checkpoint is not None, timeout=120_000)
    panel = shown(session, qtbot)
    assert panel.pages.currentWidget() is panel.why
    assert "without a description of their network" in panel.why.text()
    assert not panel.search.isEnabled()


@pytest.fixture
def pitch(session: Any, qtbot: Any) -> Any:
    """The network that hears, at 3 bits, untuned, scored on 40 frames."""
    session.open(SAMPLES / "pitch-crepe")
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    session.set_data(session.snapshot.data, 40)
    session.edit("no tuning", replace(session.snapshot.plan, tune=False))
    session.choose(quantize="rtn", bits=3)
    session.engine.cancel_all()
    session._rest.stop()
    return session


def test_a_recording_dropped_on_the_page_is_heard_by_both_and_drawn_as_two_curves(pitch: Any, qtbot: Any, tmp_path: Any) -> None:
    panel, file = shown(pitch, qtbot), tmp_path / "mine.wav"
    recorded(file, tone(220, 0.6))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(file))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    panel.hear.dropEvent(QDropEvent(QPointF(1, 1), Qt.DropAction.CopyAction, mime, left, none))
    qtbot.waitUntil(lambda: isinstance(pitch.snapshot.play.found, Heard) and pitch.snapshot.play.found.whole, timeout=120_000)
    found = pitch.snapshot.play.found
    assert panel.pages.currentWidget() is panel.hear
    assert len(panel.hear.strip.cells) == len(found.instants) == 54
    curve = panel.hear.curves[0].yData
    assert 2 ** float(np.nanmedian(curve)) == pytest.approx(220, rel=0.01)
    assert "mine.wav" in panel.hear.said.text()
    assert "Hz" in panel.hear._tip(0.3, 7.8)
    assert len(panel.hear._rows()) == 55
    panel.hear.grab()


def test_a_worst_frame_shows_its_wave_and_the_pitches_of_both(pitch: Any, qtbot: Any) -> None:
    panel = shown(pitch, qtbot)
    panel.search.click()
    qtbot.waitUntil(lambda: pitch.snapshot.play.worst is not None, timeout=120_000)
    panel._pick(panel.list.item(0))
    qtbot.waitUntil(lambda: isinstance(pitch.snapshot.play.found, Looked), timeout=120_000)
    qtbot.waitUntil(lambda: panel.hear.bars.isVisibleTo(panel.hear), timeout=120_000)
    assert not panel.hear.plot.isVisibleTo(panel.hear)
    assert all("Hz" in r.name for r in panel.hear.bars.rows)
    assert "Hz ✓" in panel.hear.name.text()
