"""Settings layer by layer back into an ordinary plan that reads well: what most layers share is said once, by the model or their group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..plans import resolve
from ..prune import pruners
from ..quantize import quantizers
from ..registry import knobs
from ..types import Choice, Layer, Plan, Setting, Value

Same = tuple[object, ...]


def same(s: Setting) -> Same:
    """All of a setting that the result hangs on, with every knob said: two settings that agree in it do the same."""
    return (
        s.prune, s.amount, s.quantize, s.bits, _full(s.prune, tuple(sorted(s.prune_knobs.items()))),
        _full(s.quantize, tuple(sorted(s.quantize_knobs.items()))),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _full(method: str, given: tuple[tuple[str, Value], ...]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted({**_defaults(method), **dict(given)}.items())) if method else ()


@lru_cache(maxsize=64)
def _defaults(method: str) -> Mapping[str, Value]:
    return {k.name: k.default for k in knobs((pruners if method in pruners else quantizers)[method])}


def compact(plan: Plan, layers: Iterable[Layer], settings: Mapping[str, Setting], free: Iterable[str]) -> Plan:
    """The plan with other choices so that it resolves to `settings`; layers that aren't free keep doing what they did."""
    layers, keys = tuple(layers), {}
    for s in settings.values():
        if id(s) not in keys:
            keys[id(s)] = same(s)
    loose = frozenset(free)
    together: dict[str, list[Setting]] = {}
    for x in layers:
        if x.name in loose:
            together.setdefault(x.group, []).append(settings[x.name])
    if not together:
        return plan
    most = _most([s for g in together.values() for s in g], keys)
    groups = {k: replace(c, bits=None, quantize=None) if k in together else c for k, c in plan.groups.items()}
    for name, members in together.items():
        if keys[id(own := _most(members, keys))] != keys[id(most)]:
            groups[name] = _merged(groups.get(name, Choice()), own, most)
    kept = {k: c for k, c in plan.layers.items() if k not in loose or c.protect is not None}
    kept = {k: Choice(protect=c.protect) if k in loose else c for k, c in kept.items()}
    found = replace(plan, model=_merged(plan.model, most), groups={k: c for k, c in groups.items() if c}, layers=kept)
    return _mended(found, layers, settings, keys)


def _mended(plan: Plan, layers: tuple[Layer, ...], settings: Mapping[str, Setting], keys: Mapping[int, Same]) -> Plan:
    """Whatever still comes out otherwise says so itself."""
    own = dict(plan.layers)
    met: dict[int, Same] = {}
    for x, got in zip(layers, resolve(plan, layers).values()):
        wanted = settings[x.name]
        if id(got) not in met:
            met[id(got)] = same(got)
        if met[id(got)] != keys[id(wanted)]:
            own[x.name] = _merged(own.get(x.name, Choice()), wanted, got)
    return replace(plan, layers=own)


def _most(settings: list[Setting], keys: Mapping[int, Same]) -> Setting:
    """The most frequent setting; of equally frequent ones the first met, so that the same input gives the same plan."""
    count = Counter(keys[id(s)] for s in settings)
    most = max(count.values())
    return next(s for s in settings if count[keys[id(s)]] == most)


def _merged(choice: Choice, s: Setting, inherited: Setting | None = None) -> Choice:
    """The choice, saying what makes this setting; of what is inherited only what differs."""
    before = inherited or Setting(bits=0, amount=-1.0)
    said: dict[str, Value] = {}
    for method, given, old in (
        (s.prune, s.prune_knobs, before.prune_knobs if before.prune == s.prune else {}),
        (s.quantize, s.quantize_knobs, before.quantize_knobs if before.quantize == s.quantize else {}),
    ):
        full = {**{k: _defaults(method)[k] for k in old}, **given} if method else {}
        said |= {f"{method}.{k}": v for k, v in full.items() if old.get(k) != v}
    changes: dict[str, Any] = {}
    if s.prune and s.prune != before.prune:
        changes["prune"] = s.prune
    if s.amount != before.amount:
        changes["amount"] = s.amount
    if s.quantize and s.quantize != before.quantize:
        changes["quantize"] = s.quantize
    if s.bits != before.bits:
        changes["bits"] = s.bits
    return replace(choice, **changes, knobs={**choice.knobs, **said})
