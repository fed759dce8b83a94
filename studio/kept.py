"""What a session leaves on disk: checkpoint, plan, data, target, and everything that was measured, to go on from after a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from core.errors import BadFile
from core.plans import legs, resolve
from core.report import build, plain
from core.resources import cache_root
from core.sensed import Evaluation
from core.types import Checkpoint, Layer, Measured, Outcome, Plan, Score, Size, Value, Variant

from .scene import place, scene
from .snapshot import Feed, Snapshot

VERSION = 1
Basis = tuple[Path | None, int | None, Feed]  # the data and the limit a variant was measured on, and what it was calibrated on
Lesson = tuple[Plan, Measured, tuple[float, float] | None]  # a plan that was run, its cost, and the interval it was foretold
Stamp = tuple[tuple[str, int, int], ...]  # (file, bytes, time of change) of every weight file


@dataclass(frozen=True)
class Kept:
    """One session; sizes and energies are not kept, as they follow from the plans."""

    path: Path
    stamp: Stamp
    plan: Plan
    target: str
    target_knobs: Mapping[str, Value]
    basis: Basis
    score: Score | None  # the original's
    variants: tuple[tuple[Variant, Basis], ...] = ()
    factory: str = ""
    selection: tuple[str, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    stage: int = 0  # which one was in hand, from 1; 0: the last
    sensed: bool = False  # whether every layer was; what was found is in the layer store


@dataclass
class Writer:
    """Turns sessions into JSON; a variant is encoded once, however often the session is kept."""

    _done: dict[int, tuple[Variant, str]] = field(default_factory=dict)
    _told: dict[int, tuple[Evaluation, str]] = field(default_factory=dict)

    def text(self, s: Snapshot, bases: list[Basis], lessons: Sequence[tuple[Plan, Evaluation]] = ()) -> str:
        """The session as JSON."""
        assert s.checkpoint is not None
        score = s.original.score if s.original and s.original.score and s.original.score.complete else None
        said = {
            "version": VERSION, "path": str(s.checkpoint.path), "stamp": stamp(s.checkpoint), "plan": plain(s.whole),
            "target": s.target.key, "target_knobs": asdict(s.target), "basis": _basis(s.data, s.limit, s.feed), "score": plain(score),
            "factory": s.checkpoint.factory, "selection": s.selection, "sensed": s.sensitivity is not None and s.sensitivity.complete,
            "stage": len(tuple(legs(s.plan))),
        }  # fmt: skip
        self._told = {id(e): self._told.get(id(e)) or (e, _lesson(p, e)) for p, e in lessons}
        learned = ",".join(text for _, text in self._told.values())
        self._done = {id(v): self._done.get(id(v)) or (v, _encoded(v)) for v in s.variants}
        rows = (f'{{"basis": {json.dumps(_basis(*b))}, {self._done[id(v)][1]}}}' for v, b in zip(s.variants, bases))
        return f'{json.dumps(said, ensure_ascii=False)[:-1]}, "lessons": [{learned}], "variants": [\n{",".join(rows)}]}}\n'


def folder() -> Path:
    """Where sessions lie: the user's data folder, or beside the cache where SLIM_CACHE moved that."""
    return cache_root() / "session" if os.environ.get("SLIM_CACHE") else Path(platformdirs.user_data_dir("slim-studio"))


def file() -> Path:
    return folder() / "session.json"


def exists() -> bool:
    """Whether there is a session to go on with."""
    return file().is_file()


def write(text: str) -> None:
    """Durably and in one step: after a power cut there is the old session or the new one."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.part")
    with aside.open("w", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.replace(aside, path)


def read() -> Kept:
    """The last session; BadFile when it is no whole one."""
    try:
        said = json.loads(file().read_text(encoding="utf-8"))
        if said["version"] != VERSION:
            raise BadFile("The last session was kept by another version of the studio; open its model again")
        plan = build(Plan, said["plan"])
        score = build(Score, said["score"]) if said["score"] else None
        variants = tuple((_variant(v), _told(v["basis"])) for v in said["variants"])
        marks = tuple((str(name), int(size), int(when)) for name, size, when in said["stamp"])
        return Kept(
            Path(said["path"]), marks, plan, said["target"], said["target_knobs"], _told(said["basis"]), score, variants,
            said["factory"], tuple(said["selection"]), tuple(map(_learned, said.get("lessons", ()))), int(said.get("stage", 0)),
            bool(said.get("sensed")),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise BadFile(f"The last session can't be read ({type(e).__name__}: {e}); open its model again") from None


def recipe_of(s: Snapshot) -> Any:
    """The session as a recipe."""
    from core.recipe import Recipe
    from core.use import table

    assert s.checkpoint is not None
    return Recipe(
        source=s.checkpoint.path, factory=s.checkpoint.factory, plan=s.whole, data=s.data, limit=s.limit,
        target=s.target.key, target_knobs=asdict(s.target), calibrate=s.feed.path, tokens=s.feed.tokens, order=s.feed.order,
        block=s.feed.block, train=s.feed.train, lessons=s.feed.lessons, energy=table(place(), scene()),
        teacher=s.feed.teacher,
    )  # fmt: skip


def stamp(checkpoint: Checkpoint) -> Stamp:
    """What tells whether the weights are still those that were measured."""
    files = sorted({t.file for t in checkpoint.tensors.values()})
    return tuple((str(f), (s := f.stat()).st_size, s.st_mtime_ns) for f in files if f.exists())


def placed(v: Variant, layers: tuple[Layer, ...]) -> Variant:
    """A kept variant with its outcomes' settings again, which follow from its plan."""
    settings = resolve(v.plan, layers)
    found = {n: Outcome(settings[n], o.error, o.sparsity, o.key, o.reused) for n, o in v.outcomes.items() if n in settings}
    return Variant(v.plan, v.size, None, v.score, found, v.name, v.when, v.freed)


def _encoded(v: Variant) -> str:
    """The inside of a JSON object; outcomes without their settings, which would be most of it."""
    outcomes = {n: (o.error, o.sparsity, o.key) for n, o in v.outcomes.items()}
    said = {"plan": plain(v.plan), "score": plain(v.score), "outcomes": outcomes, "name": v.name, "when": v.when, "freed": v.freed}
    return json.dumps(said, ensure_ascii=False)[1:-1]


def _variant(said: Mapping[str, Any]) -> Variant:
    from core.types import Setting

    score = build(Score, said["score"]) if said["score"] else None
    outcomes = {str(n): Outcome(Setting(), float(e), float(z), str(key), True) for n, (e, z, key) in said["outcomes"].items()}
    return Variant(build(Plan, said["plan"]), Size(0, {}, 0), None, score, outcomes, str(said["name"]), str(said["when"]),
                   _gain(said.get("freed")))  # fmt: skip


def _gain(said: Any) -> Any:
    return None if said is None else tuple((str(name), float(a), float(b)) for name, a, b in said)


def _lesson(plan: Plan, e: Evaluation) -> str:
    return json.dumps([plain(plan), e.value, e.error, e.foretold], ensure_ascii=False)


def _learned(said: Any) -> Lesson:
    plan, value, error, foretold = said
    return build(Plan, plan), Measured(float(value), float(error)), (float(foretold[0]), float(foretold[1])) if foretold else None


def _basis(data: Path | None, limit: int | None, feed: Feed) -> tuple[Any, ...]:
    file, path, train, teacher = (str(p) if p else None for p in (data, feed.path, feed.train, feed.teacher))
    return (file, limit, path, feed.tokens, feed.order, feed.block, train, feed.lessons, teacher)


def _told(said: Any) -> Basis:
    later: list[Any] = [None, None, "parallel", None, None, None, None]  # sessions of earlier versions say less
    data, limit, path, tokens, order, block, train, lessons, teacher = list(said) + later[len(said) - 2 :]
    feed = Feed(Path(path) if path else None, int(tokens) if tokens is not None else None, order, int(block) if block else None,
                Path(train) if train else None, int(lessons) if lessons else None, Path(teacher) if teacher else None)  # fmt: skip
    return (Path(data) if data else None, int(limit) if limit is not None else None, feed)
