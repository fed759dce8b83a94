"""Puts a kept session back over its model: plan, data, format, and what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication

from core.errors import SlimError
from core.plans import legs

from .late import Late

if TYPE_CHECKING:
    from . import kept
    from .opened import Opened
else:
    kept = Late("studio.kept")

translate = QCoreApplication.translate


def put_back(session: Any, found: kept.Kept, opened: Opened) -> None:
    """What was measured holds only while the weights are those it was measured of."""
    s = session.snapshot
    data = found.basis[0] if found.basis[0] and found.basis[0].exists() else s.data
    same = found.stamp == kept.stamp(opened.checkpoint)
    variants = tuple(kept.placed(v, opened.layers) for v, _ in found.variants) if same else ()
    session._basis = [b for _, b in found.variants] if same else []
    score = found.score if same and data == found.basis[0] else None
    before = replace(s.original, score=score) if s.original else None
    opened.feed = feed = found.basis[2]
    session._set(replace(s, original=before, variants=variants, data=data, limit=found.basis[1], feed=feed, selection=found.selection))
    try:
        session.set_target(found.target, **found.target_knobs)
    except SlimError as e:  # a format this studio no longer has
        session.notice.emit("warning", str(e))
    stages = tuple(legs(found.plan))
    session._take(stages[min(found.stage, len(stages)) - 1], found.plan)
    session._begin() if score is None else session.count_zeros()
    if same and data == found.basis[0]:
        session.pricing.resume(found.lessons, found.sensed)
    if found.variants and not same:
        text = translate("Session", "The weights have changed since they were measured, so the history was left out.")
        session.notice.emit("warning", text)
    if found.factory:
        text = translate("Session", "Your own network was not run again; Model › Use my own network… does so after your yes.")
        session.notice.emit("info", text)
