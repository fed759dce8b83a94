"""Where a model will live and what it is asked there: what every joule and gram is of, as a recipe's [energy] says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .carbon import Place, chosen
from .energy import Scene
from .errors import BadPlan
from .types import Value

PLACE = {"device": "device", "watts": "watts", "region": "region", "intensity": "grams", "pue": "pue"}  # key -> field
ASKED = {"phase": str, "batch": int, "context": int, "daily": (int, float)}  # key -> kind
PHASES = ("decode", "prefill")
TEXTS = ("device", "region", "phase")


@dataclass(frozen=True, slots=True)
class Use:
    """The device and the grid it hangs on, and the scene that is modelled there."""

    place: Place = field(default_factory=chosen)
    asked: Mapping[str, Value] = field(default_factory=dict)  # phase, batch, context, daily; unsaid: Scene's own

    @property
    def scene(self) -> Scene:
        return replace(self.place.scene, **self.asked)  # type: ignore[arg-type]


def use(said: Mapping[str, Any]) -> Use:
    """What a recipe's [energy] says, beside it what was chosen on this machine; BadPlan for an unknown key or a value that can't be."""
    for key, value in said.items():
        if key not in PLACE and key not in ASKED:
            raise BadPlan(f"[energy] {key!r} is an unknown key of the recipe; there is {', '.join((*PLACE, *ASKED))}")
        kinds: Any = str if key in TEXTS else ASKED.get(key, (int, float))
        if isinstance(value, bool) or not isinstance(value, kinds) or (key not in TEXTS and not 0 <= value < float("inf")):
            raise BadPlan(f"[energy] {key} can't be {value!r}; slim place --help says what it may be")
    if said.get("phase", PHASES[0]) not in PHASES:
        raise BadPlan(f"[energy] phase = {said['phase']!r} is unknown; it is decode (written one at a time) or prefill (read at once)")
    if low := next((k for k in ASKED if said.get(k, 1) == 0), ""):
        raise BadPlan(f"[energy] {low} = 0 leaves nothing to do; give at least 1")
    return Use(moved(chosen(), {f: said[k] for k, f in PLACE.items() if k in said}), {k: v for k, v in said.items() if k in ASKED})


def moved(place: Place, given: Mapping[str, Any]) -> Place:
    """The place with other fields: another country's grid is not the one a figure was given for, nor another device's watts."""
    fresh = {**({"grams": None} if "region" in given else {}), **({"watts": None} if "device" in given else {})}
    return replace(place, **{**fresh, **given, **({"region": given["region"].upper()} if "region" in given else {})})


def table(place: Place, scene: Scene) -> dict[str, Value]:
    """As [energy] says it, in full, so that another machine means the same; {} for what every machine begins with."""
    if place == Place() and scene == place.scene:
        return {}
    said = {k: getattr(place, f) for k, f in PLACE.items()} | {k: getattr(scene, k) for k in ASKED}
    return {k: v for k, v in said.items() if v is not None}
