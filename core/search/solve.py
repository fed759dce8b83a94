"""From a goal to the plan that meets it."""

from __future__ import annotations

from collections.abc import Callable

from ..energy import estimate
from ..errors import BadPlan
from ..human import human
from ..sensed import Estimate, Front
from ..size import size
from ..types import METRICS, Score, Setting, Size
from .curse import widened
from .fronts import point, price, slack
from .goal import Goal, budget
from .knapsack import ROUNDING, Ints, Knapsack, Sweep, exact, filled, sweep
from .table import Table, relaxed

ROUNDS = 8  # of fitting a sum over layers to what is not quite one
FIGURE = {"causal-lm": "perplexity", "image-classification": "top1", "audio-classification": "pitch", "encoder": "cosine", "other": "kl"}


class OutOfReach(BadPlan):
    """No plan meets the goal; the text says how near one comes."""


def best(t: Table, goal: Goal, original: Score | None = None) -> Front:
    """The plan that meets the goal; floors that stand in its way are lifted; OutOfReach where no plan does even so."""
    if not t.members:
        raise BadPlan("Every layer is held or protected, so there is nothing to search; let go of some")
    ways: dict[str, Callable[[Table], Front]] = {
        "size": lambda t: _sized(t, budget(goal.size, opened(t))), "worse": lambda t: _bounded(t, _no_worse(t, goal.worse or 0, original)),
        "kl": lambda t: _bounded(t, lambda e: e.high <= (goal.kl or 0)), "energy": lambda t: _spending(t, goal.energy or 0, False),
        "time": lambda t: _spending(t, goal.time or 0, True), "weights": lambda t: _weighing(t, *(goal.weights or (1, 0, 0))),
    }  # fmt: skip
    try:
        return ways[goal.name](t)
    except OutOfReach:
        if not t.safe:
            raise
    return ways[goal.name](relaxed(t))


def opened(t: Table) -> int:
    """Bytes of the opened files: what shares are of."""
    return size(t.checkpoint, t.layers, t.settings(t.sweep.first), t.target).original


def _sized(t: Table, nbytes: int) -> Front:
    """The least predicted loss within so many bytes, header and all."""
    least = total(t, t.sweep.first)
    if least <= nbytes:
        room = nbytes - t.rest - slack(t)
        near = t.sweep.at(max(0, t.sweep.under(room)))
        over = total(t, near) - t.rest - round(t.knapsack.total(near)[0])  # digits of offsets there, not at the smallest plan
        for i in range(ROUNDS):
            room = nbytes - t.rest - over
            chosen = exact(t.knapsack, t.sweep, room) if t.sweep.under(room) >= 0 else t.sweep.first
            if (more := total(t, chosen) - nbytes) <= 0:
                return point(t, chosen, price(t, max(1, t.sweep.under(room))))
            over += more * 2**i
        return point(t, t.sweep.first, price(t, 0))
    raise OutOfReach(f"{nbytes:,} bytes are out of reach: the smallest plan takes {least:,} bytes{_why(t)}")


def total(t: Table, chosen: Ints) -> int:
    """Exact bytes of the export."""
    return size(t.checkpoint, t.layers, t.settings(chosen), t.target).total


def _why(t: Table) -> str:
    """Why the smallest plan is no smaller, where the format is the reason."""
    asked = Setting(quantize=t.plan.model.quantize or "rtn", bits=4)
    refused = {t.target.refuses(t.checkpoint, x, asked) for x in t.layers if x.name in t.free} - {""}
    if len(t.knapsack.cost) == len(t.members) and refused:
        return f" ({min(refused)}); choose another format"
    return "; give at least that, hold fewer layers, or choose another format"


def _bounded(t: Table, good: Callable[[Estimate], bool]) -> Front:
    """The smallest plan whose estimate is good: bisected along the hull, then between its two nearest points by the exact answer."""
    s = t.sweep

    def fine(chosen: Ints, at_price: float) -> bool:
        return good(widened(t, t.predictor.estimate(t.settings(chosen)), at_price))

    low, high = -1, len(s.cost) - 1
    if not fine(s.at(high), price(t, high)):
        foretold = widened(t, t.predictor.estimate(t.settings(s.at(high))), price(t, high))
        spread = f"{foretold.low:.3g} to {foretold.high:.3g}"
        raise OutOfReach(f"No plan is foretold to be that good: at best {foretold.value:.3g} ({spread}); allow more or hold fewer layers")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fine(s.at(middle), price(t, middle)) else (middle, high)
    chosen, at_price = s.at(high), price(t, high)
    if low < 0:
        return point(t, chosen, at_price)
    small, large = float(s.cost[low]), float(s.cost[high])
    for _ in range(ROUNDS):
        room = (small + large) / 2
        found = exact(t.knapsack, s, room)
        cost = t.knapsack.total(found)[0]
        if fine(found, at_price):
            chosen, large = found, cost
        else:
            small = room
        if large - small < 1e-4 * large:
            break
    return point(t, chosen, at_price)


def _no_worse(t: Table, share: float, original: Score | None) -> Callable[[Estimate], bool]:
    """Whether the far end of the interval, in the figure people read, is at most this share worse than the original."""
    if original is None:
        raise BadPlan('"At most so much worse" needs the original measured first: give data to measure it on, or say kl instead')
    metric = next(m for m in (FIGURE[t.task], "kl") if m in original.metrics or m == "kl")
    if metric == "kl":
        return lambda e: e.high <= share
    before = original.metrics[metric].value

    def good(e: Estimate) -> bool:
        _, low, high = human(e, original, metric)
        return high <= before * (1 + share) if METRICS[metric][1] == "low" else low >= before * (1 - share)

    return good


def _spending(t: Table, share: float, seconds: bool) -> Front:
    """The least predicted loss within a share of the original's modelled joules or seconds. Weights that fit into the cache move faster, so
    what a layer spends hangs on all of them: bisected for the bytes that, assumed of the whole, are not exceeded by the plan they give."""
    whole = modelled(t, {x.name: Setting() for x in t.layers}, seconds, alone=True)
    aim = share * whole
    low, high = 0.0, 8.0 * t.checkpoint.parameters
    for _ in range(2 * ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if t.held(_within(t, aim, middle, seconds, filled)) <= middle else (middle, high)
    tries = (_within(t, aim, high, seconds, how) for how in (exact, filled))
    found = next((c for c in tries if modelled(t, t.settings(c), seconds) <= aim * (1 + ROUNDING)), None)
    if found is None:
        what, least = "time" if seconds else "energy", modelled(t, t.settings(t.sweep.first), seconds) / whole
        raise OutOfReach(f"{share:.3g} of the {what} is out of reach: the smallest plan takes {least:.3g} of the original's, modelled")
    return point(t, found, _price_of(t, found))


def _within(t: Table, aim: float, held: float, seconds: bool, how: Callable[[Knapsack, Sweep, float], Ints]) -> Ints:
    """The options within so many joules or seconds, when all weights together are taken to be `held` bytes."""
    k, rest = t.spent(held, seconds)
    along = sweep(k)
    return how(k, along, aim - rest) if along.under(aim - rest) >= 0 else along.first


def _weighing(t: Table, alpha: float, beta: float, gamma: float) -> Front:
    """The least J = alpha D + beta S / S0 + gamma E / E0: each layer for itself, at the pace the plan's own bytes give memory."""
    whole, bytes_ = modelled(t, {x.name: Setting() for x in t.layers}, False, alone=True), opened(t)
    held = float(bytes_)
    chosen = t.sweep.first
    for _ in range(ROUNDS):
        k, _ = t.spent(held)
        price_ = beta / bytes_ * t.knapsack.cost + gamma / whole * k.cost
        before, chosen = chosen, Knapsack(t.start, price_, alpha * t.values).best(1.0)
        if (before == chosen).all():
            break
        held = t.held(chosen)
    return point(t, chosen, _price_of(t, chosen))


def _price_of(t: Table, chosen: Ints) -> float:
    """What the next byte less costs at a plan that is off the hull."""
    return price(t, max(1, t.sweep.under(t.knapsack.total(chosen)[0])))


def modelled(t: Table, settings: dict[str, Setting], seconds: bool, alone: bool = False) -> float:
    """Modelled joules or seconds of one token or sample; `alone`: of the opened files as they are."""
    stored = size(t.checkpoint, t.layers, settings, t.target)
    if alone:
        stored = Size(stored.original, {x.name: x.tensor.nbytes for x in t.layers}, stored.original)
    found = estimate(t.checkpoint, t.layers, {} if alone else settings, stored, None if alone else t.target, t.task, t.scene)
    return found.seconds if seconds else found.joules
