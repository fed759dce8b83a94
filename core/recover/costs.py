"""What a training takes of memory and time, from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..plans import resolve
from ..registry import make
from ..types import FLOATS, Layer, Plan
from . import views
from .methods import recoveries
from .tune import HELD

FORWARDS = 3  # forward passes a step is modelled as: one, and a backward pass of twice its arithmetic
HANDLED = 2000  # multiply-adds' time a weight takes to be masked, rounded, decoded and led back through, beside the network: measured
STATE = 20  # bytes a trained number takes: itself, its gradient, two moments, the best one
GRAPH = 16  # bytes a weight takes while its value is worked out: latent, rounded, decoded, and what comes back
WEIGHTS = ("linear", "conv", "head")


def memory(layers: Iterable[Layer], plan: Plan) -> int:
    """Bytes a plan's training takes beside the two models in float32: what is trained with its optimizer, and the values of one pass; 0
    where nothing is trained."""
    if not plan.recover:
        return 0
    found, how = tuple(layers), make(recoveries[plan.recover], plan.recovery)
    settings = resolve(plan, found)
    busy = [x for x in found if x.kind in WEIGHTS and (how.train != "scales" or not settings[x.name].idle)]
    weights = sum(x.tensor.parameters for x in busy)
    small = sum(x.tensor.parameters for x in found if x.kind in ("norm", "bias") and x.tensor.dtype in FLOATS)
    if how.train == "all":
        moved = weights
    elif how.train == "lora":
        moved = sum(min(how.rank, *x.tensor.shape[:2]) * (x.tensor.shape[0] + x.tensor.parameters // x.tensor.shape[0]) for x in busy)
    else:
        moved = sum(max(x.tensor.shape[0], x.tensor.parameters // 16) for x in busy)  # groups of 16 are the smallest there are
    return STATE * (moved + small) + GRAPH * weights


def seconds(how: Any, left: int, pieces: float, forward: float, handled: float, checks: int, together: int = 1) -> float:
    """Of so many steps: `forward` s a pass of one piece, `handled` s to work all weights out once, `pieces` of data in all, of which some
    are looked at `checks` times; `together` pieces run in one pass. The teacher answers each piece once, as long as memory holds that,
    and pictures that are varied every time."""
    runs = left * math.ceil(how.batch / together)
    answers = left * how.batch + pieces / HELD
    taught = (answers if views.wanted(how) else min(answers, pieces)) if how.share > 0 else 0.0
    return forward * (FORWARDS * left * how.batch + taught + checks * pieces / HELD) + handled * (runs + checks)
