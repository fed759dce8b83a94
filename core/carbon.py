"""Grams of CO2 equivalent: what the wall gave times what the grid there emits, with its year, its source and its range."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache

from .energy.devices import Scene, device, keep
from .errors import BadPlan, SlimError
from .resources import cache_root, root
from .types import Carbon, Energy, Median

JOULES_A_KWH = 3.6e6
MILLION = 1e6
YEARLY = 1.15  # x and / of a country's mean over a year; hour by hour a grid is 60 % below to 60 % above it
HOURLY = 0.6
CHOSEN = "place.json"  # in the cache folder


@dataclass(frozen=True, slots=True)
class Region:
    """A country's grid, mean over a year."""

    code: str
    name: str
    grams: float  # CO2e a kWh
    year: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model will live, and the grid there: chosen once. `grams` is the user's own figure; `pue` is what a data centre draws for
    each watt of its machines."""

    region: str = "WORLD"
    grams: float | None = None
    pue: float = 1.0
    device: str = "laptop"  # where a model will live; "here" is this machine
    watts: float | None = None  # what that device draws under full load, where the user knows

    def __post_init__(self) -> None:
        if self.region not in regions():
            raise BadPlan(f"There is no region {self.region!r}; give a country's three letters (DEU, USA, CHN), or WORLD")
        if not 1 <= self.pue <= 5:
            raise BadPlan(f"A PUE of {self.pue:g} can't be; 1 is a laptop, data centres are at 1.1 to 2")
        if self.grams is not None and not 0 <= self.grams <= 3000:
            raise BadPlan(f"{self.grams:g} g a kWh is no grid's; give 0 to 3000")
        device(self.device, self.watts)

    @property
    def intensity(self) -> float:
        """Grams of CO2e a kWh."""
        return regions()[self.region].grams if self.grams is None else self.grams

    @property
    def scene(self) -> Scene:
        """What is modelled by default."""
        return Scene(device(self.device, self.watts))

    @property
    def told(self) -> str:
        r = regions()[self.region]
        where = f"{r.name} {r.year}" if self.grams is None else f"your own figure ({r.name})"
        return f"{where}, {self.intensity:.3g} g CO2e a kWh, PUE {self.pue:g}"


@lru_cache(maxsize=1)
def regions() -> Mapping[str, Region]:
    """Code -> grid; resources/energy/README.md says where it is from."""
    with (root() / "energy" / "grid.csv").open(encoding="utf-8", newline="") as f:
        found = [Region(r["code"], r["name"], float(r["grams_per_kwh"]), int(r["year"])) for r in csv.DictReader(f)]
    return {r.code: r for r in found}


def chosen() -> Place:
    """The place chosen on this machine; the world's mean before."""
    try:
        return Place(**json.loads((cache_root() / CHOSEN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, SlimError):
        return Place()


def choose(place: Place) -> None:
    keep(CHOSEN, asdict(place))


def kwh(joules: float) -> float:
    """1 kWh = 3.6 MJ."""
    return joules / JOULES_A_KWH


def grams(e: Energy, place: Place, times: float = MILLION) -> Median:
    """CO2e of so many tokens or samples, with its 90 % interval: the energy's and the grid's yearly mean's, in quadrature."""
    supply = device(e.device).supply if e.device else 1.0
    value = kwh(e.joules / supply * place.pue) * place.intensity * times
    up, down = (math.exp(math.hypot(math.log(max(r, 1.0)), math.log(YEARLY))) for r in _ranges(e))
    return Median(value, value / down, value * up)


def _ranges(e: Energy) -> tuple[float, float]:
    """How far up and down the joules may be, as factors."""
    return (e.high / e.joules, e.joules / e.low) if e.joules > 0 and e.low > 0 else (1.0, 1.0)


def carbon(before: Energy, after: Energy, place: Place) -> Carbon:
    """Both sides per million tokens or samples, and what that is made of."""
    how = (
        f"{place.told}; location-based mean over a year, within 15 %, by the hour -{HOURLY:.0%} to +{HOURLY:.0%}; wall losses "
        f"{1 - (device(after.device).supply if after.device else 1.0):.0%}; excludes embodied carbon"
    )
    return Carbon(place.region, place.intensity, place.pue, after.unit, grams(before, place), grams(after, place), how)
