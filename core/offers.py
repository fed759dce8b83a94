"""What every file format would make of a plan: whether it can hold it, what it loses, its exact bytes and its speed on this machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import rotate
from .ceilings import known
from .cut import cut_of, planned, planned_layers
from .energy import Scene, device, estimate
from .energy.devices import HERE
from .errors import CannotRun
from .formats import targets
from .layers import layers as layers_of
from .networks.program import task_of
from .plans import resolve
from .size import size
from .types import Checkpoint, Energy, Layer, Plan, Setting, Task


@dataclass(frozen=True)
class Offer:
    """One format for one plan."""

    key: str
    title: str
    runs_in: str
    why: str = ""  # why it can't hold this model or plan; "" = it can
    dense: Mapping[str, int] | None = None  # why layers that the plan quantizes are stored dense -> how many
    nbytes: int = 0  # exact bytes of the file
    pending: bool = False  # whether something of `nbytes` is known only once the network was traced
    speed: Energy | None = None  # of one token or sample on this machine, modelled
    tested: bool = False  # whether that is from this machine's own self-test; else it is taken for a laptop


def offers(checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan, task: Task, present: Any = None) -> tuple[Offer, ...]:
    """Every registered format in its default knobs, the `present` target in its own; from headers alone, a few milliseconds each."""
    checkpoint, found = shaped(checkpoint, tuple(layers), plan)
    settings = resolve(plan, found)
    own = {} if present is None else {present.key: present}
    return tuple(offer(own.get(key) or target(), checkpoint, found, settings, task) for key, target in targets.items())


def offer(target: Any, checkpoint: Checkpoint, layers: tuple[Layer, ...], settings: Mapping[str, Setting], task: Task) -> Offer:
    """One format; nothing is priced where it can't be had."""
    if why := cannot(target, checkpoint, layers, settings):
        return Offer(target.key, target.title, target.runs_in, why)
    exact = size(checkpoint, layers, settings, target)
    refused = Counter(why for x in layers if (why := target.refuses(checkpoint, x, settings[x.name])))
    waits = bool(target.pending(checkpoint)) if hasattr(target, "pending") else False
    speed = estimate(checkpoint, layers, settings, exact, target, task, Scene(device(HERE)))
    return Offer(target.key, target.title, target.runs_in, "", dict(refused), exact.total, waits, speed, bool(known()))


def cannot(target: Any, checkpoint: Checkpoint, layers: tuple[Layer, ...], settings: Mapping[str, Setting]) -> str:
    """Why a format can't hold this model under these settings; "" = it can."""
    if hasattr(target, "unfit") and (why := target.unfit(checkpoint)):
        return str(why)
    if target.key == "onnx" and checkpoint.format == "pt2":
        try:
            task_of(checkpoint)
        except CannotRun as e:
            return str(e)
    if target.key == "packed" and not checkpoint.config:
        return "packed weights need a config.json that says how they are packed, and this model has none; export it dense"
    return str(target.clash(checkpoint, layers, settings)) if hasattr(target, "clash") else ""


def shaped(checkpoint: Checkpoint, layers: tuple[Layer, ...], plan: Plan) -> tuple[Checkpoint, tuple[Layer, ...]]:
    """Headers of what the plan's cuts and its rotation leave."""
    if not (how := cut_of(plan)).idle:
        checkpoint = planned(checkpoint, how)
        layers = tuple(planned_layers(checkpoint, layers))
    if plan.rotate:
        checkpoint = rotate.planned(checkpoint)
        layers = tuple(layers_of(checkpoint))
    return checkpoint, layers


def plain(o: Offer) -> dict[str, Any]:
    """For JSON: without the parts of the modelled energy."""
    said = {k: v for k, v in asdict(o).items() if k != "speed"}
    return said | {"seconds": o.speed.seconds if o.speed else None, "unit": o.speed.unit if o.speed else "", "how": "modelled"}
