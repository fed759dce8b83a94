"""Verification of an ONNX export: read again by the `onnx` package and run by onnxruntime, in a fresh process, beside the original."""

from __future__ import annotations

import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .compress import Compressed
from .formats import open_checkpoint, read
from .formats.onnx_file import TYPES, there
from .formats.onnx_graph import traced
from .formats.onnx_static import Site
from .int8 import running
from .job import Job
from .latency import fed
from .onnx_ranges import answered
from .onnx_write import dense, factor
from .types import Check, Setting, Verdict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .data import Batches
    from .networks import Network
    from .verify import Written

TOLERANCE = 1e-3  # of the outputs' standard deviation, where all is floats: sums in another order differ by about 1e-5
APART = 0.02  # nats (1 - cosine for an encoder) that activations in integers may cost in onnxruntime, against the plan with floats
AGAIN = 1.5  # times what the studio's own integers cost, where that is more
STATIC = 0.2  # the same where they are static: what the ranges cost is part of it
SAMPLES = 4  # of the first batch
TURNS = 7  # of both files, one after the other
EXACT = ("dense", "folded")  # forms that run in floats


def verify_onnx(
    file: Path, plain: Path | None, written: Written, compressed: Compressed, settings: Mapping[str, Setting], target: Any,
    network: Network | None, batches: Batches | None, job: Job,
) -> Verdict:  # fmt: skip
    """Reopen `file` in a fresh process; `plain` is the original in float32, which speed is measured against."""
    checkpoint = compressed.checkpoint
    forms = target.forms(checkpoint, compressed.layers, settings)
    layers = [x for x in compressed.layers if x.tensor.name in forms]
    held = {e.name for e in written.entries}
    graph = traced(checkpoint)
    static = graph.static(forms) if graph else None
    sites = static.sites if static else {}
    biased = {s.bias for s in sites.values()}  # corrected
    values = {
        x.tensor.name: _crc(target.values(x, settings[x.name], compressed.stored(x)))
        for x in job.track([x for x in layers if x.tensor.name not in sites], "Decoding for comparison")
    }
    idle = {x.tensor.name: x for x in layers if x.name not in compressed.outcomes}
    args: dict[str, Any] = {
        "file": str(file), "plain": str(plain or ""), "total": written.nbytes, "checksums": dict(written.checksums), "values": values,
        "entries": [[e.name, e.dtype, list(e.shape)] for e in written.entries], "source": str(checkpoint.weights or checkpoint.path),
        "untouched": [n for n, x in idle.items() if _same(x.tensor, held, written) and n not in biased],
        "forms": {n: [f.kind, f.bits, f.groups, f.zeros, list(f.shape)] for n, f in forms.items() if f.kind != "dense"},
        "exact": all(f.kind in EXACT or (f.kind == "nbits" and not f.fast) for f in forms.values()),
        "static": bool(sites), "task": network.task if network else "", "answers": "", "wanted": "",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="slim-verify-") as scratch:
        if sites:
            args["wanted"] = str(_wanted(Path(scratch) / "wanted.safetensors", compressed, sites))
        if network and batches:
            args["answers"] = str(_answers(Path(scratch) / "answers.safetensors", compressed, settings, target, network, batches, job))
        job.check()
        found = child.run("core.verify_onnx:probe", args, job)
    return Verdict(found["tool"], tuple(Check(*c) for c in found["checks"]))


def _wanted(file: Path, compressed: Compressed, sites: Mapping[str, Site]) -> Path:
    """What the layers in static integers have to decode to: the plan's values times what batch normalisation multiplies them by."""
    import torch
    from safetensors.torch import save_file

    found = {}
    for name, s in sites.items():
        w, times = dense(compressed, name), torch.as_tensor(factor(compressed, s))
        found[name] = (w * times.view(-1, *[1] * (w.ndim - 1))).contiguous()
    save_file(found, str(file))
    return file


def _same(tensor: Any, held: set[str], written: Written) -> bool:
    """Whether the file stores a tensor in the type it came in."""
    stored = {tensor.name, f"{tensor.name}_stored"} & held
    return any(e.name in stored and e.dtype == tensor.dtype for e in written.entries)


def _crc(t: Tensor) -> int:
    import torch

    return zlib.crc32(t.contiguous().reshape(-1).view(torch.uint8).numpy().data) if t.numel() else 0


def _answers(
    file: Path, compressed: Compressed, settings: Mapping[str, Setting], target: Any, network: Network, batches: Batches, job: Job
) -> Path:
    """The studio's own answers to the first batch: for the plan's weights as the file gives them back, run as the plan says and in floats,
    and for the original's."""
    import torch
    from safetensors.torch import save_file

    batch = {k: v[:SAMPLES].contiguous() for k, v in batches.items[0].items() if k != "labels"}
    timed = {k: v for k, v in fed(batches)[0].items() if k != "labels"}
    runs = running(compressed, network)
    with torch.inference_mode():
        layers = job.track(compressed.layers, "Answering for comparison")
        slim = {x.tensor.name: target.values(x, settings[x.name], compressed.stored(x)) for x in layers}
        answer, exact = runs.forward(slim, batch).float(), network.forward(slim, batch).float()
        whole = {x.tensor.name: read(x.tensor) for x in compressed.layers}
        job.check()
        before = network.forward(whole, batch).float()
    parts = {"answer": answer, "exact": exact, "before": before, **{f"batch.{k}": v for k, v in batch.items()}}
    save_file({k: v.clone().contiguous() for k, v in {**parts, **{f"timed.{k}": v for k, v in timed.items()}}.items()}, str(file))
    return file


def probe(job: Job, **args: Any) -> dict[str, Any]:
    """In the fresh process: all checks of one export."""
    import onnx
    import onnxruntime

    file, tool = Path(args["file"]), f"onnx {onnx.__version__}"
    checks = [_bytes(file, args["total"])]
    try:
        onnx.checker.check_model(str(file))  # as a path: beyond 2 GB it can't be handed over in one piece
        model = onnx.load(file)
    except Exception as e:  # noqa: BLE001  protobuf's own error has no public name
        return _told(tool, [*checks, Check("a sound ONNX graph", False, f"{type(e).__name__}: {e}"[:300])])
    sound = f"{len(model.graph.node)} nodes, opset {model.opset_import[0].version}"
    stored = {t.name: t for t in model.graph.initializer}
    checks += [Check("a sound ONNX graph", True, sound), _tensors(stored, args), _untouched(stored, args)]
    if all(c.passed for c in checks):
        checks.append(_decoded(stored, args))
    del model
    job.check()
    tool = f"onnxruntime {onnxruntime.__version__}, {tool}"
    return _told(tool, checks + _run(file, args, job) if all(c.passed for c in checks) else checks)


def _told(tool: str, checks: list[Check]) -> dict[str, Any]:
    return {"tool": tool, "checks": [[c.name, c.passed, c.detail] for c in checks]}


def _bytes(file: Path, planned: int) -> Check:
    found = there(file)
    return Check("file size", found == planned, f"{found} bytes on disk, {planned} planned")


def _tensors(stored: Mapping[str, Any], args: Mapping[str, Any]) -> Check:
    """Names, types, shapes and bytes of every tensor of the plan."""
    plan = {n: (TYPES[d], tuple(s), args["checksums"][n]) for n, d, s in args["entries"]}
    have = {n: (t.data_type, tuple(t.dims), zlib.crc32(t.raw_data)) for n, t in stored.items() if n in plan}
    wrong = sorted(n for n in plan if plan[n] != have.get(n))
    detail = f"{wrong[0]}: planned {plan[wrong[0]]}, found {have.get(wrong[0])}" if wrong else f"{len(plan)} tensors, bit for bit"
    return Check("tensors as written", not wrong, detail)


def _untouched(stored: Mapping[str, Any], args: Mapping[str, Any]) -> Check:
    """Tensors the plan leaves alone are the source's, bit for bit."""
    import torch

    names = args["untouched"]
    source = open_checkpoint(Path(args["source"])).tensors if names else {}

    def raw(name: str) -> bytes:
        return (stored.get(name) or stored[f"{name}_stored"]).raw_data

    bad = [n for n in names if zlib.crc32(read(source[n]).contiguous().reshape(-1).view(torch.uint8).numpy().data) != zlib.crc32(raw(n))]
    return Check("untouched tensors", not bad, f"{bad[0]} differs from the source" if bad else f"{len(names)} bit-identical to the source")


def _decoded(stored: Mapping[str, Any], args: Mapping[str, Any]) -> Check:
    """Every quantized layer taken apart again, by numpy alone: the very values that were compressed."""
    import numpy as np
    from onnx.numpy_helper import to_array
    from safetensors.numpy import load_file

    bad, wanted = [], load_file(args["wanted"]) if args["wanted"] else {}
    for name, form in args["forms"].items():
        values = decoded(*form, *(to_array(stored[f"{name}{end}"]) if f"{name}{end}" in stored else None for end in ENDS))
        if name in wanted:
            held = np.allclose(values, wanted[name], 1e-5, 1e-12)
        else:
            held = zlib.crc32(np.ascontiguousarray(values, np.float32).data) == args["values"][name]
        bad += [] if held else [name]
    detail = f"{bad[0]} decodes to other values" if bad else f"{len(args['forms'])} layers decode to the values that were compressed"
    return Check("same weights", not bad, detail)


ENDS = ("_codes", "_scale", "_zero")


def decoded(
    kind: str, bits: int, groups: int, zeros: bool, shape: list[int], codes: np.ndarray, scale: np.ndarray, zero: np.ndarray | None
) -> np.ndarray:
    """The values that codes, scales and zero points of a form stand for."""
    import numpy as np

    out = shape[0]
    if kind in ("integer", "static"):
        codes = codes.T
    if kind == "nbits" and bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1)
        zero = None if zero is None else np.stack([zero & 15, zero >> 4], -1).reshape(out, -1)[:, :groups]
    middle = np.float32(0 if kind == "integer" else 2 ** (bits - 1)) if zero is None else zero.astype(np.float32)
    middle = middle.reshape(out, groups, 1) if zeros or middle.size == out > 1 else middle
    x = (codes.reshape(out, groups, -1).astype(np.float32) - middle) * scale.astype(np.float32).reshape(out, groups, 1)
    found: np.ndarray = x.reshape(shape)
    return found


def _run(file: Path, args: Mapping[str, Any], job: Job) -> list[Check]:
    """Opened by onnxruntime, asked what the studio was asked, and timed beside the original in float32."""
    import onnxruntime
    from safetensors.numpy import load_file

    def session(path: str, literal: bool = False) -> Any:
        options = onnxruntime.SessionOptions()
        if literal:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    try:
        ours = session(str(file))
        if not args["answers"]:
            return [Check("opens in onnxruntime", True, "not run: there is no data to run it on")]
        given = load_file(args["answers"])
        batch, timed = (_part(given, p) for p in ("batch", "timed"))
        answer = _asked(ours, batch, args["task"])
        plain = session(args["plain"]) if args["plain"] else None
        before = _asked(plain, batch, args["task"]) if plain else answer
        literal = _asked(session(str(file), True), batch, args["task"]) if args["static"] else answer
    except Exception as e:  # noqa: BLE001  onnxruntime's errors share no base class of their own
        return [Check("opens in onnxruntime", False, f"{type(e).__name__}: {e}"[:300])]
    checks = [Check("opens in onnxruntime", True, f"{len(ours.get_inputs())} inputs, {ours.get_outputs()[0].name}")]
    if plain:
        checks.append(_close("same network in float32", before, given["before"]))
    if args["static"]:
        checks.append(_alike("integers as rounded step by step", answer, literal, args["task"], APART))
    most = STATIC if args["static"] else max(APART, AGAIN * _apart(given["answer"], given["exact"], args["task"])[0])
    exact = _close("same answers", answer, given["exact"]) if args["exact"] else None
    close = exact or _alike("same answers", answer, given["exact"], args["task"], most)
    return [*checks, close, _speed(lambda: _asked(ours, timed, ""), (lambda: _asked(plain, timed, "")) if plain else None, timed, job)]


def _part(given: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(f"{name}."): v for k, v in given.items() if k.startswith(f"{name}.")}


def _asked(session: Any, batch: Mapping[str, np.ndarray], task: str) -> np.ndarray:
    """The network's answer: an encoder's last hidden states become the mean over the real tokens."""
    import numpy as np

    found = answered(session, batch)
    if task != "encoder":
        return found
    mask = batch["attention_mask"][..., None].astype(np.float32)
    mean = (found * mask).sum(1) / np.maximum(mask.sum(1), 1) if found.ndim == 3 else found
    normed: np.ndarray = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    return normed


def _close(name: str, mine: np.ndarray, theirs: np.ndarray) -> Check:
    """Where all is floats: the largest difference, in standard deviations of the answers."""
    import numpy as np

    apart, allowed = float(np.abs(mine - theirs).max()), TOLERANCE * float(theirs.std())
    detail = f"largest difference {apart:.2e}, allowed {allowed:.2e} ({TOLERANCE:g} of the outputs' standard deviation)"
    return Check(name, apart <= allowed, detail)  # False for NaN


def _alike(name: str, mine: np.ndarray, theirs: np.ndarray, task: str, most: float) -> Check:
    """Where onnxruntime rounds activations in its own way: how far its answers are from those with float activations."""
    apart, same = _apart(mine, theirs, task)
    if task == "encoder":
        detail = f"cosine {1 - apart:.5f}, at least {1 - most:.5g} wanted; activations are integers there"
    else:
        detail = f"KL {apart:.2e} nats, allowed {most:.2g}; {same:.1%} of the choices alike; activations are integers there"
    return Check(name, apart <= most, detail)


def _apart(mine: np.ndarray, theirs: np.ndarray, task: str) -> tuple[float, float]:
    """KL in nats (1 - cosine for an encoder), and the share of choices that are alike."""
    import numpy as np

    if task == "encoder":
        return float(1 - (mine * theirs).sum(-1).mean()), 1.0
    p, q = (x - x.max(-1, keepdims=True) for x in (theirs.astype(np.float64), mine.astype(np.float64)))
    p, q = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (p, q))
    return float((np.exp(p) * (p - q)).sum(-1).mean()), float((p.argmax(-1) == q.argmax(-1)).mean())


def _speed(ours: Callable[[], Any], plain: Callable[[], Any] | None, batch: Mapping[str, np.ndarray], job: Job) -> Check:
    """Medians of both in turns, one thread; never a reason to fail."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for run, times in zip((plain, ours), took):
            job.check()
            start = time.process_time()
            _ = run() if run else None
            times.append(time.process_time() - start)
    before, after = (statistics.median(t[1:]) for t in took)
    shape, single = next(iter(batch.values())).shape, {"pixel_values": "images", "input_values": "frames"}
    n, unit = next(((shape[0], single[k]) for k in batch if k in single), (prod(shape), "tokens"))
    beside = f" ({1e3 * before:.3g} ms in float32: {before / after:.2f}x)" if plain else ""
    rate = f"{n / after:.0f} {unit}/s with 1 thread, measured on this machine"
    return Check("speed", True, f"{1e3 * after:.3g} ms for {n} {unit}{beside}, {rate}")
