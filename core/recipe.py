"""A recipe is a whole run as a TOML file: the model, the plan, the data, the export; `run` carries it out headless."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .compress import Compressed, check, compress, needs, original
from .energy import estimate
from .errors import BadPlan, CannotRun
from .formats import open_checkpoint, targets
from .job import Job
from .layers import layers
from .registry import make
from .report import Report, variant, write
from .size import size
from .store import Store
from .types import Checkpoint, Choice, Layer, Plan, Score, Value

VERSION = 1
CHOICE = tuple(f.name for f in fields(Choice))
TABLES: Mapping[str, tuple[str, ...]] = {
    "model": ("path",), "plan": (*CHOICE, "seed", "groups", "layers"), "evaluate": ("data", "limit"), "export": ("format", "path", "knobs")
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What to open, what to do to it, what to measure it on, where to write it."""

    source: Path
    plan: Plan = field(default_factory=Plan)
    data: Path | None = None
    limit: int | None = None
    target: str = "dense"
    target_knobs: Mapping[str, Value] = field(default_factory=dict)
    out: Path | None = None


def load(path: Path) -> Recipe:
    """Read a file; relative paths are relative to it."""
    try:
        return loads(path.read_text(), path.parent)
    except (OSError, UnicodeDecodeError) as e:
        raise BadPlan(f"{path}: can't be read ({e}); choose a recipe (.toml)") from None


def loads(text: str, base: Path = Path()) -> Recipe:
    """Parse and check; an unknown key is an error that names it."""
    try:
        t = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BadPlan(f"The recipe is not valid TOML: {e}") from None
    if t.pop("version", None) != VERSION:
        raise BadPlan(f"The recipe must say version = {VERSION}; this studio knows no other")
    known(t, tuple(TABLES), "the recipe")
    for name, table in t.items():
        known(table, TABLES[name], f"[{name}]")
    if "path" not in t.get("model", {}):
        raise BadPlan("The recipe names no model; add [model] with path = \"...\"")
    evaluate, export = t.get("evaluate", {}), t.get("export", {})
    make(targets[export.get("format", "dense")], export.get("knobs", {}))
    return Recipe(
        base / t["model"]["path"], _plan(t.get("plan", {})), base / evaluate["data"] if "data" in evaluate else None, evaluate.get("limit"),
        export.get("format", "dense"), export.get("knobs", {}), base / export["path"] if "path" in export else None,
    )  # fmt: skip


def known(table: Any, names: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise BadPlan(f"{where} must be a table of keys")
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            raise BadPlan(f"{where} has no key {key!r}" + (f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(names)}"))


def _plan(t: dict[str, Any]) -> Plan:
    model = {k: v for k, v in t.items() if k in CHOICE}
    default = Plan()
    plan = Plan(
        replace(default.model, **_choice(model, "[plan]")),
        {k: Choice(**_choice(v, f"[plan.groups.{k}]")) for k, v in t.get("groups", {}).items()},
        {k: Choice(**_choice(v, f"[plan.layers.{k}]")) for k, v in t.get("layers", {}).items()},
        t.get("seed", 0),
    )
    check(replace(plan, layers={}), [])
    return plan


def _choice(t: Any, where: str) -> dict[str, Any]:
    """The keys of one scope with their types checked."""
    known(t, CHOICE, where)
    types = {"prune": str, "quantize": str, "amount": (int, float), "bits": int, "protect": bool, "knobs": dict}
    for k, v in t.items():
        wanted: Any = types[k]
        if not isinstance(v, wanted) or (isinstance(v, bool) and k != "protect"):
            raise BadPlan(f"{where}: {k} = {v!r} is not of the right type")
    return {**t, **({"amount": float(t["amount"])} if "amount" in t else {})}


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML; `loads` gives it back."""
    out = [f"version = {VERSION}", "", "[model]", f"path = {_value(str(recipe.source))}", "", "[plan]", f"seed = {recipe.plan.seed}"]
    out += _scope("plan", recipe.plan.model, head=False)
    for kind, table in (("groups", recipe.plan.groups), ("layers", recipe.plan.layers)):
        for name, choice in table.items():
            out += _scope(f"plan.{kind}.{_value(name)}", choice, head=True)
    if recipe.data or recipe.limit:
        out += ["", "[evaluate]"] + ([f"data = {_value(str(recipe.data))}"] if recipe.data else [])
        out += [f"limit = {recipe.limit}"] if recipe.limit else []
    out += ["", "[export]", f"format = {_value(recipe.target)}"] + ([f"path = {_value(str(recipe.out))}"] if recipe.out else [])
    out += ["", "[export.knobs]", *(f"{k} = {_value(v)}" for k, v in recipe.target_knobs.items())] if recipe.target_knobs else []
    return "\n".join(out) + "\n"


def _scope(name: str, choice: Choice, head: bool) -> list[str]:
    lines = ["", f"[{name}]"] if head else []
    lines += [f"{k} = {_value(v)}" for k in CHOICE if k != "knobs" and (v := getattr(choice, k)) is not None]
    return lines + (["", f"[{name}.knobs]", *(f"{_value(k)} = {_value(v)}" for k, v in choice.knobs.items())] if choice.knobs else [])


def _value(v: Value) -> str:
    return json.dumps(v, ensure_ascii=True) if isinstance(v, (str, bool)) else repr(v)


@dataclass(frozen=True)
class Result:
    """All a run made, for those who go on with it."""

    report: Report
    compressed: Compressed


def run(recipe: Recipe, job: Job, store: Store | None = None) -> Result:
    """Open, compress, measure, export, verify, report. A network that can't run is still slimmed and exported."""
    from . import data, evaluate, networks
    from .calibrate import observe
    from .export import export

    store = store or Store.default()
    checkpoint = open_checkpoint(recipe.source, job)
    found = layers(checkpoint)
    check(recipe.plan, found)
    target = make(targets[recipe.target], recipe.target_knobs)
    network = batches = reference = calibration = None
    try:
        network = networks.attach(checkpoint, job)
        batches = data.load(recipe.data or _default(checkpoint), network, recipe.limit)
        reference = evaluate.Reference(network, original(checkpoint, found, store).weights(job), batches)
    except CannotRun as e:
        job.note(str(e))
    if "grads" in needs(recipe.plan, found):
        if reference is None or network is None or batches is None:
            raise BadPlan("Gradient pruning needs a network that runs; choose magnitude, or open the folder with config.json")
        calibration = observe(network, reference.weights, batches, found, job)
    compressed = compress(checkpoint, found, recipe.plan, calibration, store, job)
    before = evaluate.judge(reference, None, job) if reference else None
    after = evaluate.judge(reference, compressed.weights(job), job) if reference else None
    verdict = export(compressed, recipe.out, target, network, batches, job) if recipe.out else None
    report = Report(
        str(recipe.source), _variant(checkpoint, found, Plan(), {}, target, before), _variant(checkpoint, found, recipe.plan, compressed, target, after),
        recipe.target, str(recipe.out or ""), verdict, tuple(job.notes),
    )  # fmt: skip
    if recipe.out:
        write(report, recipe.out)
        (recipe.out / "recipe.toml").write_text(dumps(replace(recipe, source=recipe.source.resolve(), out=recipe.out.resolve())))
    return Result(report, compressed)


def _default(checkpoint: Checkpoint) -> Path:
    from .data import default

    found = default(checkpoint)
    if found is None:
        raise CannotRun("No data to measure on; give the recipe [evaluate] data = \"...\"")
    return found


def _variant(checkpoint: Checkpoint, found: list[Layer], plan: Plan, compressed: Compressed | dict[str, Any], target: Any, score: Score | None) -> Any:
    from .plans import resolve

    settings = compressed.settings if isinstance(compressed, Compressed) else resolve(plan, found)
    outcomes = compressed.outcomes if isinstance(compressed, Compressed) else {}
    bytes_ = size(checkpoint, found, settings, target)
    energy = estimate(checkpoint, found, settings, bytes_, target, score.task if score else "other") if score else None
    return variant(plan, bytes_, energy, score, outcomes)
