"""What a training takes of memory, time and disk, counted from shapes alone; torch-free. Tests hold it against torch's own counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..data.calibration import IMAGES, SENTENCES, TOKENS
from ..energy.model import products
from ..errors import CannotRun
from ..evaluate import KEEP
from ..networks import task_of
from ..plans import resolve
from ..registry import make
from ..types import FLOATS, Checkpoint, Layer, Plan, Task
from . import answers, views
from .fit import CHECKS, TOGETHER
from .methods import recoveries
from .tune import HELD, SAMPLES
from .tune import TOKENS as PIECE

WEIGHTS = ("linear", "conv", "head")
STATE = 16  # bytes a trained number keeps: itself, two moments, the best one
START = {"scales": 1, "lora": 6, "all": 6}  # bytes a weight keeps beside: codes, and where it began; counted
GRAPH = {"scales": 9, "lora": 17, "all": 17}  # bytes a weight takes while a step works its value out and leads back through it; counted
HANDLED = {"scales": 300, "lora": 900, "all": 900}  # multiply-adds' time of that: 21, 66 and 69 ms of 3.1 million weights at 38e9 a second
ACTIVATIONS = 1.25  # of the inputs and outputs of all products: what a pass keeps for the way back
LOGITS = 6  # copies of a piece's answers: logits, both distributions, their difference, and what comes back
CLASSES = {"audio-classification": 360}  # where the config does not say


def memory(checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan) -> int:
    """Bytes a plan's training takes beside the two models in float32: what is trained with its optimizer, the values of one pass, what that
    keeps for the way back; 0 where nothing is trained."""
    if not plan.recover:
        return 0
    found, how = tuple(layers), make(recoveries[plan.recover], plan.recovery)
    busy = _busy(found, plan, how)
    weights = sum(x.tensor.parameters for x in busy)
    small = sum(x.tensor.parameters for x in found if x.kind in ("norm", "bias") and x.tensor.dtype in FLOATS)
    if how.train == "all":
        moved = weights
    elif how.train == "lora":
        moved = sum(min(how.rank, *x.tensor.shape[:2]) * (x.tensor.shape[0] + x.tensor.parameters // x.tensor.shape[0]) for x in busy)
    else:
        moved = sum(max(x.tensor.shape[0], x.tensor.parameters // 16) for x in busy)  # groups of 16 are the smallest there are
    return STATE * (moved + small) + (START[how.train] + GRAPH[how.train]) * weights + _held(checkpoint, found, how)


def passes(checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan) -> float:
    """Multiplications of a step of the student over those of its forward pass: the pass itself, the way back through every product, and the
    gradient of each weight that is worked out anew (Baydin et al. 2018, arXiv:1502.05767: reverse mode costs one product for each)."""
    found = tuple(layers)
    macs = {x.name: done for x, (done, _) in zip(found, products(checkpoint, found, task_of(checkpoint)), strict=True)}
    return 2 + sum(macs[x.name] for x in _busy(found, plan, make(recoveries[plan.recover], plan.recovery))) / (sum(macs.values()) or 1)


def seconds(how: Any, left: int, pieces: float, forward: float, handled: float, step: float, task: Task, fits: float = math.inf) -> float:
    """Of so many steps: `forward` s a pass of one piece, of which a step takes `step` (see `passes`), `handled` s to work all weights out
    once, `pieces` of data in all; the teacher's answers to `fits` of them stay in memory."""
    runs = left * math.ceil(how.batch / (TOGETHER if task == "image-classification" else 1))
    looks = (CHECKS + 1) * pieces / HELD
    return forward * (step * left * how.batch + _taught(how, left, pieces, fits) + looks) + handled * (runs + CHECKS + 1)


def work(checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan, samples: int | None) -> float:
    """Multiply-adds of a whole training on so many samples (None: as many as are calibrated on); 0 where nothing is trained."""
    if not plan.recover:
        return 0.0
    found, how, task = tuple(layers), make(recoveries[plan.recover], plan.recovery), _task(checkpoint)
    if task is None:
        return 0.0
    rows = rows_of(task)
    pieces, one = max(1.0, (samples or usual(task)) / rows), rows * sum(macs for macs, _ in products(checkpoint, found, task))
    handled = HANDLED[how.train] * sum(x.tensor.parameters for x in _busy(found, plan, how))
    step = passes(checkpoint, found, plan)
    if hasattr(how, "rounds"):
        return one * rounds(how, how.rounds, pieces, step)
    return seconds(how, how.steps, pieces, one, handled, step, task, room(checkpoint, task))


def rounds(how: Any, left: int, pieces: float, step: float) -> float:
    """Forward passes of so many rounds: every client goes over its share and may count batch norms, then the server is checked."""
    return left * pieces * ((step * how.epochs + (how.norms != "kept")) * how.participation * (1 - 1 / HELD) + 1 / HELD)


def kept(checkpoint: Checkpoint, plan: Plan, samples: int | None) -> int:
    """Bytes of the teacher's answers that a training puts on disk, at most; 0 where it keeps them in memory or asks for none."""
    how = make(recoveries[plan.recover], plan.recovery) if plan.recover else None
    if not getattr(how, "top", 0) or (task := _task(checkpoint)) in (None, "encoder") or not getattr(how, "share", 0):
        return 0
    assert how is not None
    assert task is not None
    count = samples or usual(task)
    met = min(count, how.steps * how.batch * rows_of(task) + math.ceil(count / HELD))
    return answers.nbytes(met, _classes(checkpoint, task), how.top)


def usual(task: Task) -> int:
    """Samples of the calibration data where nobody says how many: what is trained on without data of its own."""
    return {"causal-lm": TOKENS, "encoder": SENTENCES}.get(task, IMAGES)


def room(checkpoint: Checkpoint, task: Task) -> float:
    """Pieces whose answers stay in memory."""
    width = int(checkpoint.config.get("hidden_size") or 1) if task == "encoder" else _classes(checkpoint, task)
    return KEEP / (4 * width * rows_of(task))


def _taught(how: Any, left: int, pieces: float, fits: float) -> float:
    """Passes of the teacher: hidden states are asked for at every step; answers once a piece, again where memory had no room for them."""
    if not how.share > 0:
        return 0.0
    apart, visits = pieces / HELD, left * how.batch
    lessons, looked = pieces - apart, apart + CHECKS * max(0.0, apart - fits)
    if getattr(how, "hidden", 0) or views.wanted(how):  # pictures that are varied are new every time
        return visits + looked
    first = min(visits, lessons)
    again = 0.0 if getattr(how, "top", 0) else (visits - first) * (1 - min(1.0, max(0.0, fits - apart) / max(1.0, lessons)))
    return first + again + looked


def _held(checkpoint: Checkpoint, layers: tuple[Layer, ...], how: Any) -> int:
    """Bytes a step's pass keeps for the way back, and the answers it is compared by."""
    if (task := _task(checkpoint)) is None:
        return 0
    together = min(how.batch, TOGETHER) if task == "image-classification" else 1
    width = 0 if task == "encoder" else _classes(checkpoint, task)
    each = ACTIVATIONS * sum(nbytes for _, nbytes in products(checkpoint, layers, task)) + LOGITS * 4 * width
    return int(rows_of(task) * together * each)


def _busy(layers: tuple[Layer, ...], plan: Plan, how: Any) -> list[Layer]:
    """Whose values are worked out anew at every step."""
    settings = resolve(plan, layers)
    return [x for x in layers if x.kind in WEIGHTS and (how.train != "scales" or not settings[x.name].idle)]


def rows_of(task: Task) -> int:
    """Of a piece: tokens, images or sentences."""
    return PIECE if task == "causal-lm" else SAMPLES


def _classes(checkpoint: Checkpoint, task: Task) -> int:
    config = checkpoint.config
    return int(config.get("vocab_size") or len(config.get("id2label") or ()) or CLASSES.get(task, 2))


def _task(checkpoint: Checkpoint) -> Task | None:
    try:
        return task_of(checkpoint)
    except CannotRun:
        return None
