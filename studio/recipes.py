"""Recipes in and out of the session, and the model out of it: the plan with its model, its data and its format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication

from core.errors import SlimError
from core.plans import legs
from core.types import Variant, Verdict

from . import scene
from .late import Late
from .snapshot import Feed

if TYPE_CHECKING:
    from . import exportwork, kept, work
else:
    exportwork, kept, work = Late("studio.exportwork"), Late("studio.kept"), Late("studio.work")

translate = QCoreApplication.translate


def take(session: Any, path: Path) -> None:
    """Put a recipe's plan, data and format in force, the plan as one undoable step; its model must be the open one."""
    from core import recipe

    shot = session.snapshot
    try:
        found = recipe.load(path)
        recipe.check(found.plan)
        if shot.checkpoint is None:
            session.notice.emit("info", translate("Session", "Open the recipe's model first: {source}").format(source=found.source))
            return
        session._price(found.plan)  # refuses cuts this model can't take
        if found.target:
            session.set_target(found.target, **dict(found.target_knobs))
        if found.data:
            session.set_data(found.data, found.limit)
        order: Any = found.order
        scene.take(session, found.energy)
        session.set_calibration(Feed(found.calibrate, found.tokens, order, found.block, found.train, found.lessons, found.teacher))
    except SlimError as e:
        session.notice.emit("error", str(e))
        return
    session.staging.put(translate("Session", "Open recipe {name}").format(name=path.name), legs(found.plan))
    session.lies(path)


def save(session: Any, path: Path) -> None:
    """The session as TOML, for the command line and for later."""
    from core import recipe

    try:
        recipe.save(kept.recipe_of(session.snapshot), path)
    except (SlimError, OSError) as e:
        session.notice.emit("error", str(e))
        return
    session.lies(path)


def export(session: Any, path: Path) -> None:
    """Write the plan's model and have a fresh process verify it; `exported` follows."""
    s = session.staging.last()
    if s.original is None or s.size is None:
        return
    after = s.variants[s.current] if s.current >= 0 else Variant(s.plan, s.size, s.energy, None, when=work.now())
    stages = session.staging.measured() if s.whole.before else ()

    def done(verdict: Verdict) -> None:
        session._set(replace(session.snapshot, verdicts={**session.snapshot.verdicts, s.target.key: (s.basis, verdict)}))
        session.exported.emit(path, verdict)

    title = translate("Session", "Exporting {name}").format(name=path.name)
    session.engine.run(
        "export", title, exportwork.export, session._opened, s.original, after, path,
        s.target, None if s.runnable else s.data, s.limit, session.engine.spent, stages, done=done, failed=session._fail,
        point=lambda v: session.exported.emit(path, v) if isinstance(v, Verdict) else None,  # of a failed one
    )  # fmt: skip
