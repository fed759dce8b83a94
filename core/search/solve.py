"""From a goal to the plan that meets it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..energy import estimate, roofline
from ..errors import BadPlan
from ..human import human
from ..sensed import Estimate, Front
from ..size import size
from ..types import METRICS, Score, Setting, Size
from .curse import widened
from .fronts import point, price, slack
from .goal import Goal, budget
from .knapsack import Ints, Knapsack, exact, sweep
from .table import Table, relaxed

ROUNDS = 8  # of fitting a sum over layers to what is not quite one
FIGURE = {"causal-lm": "perplexity", "image-classification": "top1", "encoder": "cosine", "other": "kl"}


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
    k, over = t.knapsack, slack(t)
    for _ in range(ROUNDS):
        room = nbytes - t.rest - over
        if t.sweep.under(room) < 0:
            break
        chosen = exact(k, t.sweep, room)
        more = size(t.checkpoint, t.layers, t.settings(chosen), t.target).total - nbytes
        if more <= 0:
            return point(t, chosen, price(t, max(1, t.sweep.under(room))))
        over += more
    least = size(t.checkpoint, t.layers, t.settings(t.sweep.first), t.target).total
    raise OutOfReach(f"{nbytes:,} bytes are out of reach: the smallest plan takes {least:,} bytes{_why(t)}")


def _why(t: Table) -> str:
    """Why the smallest plan is no smaller, where the format is the reason."""
    asked = Setting(quantize=t.plan.model.quantize or "rtn", bits=4)
    refused = {t.target.refuses(t.checkpoint, x, asked) for x in t.layers if x.kind == "linear" and not x.protected}
    if len(t.knapsack.cost) == len(t.members) and (said := refused - {""}):
        return f" ({sorted(said)[0]}); choose another format"
    return "; give at least that, hold fewer layers, or choose another format"


def _bounded(t: Table, good: Callable[[Estimate], bool]) -> Front:
    """The smallest plan whose estimate is good: bisected along the hull, then between its two nearest points by the exact answer."""
    s = t.sweep

    def fine(chosen: Ints, at_price: float) -> bool:
        return good(widened(t, t.predictor.estimate(t.settings(chosen)), at_price))

    low, high = -1, len(s.cost) - 1
    if not fine(s.at(high), price(t, high)):
        foretold = widened(t, t.predictor.estimate(t.settings(s.at(high))), price(t, high))
        raise OutOfReach(
            f"No plan is foretold to be that good: at best {foretold.value:.3g} ({foretold.low:.3g} to {foretold.high:.3g}); allow more, hold fewer layers"
        )
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
    metric = next((m for m in (FIGURE[t.task], "kl") if m in original.metrics or m == "kl"))
    if metric == "kl":
        return lambda e: e.high <= share
    before = original.metrics[metric].value

    def good(e: Estimate) -> bool:
        _, low, high = human(e, original, metric)
        return high <= before * (1 + share) if METRICS[metric][1] == "low" else low >= before * (1 - share)

    return good


def _spending(t: Table, share: float, seconds: bool) -> Front:
    """The least predicted loss within a share of the original's modelled joules or seconds. Weights that fit into the cache move faster, so
    what a layer spends hangs on all of them: the sum is made anew at the plan's own bytes until it holds."""
    whole = modelled(t, {x.name: Setting() for x in t.layers}, seconds, alone=True)
    aim, total = share * whole, float(t.rest + t.knapsack.total(t.sweep.first)[0])
    allowed, found = aim, None
    for _ in range(ROUNDS):
        k, rest = t.spent(total, seconds)
        along = sweep(k)
        room = allowed - rest
        if along.under(room) < 0:
            chosen = along.first
        else:
            chosen = exact(k, along, room)
        real = modelled(t, t.settings(chosen), seconds)
        total = t.rest + t.knapsack.total(chosen)[0]
        if real <= aim:
            found = chosen if found is None or t.knapsack.total(chosen)[1] < t.knapsack.total(found)[1] else found
        allowed *= min(1.0, aim / real) if real > aim else 1.0
    if found is None:
        what = "time" if seconds else "energy"
        least = min(modelled(t, t.settings(c), seconds) for c in (along.first, t.sweep.first)) / whole
        raise OutOfReach(f"{share:.3g} of the {what} is out of reach: the most frugal plan takes {least:.3g} of the original's, modelled")
    return point(t, found, _price_of(t, found))


def _weighing(t: Table, alpha: float, beta: float, gamma: float) -> Front:
    """The least J = alpha D + beta S / S0 + gamma E / E0: each layer for itself, at the pace the plan's own bytes give memory."""
    whole, bytes_ = modelled(t, {x.name: Setting() for x in t.layers}, False, alone=True), opened(t)
    total = float(bytes_)
    chosen = t.sweep.first
    for _ in range(ROUNDS):
        k, _ = t.spent(total)
        price_ = beta / bytes_ * t.knapsack.cost + gamma / whole * k.cost
        before, chosen = chosen, Knapsack(t.start, price_, alpha * t.values).best(1.0)
        if (before == chosen).all():
            break
        total = t.rest + t.knapsack.total(chosen)[0]
    return point(t, chosen, _price_of(t, chosen))


def _price_of(t: Table, chosen: Ints) -> float:
    """What the next byte less costs at a plan that is off the hull."""
    return price(t, max(1, t.sweep.under(t.knapsack.total(chosen)[0])))


def modelled(t: Table, settings: dict[str, Setting], seconds: bool, alone: bool = False) -> float:
    """Modelled joules or seconds of one token or sample; `alone`: of the opened files as they are."""
    stored = size(t.checkpoint, t.layers, settings, t.target)
    if alone:
        stored = Size(stored.original, {x.name: x.tensor.nbytes for x in t.layers}, stored.original)
    if not seconds:
        return estimate(t.checkpoint, t.layers, settings, stored, t.target, t.task).joules
    kept = np.array([*(stored.layers[x.name] for x in t.layers), 0.0])
    return float(roofline(t.checkpoint, t.layers, t.task, np.arange(len(kept)), kept, sum(stored.layers.values()))[1].sum())
