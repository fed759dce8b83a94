"""Says before a plan is trusted whether its calibration data is enough: what each layer met, and how the error falls with more of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .calibrate import Statistics, observe
from .compress import fits, solved, weight_of
from .data.calibration import Calibrating
from .job import Job
from .networks import Network
from .prune import pruners
from .quantize import quantizers
from .solve.polish import loss
from .store import Store
from .types import Checkpoint, Layer, Seen, Setting

if TYPE_CHECKING:
    from torch import Tensor

TIMES = 10  # samples an input needs before second moments are sound: ten times as many tokens as inputs (algorithms.md 1.9)
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the solver's samples at which the error is measured
FLAT = 1.02  # an error at most 2 % above the least is as good as it
PIECES = 4  # batches of images or sentences are cut so, that an eighth of the samples exists
STAND_IN = Setting(quantize="slim", bits=4, quantize_knobs={"granularity": "channel"})  # where a layer's plan looks at no data


@dataclass(frozen=True)
class Dealt:
    """Which data is used, and how much of it goes where."""

    told: str
    solver: int
    held: int
    unit: str


@dataclass(frozen=True)
class Reach:
    """What one layer met: so many samples (tokens, positions or images) for so many inputs."""

    name: str
    inputs: int
    samples: int

    @property
    def blind(self) -> bool:
        return self.samples == 0

    @property
    def few(self) -> bool:
        return 0 < self.samples < TIMES * self.inputs


@dataclass(frozen=True)
class Point:
    """Measured: the held-out error a layer is left with when only so many samples are seen."""

    name: str
    setting: Setting
    samples: int
    error: float  # tr((W - Q) H' (W - Q)^T) / tr(W H' W^T), H' of tokens the solver never sees


@dataclass(frozen=True)
class Coverage:
    """All of it, growing while it streams in."""

    dealt: Dealt | None = None
    reach: tuple[Reach, ...] = ()
    points: tuple[Point, ...] = ()
    whole: bool = False  # nothing more comes

    def plus(self, found: Any) -> Coverage:
        """With what has just been found; points of another layer or setting take the place of the old ones."""
        if isinstance(found, Dealt):
            return replace(self, dealt=found)
        if isinstance(found, Reach):
            return replace(self, reach=(*self.reach, found))
        same = self.points and (self.points[0].name, self.points[0].setting) == (found.name, found.setting)
        grown = same and self.points[-1].samples < found.samples
        return replace(self, points=(*self.points, found) if grown else (found,))

    @property
    def enough(self) -> Point | None:
        """The first point from which more samples no longer pay; None while the last one still does."""
        least = min((p.error for p in self.points), default=0.0)
        found = next((p for p in self.points if p.error <= FLAT * least), None)
        return None if found is None or found is self.points[-1] else found


@dataclass(frozen=True)
class Asked:
    """The layers to look at with what is planned for each, and the one whose error is measured ("" = the widest of the first block)."""

    layers: tuple[Layer, ...]
    settings: dict[str, Setting] = field(default_factory=dict)
    name: str = ""
    reach: bool = True  # False: only the error is asked for again


def coverage(
    network: Network, checkpoint: Checkpoint, data: Calibrating, asked: Asked, job: Job, store: Store | None = None,
) -> Coverage:  # fmt: skip
    """Streams Dealt, then each layer's Reach block by block, and its Points when the chosen layer's block is reached.

    The statistics are those that the methods will be given, and are kept for them in `store`.
    """
    out = Coverage()
    for found in _found(network, checkpoint, data, asked, job, store):
        job.point(found)
        out = out.plus(found)
    return replace(out, whole=True)


def _found(
    network: Network, checkpoint: Checkpoint, data: Calibrating, asked: Asked, job: Job, store: Store | None
) -> Iterator[Dealt | Reach | Point]:
    yield Dealt(data.told, data.solver.n, data.held.n, data.solver.unit)
    seen = observe(network, checkpoint, data, asked.layers, {"inputs"}, job, "parallel", store).seen
    assert isinstance(seen, Statistics)
    ordered = sorted(asked.layers, key=lambda x: seen.place(x.name))
    chosen = _chosen(ordered, asked.name, seen)
    walk = ordered if asked.reach else [x for x in ordered if x is chosen]
    first = next((x for x in walk if chosen is not None and seen.place(x.name) == seen.place(chosen.name)), None)
    for x in job.track(walk, "Coverage"):
        if chosen is not None and x is first:
            grown = _grown(network, checkpoint, data, chosen, seen, job)  # before its block is passed: nothing runs twice
            yield from points(chosen, asked.settings.get(chosen.name, Setting()), grown, seen[chosen.name].held, job)
        if asked.reach:
            yield Reach(x.name, _inputs(x), seen[x.name].samples)


def _chosen(ordered: list[Layer], name: str, seen: Statistics) -> Layer | None:
    """The layer that is asked for, else the one that needs most: the widest of the first block."""
    found = next((x for x in ordered if x.name == name), None)
    plain = [x for x in ordered if x.kind in ("linear", "conv")]
    return found or max((x for x in plain if seen.place(x.name) == seen.place(plain[0].name)), key=_inputs, default=None)


def _grown(network: Network, checkpoint: Checkpoint, data: Calibrating, x: Layer, seen: Statistics, job: Job) -> list[Seen]:
    """What the layer met after each share; batches of images or sentences are cut smaller for it."""
    if data.solver.kind == "text":
        return seen.growing(x.name, SHARES)
    fine = replace(data, solver=replace(data.solver, items=tuple(p for item in data.solver.items for p in _pieces(item))))
    own = observe(network, checkpoint, fine, (x,), {"inputs"}, job).seen
    assert isinstance(own, Statistics)
    return own.growing(x.name, SHARES)


def _pieces(item: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """A batch as some smaller ones."""
    n = len(next(iter(item.values())))
    step = max(1, -(-n // PIECES))
    return [{k: v[a : a + step] for k, v in item.items()} for a in range(0, n, step)]


def points(x: Layer, setting: Setting, grown: Iterable[Seen], held: Tensor | None, job: Job) -> Iterator[Point]:
    """The error of the layer's own method (or of a stand-in, where it looks at no data) for each Seen; none without held-out inputs."""
    import torch

    setting = setting if _looks(setting) and not fits(x, setting) else STAND_IN
    if held is None:
        return
    w = weight_of(x)
    rows = w.flatten(1).float()
    whole = float(loss(rows, torch.zeros_like(rows), held))
    for seen in grown:
        found, _ = solved(x, setting, w, replace(seen, held=held), job)
        job.check()
        error = float(loss(rows, found.dense().flatten(1).float(), held))
        yield Point(x.name, setting, seen.samples, error / max(whole, 1e-30))


def _looks(setting: Setting) -> bool:
    """Whether what is planned for a layer hangs on its inputs."""
    needs = [pruners[setting.prune].needs] if setting.prune else []
    needs += [quantizers[setting.quantize].needs] if setting.quantize else []
    asked = frozenset().union(*needs)
    return "inputs" in asked and not asked & {"grads", "fisher"}


def _inputs(x: Layer) -> int:
    return x.tensor.parameters // max(1, x.tensor.shape[0])
