"""What runs on the worker for the playground: both sides made ready once, then asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadData
from core.job import Job
from core.play import Ask, Dialogue, Heard, Likeness, Looked, Sample, Side
from core.types import CLASSIFIERS, Plan

from .opened import Opened, threads
from .work import _changed, _compressed, allowed

if TYPE_CHECKING:
    from core.evaluate import Reference


@dataclass(frozen=True)
class Asked:
    """Which variant, and what it is scored on."""

    opened: Opened
    plan: Plan
    data: Path | None
    limit: int | None


def sides(asked: Asked, job: Job) -> tuple[Side, Side]:
    """Original and variant, ready to run; the last variant is kept, so that only the first question waits for it."""
    opened, kept = asked.opened, asked.opened._kept
    threads()
    stamp = (asked.plan, asked.data, asked.limit, opened.feed)
    if kept.get("played as") != stamp:
        allowed(opened, asked.plan, asked.data is not None, job)
        kept.pop("played", None)  # two variants of a large model need not fit
        kept["played"], kept["played as"] = _variant(asked, job), stamp
    return Side(opened.network(job), opened.weights(job)), kept["played"]


def _variant(asked: Asked, job: Job) -> Side:
    """The plan carried out, mostly out of the layer store, and tuned where it wants that."""
    from core.int8 import running
    from core.recover import recovered

    opened, plan, data, limit = asked.opened, asked.plan, asked.data, asked.limit
    slim = opened.made(plan, data, limit, job)
    found = _compressed(slim, plan, data, limit, job)
    weights = {**opened.weights(job), **_changed(found)} if slim is opened else found.weights(job)
    network = slim.network(job)
    if data is not None:
        reference = opened.reference(data, limit, job)
        found, weights = recovered(found, network, weights, reference, lambda: opened.teaching(plan, data, limit, job), job)
    return Side(running(found, network), weights)


def talk(asked: Asked, ask: Ask, job: Job) -> Dialogue:
    """Both go on from a prompt; streams the growing Dialogue."""
    from core.play.talk import talk as say

    return say(*sides(asked, job), ask, job)


def look(asked: Asked, file: Path, job: Job) -> Looked:
    """Both look at a picture file."""
    from core.play.look import look as see
    from core.play.look import opened

    before, after = sides(asked, job)
    item = _reference(asked, job).batches.items[0] if asked.data else None
    return see(before, after, opened(file, before.network, asked.data, item), file.name, job)


def look_at(asked: Asked, where: tuple[int, int], job: Job) -> Looked:
    """Both look at a held-out picture, or listen to a frame (batch, row)."""
    from core.play.look import look as see
    from core.play.look import named

    before, after = sides(asked, job)
    items = _reference(asked, job).batches.items
    batch, row = where[0] % len(items), where[1]
    item = items[batch]
    key = CLASSIFIERS[before.network.task]
    row %= len(item[key])
    label = named(before.network.labels, int(item["labels"][row])) if "labels" in item else ""
    name = f"{asked.data.name if asked.data else ''} {sum(len(i[key]) for i in items[:batch]) + row + 1}"
    return see(before, after, item[key][row], name, job, label)


def hear(asked: Asked, file: Path | None, job: Job) -> Heard:
    """Both listen to a recording, or to the first of the held-out ones; streams the growing Heard."""
    from core.data.sounds import recordings
    from core.play.hear import hear as listen

    if file is None:
        _reference(asked, job)  # says what is wrong with them
    return listen(*sides(asked, job), file or recordings(asked.data or Path())[0], job)


def liken(asked: Asked, first: str, second: str, job: Job) -> Likeness:
    """How alike both hold two sentences."""
    from core.play.look import liken as compare

    return compare(*sides(asked, job), first, second, job)


def worst(asked: Asked, job: Job) -> tuple[Sample, ...]:
    """The held-out samples on which the two differ most."""
    from core.play.worst import worst as find

    _, after = sides(asked, job)
    return find(_reference(asked, job), after, job)


def _reference(asked: Asked, job: Job) -> Reference:
    if asked.data is None:
        raise BadData("There are no held-out samples to take one from; choose data under Run.")
    return asked.opened.reference(asked.data, asked.limit, job)
