"""The roofline model of one token or sample: each layer takes as long as its arithmetic or its bytes, whichever is longer."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..types import Checkpoint, Energy, Layer, Setting, Size, Task

if TYPE_CHECKING:
    import numpy as np

# The reference laptop: four fast cores with AVX2 and two channels of DDR4-3200. All are assumptions to compare plans with.
FLOPS = 200e9  # float32, reached in a good matrix product: 4 cores x 3.2 GHz x 32 flop, half of it
READ = 35e9  # bytes/s out of memory: 0.7 of the 51.2 GB/s on paper
CACHED = 120e9  # bytes/s out of the last cache
CACHE = 12e6  # bytes of it that weights may stay in
COMPUTING = 28.0  # watts of the package with the arithmetic units full (nominal class: 28 W)
READING = 20.0  # watts while it waits for memory
RANGE = 2.2  # x and / : how far a figure without a meter is off in 9 of 10 cases (fitted to CodeCarbon's CPU load profiles)
CONTEXT = 256  # tokens in the key-value cache while one more is written
SENTENCE = 32  # tokens an encoder reads
SIDE = 224  # pixels, when neither the config nor the data beside it says
FLOAT = 4  # bytes of an activation


@dataclass(frozen=True, slots=True)
class Work:
    """What the layers (and, last, the key-value cache) do for one token or sample, apart from the bytes they are stored in."""

    macs: np.ndarray
    moved: np.ndarray  # share of its stored bytes that a layer moves
    activations: np.ndarray  # bytes moved


def estimate(
    checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], size: Size, target: Any, task: Task
) -> Energy:
    """Modelled joules of one token (written one at a time) or of one sample. A zero saves nothing: dense kernels multiply it too."""
    import numpy as np

    found = tuple(layers)
    pace = _pace(sum(size.layers.values()))
    w, kept = work(checkpoint, found, task), size.layers
    stored = np.array([kept.get(x.name, x.tensor.nbytes) for x in found] + [0.0])
    computing, weights, moving = 2 * w.macs / FLOPS, stored * w.moved * pace, w.activations / CACHED
    busy = computing >= weights + moving
    parts = {
        "arithmetic": COMPUTING * float(computing[busy].sum()), "weights": READING * float(weights[~busy].sum()),
        "activations": READING * float(moving[~busy].sum()),
    }  # fmt: skip
    joules = sum(parts.values())
    return Energy(
        joules, joules / RANGE, joules * RANGE, parts, "token" if task == "causal-lm" else "sample", how(target, task, checkpoint)
    )


def roofline(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task, at: np.ndarray, stored: np.ndarray, total: float
) -> tuple[np.ndarray, np.ndarray]:
    """Joules and seconds of layers `at` (places in `layers`; the place after the last is the key-value cache) stored in so many bytes each,
    when all weights together take `total`: with that fixed, a plan's energy and time are sums over its layers."""
    import numpy as np

    w = work(checkpoint, layers, task)
    computing, moving = 2 * w.macs[at] / FLOPS, stored * w.moved[at] * _pace(total) + w.activations[at] / CACHED
    return np.where(computing >= moving, COMPUTING * computing, READING * moving), np.maximum(computing, moving)


def _pace(total: float) -> float:
    """Seconds a byte of weight takes, when so many bytes of weights share the cache."""
    hit = min(1.0, CACHE / (total or 1))
    return hit / CACHED + (1 - hit) / READ


def work(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> Work:
    """Every layer's work, from the headers alone; kept, because a slider asks again at every tick."""
    import numpy as np

    last: tuple[tuple[Layer, ...], Task, Work] | None = checkpoint.kept.get("work")
    if last is not None and last[1] == task and last[0] == layers:
        return last[2]
    tied, active = bool(checkpoint.tied), _active(checkpoint.config)
    positions = _positions(checkpoint, layers, task)
    rows = [_row(x, positions[x.name], active, x.kind == "embedding" and not (tied and task == "causal-lm")) for x in layers]
    rows.append(_attention(checkpoint.config) if task == "causal-lm" else (0.0, 0.0, 0.0))
    found = Work(*np.array(rows).T)
    checkpoint.kept["work"] = (layers, task, found)
    return found


def _row(x: Layer, times: float, active: float, looked_up: bool) -> tuple[float, float, float]:
    """A layer's multiplications, share of stored bytes moved, and bytes of activations."""
    shape, count = x.tensor.shape, x.tensor.parameters
    if looked_up:
        return 0.0, min(times, shape[0]) / max(shape[0], 1), 0.0  # only the rows looked up
    share = active if ".experts." in x.name else 1.0
    wide = shape[0] + (count // max(shape[0], 1) if len(shape) == 2 else shape[0]) if len(shape) > 1 else count
    return count * times * share if len(shape) > 1 else 0.0, share, FLOAT * wide * times


def how(target: Any, task: Task, checkpoint: Checkpoint) -> str:
    """One sentence: what was assumed."""
    what = {
        "causal-lm": f"one token written at batch 1 after {CONTEXT} tokens",
        "encoder": f"one sentence of {SENTENCE} tokens",
    }.get(task, f"one image of {_side(checkpoint)} pixels a side")
    packed = (
        "; transformers unpacks packed weights when it loads them, so this saving needs a runtime that streams them packed"
        if getattr(target, "key", "") == "packed"
        else ""
    )
    return (
        f"Modelled, not measured: {what} on a laptop of {FLOPS / 1e9:.0f} GFLOP/s ({COMPUTING:.0f} W) reading {READ / 1e9:.0f} GB/s "
        f"({READING:.0f} W), 90 % within x/÷ {RANGE}; weights move in the bytes they are stored in, arithmetic is float32, "
        f"zeros save nothing{packed}."
    )


def _positions(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> dict[str, float]:
    """Layer name -> how many times its weights are applied for one token or sample."""
    if task == "causal-lm":
        return {x.name: 1.0 for x in layers}
    if task == "encoder":
        return {x.name: 1.0 if "pooler" in x.name else float(SENTENCE) for x in layers}
    patch = checkpoint.config.get("patch_size")
    if isinstance(patch, int) and patch > 0:
        cells = float((_side(checkpoint) // patch) ** 2)
        return {x.name: 1.0 if x.kind == "head" or "pooler" in x.name else cells + (x.kind != "conv") for x in layers}
    return _sides(checkpoint, layers)


def _sides(checkpoint: Checkpoint, layers: tuple[Layer, ...]) -> dict[str, float]:
    """A convolutional network by custom: a 7-wide stem and its pooling each halve the side, and so does every doubling of channels."""
    side, widest, out = float(_side(checkpoint)), 0, {}
    for x in layers:
        shape = x.tensor.shape
        if x.kind != "conv":
            out[x.name] = 1.0
            continue
        if not widest and shape[-1] >= 7:
            side = max(side / 2, 1.0)
            out[x.name], side, widest = side * side, max(side / 2, 1.0), shape[0]
            continue
        if widest and shape[0] >= 2 * widest:
            side = max(side / 2, 1.0)
        widest = max(widest, shape[0])
        out[x.name] = side * side
    return out


def _attention(config: Mapping[str, Any]) -> tuple[float, float, float]:
    """Scores and mixing over the cached keys and values of one token."""
    depth, heads, width = (int(config.get(k) or 0) for k in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    size = int(config.get("head_dim") or (width // heads if heads else 0))
    kept = int(config.get("num_key_value_heads") or heads)
    return 2.0 * depth * heads * size * CONTEXT, 0.0, 2.0 * depth * kept * size * CONTEXT * FLOAT


def _active(config: Mapping[str, Any]) -> float:
    """Share of the experts one token visits."""
    visited = config.get("num_experts_per_tok") or 0
    total = config.get("num_local_experts") or config.get("num_experts") or config.get("n_routed_experts") or 0
    return min(1.0, visited / total) if visited and total else 1.0


def _side(checkpoint: Checkpoint) -> int:
    """Pixels a side, from the config or the held-out images beside it."""
    said = checkpoint.config.get("image_size")
    said = said[0] if isinstance(said, (list, tuple)) and said else said
    if isinstance(said, int) and said > 0:
        return said
    beside = (checkpoint.path if checkpoint.path.suffix == "" else checkpoint.path.parent) / "heldout.npz"
    return _stored_side(beside) or SIDE


@lru_cache(maxsize=32)
def _stored_side(path: Path) -> int:
    """The last dimension in the header of images.npy, without reading the images; 0 when there is none."""
    from numpy.lib import format as npy

    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as member:
            version = npy.read_magic(member)
            shape, _, _ = npy.read_array_header_1_0(member) if version == (1, 0) else npy.read_array_header_2_0(member)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, struct.error):
        return 0
    return int(shape[-1]) if len(shape) == 4 else 0
