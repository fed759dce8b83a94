"""Where the model is imagined to live and what it is asked there: one for all views; another one prices everything anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication

if TYPE_CHECKING:
    from core.carbon import Place
    from core.energy import Scene

_now: dict[str, Any] = {}  # "place", "scene": read when first asked for, because the engine comes after the first paint


def place() -> Place:
    """The place chosen on this machine."""
    if "place" not in _now:
        from core.carbon import chosen

        _now["place"] = chosen()
    found: Place = _now["place"]
    return found


def scene() -> Scene:
    """What joules are modelled of."""
    if "scene" not in _now:
        _now["scene"] = place().scene
    found: Scene = _now["scene"]
    return found


def asked(of: Scene, at: Place) -> Scene:
    """The same questions put to the device of another place."""
    return replace(at.scene, phase=of.phase, batch=of.batch, context=of.context, daily=of.daily)


def choose(session: Any, at: Place | None = None, **said: Any) -> None:
    """Another place, which is kept for the next start and the command line, or another question (phase, batch, context, daily)."""
    from core import carbon

    of = replace(scene(), **said)
    if at is not None and at != place():
        carbon.choose(at)
        _now["place"] = at
    _now["scene"] = asked(of, place())
    again(session)
    if place().device == "here":
        measure(session)


def take(session: Any, said: Mapping[str, Any]) -> None:
    """What a recipe's [energy] says, for this session: the place chosen on this machine stays as it is."""
    from core.use import use

    if said:
        found = use(said)
        _now.update(place=found.place, scene=found.scene)
        again(session)
        if found.place.device == "here":
            measure(session)


def measure(session: Any) -> None:
    """This machine's ceilings by a self-test on the worker, once; then everything is priced with them."""
    from core.ceilings import ceilings, known

    def done(_: Any) -> None:
        _now["scene"] = asked(scene(), place())
        again(session)

    if not known():
        session.engine.run("ceilings", QCoreApplication.translate("scene", "Measuring this machine"), ceilings, done=done)


def again(session: Any) -> None:
    """The original, the plan and every variant with the joules of the scene in force."""
    from core.energy import estimate

    s = session.snapshot
    if s.checkpoint is None or s.original is None:
        return
    first = estimate(s.checkpoint, s.layers, {}, s.original.size, None, s.task or "other", scene())
    session._set(replace(s, energy_original=first, original=replace(s.original, energy=first)))
    session.set_target(s.target.key, **asdict(s.target))
    session.changed.emit(session.snapshot)  # grams are the place's, and no snapshot holds them
