"""Plans are edited by replacing and resolved by inheritance: model, then group, then layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from .errors import BadPlan
from .types import Choice, Layer, Origin, Plan, Setting, Value

FIELDS = ("prune", "amount", "quantize", "bits")
BY_USER = "protected by you"
TUNE = {None: "auto", True: "on", False: "off"}  # Plan.tune as recipes and the command line say it


@dataclass(frozen=True)
class Scope:
    """What an edit is for: the whole model, a group of like layers, or named layers."""

    kind: Literal["model", "group", "layers"] = "model"
    names: tuple[str, ...] = ()


MODEL = Scope()


def edit(plan: Plan, scope: Scope, *, knobs: Mapping[str, Value] | None = None, **changes: Any) -> Plan:
    """The plan with `changes` (fields of Choice) and `knobs` ("rtn.group_size": 64) said by `scope`."""
    return _replace(plan, scope, lambda c: replace(c, **changes, knobs={**c.knobs, **(knobs or {})}))


def reset(plan: Plan, scope: Scope) -> Plan:
    """The plan with `scope` saying nothing of its own again."""
    if scope.kind == "model":
        return replace(plan, model=Plan().model)
    return _replace(plan, scope, lambda _: Choice())


def _replace(plan: Plan, scope: Scope, change: Any) -> Plan:
    if scope.kind == "model":
        return replace(plan, model=change(plan.model))
    where = dict(plan.groups if scope.kind == "group" else plan.layers)
    for name in scope.names:
        where[name] = change(where.get(name, Choice()))
    kept = {k: c for k, c in where.items() if c}
    return replace(plan, groups=kept) if scope.kind == "group" else replace(plan, layers=kept)


def tuning(text: str) -> bool | None:
    """What "auto" (or nothing), "on" or "off" stand for in a plan."""
    found = {said: meant for meant, said in TUNE.items()}
    if (text or "auto") not in found:
        raise BadPlan(f"tune = {text!r} is unknown; it is one of {', '.join(found)}")
    return found[text or "auto"]


def legs(plan: Plan) -> Iterator[Plan]:
    """The stages of a plan, the first one first."""
    if plan.before is not None:
        yield from legs(plan.before)
    yield plan


def names(plan: Plan) -> tuple[str, ...]:
    """What the stages of a plan are called."""
    return tuple(p.name for p in legs(plan))


def chained(stages: Iterable[Plan], at: int = -1) -> Plan:
    """The last of these plans with the others as the stages before it, in their order. Cuts and rotation make the first stage's model, so
    all say those of the one at `at`."""
    found: Plan | None = None
    plans = tuple(stages)
    for p in plans:
        found = replace(p, before=found, cuts=plans[at].cuts, rotate=plans[at].rotate)
    return found or Plan()


def another(plan: Plan) -> bool:
    """Whether what the plan compresses is another network than the opened one: cut, turned or trained before."""
    return plan.rotate or any(plan.cuts.values()) or plan.before is not None


def resolve(plan: Plan, layers: Iterable[Layer]) -> dict[str, Setting]:
    """Layer.name -> what will be done; layers that say nothing of their own share one Setting per group and kind."""
    shared: dict[tuple[str, str, bool], Setting] = {}
    globs = {k: c for k, c in plan.groups.items() if any(s in k for s in "*?[")}
    out: dict[str, Setting] = {}
    for x in layers:
        if x.name in plan.layers:
            out[x.name] = _setting(plan, x, globs)
            continue
        # a glob may single out one block ("model.layers.0.*"): then a group is not uniform
        key = (x.name, "", True) if globs and _partial(globs, x) else (x.group, x.protected, x.prunable)
        if key not in shared:
            shared[key] = _setting(plan, x, globs)
        out[x.name] = shared[key]
    return out


def _partial(globs: Mapping[str, Choice], x: Layer) -> bool:
    return any(k != x.group and fnmatchcase(x.name, k) for k in globs)


def _setting(plan: Plan, x: Layer, globs: Mapping[str, Choice]) -> Setting:
    """Merge what model, matching groups and the layer say."""
    said: list[tuple[Origin, Choice]] = [("model", plan.model)]
    said += [("group", c) for k, c in plan.groups.items() if k == x.group or (k in globs and fnmatchcase(x.name, k))]
    said += [("own", plan.layers[x.name])] if x.name in plan.layers else []
    values: dict[str, Any] = {}
    origin: dict[str, Origin] = {}
    knobs: dict[str, Value] = {}
    protect: bool | None = None
    for who, choice in said:
        for f in FIELDS:
            if getattr(choice, f) is not None:
                values[f], origin[f] = getattr(choice, f), who
        knobs.update(choice.knobs)
        origin.update(dict.fromkeys(choice.knobs, who))
        if who != "model" and choice.protect is not None:
            protect = choice.protect
            origin["protect"] = who
    return _settle(x, values, knobs, origin, protect, plan.seed)


def _settle(
    x: Layer, values: Mapping[str, Any], knobs: Mapping[str, Value], origin: Mapping[str, Origin], protect: bool | None, seed: int
) -> Setting:
    """Apply protection, and drop what does nothing (amount 0, 16 bits)."""
    why = "" if x.prunable else BY_USER if protect else (x.protected or "not a floating-point weight matrix")
    if x.prunable and protect is not False:
        why = x.protected or (BY_USER if protect else "")
    if why:
        return Setting(origin=origin, protected=why, seed=seed)
    prune = values.get("prune", "") if values.get("amount") else ""
    bits = values.get("bits") or 16
    quantize = values.get("quantize", "") if bits < 16 else ""
    return Setting(
        prune, values.get("amount", 0.0) if prune else 0.0, quantize, bits if quantize else 16,
        _own(knobs, prune), _own(knobs, quantize), seed, origin,
    )  # fmt: skip


def _own(knobs: Mapping[str, Value], method: str) -> dict[str, Value]:
    head = method + "."
    return {k.removeprefix(head): v for k, v in knobs.items() if method and k.startswith(head)}
