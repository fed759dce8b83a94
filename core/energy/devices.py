"""Where a model runs: the bundled classes of devices, this machine with its measured ceilings, and what is done there."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from ..errors import BadPlan
from ..resources import cache_root, root

HERE = "here"
CEILINGS, RUNS = "ceilings-3.json", "energy.json"  # in the cache folder: this machine's own ceilings; what meters said against the model
PRIOR, NOISE = 0.35, 0.12  # log: how far a model without a meter is off, and how far one metered run is off
NINE_OF_TEN = 1.645  # standard deviations to each side
WATTS_RANGE = 1.5  # x and / with the user's own watts: the time within 15 %, the watts (taken at another load) within a third
CATALOGUE_RANGE = 2.2  # x and / without a meter, fitted to CodeCarbon's CPU load profiles
# of this machine, by its self-test
MEASURED = ("flops", "read", "cached", "cache", "integers", "rounding", "integer_launch", "launch", "score", "gelu", "silu")
KEPT = 50  # metered runs, newest last


@dataclass(frozen=True, slots=True)
class Device:
    """Ceilings of the roofline and the watts at each of them; see resources/energy/devices.toml."""

    key: str
    title: str
    flops: float
    read: float
    cached: float
    cache: float
    computing: float
    reading: float
    idle: float
    supply: float
    halves: bool
    packed: tuple[int, ...]
    covers: str
    source: str
    integers: float = 1.0  # times as fast as float32 in dynamic int8, by torch's own kernel
    rounding: float = 0.0  # s a byte of a layer's activations takes to be rounded for it, and to be scaled back
    integer_launch: float = 0.0  # s an int8 layer takes beside its work
    launch: float = 0.0  # s any layer takes beside its work
    score: float = 0.0  # s attention takes for a score of a pair beside its multiplications
    gelu: float = 0.0  # s an activation function takes for a number
    silu: float = 0.0
    narrow: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # share of `flops` in linear layers 16 and 64 wide, in convolutions
    level: str = "C"
    range: float = CATALOGUE_RANGE  # x and /, 90 %
    factor: float = 1.0  # what meters have said of the model here

    def with_watts(self, watts: float) -> Device:
        """The user's own watts under full load; reading memory takes the same share of them as in the catalogue."""
        if not 0 < watts < 100_000:
            raise BadPlan(f"{watts:g} W is no power of a machine; give the watts it draws under full load")
        share = watts / self.computing
        source = f"{watts:g} W given by the user; {self.source}"
        level, range_ = ("B", WATTS_RANGE) if self.level == "C" else (self.level, self.range)
        return replace(
            self, computing=watts, reading=self.reading * share, idle=self.idle * share, level=level, range=range_, source=source
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """What is modelled: a device and what it is asked to do."""

    device: Device
    phase: Literal["decode", "prefill"] = "decode"  # of language models: tokens written one at a time, or read at once
    batch: int = 1
    context: int = 256  # tokens in the cache while one more is written, or tokens read at once
    daily: float = 1e6  # tokens or samples a day, for the yearly figures


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Device]:
    """Key -> device, bundled."""
    said = tomllib.loads((root() / "energy" / "devices.toml").read_text(encoding="utf-8"))
    return {k: Device(k, **{**d, "packed": tuple(d["packed"])}) for k, d in said.items()}


def device(key: str = "laptop", watts: float | None = None) -> Device:
    """A device of the catalogue, or "here"; BadPlan for another. `watts`: the user's own, under full load."""
    found = here() if key == HERE else catalogue().get(key)
    if found is None:
        raise BadPlan(f"There is no device {key!r}; there is {', '.join((HERE, *catalogue()))}")
    return found if watts is None else found.with_watts(watts)


def here() -> Device:
    """This machine: its measured ceilings (the laptop's until `slim measure` or the window has measured them), what meters taught."""
    base = replace(catalogue()["laptop"], key=HERE, title="This machine")
    said = _kept(CEILINGS)
    if isinstance(said, dict) and said.get("cores") == os.cpu_count():
        found = {k: float(v) for k, v in said.items() if k in MEASURED}
        narrow = tuple(float(v) for v in said.get("narrow", base.narrow))
        base = replace(base, **found, narrow=narrow, source="ceilings measured here; watts of the class of laptops")  # type: ignore[arg-type]
    return taught(base, [float(r) for r in _kept(RUNS) or ()])


def taught(base: Device, runs: Sequence[float]) -> Device:
    """With what metered runs said, log(measured / modelled) each: the normal posterior of this machine's own offset."""
    if not runs:
        return base
    precision = 1 / PRIOR**2 + len(runs) / NOISE**2
    middle, spread = math.fsum(runs) / NOISE**2 / precision, math.sqrt(1 / precision + NOISE**2)
    return replace(base, level="B", factor=math.exp(middle), range=math.exp(NINE_OF_TEN * spread))


def learn(measured: float, modelled: float) -> None:
    """Keep what a meter said of this machine (joules of the same work, before any correction): later models here begin from it."""
    if measured > 0 and modelled > 0:
        runs = [*(_kept(RUNS) or ()), math.log(measured / modelled)][-KEPT:]
        keep(RUNS, runs)


def keep(name: str, value: Any) -> None:
    """Written aside, then renamed."""
    path = cache_root() / name
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps(value), encoding="utf-8")
    os.replace(aside, path)


def _kept(name: str) -> Any:
    try:
        return json.loads((cache_root() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def default() -> Scene:
    return Scene(catalogue()["laptop"])
