"""From a prompt to a file, in the window: SmolLM2 opened, two layers at 4 bits, asked beside the original, written as GGUF and verified."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.engine import Engine
from studio.panels.export import ExportDialog
from studio.session import Session
from studio.window import MainWindow
from tests.real import smollm2

PROMPT = "The capital of France is"


@pytest.fixture
def window(qtbot: Any) -> Iterator[MainWindow]:
    engine = Engine()
    found = MainWindow(Session(engine), engine)
    qtbot.addWidget(found)
    found.show()
    qtbot.waitUntil(lambda: "playground" in found.parts, timeout=120_000)
    yield found
    engine.close()


def _slimmed(session: Session, qtbot: Any) -> None:
    """SmolLM2 open with a plan, measured on a few tokens."""
    session.open(smollm2())
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)
    session.engine.cancel("zeros")
    session.set_data(session.snapshot.data, 64)
    session.edit("plain", replace(session.snapshot.plan, tune=False))
    session.select([f"model.layers.{i}.mlp.down_proj" for i in (0, 1)])
    session.choose(quantize="rtn", bits=4)
    session.choose_knob("rtn.group_size", 32)
    session.set_target("gguf")
    qtbot.waitUntil(lambda: session.snapshot.current >= 0 and not session.engine.busy(), timeout=120_000)


@pytest.mark.real
def test_smollm2_goes_from_a_prompt_to_a_gguf_file_that_llama_cpp_runs(window: MainWindow, qtbot: Any, tmp_path: Path) -> None:
    session, file = window.session, tmp_path / "small.gguf"
    failures: list[str] = []
    session.notice.connect(lambda level, text: failures.append(text) if level == "error" else None)
    _slimmed(session, qtbot)
    window.tabs.setCurrentWidget(window.parts["playground"])
    talk = window.parts["playground"].talk
    talk.prompt.setPlainText(PROMPT)
    talk.tokens.setValue(6)
    talk.ask.click()
    qtbot.waitUntil(lambda: session.snapshot.play.found is not None and session.snapshot.play.found.whole, timeout=120_000)
    said = session.snapshot.play.found
    qtbot.waitUntil(lambda: len(talk.strip.cells) == said.prompt + 6, timeout=120_000)
    assert [box.toPlainText().strip().startswith("Paris") for box in talk.answers] == [True, True]
    assert said.mean > 0

    size = session.snapshot.size
    session.export(file)
    qtbot.waitUntil(lambda: file.exists() and not session.engine.busy(), timeout=120_000)
    assert not failures
    assert size is not None
    assert file.stat().st_size == size.total
    assert window.verdict.isVisible()
    verdict = session.snapshot.verdicts["gguf"][1]
    assert verdict.passed
    kept = json.loads((tmp_path / "small.report.json").read_text(encoding="utf-8"))["verdict"]
    assert [c["name"] for c in kept["checks"]] == [c.name for c in verdict.checks]
    if importlib.util.find_spec("ik_llama_cpp"):
        dialog = ExportDialog(session)
        qtbot.addWidget(dialog)
        assert "measured on this machine" in dialog.formats.item(dialog.formats.row_of("gguf"), 2).text()
