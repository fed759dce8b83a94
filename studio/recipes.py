"""Recipes in and out of the session: the plan with its model, its data and its format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import SlimError

from . import scene
from .late import Late
from .snapshot import Feed

if TYPE_CHECKING:
    from . import kept
else:
    kept = Late("studio.kept")


def take(session: Any, path: Path) -> bool:
    """Put a recipe's plan, data and format in force, the plan as one undoable step; its model must be the open one."""
    from core import recipe

    shot = session.snapshot
    try:
        found = recipe.load(path)
        recipe.check(found.plan)
        if shot.checkpoint is None:
            session.notice.emit("info", session.tr("Open the recipe's model first: {source}").format(source=found.source))
            return False
        if found.plan.before is not None:
            session.notice.emit("error", session.tr("This recipe has several stages: carry it out with slim run, and open what it exports"))
            return False
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
        return False
    session.edit(session.tr("Open recipe {name}").format(name=path.name), found.plan)
    return True


def save(session: Any, path: Path) -> bool:
    """The session as TOML, for the command line and for later."""
    from core import recipe

    try:
        recipe.save(kept.recipe_of(session.snapshot), path)
    except (SlimError, OSError) as e:
        session.notice.emit("error", str(e))
        return False
    return True
