"""The palette, F1, the tour of the first run, keys that work from everywhere, notices and the log of jobs."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel

from core.errors import BadFile
from core.job import Job
from studio import settings
from studio.explain import describe
from studio.palette import Palette
from studio.session import Session
from studio.window import MainWindow


@pytest.fixture
def window(digits: Session, qtbot: Any) -> MainWindow:
    """The digit CNN in a window whose tour was seen."""
    settings.set_toured()
    found = MainWindow(digits, digits.engine)
    qtbot.addWidget(found)
    found.show()
    qtbot.waitUntil(lambda: "jobs" in found.parts and found.pages.currentIndex() == 1)
    return found


def measure(window: MainWindow, qtbot: Any, bits: int) -> None:
    window.session.choose(bits=bits)
    qtbot.waitUntil(lambda: window.session.snapshot.current >= 0, timeout=120_000)


def test_the_palette_finds_every_entry_of_the_menus_and_runs_it(window: MainWindow, qtbot: Any) -> None:
    palette = Palette(window)
    qtbot.addWidget(palette)
    names = {c.name for c in palette._commands}
    assert {"Evaluate", "Save recipe", "4 bits", "Dark", "简体中文", "Explain", "Jobs"} <= names
    palette.box.setText("4 bits")
    qtbot.keyClick(palette.box, Qt.Key.Key_Return)
    assert window.session.snapshot.plan.model.bits == 4
    assert not palette.isVisible()


def test_the_palette_selects_a_layer_by_a_part_of_its_name(window: MainWindow, qtbot: Any) -> None:
    name = next(x.name for x in window.session.snapshot.layers if x.kind == "conv")
    palette = Palette(window)
    qtbot.addWidget(palette)
    palette.box.setText(name)
    assert palette.found[-1].name == name
    qtbot.keyClick(palette.box, Qt.Key.Key_Up)
    palette.list.setCurrentRow(len(palette.found) - 1)
    qtbot.keyClick(palette.box, Qt.Key.Key_Return)
    assert window.session.snapshot.selection == (name,)


def test_the_palette_says_why_a_command_can_not_act(window: MainWindow, qtbot: Any) -> None:
    palette = Palette(window)
    qtbot.addWidget(palette)
    palette.box.setText("redo")
    assert palette.found[0].why == "Nothing to redo."
    qtbot.keyClick(palette.box, Qt.Key.Key_Return)
    assert palette.found[0].name == "Redo"


def test_f1_explains_a_column_a_cell_and_a_slider(window: MainWindow) -> None:
    tree = window.parts["layers"].tree
    header = tree.header()
    at = QPoint(header.sectionViewportPosition(1) + 4, header.height() // 2)
    assert "Planned bits of a weight" in describe(header.viewport(), at)
    norm = next(x for x in window.session.snapshot.layers if x.kind == "norm")
    window.parts["layers"].tree.expandAll()
    index = window.parts["layers"].model.at(window.parts["layers"].model.leaves[norm.name], 1)
    tree.scrollTo(index)
    assert norm.protected in describe(tree.viewport(), tree.visualRect(index).center())
    assert "Share of the weights set to exact zero" in describe(window.parts["plan"].prune.slider.slider, QPoint(2, 2))
    assert describe(QLabel("nothing"), QPoint(0, 0)) == ""


def test_f1_shows_what_it_found(window: MainWindow) -> None:
    assert window.explain()


def test_the_tour_comes_once_and_again_when_asked(digits: Session, qtbot: Any) -> None:
    assert not settings.toured()
    window = MainWindow(digits, digits.engine)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.coach is not None and window.coach.isVisible())
    assert window.coach.timer.interval() == 10_000
    seen = []
    while window.coach is not None:
        seen.append(window.coach.steps[window.coach.step][1])
        assert window.rect().contains(window.coach.geometry())
        window.coach.next.click()
    assert len(seen) == len(set(seen)) == 3
    assert settings.toured()
    window._draw()
    assert window.coach is None
    window.menus.named("Tour").trigger()
    assert window.coach is not None
    window.coach.end()


def test_keys_set_bits_and_pruning_from_everywhere_and_space_compares(window: MainWindow, qtbot: Any) -> None:
    measure(window, qtbot, 8)
    qtbot.keyClick(window, Qt.Key.Key_4)
    qtbot.keyClick(window, Qt.Key.Key_BracketRight)
    assert (window.session.snapshot.plan.model.bits, window.session.snapshot.plan.model.amount) == (4, 0.05)
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    assert window.session.snapshot.plan.model.amount == 0
    qtbot.waitUntil(lambda: len(window.session.snapshot.variants) == 2, timeout=120_000)
    window.tabs.setCurrentWidget(window.parts["inspector"])
    qtbot.keyClick(window.parts["layers"].tree, Qt.Key.Key_Space)
    assert window.session.snapshot.compared == (-1, 1)
    qtbot.waitUntil(lambda: window.tabs.currentWidget() is window.parts["compare"])
    assert "Original" in window.parts["compare"].head.text()


def test_every_key_of_the_tree_stands_in_a_menu(window: MainWindow) -> None:
    keys = {a.keys for a, _ in window.menus.actions if a.keys}
    assert keys == {"0", "2", "3", "4", "5", "6", "7", "8", "[", "]", "Space"}


def fail(job: Job) -> None:
    raise BadFile("model.pt is cut off; download it again")


def test_a_failed_job_explains_itself_and_the_window_lives_on(window: MainWindow, qtbot: Any) -> None:
    session = window.session
    session.engine.run("x", "Opening model.pt", fail, failed=session._fail)
    qtbot.waitUntil(lambda: window.notice.isVisible())
    assert window.notice.text.text() == "model.pt is cut off; download it again"
    jobs = window.parts["jobs"]
    assert not jobs.log.isVisible()
    window.notice.log.click()
    assert jobs.log.isVisible()
    line = jobs.log.toPlainText().splitlines()[0]
    assert "Opening model.pt" in line
    assert "failed" in line
    assert "download it again" in line
    measure(window, qtbot, 4)
    assert session.snapshot.score.complete


def test_an_error_in_a_slot_is_one_notice_and_the_window_lives_on(window: MainWindow, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from studio import app

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    app._catch(window.session)
    said: list[str] = []
    window.session.notice.connect(lambda level, text: said.append(text))
    for _ in range(3):
        sys.excepthook(ValueError, ValueError("odd"), None)
    assert len(said) == 1
    assert "odd" in said[0]


def test_the_strip_of_jobs_counts_what_waits(window: MainWindow, qtbot: Any) -> None:
    import threading

    go = threading.Event()

    def wait(job: Job) -> None:
        while not go.wait(0.01):
            job.check()

    for key in ("a", "b", "c"):
        window.engine.run(key, key, wait)
    qtbot.waitUntil(lambda: "2 waiting" in window.parts["jobs"].detail.text())
    go.set()
    qtbot.waitUntil(lambda: not window.engine.busy())


def test_the_tree_shows_how_sparse_a_model_is_stored(window: MainWindow, qtbot: Any) -> None:
    from studio.layers.model import SPARSITY

    window.session.count_zeros()
    free = [x.name for x in window.session.snapshot.layers if x.prunable]
    qtbot.waitUntil(lambda: all(n in window.session.snapshot.zeros for n in free), timeout=120_000)
    model = window.parts["layers"].model
    model.show_snapshot(window.session.snapshot)
    assert model.data(model.at(model.leaves[free[0]], SPARSITY)).endswith("%")
