"""What a cut takes of time and memory, from shapes alone: its passes over the calibration data, the choice and the refits. Torch-free."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..graph import BLOCK, Dimension, Graph, blocks, graph
from ..types import Checkpoint
from .plan import Cut, kept, left

DOUBLE = 2  # a float64 multiply-add takes as long as so many of float32
REFITS = 4  # of the dampings some three are tried, and the winner once more
THIN = 10  # a downdate of a few columns at a time is bound by memory: measured 1.1 s for 1536 inputs, where arithmetic alone is 0.3
TRIAL = 512  # tokens a trial without a block looks at
SHORT = 8  # candidates of every trial after the first


def work(checkpoint: Checkpoint, cut: Cut, tokens: int) -> float:
    """Multiply-adds, float64 ones as what they take in float32."""
    if cut.idle or not cut.looks:
        return 0.0
    found, shares = graph(checkpoint), kept(checkpoint, replace(cut, blocks=0))
    body = sum(t.parameters for n, t in checkpoint.tensors.items() if BLOCK.match(n)) or checkpoint.parameters
    cutting = [d for d in found.dimensions if left(d, shares) < d.size]
    total = _trials(found, cut, body)
    if cutting:
        passes = 2 + len(cutting) / max(1, len(blocks(checkpoint)))  # as it was, once for each reader of a block, and on to the next
        total += tokens * body * passes + sum(_one(checkpoint, d, left(d, shares) / d.size, tokens) for d in cutting)
    return total


def memory(checkpoint: Checkpoint, cut: Cut, tokens: int) -> int:
    """Bytes beside the stored weights: the network in float32, what a cut made of it, hidden states and one reader's moments."""
    if cut.idle:
        return 0
    changed = sum(prod(checkpoint.tensors[s.tensor].shape) for d in graph(checkpoint).dimensions for s in (*d.made, *d.used))
    widths = [_shape(checkpoint, s.tensor) for d in graph(checkpoint).dimensions for s in d.used]
    moments = max((8 * (8 * i * i + 6 * o * i) for o, i in widths), default=0)
    hidden = 4 * tokens * 5 * max((o for o, _ in widths), default=0)
    return 4 * (checkpoint.parameters + changed) + (moments + hidden if cut.looks else 0)


def _trials(found: Graph, cut: Cut, body: int) -> float:
    """Every block left out once, then the best few again for each further block."""
    return float(TRIAL * body * (found.depth + SHORT * (cut.blocks - 1))) if cut.blocks else 0.0


def _one(checkpoint: Checkpoint, d: Dimension, share: float, tokens: int) -> float:
    """Moments of both parts, the choice by downdating the inverse, and the refits of the kept columns."""
    total = 0.0
    for s in d.used:
        out, width = _shape(checkpoint, s.tensor)
        stay = width * share
        choice = width**3 + THIN * (width - stay) * width * (width + out)
        refit = REFITS * (stay**3 + 2 * out * stay * stay + 3 * out * width * width)
        total += tokens * width * (width + out) + DOUBLE * (choice + refit)
    return total


def _shape(checkpoint: Checkpoint, tensor: str) -> tuple[int, int]:
    """(out, in) of a weight, a convolution's kernel counted among its inputs."""
    shape = checkpoint.tensors[tensor].shape
    return shape[0], prod(shape[1:])
