"""What static activations need to know: the range of every value that is rounded, and how far rounding shifts each channel's mean.

Both are measured by onnxruntime on calibration data, in a fresh process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .data import Batches
from .formats.onnx_file import session
from .formats.onnx_static import Site, Static
from .job import Job

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto, NodeProto

SAMPLES = {"images": 256, "sounds": 256, "sentences": 256, "text": 16}  # windows of a text
KEPT = 8192  # numbers of a value that each batch adds to the search for its range
TRIED = 40  # ranges, from all of it down to 0.3: outliers are cut where that lowers the squared error (Nagel et al. 2021, 3.1)
LEVELS = 255


def ranges(plain: Path, static: Static, batches: Batches, job: Job) -> dict[str, tuple[float, int]]:
    """Value -> (scale, zero point) of its 8 bits, from the original in float32."""
    with _saved(batches) as data:
        args = {"file": str(plain), "values": list(static.values), "data": data}
        found: dict[str, tuple[float, int]] = child.run("core.onnx_ranges:probe_ranges", args, job)
    return found


def shifts(plain: Path, ours: Path, static: Static, batches: Batches, job: Job) -> dict[str, list[float]]:
    """Layer -> per output channel, the mean of (original - rounded) with the original's inputs: what its bias has to make good."""
    sites = {n: [s.conv, s.x, s.before, s.bias] for n, s in static.sites.items()}
    with _saved(batches) as data:
        args = {"plain": str(plain), "ours": str(ours), "sites": sites, "data": data}
        found: dict[str, list[float]] = child.run("core.onnx_ranges:probe_shifts", args, job)
    return found


class _saved:
    """Calibration batches in a file that is gone afterwards."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.folder = batches, tempfile.TemporaryDirectory(prefix="slim-ranges-")

    def __enter__(self) -> str:
        from safetensors.torch import save_file

        found: dict[str, Any] = {}
        left = SAMPLES[self.batches.kind]
        for i, item in enumerate(self.batches.items):
            found |= {f"{i}.{k}": v[:left].clone().contiguous() for k, v in item.items() if k != "labels" and left > 0}
            left -= len(next(iter(item.values())))
        save_file(found, str(Path(self.folder.name) / "data.safetensors"))
        return str(Path(self.folder.name) / "data.safetensors")

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def probe_ranges(file: str, values: list[str], data: str, job: Job) -> dict[str, tuple[float, int]]:
    """In the fresh process: every value seen, a few thousand numbers of each batch kept."""
    import numpy as np
    import onnx

    model = onnx.load(file)
    inner = [v for v in values if v not in {i.name for i in model.graph.input}]
    seen: dict[str, list[np.ndarray]] = {v: [] for v in values}
    ends: dict[str, tuple[float, float]] = dict.fromkeys(values, (0.0, 0.0))
    for fed, found in _run(model, inner, job.track(_items(data), "Ranges of activations"), Path(data).parent, job):
        for v in values:
            x = _real(found[v] if v in found else fed[v], fed).ravel()
            ends[v] = min(ends[v][0], float(x.min())), max(ends[v][1], float(x.max()))
            seen[v].append(x[:: max(1, len(x) // KEPT)])
    return {v: _best(np.concatenate(seen[v]), *ends[v]) for v in values}


def _best(x: np.ndarray, low: float, high: float) -> tuple[float, int]:
    """The range of least squared error among shares of the whole one."""
    import numpy as np

    tried = []
    for share in np.linspace(0.3, 1.0, TRIED):
        scale = float(np.float32(max((high - low) * share / LEVELS, 1e-12)))
        zero = int(np.clip(np.round(-low * share / scale), 0, LEVELS))
        back = (np.clip(np.round(x / scale) + zero, 0, LEVELS) - zero) * scale
        tried.append((float(np.square(x - back).sum()), scale, zero))
    _, scale, zero = min(tried)
    return scale, zero


def probe_shifts(plain: str, ours: str, sites: Mapping[str, list[Any]], data: str, job: Job) -> dict[str, list[float]]:
    """In the fresh process: the original with a rounded twin of every layer beside it."""
    import numpy as np
    import onnx

    model, slim = onnx.load(plain), onnx.load(ours)
    stored = {t.name: t for t in slim.graph.initializer}
    own = {t.name for t in model.graph.initializer}
    made = {n: Site(c, x, before, "", bias) for n, (c, x, before, bias) in sites.items()}
    for name, s in made.items():
        nodes, names = _twin(model, name, s)
        model.graph.node.extend(nodes)
        wanted = [t for t in names if t in stored and t not in own]
        model.graph.initializer.extend(stored[t] for t in wanted)
        own |= set(wanted)
    sums: dict[str, np.ndarray] = {}
    count: dict[str, int] = {}
    batches = job.track(_items(data), "Correcting biases")
    for fed, found in _run(model, [f"{n}_shift" for n in made], batches, Path(data).parent, job):
        for n, s in made.items():
            x = found[f"{n}_shift"]
            x = np.moveaxis(x, 1, -1) if s.conv else _real(x, fed)
            rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
            sums[n] = sums.get(n, 0.0) + rows.sum(0)
            count[n] = count.get(n, 0) + len(rows)
    return {n: [float(v) for v in sums[n] / count[n]] for n in made}


def _twin(model: ModelProto, name: str, s: Site) -> tuple[list[NodeProto], list[str]]:
    """The layer out of integers on the rounded input of the original, and the difference of both."""
    from onnx import NodeProto
    from onnx.helper import make_node

    x, w, out = f"{name}_tx", f"{name}_tw", f"{name}_ty"
    scale = [f"{s.x}_qs", f"{s.x}_qz"]
    parts = [f"{name}_codes", f"{name}_scale", f"{name}_zero"]
    nodes = [
        make_node("QuantizeLinear", [s.x, *scale], [f"{x}q"]), make_node("DequantizeLinear", [f"{x}q", *scale], [x]),
        make_node("DequantizeLinear", parts, [w], axis=0 if s.conv else 1),
    ]  # fmt: skip
    used = [*scale, *parts]
    if s.conv:
        used += [f"{name}_bias", f"{name}_bias_scale"]
        nodes.append(make_node("DequantizeLinear", used[-2:], [f"{name}_tb"], axis=0))
        conv = NodeProto()
        conv.CopyFrom(next(n for n in model.graph.node if n.op_type == "Conv" and n.input[1] == name))
        del conv.input[:], conv.output[:]
        conv.input.extend([x, w, f"{name}_tb"])
        conv.output.append(out)
        nodes.append(conv)
    else:
        nodes.append(make_node("MatMul", [x, w], [out]))
        gemm = any(n.op_type == "Gemm" and n.output[0] == s.before for n in model.graph.node)
        if gemm and s.bias:
            nodes.append(make_node("Add", [out, s.bias], [f"{out}b"]))
            out = f"{out}b"
    return [*nodes, make_node("Sub", [s.before, out], [f"{name}_shift"])], used


def _run(
    model: ModelProto, outputs: Iterable[str], items: Iterable[dict[str, np.ndarray]], folder: Path, job: Job
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """(what was fed, the outputs by name) of every batch."""
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info

    wanted = list(outputs)
    del model.graph.output[:]
    model.graph.output.extend(make_tensor_value_info(v, TensorProto.FLOAT, None) for v in wanted)
    ready = session(model, folder)
    for item in items:
        for a in range(0, len(next(iter(item.values()))), 16):
            job.check()
            fed = filled(ready, {k: v[a : a + 16] for k, v in item.items()})
            yield fed, dict(zip(wanted, ready.run(wanted, fed), strict=True))


def _items(data: str) -> list[dict[str, np.ndarray]]:
    """The batches that were saved."""
    from safetensors.numpy import load_file

    items: dict[str, dict[str, np.ndarray]] = {}
    for k, v in load_file(data).items():
        items.setdefault(k.split(".", 1)[0], {})[k.split(".", 1)[1]] = v
    return list(items.values())


def filled(session: Any, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a session wants, with every token real where a batch does not say."""
    import numpy as np

    first = next(iter(batch.values()))
    fill: dict[str, Any] = {"attention_mask": np.ones_like, "token_type_ids": np.zeros_like}
    fill["position_ids"] = lambda x: np.broadcast_to(np.arange(x.shape[1]), x.shape).astype(x.dtype)
    return {i.name: batch[i.name] if i.name in batch else fill[i.name](first) for i in session.get_inputs()}


def answered(session: Any, batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first output for a batch of any size: a program of fixed sizes is fed in pieces, filled up with zeros."""
    import numpy as np

    fed, shape = filled(session, batch), session.get_inputs()[0].shape
    first = next(iter(fed.values()))
    rows = shape[0] if isinstance(shape[0], int) else max(1, len(first))
    wide = shape[1] - first.shape[1] if first.ndim == 2 and isinstance(shape[1], int) else 0
    out = []
    for a in range(0, len(first), rows):
        part = {k: v[a : a + rows] for k, v in fed.items()}
        more = rows - len(next(iter(part.values())))
        if more or wide:
            part = {k: np.pad(v, [(0, more), (0, wide), *[(0, 0)] * (v.ndim - 2)]) for k, v in part.items()}
        out.append(session.run(None, part)[0][: rows - more])
    found: np.ndarray = np.concatenate(out)
    return found[:, : first.shape[1]] if wide else found


def _real(x: np.ndarray, fed: Mapping[str, np.ndarray]) -> np.ndarray:
    """Without padding."""
    mask = fed.get("attention_mask")
    found: np.ndarray = x[mask.astype(bool)] if mask is not None and x.ndim == 3 and x.shape[:2] == mask.shape else x
    return found
