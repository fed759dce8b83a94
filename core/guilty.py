"""Which layers are guilty: bisects a bad plan for the few layers that cost most, in about log2 n evaluations each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil, log2

from .compress import fits
from .errors import BadPlan
from .job import Job
from .plans import Scope, edit, resolve
from .types import Choice, Layer, Measured, Plan, Score, Setting

THRESHOLD = 0.5  # of the loss: when no more than this is left without the guilty, they explain it
SUSPECTS = 3  # at most: what more layers than these hold together is spread
MORE = {2: (4, 6, 8), 3: (6, 8), 4: (8,), 5: (8,), 6: (8,), 7: (8,)}  # bits a guilty layer is given instead; 16 where none of them fits


@dataclass(frozen=True, slots=True)
class Suspect:
    """One layer, and what it alone costs."""

    layer: str
    loss: float  # nats (or 1 - cosine) when it is compressed and the others of its half are not
    share: float  # of the whole plan's loss


@dataclass(frozen=True)
class Guilt:
    """What a bisect found."""

    suspects: tuple[Suspect, ...]  # the costliest first
    loss: Measured  # of the plan as it was
    left: Measured  # with the suspects restored to the original
    evaluations: int
    plan: Plan  # in which they have more bits, and half the pruning

    @property
    def spread(self) -> bool:
        """Whether no few layers hold the loss: most of it is left without those found."""
        return self.left.value > THRESHOLD * self.loss.value

    @property
    def told(self) -> str:
        """One sentence."""
        if not self.suspects:
            return f"Nobody is guilty: the plan costs {self.loss.value:.3g}, which is within the noise of the evaluation"
        named = ", ".join(f"{s.layer} ({s.share:.0%})" for s in self.suspects)
        rest = f"without them {self.left.value:.3g} ± {self.left.error:.2g} of {self.loss.value:.3g} is left"
        return f"Costliest: {named}; {rest}" + ("; most of the loss is spread over the other layers" if self.spread else "")


def guilty(
    layers: Iterable[Layer], plan: Plan, evaluate: Callable[[Plan], Score], job: Job, threshold: float = THRESHOLD,
    suspicion: Mapping[str, float] | None = None,
) -> Guilt:  # fmt: skip
    """Restore halves of the layers to the original and follow the half that holds the loss, until a single layer is left; again without it
    while more than `threshold` of the loss remains. `suspicion` (say, each layer's weight error) puts the likely ones into one half. Each
    evaluation is told to the job as (plan, Score). BadPlan when the plan leaves every layer alone."""
    found = tuple(layers)
    settings = resolve(plan, found)
    order = suspicion or {}
    busy = sorted((x.name for x in found if not settings[x.name].idle), key=lambda n: -order.get(n, 0.0))  # stable: else the tree's order
    if not busy:
        raise BadPlan("The plan leaves every layer as it is, so none of them can be guilty; choose fewer bits or prune first")
    trial = _Trial(plan, busy, evaluate, job)
    whole = left = trial.loss(busy)
    suspects: list[Suspect] = []
    rest = busy
    steps = SUSPECTS * (ceil(log2(len(busy))) + 1)
    for _ in job.track(_bisected(trial, rest, left, threshold, suspects), "Looking for the guilty layers", steps):
        pass
    rest = [n for n in busy if n not in {s.layer for s in suspects}]
    left = trial.loss(rest) if suspects and rest else whole if rest else Measured(0.0)
    suspects.sort(key=lambda s: -s.loss)
    return Guilt(tuple(suspects), whole, left, trial.count, relieved(plan, found, settings, [s.layer for s in suspects]))


def _bisected(trial: _Trial, rest: list[str], left: Measured, threshold: float, suspects: list[Suspect]) -> Iterable[int]:
    """One step per evaluation, each suspect added when found."""
    whole = left
    while rest and len(suspects) < SUSPECTS and left.value > max(threshold * whole.value if suspects else 0.0, 2 * left.error):
        names, held = rest, left.value
        while len(names) > 1:
            half, other = names[: (len(names) + 1) // 2], names[(len(names) + 1) // 2 :]
            cost = trial.loss(half).value
            # a loss saturates: what the first half holds by itself is sure, what is left for the other is at least this
            names, held = (half, cost) if cost >= held / 2 else (other, held - cost)
            yield trial.count
        suspects.append(Suspect(names[0], held, held / whole.value))
        rest = [n for n in rest if n != names[0]]
        if rest:
            left = trial.loss(rest)
            yield trial.count


class _Trial:
    """Evaluates the plan with only some layers compressed, each subset once."""

    def __init__(self, plan: Plan, busy: list[str], evaluate: Callable[[Plan], Score], job: Job) -> None:
        self.plan, self.busy, self.evaluate, self.job = plan, busy, evaluate, job
        self._known: dict[frozenset[str], Measured] = {}

    @property
    def count(self) -> int:
        return len(self._known)

    def loss(self, names: Collection[str]) -> Measured:
        key = frozenset(names)
        if key not in self._known:
            self.job.check()
            tried = restored(self.plan, [n for n in self.busy if n not in key])
            score = self.evaluate(tried)
            self.job.point((tried, score))
            self._known[key] = loss(score)
        return self._known[key]


def loss(score: Score) -> Measured:
    """What a score lost against the original: KL, or 1 - cosine for an encoder."""
    if "kl" in score.metrics:
        return score.metrics["kl"]
    near = score.metrics["cosine"]
    return Measured(1 - near.value, near.error)


def restored(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan with these layers left as they are."""
    own = {n: replace(plan.layers.get(n, Choice()), protect=True) for n in names}
    return replace(plan, layers={**plan.layers, **own})


def relieved(plan: Plan, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Collection[str]) -> Plan:
    """The plan with more bits for these layers, and half the pruning: what one click does."""
    for x in layers:
        if x.name in names:
            s = settings[x.name]
            bits = next((b for b in MORE.get(s.bits, ()) if not fits(x, replace(s, bits=b))), 16) if s.quantize else s.bits
            changes = {"bits": bits, "amount": round(s.amount / 2, 4)} if s.amount else {"bits": bits}
            plan = edit(plan, Scope("layers", (x.name,)), knobs=None, **changes)
    return plan
