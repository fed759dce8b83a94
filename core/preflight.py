"""Predicts before a run how much memory and time it takes, from sizes alone; torch-free until the machine's speed is asked for."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .compress import needs
from .cut import cost, cut_of
from .data import PREVIEW
from .data.calibration import EVERY, TOKENS
from .data.text import WINDOW
from .plans import resolve
from .prune import pruners
from .quantize import quantizers
from .resources import cache_root
from .spans import MOST, NARROW, span
from .types import Checkpoint, Layer, Plan, Setting

ENGINE = 230 << 20  # bytes: Python with torch after its first product, measured
NETWORK = 190 << 20  # more for transformers, its skeleton and tokenizer, measured
KEEP = 512 << 20  # the original's answers an evaluation holds at most (core/evaluate.py)
BLOCK = re.compile(r"^(.*?\.)?(\d+)\.")
TOGETHER = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("gate_proj", "up_proj"), ("w1", "w3"), ("q", "k", "v"))
ROWS = 30 << 20  # bytes: a few rows at a time of whatever method, and of the comparison afterwards
# Bytes a method holds at its worst beyond the layer and its moments: (per weight, per square of the input width), measured with
# tests/benchmarks/scale.py. Plain methods work by rows; pruners sort scores; solvers hold float64 factors of the moments.
MEMORY = {
    "rtn": (3.0, 0.0), "hqq": (20.0, 0.0), "magnitude": (20.0, 0.0), "random": (20.0, 0.0), "wanda": (28.0, 0.0), "awq": (30.0, 0.0),
    "gptq": (20.0, 28.0), "slim": (32.0, 32.0), "sparsegpt": (20.0, 22.0), "admm": (28.0, 24.0),
}  # fmt: skip
PLAIN, SOLVER = (20.0, 0.0), (40.0, 42.0)  # of a method that is not listed
APART = 12.0  # bytes a weight of a layer solved in parts: its float32 rows, codes and the part at hand
DECODE = 15  # bytes a weight while the largest quantized layer is decoded for an export
ROUND = 1000  # multiply-adds' time a weight takes to be ranked or rounded: between rtn's 400 and the 2000 of a sort, measured
SPEED = 30e9  # multiply-adds a second, before the machine has been measured
HOW = "quickest"  # of many rounds of a product: what else runs at the time must not be taken for the machine (9e9 was, of 38e9)
# Multiply-adds' time a solver takes: (per input column cubed of every matrix of moments, per weight and column), and seconds a column of
# its loop, from the CPU seconds of SmolLM2 and MiniLM in tests/benchmarks/results (slim 21.6 s, admm 272 and 26 s) and of the samples.
WORK = {
    "gptq": (3.0, 1.0), "slim": (4.0, 2.5), "sparsegpt": (3.0, 1.0), "admm": (4.0, 120.0), "awq": (0.0, 12.0), "wanda": (0.0, 0.0),
}  # fmt: skip
SCORED = 6 * PREVIEW["causal-lm"]  # tokens of a full evaluation
# forward passes of every block, and products of the size of its moments, by the order of the calibration: sequential runs each block once
# more; corrected both networks up to each of some four inputs, with a product that is no square beside
PASSES = {"parallel": (1.0, 1.0), "sequential": (2.0, 1.0), "corrected": (6.5, 3.0)}
SOLVING = (4.0, 3.0)  # of a method with moments that is not listed
LOOP = 30e-6  # seconds a column of a solver's loop takes beside its arithmetic
TUNED = 256  # tokens of a tuning step (core/recover/tune.py): the original's answer, the variant's, and two for its gradient
TUNING = 4.7  # forward passes a step takes with its checks: 264 s of 56 steps on SmolLM2
MARGIN = 0.95  # of what is free


@dataclass(frozen=True)
class Preflight:
    """What a run will take, predicted; `fits` says whether the machine has it free now."""

    peak_bytes: int
    seconds: float  # estimated: arithmetic at the machine's measured speed
    fits: bool
    available: int
    proposal: str  # what would fit, "" where nothing needs to change
    parts: Mapping[str, int]  # stage -> bytes at its worst
    scores: bool  # whether original and variant can both be held to be scored
    tokens: int = 0  # of calibration data that would fit, where that is what `proposal` proposes
    block: int = 0  # inputs sharing one matrix of second moments that would fit, where that is what `proposal` proposes
    kept: int = 0  # bytes of a teacher's answers that training puts into the cache, at most

    @property
    def told(self) -> str:
        """One line for the log."""
        return (
            f"needs about {_size(self.peak_bytes)} of memory ({_size(self.available)} free) and {_span(self.seconds)}, estimated"
            + (f"; up to {_size(self.kept)} of the teacher's answers go into the cache" if self.kept else "")
            + ("" if self.scores or not self.fits else "; accuracy is not measured, as both models would not fit")
        )


def preflight(
    checkpoint: Checkpoint, layers: Iterable[Layer], plan: Plan, tokens: int | None = None, runs: bool = True,
    available: int | None = None, speed: float | None = None, block: int | None = None, order: str = "parallel", limit: int | None = None,
    steps: int = 0, training: int = 0, trained: float = 0.0, kept: int = 0,
) -> Preflight:  # fmt: skip
    """Peak memory and time of a run; `runs`: the network can be scored, on `limit` tokens. `available` bytes default to what the machine
    has free; `block` inputs of a layer share one matrix of second moments at most. `order` of the calibration; `steps` of tuning;
    `training` bytes and `trained` multiply-adds that a training takes beside both models, `kept` bytes of its teacher's answers on disk."""
    found = tuple(layers)
    settings = resolve(plan, found)
    free = free_bytes() if available is None else available
    asked = needs(plan, found)
    tokens, most = TOKENS if tokens is None else tokens, block or MOST
    parts, how = _walk(checkpoint, found, plan, tokens, most, order), cut_of(plan)
    if runs:
        parts["scoring"] = _scoring(checkpoint, found, settings)
    if runs and training:
        parts["training"] = parts["scoring"] + training
    scores = runs and parts["scoring"] <= MARGIN * free
    counted = {k: v for k, v in parts.items() if k != "scoring" or scores}
    peak = max(counted.values())
    fits = peak <= MARGIN * free
    read = SCORED if limit is None else min(limit, SCORED)
    done = _passes(found, asked, tokens, most, order) + _solving(found, settings, most) + cost.work(checkpoint, how, tokens)
    done += _running(found) * ((2 * read if scores else 0) + TUNING * TUNED * steps) + (trained if scores else 0)
    seconds = done / (speed or known_speed()) + LOOP * _columns(found, settings)
    stage = max(counted, key=lambda k: counted[k])
    fewer, smaller, proposal = (0, 0, "") if fits else _proposal(checkpoint, found, plan, tokens, most, free, stage, order)
    return Preflight(peak, seconds, fits, free, proposal, parts, scores, fewer, smaller, kept)


def _walk(checkpoint: Checkpoint, layers: tuple[Layer, ...], plan: Plan, tokens: int, most: int, order: str) -> dict[str, int]:
    """Stage -> bytes of all but the scoring."""
    parts, how = _parts(layers, resolve(plan, layers), needs(plan, layers), tokens, most, order), cut_of(plan)
    return parts if how.idle else {**parts, "cutting": ENGINE + NETWORK + cost.memory(checkpoint, how, tokens)}


def free_bytes() -> int:
    """What this process may still take: the machine's free memory, or less where a container limits it, with what it holds already."""
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        free = min(free, int(limit) - used) if limit != "max" else free
    except (OSError, ValueError):
        pass
    return free + psutil.Process().memory_info().rss


def _parts(
    layers: tuple[Layer, ...], settings: Mapping[str, Setting], asked: frozenset[str], tokens: int, most: int, order: str
) -> dict[str, int]:
    busy = [x for x in layers if not settings[x.name].idle]
    base = ENGINE + (NETWORK if asked else 0)
    blocks = _blocks(layers)
    both = 2 if order == "corrected" else 1  # the original's hidden states too, and how the inputs of both differ
    moments = {b: both * _moments(members, most) for b, members in blocks.items()} if "inputs" in asked else {}
    # before and after the block that runs; one of the two while layers are compressed
    hidden = both * 2 * tokens * 4 * _width(layers) if "inputs" in asked and len(blocks) > 1 else 0
    out = {"compressing": base + max((_one(x, settings[x.name], moments.get(_block(x), 0), most) for x in busy), default=0) + hidden // 2}
    if moments:
        held = [
            moments[b] + 4 * sum(x.tensor.parameters for x in members) + max(x.tensor.nbytes for x in members) + _activations(members)
            for b, members in blocks.items()
        ]
        out["statistics"] = base + hidden + max(held)
    if asked & {"grads", "fisher"}:
        out["gradients"] = base + 4 * 4 * sum(x.tensor.parameters for x in layers)
    widest = max((x.tensor.parameters for x in busy), default=0)
    out["exporting"] = base + DECODE * widest
    return out


def _one(x: Layer, setting: Setting, moments: int, most: int) -> int:
    """Bytes while one layer is compressed: the layer as stored, its result, its block's moments and what the methods hold."""
    width = _inputs(x)
    held = [_held(_memory(m), x.tensor.parameters, width, span(width, most)) for m in _methods(setting)]
    return x.tensor.nbytes + x.tensor.parameters + moments + max(held, default=0) + ROWS


def _held(memory: tuple[float, float], weights: int, width: int, b: int) -> int:
    """Of a wide layer only `b` inputs are worked on at a time, beside all weights and their codes."""
    each, square = memory
    if b == width or not square:
        return int(each * weights + square * width * width)
    return int(APART * weights + each * weights * b / width + square * b * b)


def _methods(setting: Setting) -> list[Any]:
    return [r[n] for r, n in ((pruners, setting.prune), (quantizers, setting.quantize)) if n]


def _memory(method: Any) -> tuple[float, float]:
    return MEMORY.get(method.key, SOLVER if "inputs" in method.needs else PLAIN)


def _block(x: Layer) -> str:
    found = BLOCK.match(x.name)
    return found.group(0) if found else ""


def _blocks(layers: tuple[Layer, ...]) -> dict[str, list[Layer]]:
    """Layers by block; a convolutional network is one block, as its layers are all watched in one pass."""
    linear = [x for x in layers if x.prunable and x.kind in ("linear", "conv") and not x.protected]
    if any(x.kind == "conv" and _block(x) for x in linear):
        return {"": linear}
    out: dict[str, list[Layer]] = {}
    for x in linear:
        out.setdefault(_block(x), []).append(x)
    return out or {"": []}


def _inputs(x: Layer) -> int:
    return x.tensor.parameters // max(1, x.tensor.shape[0])


def _moments(members: list[Layer], most: int) -> int:
    """One matrix for the solver per input that is met, one for scores per layer."""
    total, met = 0, set()
    for x in members:
        width = _inputs(x)
        shared = _shared(x)
        total += 4 * width * span(width, most) * (1 if shared in met else 2)
        met.add(shared)
    return total


def _activations(members: list[Layer]) -> int:
    """Inputs and outputs of one window, each kept once to be added up, and the largest tile of a matrix product."""
    return 4 * WINDOW * sum(2 * _inputs(x) + x.tensor.shape[0] for x in members)


def _width(layers: tuple[Layer, ...]) -> int:
    """Of the hidden state: what an embedding gives, else the narrowest input."""
    embedding = next((x.tensor.shape[-1] for x in layers if x.kind == "embedding"), 0)
    return embedding or min((x.tensor.shape[1] for x in layers if x.kind == "linear"), default=0)


def _scoring(checkpoint: Checkpoint, layers: tuple[Layer, ...], settings: Mapping[str, Setting]) -> int:
    """Both models in float32 (what the plan leaves alone counts once), the original's kept answers and one window's logits."""
    whole = sum(x.tensor.parameters for x in layers)
    changed = sum(x.tensor.parameters for x in layers if not settings[x.name].idle)
    vocabulary = int(checkpoint.config.get("vocab_size") or 0)
    rows = SCORED if vocabulary else 0
    return ENGINE + NETWORK + 4 * (whole + changed) + min(KEEP, 4 * vocabulary * rows) + 5 * 4 * vocabulary * WINDOW


def _passes(layers: tuple[Layer, ...], asked: frozenset[str], tokens: int, most: int, order: str) -> float:
    """Multiply-adds of the passes over the calibration data, with their moments."""
    total, blocks = 0.0, _blocks(layers)
    if "inputs" in asked:
        forward, moments = PASSES[order]
        total += forward * tokens * sum(x.tensor.parameters for m in blocks.values() for x in m)
        total += moments * tokens / 2 * sum(_moments(m, most) / 4 for m in blocks.values()) * (EVERY - 1) / EVERY
    if asked & {"grads", "fisher"}:
        total += 3 * tokens * _running(layers)
    return total


def _running(layers: tuple[Layer, ...]) -> int:
    """Multiply-adds of one token through the network."""
    return sum(x.tensor.parameters for x in layers if x.kind in ("linear", "conv", "head"))


def _solving(layers: tuple[Layer, ...], settings: Mapping[str, Setting], most: int) -> float:
    """Multiply-adds of what the methods do to each layer; the factors of one matrix of moments are made once for all that share it."""
    total, met = 0.0, set()
    for x in layers:
        width = _inputs(x) if x.tensor.shape else 0
        b = span(width, most)
        for m in _methods(settings[x.name]):
            each, weight = _solver(m)
            shared = (m.key, *_shared(x))
            total += (ROUND + weight * b) * x.tensor.parameters + (0 if shared in met else each * width * b**2)
            met.add(shared)
    return total


def _columns(layers: tuple[Layer, ...], settings: Mapping[str, Setting]) -> int:
    """Steps of all solvers' loops: their time is what a small layer takes."""
    return sum(_inputs(x) for x in layers if x.tensor.shape for m in _methods(settings[x.name]) if _solver(m)[0])


def _solver(method: Any) -> tuple[float, float]:
    return WORK.get(method.key, SOLVING if "inputs" in method.needs else (0.0, 0.0))


def _shared(x: Layer) -> tuple[str, str, int]:
    """Layers that are alike here are given the same input."""
    return x.name.removesuffix(x.role), next((t[0] for t in TOGETHER if x.role in t), x.role), _inputs(x)


def _proposal(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], plan: Plan, tokens: int, most: int, free: int, stage: str, order: str
) -> tuple[int, int, str]:
    """The first change that would fit: the tokens or the block it takes (0 = it is another change), and in words."""

    def fits(plan: Plan, tokens: int, most: int) -> bool:
        return max(_walk(checkpoint, layers, plan, tokens, most, order).values()) <= MARGIN * free

    if stage == "training":
        return 0, 0, "train the scales alone (train = scales), or close other programs: training holds both models and all it changes"
    if stage == "cutting" and fits(replace(plan, cuts={}), tokens, most):
        return 0, 0, "leave out the cut: it holds the whole network in float32, pruning and quantization a block at a time"
    for fewer in (tokens // 2, tokens // 4, tokens // 8):
        if fewer >= 1024 and fits(plan, fewer, most):
            return fewer, 0, f"calibrate on {fewer} tokens instead of {tokens}"
    for smaller in (most // 2, most // 4, most // 8):
        if smaller >= NARROW and "inputs" in needs(plan, layers) and fits(plan, tokens, smaller):
            return 0, smaller, f"calibrate in blocks of {smaller} inputs, so that a wide layer is solved in parts"
    blind = replace(plan, model=replace(plan.model, prune="magnitude", quantize="rtn", knobs={}), groups={}, layers={})
    if needs(plan, layers) and fits(blind, tokens, most):
        return 0, 0, "choose methods that need no data (magnitude, rtn): they work layer by layer"
    settings = resolve(plan, layers)
    widest = max((x for x in layers if not settings[x.name].idle), key=lambda x: x.tensor.parameters, default=None)
    return 0, 0, f"close other programs, or exclude the largest layers ({widest.group if widest else stage})"


def known_speed() -> float:
    """Multiply-adds a second as last measured on this machine; a cautious constant before that."""
    return _noted() or SPEED


def _noted() -> float:
    """The speed as measured in today's way by a process on this many cores; 0 where none is."""
    try:
        found = json.loads((cache_root() / "speed.json").read_text(encoding="utf-8"))
        return float(found["rate"]) if (found["cores"], found["how"]) == (os.cpu_count(), HOW) else 0.0
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def measured_speed() -> float:
    """Measure for a fifth of a second (float32 products) what `known_speed` will say from now on; once a machine."""
    if known := _noted():
        return known
    import torch

    a, least, start = torch.ones(512, 512), float("inf"), time.perf_counter()
    while (begun := time.perf_counter()) - start < 0.2:
        a @ a
        least = min(least, time.perf_counter() - begun)
    path, rate = cache_root() / "speed.json", 512**3 / least
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps({"rate": rate, "cores": os.cpu_count(), "how": HOW}), encoding="utf-8")
    os.replace(aside, path)
    return rate


def _size(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
