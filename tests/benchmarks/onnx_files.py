"""Our ONNX files beside those of onnxruntime's own quantizers, from the same float32 graph: accuracy on held-out data, KL, bytes and time.

`quantize_dynamic` and `quantize_static` run with their defaults after `quant_pre_process`, the latter calibrated on the same samples
as ours. All figures are measured by onnxruntime with one thread, files in turns. `all` are plans that quantize every linear layer and
convolution, as the peers do; the others leave first and last layers alone, as the studio proposes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from core.compress import Compressed, compress, original
from core.data import Batches, load
from core.data.calibration import calibrating
from core.export import export
from core.formats import open_checkpoint, targets
from core.formats.onnx_file import MODEL as FILE
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.onnx_ranges import SAMPLES, filled
from core.plans import MODEL, Scope, edit
from core.resources import root
from core.store import Store
from core.types import Plan
from tests.benchmarks.table import write
from tests.real import minilm, smollm2

Row = dict[str, Any]
SHOWN = ("accuracy", "drop", "kl", "bytes", "ms", "faster")
TURNS = 25
OURS: dict[str, tuple[dict[str, Any], str]] = {
    "ours, dynamic": ({"bits": 8, "quantize": "int8dynamic"}, "plan"),
    "ours, static": ({"bits": 8, "knobs": {"rtn.granularity": "channel", "rtn.grid": "mse"}}, "static"),
    "ours, 4 bits": ({"bits": 4, "knobs": {"rtn.symmetric": False, "rtn.grid": "mse", "rtn.group_size": 64}}, "plan"),
    "ours, 4 bits, dynamic": ({"bits": 4, "knobs": {"rtn.symmetric": False, "rtn.grid": "mse", "rtn.group_size": 64}}, "dynamic"),
}


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """The samples that ours are calibrated on, too."""

    def __init__(self, file: Path, batches: Batches) -> None:
        session = opened(file)
        self.items = iter([filled(session, _numpy(item)) for item in _first(batches)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.items, None)


def _first(batches: Batches) -> Iterator[dict[str, Any]]:
    left = SAMPLES[batches.kind]
    for item in batches.items:
        if left > 0:
            yield {k: v[:left] for k, v in item.items() if k != "labels"}
        left -= len(next(iter(item.values())))


def _numpy(item: dict[str, Any]) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in item.items() if k != "labels"}


def opened(file: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def ours(checkpoint: Any, network: Any, scratch: Path, held: Path, batches: Batches, static: bool) -> Iterator[tuple[str, Path]]:
    """Our files, exported and verified as any."""
    found, store = layers(checkpoint), Store(scratch / "store")
    free = tuple(x.name for x in found if x.kind in ("linear", "conv", "head"))
    convs = tuple(x.name for x in found if x.kind == "conv")
    for i, (name, (how, activations)) in enumerate(OURS.items()):
        if (convs and "static" not in name and len(convs) > 1) or ("static" in name and not static):
            continue  # a CNN: what has no integer kernel there saves bytes alone
        for whole in (False, True) if "static" in name else (False,):
            plan = edit(Plan(), MODEL, **how)
            plan = edit(plan, Scope("layers", free), protect=False) if whole else plan
            plan = edit(plan, Scope("layers", convs), bits=16) if "static" not in name and convs else plan
            made: Compressed = compress(checkpoint, found, plan, None, store, Job())
            out = scratch / f"ours-{i}-{whole}"
            target = targets["onnx"](activations=activations)
            export(made, out, target, network, batches, Job(), lambda: calibrating(None, network, held).whole)
            yield f"{name}{', all' if whole else ''}", out / FILE


def theirs(plain: Path, scratch: Path, learnt: Batches, static: bool) -> Iterator[tuple[str, Path]]:
    """onnxruntime's own with their defaults, after the pre-processing they ask for (batch normalisation folded)."""
    ready = scratch / "ready.onnx"
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    for name in ("dynamic", "static")[: 1 + static]:
        file = scratch / f"theirs-{name}.onnx"
        if name == "dynamic":
            quantize_dynamic(ready, file)
        else:
            quantize_static(ready, file, Reader(ready, learnt))
        yield f"onnxruntime, {name}", file


def scored(file: Path, batches: Batches, task: str, whole: list[np.ndarray]) -> tuple[Row, list[np.ndarray]]:
    """Accuracy (cosine for an encoder) and KL to the original, over all held-out data."""
    session, answers = opened(file), []
    right = total = 0
    for item in batches.items:
        fed = filled(session, _numpy(item))
        out = session.run(None, fed)[0]
        if task == "encoder":
            mask = fed["attention_mask"][..., None]
            out = (out * mask).sum(1) / mask.sum(1)
            out = out / np.linalg.norm(out, axis=-1, keepdims=True)
        if "labels" in item:
            right += int((out.argmax(-1) == item["labels"].numpy()).sum())
            total += len(out)
        answers.append(out)
    pairs = list(zip(whole or answers, answers, strict=True))
    if task == "encoder":
        return {"accuracy": float(np.mean([(a * b).sum(-1).mean() for a, b in pairs])), "kl": None}, answers
    kl = float(np.mean(np.concatenate([_kl(a, b).ravel() for a, b in pairs])))
    same = float(np.mean(np.concatenate([(a.argmax(-1) == b.argmax(-1)).ravel() for a, b in pairs])))
    return {"accuracy": right / total if total else same, "agreement": same, "kl": kl}, answers


def _kl(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    p, q = (x.astype(np.float64) - x.max(-1, keepdims=True) for x in (a, b))
    p, q = (x - np.log(np.exp(x).sum(-1, keepdims=True)) for x in (p, q))
    found: np.ndarray = (np.exp(p) * (p - q)).sum(-1)
    return found


def timed(files: dict[str, Path], batches: Batches) -> dict[str, float]:
    """Milliseconds of one thread for a batch (images: 8, sentences: 4, a window of 128 tokens), medians of turns."""
    sessions = {n: opened(f) for n, f in files.items()}
    item = {k: v[:4, :128] if batches.kind != "images" else v[:8] for k, v in batches.items[0].items() if k != "labels"}
    took: dict[str, list[float]] = {n: [] for n in files}
    for _ in range(TURNS):
        for n, s in sessions.items():
            fed = filled(s, _numpy(item))
            start = time.process_time()
            s.run(None, fed)
            took[n].append(1e3 * (time.process_time() - start))
    return {n: statistics.median(t[1:]) for n, t in took.items()}


def model(name: str, source: Path, held: Path, limit: int | None, scratch: Path) -> Iterator[Row]:
    """All files of one model; the large one without static activations, whose calibration takes too long for a benchmark here."""
    checkpoint, static = open_checkpoint(source), name != "smollm2"
    network = attach(checkpoint)
    batches, learnt = load(held, network, limit), calibrating(None, network, held).whole
    few = load(held, network, 64)
    whole = original(checkpoint, layers(checkpoint), Store(scratch / "store"))
    export(whole, scratch / "plain", targets["onnx"](dtype="F32"), network, few, Job())
    files = {"float32": scratch / "plain" / FILE}
    files |= dict(ours(checkpoint, network, scratch, held, few, static))
    files |= dict(theirs(files["float32"], scratch, learnt, static))
    ms = timed(files, few)
    rows: dict[str, Row] = {}
    first: list[np.ndarray] = []
    for which, file in files.items():
        score, answers = scored(file, batches, network.task, first)
        first = first or answers
        rows[which] = {"model": name, "file": which, **score, "bytes": file.stat().st_size, "ms": ms[which]}
        rows[which] |= {"drop": rows["float32"]["accuracy"] - score["accuracy"], "faster": ms["float32"] / ms[which], "n": batches.n}
        yield rows[which]


def main() -> None:
    """Print the table, and write all rows with --json."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--quick", action="store_true", help="the digits alone")
    said.add_argument("--only", default="", metavar="A,B", help="these models alone")
    said.add_argument("--json", type=Path)
    asked = said.parse_args()
    os.environ.setdefault("SLIM_REAL", os.environ.get("SLIM_CACHE", ""))
    samples = root() / "samples"
    text = samples / "sotu-lm" / "heldout.txt"
    models = [("digits-cnn", samples / "digits-cnn", samples / "digits-cnn" / "heldout.npz", None)]
    if not asked.quick:
        models.append(("fashion-vit", samples / "fashion-vit", samples / "fashion-vit" / "heldout.npz", None))
        models.append(("sotu-lm", samples / "sotu-lm", text, 4096))
    for name, real, limit in (("minilm", minilm, 128), ("smollm2", smollm2, 512)):
        if not asked.quick and (not asked.only or name in asked.only.split(",")):
            models.append((name, real(), text, limit))
    models = [m for m in models if not asked.only or m[0] in asked.only.split(",")]
    rows: list[Row] = []
    for name, source, held, limit in models:
        with tempfile.TemporaryDirectory(prefix="slim-onnx-") as scratch:
            for r in model(name, source, held, limit, Path(scratch)):
                shown = "  ".join(f"{k} {r[k]:.5g}" for k in SHOWN if r.get(k) is not None)
                print(f"{r['model']:12} {r['file']:24} {shown}", flush=True)
                rows.append(r)
    if asked.json:
        write(asked.json, rows, asked.quick)


if __name__ == "__main__":
    main()
