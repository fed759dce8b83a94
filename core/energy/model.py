"""The roofline model of one token or sample: each layer takes as long as its arithmetic or its bytes, whichever is longer."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import pitch
from ..types import Checkpoint, Energy, Layer, Setting, Size, Task
from . import floor
from .devices import Device, Scene, default

if TYPE_CHECKING:
    import numpy as np

SENTENCE = 32  # tokens an encoder reads
SIDE = 224  # pixels, when neither the config nor the data beside it says
FLOAT = 4  # bytes of an activation
STREAMED = re.compile("^(I?Q|TQ|MXFP|NVFP)")  # GGUF's block types: llama.cpp multiplies with the blocks as they lie
ENGINE = "engine"  # the key of a target that stands for torch's own kernels, as this engine runs a variant
INTEGERS = "int8dynamic"
PARTS = ("arithmetic", "weights", "activations", "kv cache", "overhead")
PLACES = ("attention", "feed-forward", "convolution", "embedding", "output", "other", "kv cache")
UP = re.compile(r"(^|[._])up_proj([._]|$)")
ATTENTION = re.compile(r"(^|[._])(attn|attention|self_attn|q_proj|k_proj|v_proj|o_proj|qkv|query|key|value)([._]|$)")


@dataclass(frozen=True, slots=True)
class Work:
    """What the layers (and, last, the key-value cache) do for one token or sample, apart from the bytes they are stored in."""

    macs: np.ndarray
    moved: np.ndarray  # share of its bytes that a layer moves
    activations: np.ndarray  # bytes moved
    kv: np.ndarray  # bytes of cached keys and values moved, as float32
    parameters: np.ndarray
    streamed: np.ndarray  # whether the opened file's own bytes are multiplied as they lie
    operations: np.ndarray  # kernels started
    functions: np.ndarray  # numbers an activation function is taken of
    scores: np.ndarray  # of attention
    place: np.ndarray  # index in PLACES
    width: np.ndarray  # log2 of the narrower side
    conv: np.ndarray  # whether it is a convolution


def estimate(
    checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], size: Size, target: Any, task: Task,
    scene: Scene | None = None,
) -> Energy:  # fmt: skip
    """Modelled joules of one token (written one at a time, or read, as the scene says) or of one sample, on the scene's device. Only what
    the format's kernels there can use counts: a zero saves nothing, and neither do bits that are unpacked when the file is loaded.
    `target` None: the opened file as it lies."""
    import numpy as np

    found, scene = tuple(layers), scene or default()
    d = scene.device
    w = work(checkpoint, found, task, scene)
    stored = np.array([size.layers.get(x.name, x.tensor.nbytes) for x in found] + [0.0])
    moved = _loaded(w.parameters, stored, _streams(found, settings, target, d, w), d)
    whole = _integers(found, settings, target)
    speed = np.where(whole, d.integers, 1.0)
    computing, weights, moving, kv = _times(w, moved, float(moved.sum()), speed, d, whole=whole)
    memory, lost = weights + moving + kv, _lost(checkpoint, w, d) + whole * (w.activations * d.rounding + d.integer_launch * w.operations)
    arithmetic, reading = _joules(computing, memory, d)
    pace = reading / np.maximum(memory, 1e-300)
    rows = d.factor * np.array([arithmetic, pace * weights, pace * moving, pace * kv, d.reading * lost])
    parts = dict(zip(PARTS, rows.sum(1).tolist()))
    joules = sum(parts.values())
    by = {p: _by(rows, w.place == i) for i, p in enumerate(PLACES) if (w.place == i).any()}
    seconds = float(np.maximum(computing, memory).sum() + lost.sum())
    least = _least(w, moved, speed, d)
    unit = "token" if task == "causal-lm" else "sample"
    told = how(target, task, checkpoint, scene)
    return Energy(
        joules, joules / d.range, joules * d.range, parts, unit, told, d.level, least, {k: v for k, v in by.items() if v}, seconds, d.key
    )


def _by(rows: np.ndarray, at: np.ndarray) -> dict[str, float]:
    return {p: j for p, j in zip(PARTS, rows[:, at].sum(1).tolist()) if j}


def _times(
    w: Work, moved: np.ndarray, total: float, speed: np.ndarray | float, d: Device, at: Any = slice(None), whole: Any = False
) -> tuple[np.ndarray, ...]:
    """Seconds of arithmetic, of weights, of activations and of cached keys and values; what is `whole` is multiplied in integers."""
    import numpy as np

    pace, reached = _pace(total, d), np.where(whole, 1.0, _reached(w, d)[at])
    kv = w.kv[at] * (0.5 if d.halves else 1.0) * pace
    return 2 * w.macs[at] / (d.flops * speed * reached), moved * w.moved[at] * pace, w.activations[at] / d.cached, kv


def _joules(computing: np.ndarray, memory: np.ndarray, d: Device) -> tuple[np.ndarray, np.ndarray]:
    """Joules of arithmetic and of moving bytes, from the seconds each alone would take: both overlap, each adds its watts above rest for as
    long as it works, rest is borne by the longer one, and no more than full load is drawn. Less of either never costs more."""
    import numpy as np

    longer, busy = np.maximum(computing, memory), computing >= memory
    arithmetic = (d.computing - d.idle) * computing + d.idle * longer * busy
    reading = (d.reading - d.idle) * memory + d.idle * longer * ~busy
    capped = np.minimum(1.0, d.computing * longer / np.maximum(arithmetic + reading, 1e-300))
    return arithmetic * capped, reading * capped


def _lost(checkpoint: Checkpoint, w: Work, d: Device) -> np.ndarray:
    """Seconds beside products and bytes: kernels that start, activation functions, the exponentials of attention."""
    function = d.silu if checkpoint.config.get("hidden_act") in ("silu", "swish") else d.gelu
    return w.operations * d.launch + w.functions * function + w.scores * d.score


def _reached(w: Work, d: Device) -> np.ndarray:
    """Share of the product's speed that layers of this width reach; all of it where it was not measured."""
    import numpy as np

    linear, conv = (np.interp(w.width, (4, 6, 8), (*d.narrow[i : i + 2], 1.0)) for i in (0, 2))
    return np.where(w.conv, conv, linear)


def roofline(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task, at: np.ndarray, moved: np.ndarray, total: float,
    scene: Scene | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Joules and seconds of layers `at` (places in `layers`; the place after the last is the key-value cache) that move so many bytes each
    (see `loaded`), when all weights together move `total`: with that fixed, a plan's energy and time are sums over its layers."""
    import numpy as np

    scene = scene or default()
    d, w = scene.device, work(checkpoint, layers, task, scene)
    computing, weights, moving, kv = _times(w, moved, total, 1.0, d, at)
    memory, lost = weights + moving + kv, _lost(checkpoint, w, d)[at]
    joules = sum(_joules(computing, memory, d)) + d.reading * lost
    return joules * d.factor, np.maximum(computing, memory) + lost


def loaded(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task, at: np.ndarray, stored: np.ndarray, settings: Iterable[Setting],
    target: Any, scene: Scene | None = None,
) -> np.ndarray:  # fmt: skip
    """Bytes of weights that layers `at` (rows: a setting each) hold once they are loaded by what runs the format there."""
    import numpy as np

    scene = scene or default()
    d, w = scene.device, work(checkpoint, layers, task, scene)
    streams = np.array([_realised(s, target, d) for s in settings], bool)
    return _loaded(w.parameters[at], stored, streams.reshape(-1, *[1] * (stored.ndim - 1)), d)


def _loaded(parameters: np.ndarray, stored: np.ndarray, streams: np.ndarray, d: Device) -> np.ndarray:
    """As stored where a kernel takes it so; else widened to what the device computes in."""
    import numpy as np

    wide = np.where(stored <= 2.01 * parameters, 2.0 if d.halves else 4.0, 4.0)
    return np.where(streams | (parameters == 0), stored, parameters * wide)


def _streams(layers: tuple[Layer, ...], settings: Mapping[str, Setting], target: Any, d: Device, w: Work) -> np.ndarray:
    """Per layer (and the cache): whether its bytes are multiplied as they are stored."""
    import numpy as np

    if target is None or not settings:
        return w.streamed
    known: dict[int, bool] = {}
    out = []
    for x in layers:
        s = settings[x.name]
        on = known.get(id(s))
        out.append(known.setdefault(id(s), _realised(s, target, d)) if on is None else on)
    return np.array([*out, True])


def _realised(s: Setting, target: Any, d: Device) -> bool:
    """Whether what runs this format on this device has a kernel for the bits; a format this table does not know is taken at its bytes."""
    key = getattr(target, "key", "")
    if key == "packed":
        return bool(s.quantize) and s.bits in d.packed
    if key == "onnx":  # what it turns into floats when it loads is read as floats
        return bool(s.quantize) and (s.quantize == INTEGERS or s.bits <= 4 or target.activations != "plan")
    return key == ENGINE and s.quantize == INTEGERS if key in ("dense", ENGINE) else True


def _integers(layers: tuple[Layer, ...], settings: Mapping[str, Setting], target: Any) -> np.ndarray | bool:
    """Which layers torch's own kernel runs in integers: only where this engine runs the variant itself."""
    import numpy as np

    if getattr(target, "key", "") != ENGINE:
        return False
    return np.array([*(settings[x.name].quantize == INTEGERS for x in layers), False])


def _least(w: Work, moved: np.ndarray, speed: np.ndarray | float, d: Device) -> float:
    """The physics floor of the same multiplications and bytes, every weight read once out of the nearest memory that holds them all."""
    import numpy as np

    mac = np.where(np.asarray(speed) > 1, floor.MAC["int8"], floor.MAC["float16" if d.halves else "float32"])
    out = floor.CACHE if moved.sum() <= d.cache else floor.MEMORY
    kv = w.kv * (0.5 if d.halves else 1.0)
    return float((w.macs * mac).sum() + ((moved * w.moved + kv) * out).sum() + (w.activations * floor.CACHE).sum())


def _pace(total: float, d: Device) -> float:
    """Seconds a byte of weight takes, when so many bytes of weights share the cache."""
    hit = min(1.0, d.cache / (total or 1))
    return hit / d.cached + (1 - hit) / d.read


def work(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task, scene: Scene) -> Work:
    """Every layer's work, from the headers alone; kept, because a slider asks again at every tick."""
    import numpy as np

    asked = (task, scene.phase, scene.batch, scene.context)
    last: tuple[tuple[Layer, ...], Any, Work] | None = checkpoint.kept.get("work")
    if last is not None and last[1] == asked and last[0] == layers:
        return last[2]
    positions, rows = _positions(checkpoint, layers, task), _rows(checkpoint, layers, task)
    macs, kv, scores = _attention(checkpoint, layers, task, scene)
    rows.append((macs, 0.0, 0.0))
    table = np.array(rows).T
    # weights are read once for all tokens that are there at the same time
    together = scene.batch * (scene.context if task == "causal-lm" and scene.phase == "prefill" else 1)
    shared = np.array([*(1.0 if x.kind == "embedding" and not rows[i][0] else 1.0 / together for i, x in enumerate(layers)), 1.0])
    found = Work(
        table[0], table[1] * shared, table[2], np.array([0.0] * len(layers) + [kv]),
        np.array([*(float(x.tensor.parameters) for x in layers), 0.0]),
        np.array([*(bool(STREAMED.match(x.tensor.dtype)) for x in layers), True]),
        np.array([*(float(x.kind not in ("bias", "other")) for x in layers), 0.0]) * np.where(table[0] + table[1] > 0, shared, 0.0),
        np.array([*(_rises(x) * positions[x.name] for x in layers), 0.0]),
        np.array([0.0] * len(layers) + [scores]),
        np.array([*(PLACES.index(_place(x)) for x in layers), PLACES.index("kv cache")]),
        np.log2([*(float(max(1, min(x.tensor.shape[:2], default=1))) for x in layers), 256.0]),
        np.array([*(x.kind == "conv" for x in layers), False]),
    )  # fmt: skip
    checkpoint.kept["work"] = (layers, asked, found)
    return found


def products(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> list[tuple[float, float]]:
    """Each layer's multiplications, and bytes of its inputs and outputs as float32, for one token or sample."""
    return [(macs, activations) for macs, _, activations in _rows(checkpoint, layers, task)]


def _rows(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> list[tuple[float, float, float]]:
    tied, active = bool(checkpoint.tied), _active(checkpoint.config)
    positions = _positions(checkpoint, layers, task)
    return [_row(x, positions[x.name], active, x.kind == "embedding" and not (tied and task == "causal-lm")) for x in layers]


def _place(x: Layer) -> str:
    """Where in the network a layer stands: what the stacked bars are by."""
    known = {"conv": "convolution", "embedding": "embedding", "head": "output", "linear": "feed-forward"}
    return "attention" if x.kind == "linear" and ATTENTION.search(x.name) else known.get(x.kind, "other")


def _row(x: Layer, times: float, active: float, looked_up: bool) -> tuple[float, float, float]:
    """A layer's multiplications, share of stored bytes moved, and bytes of activations."""
    shape, count = x.tensor.shape, x.tensor.parameters
    if looked_up:
        return 0.0, min(times, shape[0]) / max(shape[0], 1), 0.0  # only the rows looked up
    share = active if ".experts." in x.name else 1.0
    wide = shape[0] + (count // max(shape[0], 1) if len(shape) == 2 else shape[0]) if len(shape) > 1 else count
    return count * times * share if len(shape) > 1 else 0.0, share, FLOAT * wide * times


def how(target: Any, task: Task, checkpoint: Checkpoint, scene: Scene) -> str:
    """One sentence: what was assumed."""
    d = scene.device
    said = {"encoder": f"one sentence of {SENTENCE} tokens", "audio-classification": f"one frame of {pitch.WINDOW} samples"}
    what = said.get(task, f"one image of {_side(checkpoint)} pixels a side")
    if task == "causal-lm":
        what = f"one token of {scene.context} read at once" if scene.phase == "prefill" else f"one token written after {scene.context}"
    bits = " and ".join(map(str, d.packed))
    packed = f"; only {bits} bits run packed there, others are unpacked when loaded" if bits else "; packed weights are unpacked there"
    rounded = "; rounded values in a dense file save nothing"
    dense = rounded if d.halves else "; rounded values and 16-bit floats in a dense file save nothing"
    floats = "; codes that are floats once they are loaded save nothing"
    rest = {"packed": packed, "dense": dense, "onnx": floats}.get(getattr(target, "key", ""), "")
    return (
        f"{'Calibrated' if d.level == 'B' else 'Modelled'}, not measured: {what} at batch {scene.batch} on {d.title} ({d.covers}), "
        f"{d.flops / 1e9:.4g} GFLOP/s at {d.computing:.3g} W, {d.read / 1e9:.3g} GB/s at {d.reading:.3g} W, 90 % within x/÷ {d.range:.2g}; "
        f"zeros save nothing{rest}."
    )


def _positions(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task) -> dict[str, float]:
    """Layer name -> how many times its weights are applied for one token or sample."""
    if task == "causal-lm":
        return {x.name: 1.0 for x in layers}
    if task == "encoder":
        return {x.name: 1.0 if "pooler" in x.name else float(SENTENCE) for x in layers}
    if task == "audio-classification":
        return {x.name: float(pitch.PLACES.get(x.name, 1)) for x in layers}
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


def _attention(checkpoint: Checkpoint, layers: tuple[Layer, ...], task: Task, scene: Scene) -> tuple[float, float, float]:
    """Multiplications of scores and mixing of one token (over the cached keys and values) or sample, the bytes of those keys and values, as
    float32, and the scores themselves. Tokens read at once see half of each other and share one reading of the cache."""
    config = checkpoint.config
    depth, heads, width = (int(config.get(k) or 0) for k in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    size = int(config.get("head_dim") or (width // heads if heads else 0))
    if task != "causal-lm":
        seen = max(_positions(checkpoint, layers, task).values(), default=0.0) if heads else 0.0
        return 2.0 * depth * heads * size * seen * seen, 0.0, depth * heads * seen * seen
    kept = int(config.get("num_key_value_heads") or heads)
    seen, read = (scene.context / 2, 1.0) if scene.phase == "prefill" else (float(scene.context), float(scene.context))
    return 2.0 * depth * heads * size * seen, 2.0 * depth * kept * size * read * FLOAT, depth * heads * seen


def _rises(x: Layer) -> float:
    """Numbers an activation function follows on: of the layer that widens a feed-forward part, one of gate and up."""
    out, into = (*x.tensor.shape, 0, 0)[:2]
    wider = x.kind == "linear" and out > into > 0 and not ATTENTION.search(x.name) and not UP.search(x.name)
    return float(out) if wider else 0.0


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
