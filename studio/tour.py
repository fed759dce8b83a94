"""The whole path in one go, for CI and for the pictures of the README: open, slide, measure, export, verify."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from core.resources import root
from core.types import Verdict

from .panels.plan import BITS
from .window import MainWindow

PATIENCE = 240_000  # ms for one step


def tour(window: MainWindow, folder: Path) -> int:
    """0 only when every step really happened; the pictures lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    session = window.session
    window.add_charts()
    shot(window, folder / "welcome.png")
    session.open(root() / "samples" / "sotu-lm")
    wait(window, lambda: session.snapshot.original is not None)
    session.set_target("packed")
    window.plan.amount.setValue(30)
    window.plan.bits.setValue(BITS.index(3))
    wait(window, lambda: any(v.plan == session.snapshot.plan for v in session.snapshot.variants))
    window.plan.bits.setValue(BITS.index(4))
    wait(window, lambda: any(v.plan == session.snapshot.plan for v in session.snapshot.variants))
    done: list[Verdict] = []
    session.exported.connect(done.append)
    with tempfile.TemporaryDirectory() as out:
        session.export(Path(out) / "slim")
        wait(window, lambda: bool(done))
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    shot(window, folder / "main.png")
    print(f"tour: {len(session.snapshot.variants)} variants measured, exported and verified by {done[0].tool}")
    window.close()
    return 0 if done[0].passed else 1


def wait(window: MainWindow, ready: Callable[[], bool]) -> None:
    """Run the event loop until the session says so; a failed job or too long a wait ends the tour."""
    loop = QEventLoop()
    trouble: list[str] = []
    window.session.changed.connect(lambda _: loop.quit() if ready() else None)
    window.engine.changed.connect(lambda: loop.quit() if ready() else None)
    window.engine.failed.connect(lambda title, text: (trouble.append(f"{title}: {text}"), loop.quit()))
    QTimer.singleShot(PATIENCE, loop.quit)
    if not ready():
        loop.exec()
    if not ready():
        raise SystemExit(f"tour: {trouble[0] if trouble else 'a step took too long'}")


def shot(window: MainWindow, path: Path) -> None:
    window.grab().save(str(path))
