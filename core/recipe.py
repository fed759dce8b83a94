"""Recipes: a TOML file that says which model, which plan, which data and which export."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .cut import Cut, cut_of
from .errors import BadFile, BadPlan, CannotWrite
from .formats import targets
from .plans import TUNE, legs, tuning
from .prune import pruners
from .quantize import quantizers
from .recover.methods import recoveries
from .recover.tune import Tuning
from .registry import Registry, knobs, make
from .search.goal import Goal, goal
from .spans import NARROW
from .toml import flat, lines, quoted, relative
from .types import Choice, Plan, Value
from .use import use

VERSION = 1
BITS = (2, 3, 4, 5, 6, 7, 8, 16)
SAID = ("prune", "amount", "quantize", "bits", "knobs", "protect")
TABLES = {
    "": ("version", "model", "before", "plan", "goal", "calibrate", "train", "evaluate", "energy", "export"),
    "model": ("path", "factory"),
    "plan": (
        "name", "prune", "amount", "quantize", "bits", "seed", "rotate", "tune", "tuning", "recover", "recovery", "knobs", "groups",
        "layers", "cuts",
    ),
    "calibrate": ("data", "tokens", "order", "block"),
    "train": ("data", "tokens", "teacher"),
    "evaluate": ("data", "limit"),
}  # fmt: skip
ORDERS = ("parallel", "sequential", "corrected")


@dataclass(frozen=True)
class Recipe:
    """Everything one run needs; paths are absolute once a recipe is loaded from a file."""

    source: Path
    plan: Plan = field(default_factory=Plan)
    data: Path | None = None
    limit: int | None = None
    target: str = "dense"
    target_knobs: Mapping[str, Value] = field(default_factory=dict)
    out: Path | None = None
    factory: str = ""  # "file.py:function"
    calibrate: Path | None = None  # None: what the evaluation leaves over, or the bundled text
    tokens: int | None = None  # of calibration data; None: 16384 tokens, 512 sentences or 256 images
    # "sequential": each block's statistics come from the compressed blocks before it; "corrected": each layer's from all that is compressed
    # before it, and it makes up for what that has done to its inputs
    order: str = "parallel"
    block: int | None = None  # inputs of a layer that share one matrix of second moments at most; None: 8192
    goal: Goal | None = None  # what the plan's bits are searched for, before the run; None: the plan is carried out as it is
    train: Path | None = None  # what recovery learns from; None: the calibration data
    lessons: int | None = None  # tokens (or sentences, or images) of it
    # device, watts, region, intensity, pue, phase, batch, context, daily: what joules and grams are of; unsaid: as chosen on this machine
    energy: Mapping[str, Value] = field(default_factory=dict)
    teacher: Path | None = None  # another checkpoint with the same vocabulary or classes that distilling learns from; None: the original


def load(path: Path) -> Recipe:
    """The recipe in a file; its relative paths start at the file's folder."""
    path = Path(path).expanduser().absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadFile(f"{path}: the recipe can't be read ({e}); check the path") from None
    return loads(text, path.parent)


def save(recipe: Recipe, path: Path) -> None:
    """Write the recipe with paths relative to its folder, in one step."""
    path = Path(path).expanduser().absolute()
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_text(dumps(recipe, path.parent), encoding="utf-8")
        os.replace(aside, path)
    except OSError as e:
        aside.unlink(missing_ok=True)
        raise CannotWrite(f"{path}: the recipe can't be written ({e.strerror}); choose another place") from None


def loads(text: str, base: Path | None = None) -> Recipe:
    """Parse and check a recipe; an unknown key, method or knob or a value out of range is a BadPlan that names it."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadPlan(f"The recipe is not valid TOML: {e}") from None
    _known("", said)
    if said.get("version") != VERSION:
        raise BadPlan(f"version = {said.get('version')!r}: this studio reads recipes of version {VERSION}; put version = {VERSION} first")
    tables = {name: _table(said, name) for name in ("model", "plan", "calibrate", "train", "evaluate", "export")}
    model, plan, calibrate, train, evaluate, export = tables.values()
    for name in TABLES:
        if name in tables:
            _known(name, tables[name])
    source = _path(model, "path", base, "model")
    if source is None:
        raise BadPlan('The recipe names no model; add [model] path = "…"')
    found = Recipe(
        source, _legs(said.get("before", []), _plan(plan)),
        _path(evaluate, "data", base, "evaluate"), _count(evaluate, "limit", "evaluate", "score"),
        _text(export, "format", "export") or "dense", {k: v for k, v in export.items() if k not in ("format", "path")},
        _path(export, "path", base, "export"), _factory(_text(model, "factory", "model"), base),
        _path(calibrate, "data", base, "calibrate"), _count(calibrate, "tokens", "calibrate", "calibrate on"), _order(calibrate),
        _block(calibrate),
        goal(_table(said, "goal")),
        _path(train, "data", base, "train"), _count(train, "tokens", "train", "train on"),
        _table(said, "energy"),
        _path(train, "teacher", base, "train"),
    )  # fmt: skip
    check(found.plan)
    use(found.energy)
    make(_method(targets, found.target, "export format"), found.target_knobs)
    return found


def dumps(recipe: Recipe, base: Path | None = None) -> str:
    """The recipe as TOML; `loads` gives the same recipe back."""
    out = ["version = 1"]
    out += lines("model", {"path": relative(recipe.source, base), "factory": recipe.factory or None})
    for p in list(legs(recipe.plan))[:-1]:
        out += _planned(p, "before", "[before]")
    out += _planned(recipe.plan, "plan", "plan")
    out += lines("goal", recipe.goal.table() if recipe.goal else {})
    order = None if recipe.order == ORDERS[0] else recipe.order
    out += lines("calibrate", {"data": relative(recipe.calibrate, base), "tokens": recipe.tokens, "order": order, "block": recipe.block})
    out += lines("train", {"data": relative(recipe.train, base), "tokens": recipe.lessons, "teacher": relative(recipe.teacher, base)})
    out += lines("evaluate", {"data": relative(recipe.data, base), "limit": recipe.limit})
    out += lines("energy", recipe.energy)
    out += lines("export", {"format": recipe.target, "path": relative(recipe.out, base), **recipe.target_knobs})
    return "\n".join(out) + "\n"


def _planned(p: Plan, head: str, first: str) -> list[str]:
    """A plan as TOML tables under `head`; `first` is what its own table is called."""
    tune = None if p.tune is None else TUNE[p.tune]
    said = {"name": p.name or None, **flat(p.model), "seed": p.seed, "rotate": p.rotate or None, "tune": tune, "recover": p.recover or None}
    out = lines(first, said)
    for name, table in (("tuning", p.tuning), ("recovery", p.recovery), ("cuts", p.cuts), ("knobs", p.model.knobs)):
        out += lines(f"{head}.{name}", table)
    for kind, choices in (("groups", p.groups), ("layers", p.layers)):
        for name, choice in choices.items():
            at = f"{head}.{kind}.{quoted(name)}"
            out += lines(at, flat(choice), always=True) + lines(f"{at}.knobs", choice.knobs)
    return out


def _legs(earlier: Any, last: Plan) -> Plan:
    """The plan behind its earlier stages. Cuts and rotation make the first stage's model, so they are said there (or nowhere)."""
    if not isinstance(earlier, list) or not all(isinstance(t, dict) for t in earlier):
        raise BadPlan("Earlier stages stand in tables like [[before]], one each, in their order")
    for t in earlier:
        _known("plan", t)
    found: Plan | None = None
    for p in (*map(_plan, earlier), last):
        if found is not None and (p.cuts or p.rotate) and (p.cuts, p.rotate) != (found.cuts, found.rotate):
            raise BadPlan("Cuts and rotation belong to the first stage, which the others begin with; say them in the first [[before]]")
        found = p if found is None else replace(p, before=found, cuts=found.cuts, rotate=found.rotate)
    return found or last


def check(plan: Plan) -> None:
    """Every method, knob and value the plan (and every stage before it) speaks of exists and is in range."""
    if plan.before is not None:
        check(plan.before)
    scopes = {"[plan]": plan.model}
    scopes |= {f"[plan.groups.{quoted(k)}]": c for k, c in plan.groups.items()}
    scopes |= {f"[plan.layers.{quoted(k)}]": c for k, c in plan.layers.items()}
    for where, choice in scopes.items():
        _choice_fits(where, choice)
    _known("plan.cuts", plan.cuts, [k.name for k in knobs(Cut)])
    cut_of(plan)
    _known("plan.tuning", plan.tuning, [k.name for k in knobs(Tuning)])
    make(Tuning, plan.tuning)
    if plan.recover:
        make(_method(recoveries, plan.recover, "[plan] recover"), plan.recovery)
    elif plan.recovery:
        raise BadPlan(f"[plan.recovery] is for a way to train; add recover = one of {', '.join(recoveries)} to [plan]")


def _choice_fits(where: str, c: Choice) -> None:
    if c.prune is not None:
        _method(pruners, c.prune, f"{where} prune")
    if c.quantize is not None:
        _method(quantizers, c.quantize, f"{where} quantize")
    if c.amount is not None and not 0 <= c.amount <= 0.95:
        raise BadPlan(f"{where} amount = {c.amount} is outside 0 to 0.95")
    if c.bits is not None and c.bits not in BITS:
        raise BadPlan(f"{where} bits = {c.bits}: choose 2 to 8, or 16 to leave the layer as it is")
    for name, value in c.knobs.items():
        method, _, knob = name.partition(".")
        cls = _method(pruners if method in pruners else quantizers, method, f"{where} knob {name}", (*pruners, *quantizers))
        if knob not in (names := [k.name for k in knobs(cls)]):
            raise BadPlan(f"{where} knob {name!r}: {method} has no knob {knob!r}{nearest(knob, names)}")
        make(cls, {knob: value})


def nearest(name: str, known: Iterable[str]) -> str:
    """A few words that point to the closest known name, else to all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there is {', '.join(known) or 'none'}"


def _method(registry: Registry, name: str, where: str, known: Iterable[str] = ()) -> type[Any]:
    if name not in registry:
        raise BadPlan(f"{where}: {name!r} is unknown{nearest(name, known or registry)}")
    return registry[name]


def _known(where: str, table: Mapping[str, Any], allowed: Iterable[str] = ()) -> None:
    allowed = tuple(allowed) or TABLES[where]
    for key in table:
        if key not in allowed:
            raise BadPlan(f"{f'[{where}] ' if where else ''}{key!r} is an unknown key of the recipe{nearest(key, allowed)}")


def _table(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = said.get(name, {})
    if not isinstance(found, dict):
        raise BadPlan(f"{name} must be a table like [{name}], not {found!r}")
    return found


def _typed(table: Mapping[str, Any], key: str, kinds: type | tuple[type, ...], where: str, what: str) -> Any:
    value = table.get(key)
    wrong = isinstance(value, bool) and kinds is not bool
    if value is not None and (wrong or not isinstance(value, kinds)):
        raise BadPlan(f"[{where}] {key} must be {what}, not {value!r}")
    return value


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    return _typed(table, key, str, where, "a text") or ""


def _path(table: Mapping[str, Any], key: str, base: Path | None, where: str) -> Path | None:
    text = _text(table, key, where)
    return Path(os.path.normpath((base or Path()) / Path(text).expanduser())) if text else None


def _factory(text: str, base: Path | None) -> str:
    """A "net.py:build" with its file as a path of its own."""
    file, _, function = text.rpartition(":")
    return f"{os.path.normpath((base or Path()) / file)}:{function}" if file else text


def _count(table: Mapping[str, Any], key: str, where: str, what: str) -> int | None:
    n = _typed(table, key, int, where, "a whole number")
    if n is not None and n < 2:
        raise BadPlan(f"[{where}] {key} = {n} leaves nothing to {what}; give at least 2")
    return int(n) if n is not None else None


def _block(table: Mapping[str, Any]) -> int | None:
    n = _typed(table, "block", int, "calibrate", "a whole number")
    return None if n is None else block(n, "[calibrate] block")


def block(n: int, where: str) -> int:
    """So many inputs sharing one matrix of second moments; BadPlan for a number no group of weights fits in."""
    if n < NARROW:
        raise BadPlan(f"{where} = {n} is too few inputs to share a matrix of second moments; give at least {NARROW}")
    return n


def _order(table: Mapping[str, Any]) -> str:
    found = _text(table, "order", "calibrate") or ORDERS[0]
    if found not in ORDERS:
        raise BadPlan(f"[calibrate] order = {found!r} is unknown{nearest(found, ORDERS)}; it is one of {', '.join(ORDERS)}")
    return found


def _plan(said: Mapping[str, Any]) -> Plan:
    seed = _typed(said, "seed", int, "plan", "a whole number")
    model = _choice({k: v for k, v in said.items() if k in SAID}, "plan")
    first = Plan().model
    model = Choice(*(getattr(first if getattr(model, f.name) is None else model, f.name) for f in fields(Choice)))
    scopes = {kind: {name: _named(_table(said, kind), kind, name) for name in _table(said, kind)} for kind in ("groups", "layers")}
    cuts, steps, ways = (_knobs(_table(said, name), f"plan.{name}") for name in ("cuts", "tuning", "recovery"))
    rotate = bool(_typed(said, "rotate", bool, "plan", "true or false"))
    tune, recover = tuning(_text(said, "tune", "plan")), _text(said, "recover", "plan") or ""
    name = _text(said, "name", "plan")
    return Plan(model, scopes["groups"], scopes["layers"], seed or 0, rotate, tune, steps, recover, ways, cuts, name=name)


def _named(table: Mapping[str, Any], kind: str, name: str) -> Choice:
    if not isinstance(table[name], dict):
        raise BadPlan(f"{name!r} must be a table like [plan.{kind}.{quoted(name)}] (names with dots stand in quotes)")
    _known(f"plan.{kind}.{quoted(name)}", table[name], SAID)
    return _choice(table[name], f"plan.{kind}.{quoted(name)}")


def _choice(said: Mapping[str, Any], where: str) -> Choice:
    amount = _typed(said, "amount", (int, float), where, "a number")
    return Choice(
        _typed(said, "prune", str, where, "a method's name"), float(amount) if amount is not None else None,
        _typed(said, "quantize", str, where, "a method's name"), _typed(said, "bits", int, where, "a whole number"),
        _knobs(_table(said, "knobs"), f"{where}.knobs"), _typed(said, "protect", bool, where, "true or false"),
    )  # fmt: skip


def _knobs(said: Mapping[str, Any], where: str, head: str = "") -> dict[str, Value]:
    """Knobs by dotted name, whether the dots were quoted ("rtn.grid" = …) or made tables (rtn.grid = …)."""
    out: dict[str, Value] = {}
    for key, value in said.items():
        if isinstance(value, dict):
            out |= _knobs(value, where, f"{head}{key}.")
        elif isinstance(value, (bool, int, float, str)):
            out[head + key] = value
        else:
            raise BadPlan(f"[{where}] {head}{key} must be a number, text or true/false, not {value!r}")
    return out
