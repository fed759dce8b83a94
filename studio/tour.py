"""A walk through the whole studio by itself: sample, sliders, measurement, export, pictures; fails where a step did not happen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from core.samples import samples
from core.types import Verdict

from .panels.export import ExportDialog
from .window import MainWindow

LIMIT = 300_000  # ms for any one step


class Missed(RuntimeError):
    """A step of the tour that did not happen."""


def tour(folder: Path) -> int:
    """Walk through and write the pictures; 0 only when every step really happened."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slim-tour-") as aside:
        os.environ["SLIM_SETTINGS"] = str(Path(aside) / "settings.ini")
        from . import settings
        from .app import again, build

        settings.set_toured()
        settings.set_refines(False)  # pictures hold only what the tour itself measured
        settings.set_language("en")
        app, window = build()
        window.resize(1280, 800)
        window.show()
        try:
            _walk(app, window, folder, Path(aside))
            settings.set_language("zh_CN")
            window = again(app, window)
            _chinese(window, folder)
        except Missed as e:
            _take(window, folder / "failed.png")
            print(f"tour: {e}", file=sys.stderr)
            return 1
        finally:
            window.close()
    print(f"tour: every step happened; pictures in {folder}")
    return 0


def _walk(app: QApplication, window: MainWindow, folder: Path, aside: Path) -> None:
    session = window.session
    failures: list[str] = []
    session.notice.connect(lambda level, text: failures.append(text) if level == "error" else None)
    window.set_theme("light")
    _wait(window, "the window was built", lambda: bool(window.parts), failures)
    _take(window, folder / "welcome.png")
    sample = next(s for s in samples() if s.task == "causal-lm")
    session.open(sample.path)
    _wait(window, "the original was scored", lambda: _original_scored(window), failures)
    for gesture, amount in enumerate((0.1, 0.2, 0.3)):
        session.choose(gesture=1, amount=amount)
        _need(session.snapshot.plan.model.amount == amount, f"slider step {gesture} reached the plan")
    session.choose(gesture=2, bits=4)
    session.choose_knob("slim.granularity", "group")
    session.choose_knob("slim.group_size", 64)
    _wait(window, "the plan was measured", lambda: _measured(window), failures)
    s = session.snapshot
    _need(s.size is not None and s.size.total < s.size.original / 2, "the model is less than half its size")
    _settle(window)
    window.parts["layers"].tree.expandToDepth(1)
    _settle(window)
    _take(window, folder / "main-light.png")
    _look(window, folder, failures)
    _prices(window, folder, failures)
    _recover(window, folder, failures)
    _stages(window, folder, failures)
    _play(window, folder, failures)
    window.set_theme("dark")
    _settle(window)
    _take(window, folder / "main-dark.png")
    _export(window, aside / "packed", folder, failures)


def _chinese(window: MainWindow, folder: Path) -> None:
    """The same session in Chinese, at once."""
    window.set_theme("light")
    _wait(window, "the Chinese window was built", lambda: "compare" in window.parts, [])
    _tab(window, "compare")
    window.parts["layers"].tree.expandToDepth(1)
    _settle(window)
    _need(window.menus.menus["File"].title().startswith("文件"), "the menus speak Chinese")
    _take(window, folder / "main-zh.png")


def _look(window: MainWindow, folder: Path, failures: list[str]) -> None:
    """Inside one layer, and two variants side by side."""
    session = window.session
    layer = next(x.name for x in session.snapshot.layers if x.kind == "linear" and not x.protected)
    session.select([layer])
    _tab(window, "inspector")
    session.inspect(layer)
    _wait(window, "a layer was inspected", lambda: session.snapshot.inspection is not None, failures)
    _settle(window)
    _take(window, folder / "inspector.png")
    _tab(window, "calibration")
    _wait(window, "the calibration was measured", lambda: _covered(window), failures)
    _settle(window)
    _take(window, folder / "calibration.png")
    session.select([])
    session.choose(bits=3)
    _wait(window, "a second plan was measured", lambda: len(session.snapshot.variants) > 1 and _measured(window), failures)
    _tab(window, "compare")
    session.compare((0, 1))
    _wait(window, "two variants were compared", lambda: bool(session.snapshot.comparison), failures)
    _settle(window)
    _take(window, folder / "compare.png")


def _prices(window: MainWindow, folder: Path, failures: list[str]) -> None:
    """The layers sensed, the plan dragged along the front, and the best under a budget."""
    from core.search import Goal

    session = window.session
    session.set_target("packed")
    session.choose(bits=4)
    session.choose(amount=0.0)
    session.pricing.sense()
    _wait(window, "the layers were sensed", lambda: _sensed(window), failures)
    s = session.snapshot
    _need(s.estimate is not None and s.fronts is not None, "the plan has a prediction, and the model a front")
    assert s.sensitivity is not None
    window.resize(1440, 860)
    _settle(window)
    window.resizeDocks([window.docks["layers"]], [425], Qt.Orientation.Horizontal)
    window.parts["layers"].tree.expandToDepth(1)
    session.select([max(s.sensitivity.layers.values(), key=lambda v: v.alpha).layer])
    _tab(window, "sensitivity")
    _settle(window)
    _take(window, folder / "sensitivity.png")
    session.select([])
    _tab(window, "front")
    for share in (0.9, 0.5, 0.2):
        sizes = [f.size.total for f in session.snapshot.fronts.points] if session.snapshot.fronts else []
        session.pricing.slide(sizes[0] + share * (sizes[-1] - sizes[0]), 3)
        _need(session.snapshot.estimate is not None, "every step of the drag has its prediction")
    budget = session.snapshot.size.total - 100_000 if session.snapshot.size else 0
    session.pricing.solve(Goal(size=budget))
    _wait(window, "the budget was solved", lambda: session.snapshot.size is not None and session.snapshot.size.total <= budget, failures)
    window.parts["front"].budget.setValue(budget / 1e6)
    _wait(window, "the solved plan was measured", lambda: _measured(window) and not session.engine.busy(), failures)
    _settle(window)
    _take(window, folder / "front.png")
    _energy(window, folder)
    window.resize(1280, 800)
    window.reset_layout()
    _settle(window)


def _energy(window: MainWindow, folder: Path) -> None:
    """Where the joules go, and the same plan on every device, with what the slimming itself has taken."""
    chart = window.parts["energy"]
    _take(chart, folder / "energy.png")
    dialog = chart.ask()
    _settle(window)
    _take(dialog, folder / "whatif.png")
    dialog.close()


def _recover(window: MainWindow, folder: Path, failures: list[str]) -> None:
    """Two bits, measured, then distilled from the original: better at the same bytes."""
    session = window.session
    _tab(window, "recovery")
    plan = session.snapshot.plan
    low = replace(plan, model=replace(plan.model, bits=2), groups={}, layers={}, tune=False)
    session.edit("2 bits", replace(low, recover="distil", recovery={"steps": 40}))
    _wait(window, "the plan was measured untrained", lambda: _complete(window) and not session.engine.busy(), failures)
    before, taken = session.snapshot.score, _measured(window)  # an earlier tour with this cache has left the training, which is as good
    session.training.start()
    _wait(window, "the training ended", lambda: _measured(window), failures)
    after = session.snapshot.score
    assert before is not None
    assert after is not None
    _need(taken or after.metrics["kl"].value < before.metrics["kl"].value, "the trained model answers more like the original")
    _settle(window)
    _take(window, folder / "recovery.png")
    session.undo()
    _wait(window, "the plan before was shown again", lambda: _measured(window), failures)


def _stages(window: MainWindow, folder: Path, failures: list[str]) -> None:
    """Half the weights gone and fine-tuned; then three bits, distilled: every stage measured, each a point."""
    session = window.session
    plan = session.snapshot.plan
    half = replace(plan.model, prune="magnitude", amount=0.5, bits=16)
    first = replace(plan, model=half, groups={}, layers={}, recover="finetune", recovery={"steps": 24, "train": "all"}, name="Thin out")
    session.edit("half", first)
    session.staging.add()
    then = session.snapshot.plan
    session.edit("3 bits", replace(then, model=replace(half, quantize="rtn", bits=3), recover="distil", recovery={"steps": 24}))
    _need(bool(session.staging.waits()), "stages wait for a hand")
    session.training.start()
    _wait(window, "both stages were run", lambda: _measured(window) and not session.engine.busy(), failures)
    _need([v.plan.recover for v in session.staging.measured()] == ["", "finetune", "", "distil"], "each stage was measured twice")
    whole = session.snapshot.whole
    session.staging.choose(0)
    _need(session.snapshot.plan == first, "the first stage is in hand")
    session.staging.choose(1)
    _need(session.snapshot.whole is whole and _measured(window), "looking at another stage left the plan as it was")
    _tab(window, "recovery")
    _settle(window)
    _take(window, folder / "stages.png")
    for _ in range(3):
        session.undo()
    _wait(window, "the plan before was shown again", lambda: _measured(window), failures)


def _complete(window: MainWindow) -> bool:
    s = window.session.snapshot
    return s.score is not None and s.score.complete


def _sensed(window: MainWindow) -> bool:
    found = window.session.snapshot.sensitivity
    return found is not None and found.complete and not window.session.engine.busy()


def _play(window: MainWindow, folder: Path, failures: list[str]) -> None:
    """Original and variant on one prompt, and the passages that suffer most."""
    session = window.session
    _tab(window, "playground")
    page = window.parts["playground"]
    page.talk.prompt.setPlainText("My fellow Americans, the state of our union is")
    page.talk.ask.click()
    _wait(window, "both answered", lambda: getattr(session.snapshot.play.found, "whole", False), failures)
    page.search.click()
    _wait(window, "the worst passages were found", lambda: bool(session.snapshot.play.worst), failures)
    _settle(window)
    _take(window, folder / "playground.png")


def _export(window: MainWindow, path: Path, folder: Path, failures: list[str]) -> None:
    """Packed, verified by a fresh process, and exactly as large as foretold."""
    session = window.session
    session.set_target("packed")
    dialog = ExportDialog(session, window)
    dialog.path.setText("~/sotu-lm-slim")
    dialog.show()
    _settle(window)
    _take(dialog, folder / "export.png")
    dialog.close()
    verdicts: list[Verdict] = []
    session.exported.connect(lambda _, verdict: verdicts.append(verdict))
    session.export(path)
    _wait(window, "the export was verified", lambda: bool(verdicts), failures)
    _need(verdicts[0].passed, "every check of the export passed")
    size = session.snapshot.size
    written = sum(p.stat().st_size for p in path.glob("*.safetensors"))
    _need(size is not None and written == size.total, f"the export's {written} bytes are the foretold {size.total if size else 0}")


def _original_scored(window: MainWindow) -> bool:
    before = window.session.snapshot.original
    return before is not None and before.score is not None and before.score.complete


def _measured(window: MainWindow) -> bool:
    s = window.session.snapshot
    return s.current >= 0 and s.score is not None and s.score.complete


def _covered(window: MainWindow) -> bool:
    found = window.session.snapshot.coverage
    return found is not None and found.whole and len(found.points) > 1


def _tab(window: MainWindow, name: str) -> None:
    _need(name in window.parts, f"there is a panel called {name}")
    window.tabs.setCurrentWidget(window.parts[name])


def _wait(window: MainWindow, what: str, happened: Callable[[], bool], failures: list[str]) -> None:
    """Let the event loop run until it happened; every change of session or engine is a chance to look."""
    loop = QEventLoop()
    limit = QTimer(singleShot=True, interval=LIMIT)
    limit.timeout.connect(loop.quit)
    look = QTimer(interval=30)
    look.timeout.connect(lambda: loop.quit() if happened() or failures else None)
    limit.start()
    look.start()
    loop.exec()
    look.stop()
    _need(not failures, f"no error while: {what} ({'; '.join(failures)})")
    _need(happened(), what)


def _settle(window: MainWindow) -> None:
    """Long enough for a redraw and the layout it causes."""
    loop = QEventLoop()
    QTimer.singleShot(400, loop.quit)
    loop.exec()


def _take(widget: QWidget, path: Path) -> None:
    _need(widget.grab().save(str(path)), f"{path.name} was written")


def _need(fact: bool, what: str) -> None:
    if not fact:
        raise Missed(f"this did not happen: {what}")
