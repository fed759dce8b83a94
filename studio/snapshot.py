"""What every view draws: one frozen picture of the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.lessons import Freed, Lesson, Terms
from core.sensed import Estimate, Front, Record, Sensitivity
from core.types import Checkpoint, Energy, Layer, Outcome, Plan, Score, Setting, Size, Task, Variant, Verdict

if TYPE_CHECKING:
    from core.coverage import Coverage
    from core.guilty import Guilt
    from core.play import Dialogue, Likeness, Looked, Sample
    from core.preflight import Preflight


@dataclass(frozen=True)
class Feed:
    """What methods that look at data are shown."""

    path: Path | None = None  # None: what the scoring leaves over, or the bundled text
    tokens: int | None = None  # None: 16384 tokens, 512 sentences or 256 images
    order: Literal["parallel", "sequential", "corrected"] = "parallel"
    block: int | None = None  # inputs of a layer that share one matrix of second moments at most; None: 8192
    train: Path | None = None  # what tuning and training learn from; None: the calibration data
    lessons: int | None = None  # tokens, sentences or images of it
    teacher: Path | None = None  # another checkpoint that distilling learns from; None: the original

    @property
    def calibrating(self) -> Feed:
        """Without what concerns training alone."""
        return replace(self, train=None, lessons=None, teacher=None)


@dataclass(frozen=True)
class Calibrated:
    """Told by the worker: the fingerprint of the statistics that the plan's methods are given."""

    fingerprint: str


@dataclass(frozen=True, eq=False)
class Fronts:
    """What may be had at every size under the plan's methods, all predicted."""

    points: tuple[Front, ...]  # from smallest to largest
    uniform: tuple[Front, ...]  # the plan's own quantizer with the same bits everywhere, 8 to 2

    def nearest(self, figure: float, of: Callable[[Front], float]) -> int:
        """Where on the front a figure (bytes, joules) is nearest."""
        return min(range(len(self.points)), key=lambda i: abs(of(self.points[i]) - figure))


@dataclass(frozen=True)
class Play:
    """What the playground shows, and of which plan on which data it speaks; both are kept until something else is asked."""

    found: Dialogue | Looked | Likeness | None = None
    of: Any = None  # Snapshot.basis when it was asked
    worst: tuple[Sample, ...] | None = None
    worst_of: Any = None
    put: Sample | None = None  # the one that was last put into the playground


@dataclass(frozen=True)
class Training:
    """One training of a plan: as it runs, or how it ended."""

    of: tuple[Any, ...]  # what it depends on: checkpoint, plan, data
    state: Literal["waiting", "running", "paused", "kept", "refused", "failed"] = "waiting"
    lessons: tuple[Lesson, ...] = ()
    at: str = ""  # where its state lies in the layer store, once it has begun
    begun: int = 0  # steps an earlier session had done
    before: float | None = None  # loss on pieces kept apart, before the first step
    after: float | None = None  # the same, of the best state; None: not told yet
    early: bool = False  # it met a loss that was no number twice
    sent: int = 0  # bytes from all clients in the last round of a federation
    leg: int = 1  # which of the plan's stages it is in
    legs: int = 1
    name: str = ""  # what that stage is called

    @property
    def live(self) -> bool:
        return self.state in ("waiting", "running")

    @property
    def step(self) -> int:
        """Steps done."""
        return self.lessons[-1].step if self.lessons else self.begun

    @property
    def best(self) -> Lesson | None:
        """The check with the lowest loss, where that is lower than before."""
        held = [x for x in self.lessons if x.held is not None and x.held < x.before]
        return min(held, key=lambda x: x.held or 0.0, default=None)


@dataclass(frozen=True)
class Row:
    """One layer in a comparison of two variants; an outcome of None means left as it was."""

    layer: str
    before: Outcome | None
    after: Outcome | None
    before_bytes: int
    after_bytes: int


NOTHING = Plan()


@dataclass(frozen=True)
class Snapshot:
    """The session at one moment."""

    checkpoint: Checkpoint | None = None
    layers: tuple[Layer, ...] = ()
    plan: Plan = NOTHING  # the stage in hand, with those before it: what every panel shows and edits
    whole: Plan = NOTHING  # with the stages after it: what is run, saved and exported; `plan` is one of its legs
    settings: Mapping[str, Setting] = field(default_factory=dict)
    target: Any = None
    size: Size | None = None
    energy: Energy | None = None
    cut: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # Layer.name -> the shape the plan's cuts leave, where it is another
    energy_original: Energy | None = None
    original: Variant | None = None
    score: Score | None = None  # the current plan's; partial while it streams in
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    freed: tuple[tuple[str, float, float], ...] | None = None  # what closed forms gave back of the plan; None: not told
    zeros: Mapping[str, float] = field(default_factory=dict)  # Layer.name -> share of exact zeros as stored, once counted
    sensitivity: Sensitivity | None = None  # of the open model; grows while the pass runs
    estimate: Estimate | None = None  # of the plan in force, predicted from it; never measured
    record: Record | None = None  # how past predictions did
    fronts: Fronts | None = None
    refined: tuple[Variant, ...] = ()  # measured while nothing else was to do; they join the history when their plan is taken
    pins: frozenset[str] = frozenset()  # Layer.name: held as they are by every search
    guilt: Guilt | None = None
    variants: tuple[Variant, ...] = ()
    current: int = -1  # index in variants of the measured current plan
    compared: tuple[int, ...] = ()  # indices in variants; -1 is the original
    selection: tuple[str, ...] = ()
    data: Path | None = None
    limit: int | None = None
    feed: Feed = Feed()  # calibration: file, tokens, order
    preflight: Preflight | None = None  # what measuring the plan takes, predicted a moment after it changes; None = nothing to do
    coverage: Coverage | None = None  # of the calibration data, growing while it is measured
    calibrated: str = ""  # fingerprint of the statistics last used, once the worker knows it: part of the layer store's keys
    runnable: str = ""  # "" = the network runs; else why not
    task: Task | None = None
    inspection: Any = None
    play: Play = Play()
    verdicts: Mapping[str, tuple[Any, Verdict]] = field(default_factory=dict)  # target's key -> basis and what its last export was found
    training: Training | None = None  # of the plan in force
    terms: Terms | None = None  # what its loss is made of before the first step, once measured
    comparison: tuple[Row, ...] | None = None
    undo_text: str = ""
    redo_text: str = ""
    dirty: bool = False
    recipe_path: Path | None = None
    busy: bool = False

    @property
    def basis(self) -> tuple[Any, ...]:
        """What a variant's weights hang on, and what they are scored on."""
        return self.plan if self.current >= 0 else bare(self.plan), self.data, self.limit, self.feed


def partial(s: Snapshot, point: Any) -> Snapshot:
    """With what a running measurement has just told: its forecast, a layer's outcome or a growing score."""
    from core.preflight import Preflight  # brings the whole engine: not before the first paint

    if isinstance(point, Preflight):
        return replace(s, preflight=point)
    if isinstance(point, Calibrated):
        return replace(s, calibrated=point.fingerprint)
    if isinstance(point, Score):
        return replace(s, score=point)
    if isinstance(point, Freed):
        return replace(s, freed=point.steps)
    if not isinstance(point, tuple):
        return s  # of a training
    name, outcome = point
    return replace(s, outcomes={**s.outcomes, name: outcome})


def bare(plan: Plan) -> Plan:
    """The plan without its training."""
    return replace(plan, recover="", recovery={})


def side_by_side(s: Snapshot, first: int, second: int) -> tuple[Row, ...]:
    """A row per layer for two variants; -1 is the original."""
    assert s.original is not None
    a, b = (s.variants[i] if i >= 0 else s.original for i in (first, second))
    return tuple(
        Row(x.name, a.outcomes.get(x.name), b.outcomes.get(x.name), a.size.layers.get(x.name, 0), b.size.layers.get(x.name, 0))
        for x in s.layers
    )
