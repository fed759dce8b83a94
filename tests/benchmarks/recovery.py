"""What training gives back of a slimmed model, at equal bytes: a cut convolutional network, a language model of few bits, SmolLM2.

Bits are dealt with by the studio's own solver and by rounding to nearest: what the solver wins is no longer there to be won by training.

The Fashion-MNIST network is trained here once (three epochs) and kept in the cache with its data; the addresses up to 1999 are the sample
language model's own training text. `--quick` takes the bundled digits and a few steps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "resources" / "samples")]

from core import environment

environment.prepare()

from core.compress import Compressed
from core.evaluate import judge
from core.export import export
from core.formats import targets
from core.formats.onnx_file import MODEL
from core.job import Job
from core.latency import latency
from core.legs import walked
from core.measure import interleaved
from core.recipe import Recipe
from core.resources import cache_root
from core.run import ready, run
from core.size import size
from core.stage import Stage, staged
from core.types import Choice, Plan
from tests.benchmarks import fedavg
from tests.benchmarks.table import machine, write

Row = dict[str, Any]
SAMPLES = ROOT / "resources" / "samples"
SEEDS = (0, 1, 2)
EPOCHS = 3  # of the dense network's own training
FED = (1, 8, 50)  # images at once in onnxruntime
WORDS = 400_000  # tokens of the addresses that are trained on
FIT: Row = {"train": "all", "batch": 16, "rate": 0.04, "statistics": "batch"}  # 200 images a step
CUT, UNNAMED = ("fine-tune", "distil"), "distil, all pictures without labels"
WAYS: dict[str, Row] = {
    "cut": {},  # and what closed forms make of it
    "fine-tune": {"recover": "finetune", "recovery": FIT},
    "distil": {"recover": "distil", "recovery": {**FIT, "temperature": 2.0, "share": 0.5}},
    UNNAMED: {"recover": "distil", "recovery": FIT | {"temperature": 2.0, "share": 1.0, "steps": 960}},
    "scales distilled": {"train": "scales", "steps": 800, "rate": 0.005},
    "scales and states distilled": {"train": "scales", "steps": 3200, "rate": 0.006, "hidden": 4.0},
    "QAT distilled": {"train": "all", "steps": 1600, "rate": 0.003},
    "a short run": {"train": "scales", "steps": 56},
}


@dataclass(frozen=True)
class Case:
    """What a cut network learns from, and how; chosen on the last 8 000 training images after learning from others, with a seed that is
    none of SEEDS."""

    images: int | None  # with labels; None: all 60 000
    steps: int
    both: Row = field(default_factory=dict)  # what both ways add to FIT
    own: Row = field(default_factory=dict)  # what distilling does
    ways: tuple[str, ...] = CUT


VARIED: Row = {"vary": 0.5, "mirror": True}
CASES = {
    "cnn": Case(None, 960),
    "cnn-few": Case(6000, 400, VARIED, {"share": 0.9, "temperature": 4.0}, (*CUT, UNNAMED)),
    "digits": Case(None, 24),
}
SHORT = ("a short run",)
LM: dict[str, dict[int, tuple[str, ...]]] = {  # quantizer -> bits -> ways
    "slim": {2: ("scales distilled", "QAT distilled"), 3: ("scales distilled", "scales and states distilled")},
    "rtn": {2: ("scales distilled",), 3: ("scales distilled",)},
}
GRID = {"group_size": 64, "symmetric": False}


def fashion() -> Path:
    """A ResNet of 32, 64 and 128 channels trained on Fashion-MNIST, with the 10 000 test images beside it and all 60 000 to learn from."""
    import numpy as np
    import sources
    import torch
    import vision
    from transformers import ResNetConfig, ResNetForImageClassification

    folder = cache_root() / "benchmarks" / "fashion-cnn-32"
    if (folder / "lessons" / "heldout.npz").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (images, labels), (held, truth) = sources.fashion("train"), sources.fashion("t10k")
    images, held, labels, truth = images[:, None], held[:, None], labels.astype(np.int64), truth.astype(np.int64)
    torch.manual_seed(SEEDS[0])
    config = ResNetConfig(
        num_channels=1, embedding_size=32, hidden_sizes=[32, 64, 128], depths=[2, 2, 2], layer_type="basic",
        id2label={i: str(i) for i in range(10)},
    )  # fmt: skip
    model, normalise = ResNetForImageClassification(config), vision.statistics(images)
    how = vision.Recipe(seed=0, epochs=EPOCHS, batch=64, peak=3e-3, weight_decay=0.02, turn_degrees=3, shift=0.04, zoom=0.05, mirror=True)
    card = {"task": "image-classification", "data": "heldout.npz", "normalise": normalise.card()}
    for place in (folder, folder / "lessons"):
        place.mkdir(exist_ok=True)
        (place / "sample.json").write_text(json.dumps(card), encoding="utf-8")
    vision.fit(model, torch.from_numpy(images), torch.from_numpy(labels), normalise, how)
    vision.save_held_out(folder, held, truth)
    vision.save_calibration(folder, images, labels)
    model.save_pretrained(folder)
    vision.save_held_out(folder / "lessons", images, labels)
    return folder


def unnamed() -> Path:
    """The 60 000 pictures without their labels."""
    import numpy as np

    path = fashion() / "lessons" / "pictures.npz"
    if not path.exists():
        with np.load(path.with_name("heldout.npz")) as known:
            np.savez_compressed(path, images=known["images"])
    return path


def addresses() -> Path:
    """The end of the text the sample language model was trained on."""
    import sources

    path = cache_root() / "benchmarks" / "addresses.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = [a.text for a in sources.addresses() if a.year <= 1999]
        path.write_text("\n\n".join(reversed(found)), encoding="utf-8")
    return path


def one(recipe: Recipe, case: str, stage: str, metric: str, dense: Recipe | None = None) -> Row:
    """One recipe carried out and scored."""
    start = time.process_time()
    found = run(recipe, Job())
    a, b = found.report.original.score, found.report.variant.score
    assert a is not None
    assert b is not None
    row = {
        "case": case, "stage": stage, "seed": recipe.plan.seed, "metric": metric, "score": b.metrics[metric].value,
        "dense": a.metrics[metric].value, "bytes": found.report.variant.size.total, "cpu_s": round(time.process_time() - start, 1),
        "notes": [n for n in found.report.notes if "loss on data" in n or "distance to" in n],
    }  # fmt: skip
    return row | ({"speedup": found.report.latency.ratio.value} if found.report.latency else {})


def cut(
    source: Path, data: Path | None, share: float, seeds: tuple[int, ...], ways: dict[str, Row], case: str, limit: int | None
) -> Iterator[Row]:
    """Channels cut, then closed forms, with their speed; then each way to train. Accuracy of the labels; what rows share is made once."""
    job, of = Job(), CASES[case]
    plain = Plan(Choice("magnitude", 0.0, "rtn", 16), tune=False, cuts={"channels": share})
    base = Recipe(source, plain, limit=limit, train=data, lessons=of.images if data else None)
    s, done = made(base, plain, job)
    assert s.reference is not None
    name = f"{source.name}, {share:.0%} of channels cut" + (f", {of.images:,} images" if of.images else "")
    said = {"case": name, "metric": "top1", "dense": judge(s.reference, None, job).metrics["top1"].value,
            "bytes": size(done.checkpoint, done.layers, done.settings, s.target).total, "n": s.reference.batches.n}  # fmt: skip
    first: list[tuple[str, Row, int]] = []
    if "cut" in ways:
        said_too = faster(s, done.weights(job), job)
        bare = made(base, replace(plain, cuts={"channels": share, "compensate": False}), job)
        yield said | said_too | {"stage": "cut", "seed": 0, "score": top1(*bare, job), "cpu_s": 0.0, "notes": ["nothing refitted"]}
        first = [("free recovery", {}, 0)]
    for way, how, seed in [*first, *((way, ways[way], seed) for seed in seeds for way in of.ways if way in ways)]:
        start, heard = time.process_time(), Job()
        knobs = {"steps": of.steps, **of.both, **(of.own if way == "distil" else {})} if way in CUT else {}
        knobs = {**how.get("recovery", {}), **knobs}
        asked = replace(plain, seed=seed, tune=None, **({**how, "recovery": knobs} if how else {}))
        learns = replace(s.recipe, plan=asked, **({"train": unnamed(), "lessons": None} if way == UNNAMED else {}))
        _, net, found = ready(replace(s, recipe=learns), replace(done, plan=asked), heard)
        spent = time.process_time() - start
        score = judge(s.reference, found, heard, net).metrics["top1"].value
        row = {"stage": way, "seed": seed, "score": score, "cpu_s": round(spent, 1), "notes": [n for n in heard.notes if "measured" in n]}
        yield said | row | ({"knobs": knobs} if how else {})


def made(base: Recipe, plan: Plan, job: Job) -> tuple[Stage, Compressed]:
    """A cut carried out."""
    s = staged(replace(base, plan=plan), job)
    return s, walked(s, job)


def top1(s: Stage, done: Compressed, job: Job) -> float:
    assert s.reference is not None
    return judge(s.reference, done.weights(job), job, s.net).metrics["top1"].value


def faster(s: Stage, weights: dict[str, Any], job: Job) -> Row:
    """How many times as fast the cut network is: as it runs here, and as its ONNX file does in onnxruntime, one thread each."""
    import torch

    assert s.reference is not None
    assert s.network is not None
    assert s.net is not None
    batches, dense, slim = s.reference.batches, s.network, s.net
    few, item = latency((dense, s.reference.weights), (slim, weights), batches, job), batches.items[0]
    with torch.inference_mode():
        many = interleaved(lambda: dense.forward(s.reference.weights, item), lambda: slim.forward(weights, item), job).ratio
    whole = replace(s.recipe, plan=replace(s.recipe.plan, cuts={}))
    files = [onnx(x, walked(x, job)) for x in (staged(whole, job), s)]
    x = item["pixel_values"].numpy()
    ratios = {}
    for n in FED:
        first, second = (partial(f.run, None, {f.get_inputs()[0].name: x[:n]}) for f in files)
        ratios[n] = interleaved(first, second, job, 1.0).ratio.median
    return {"speedup": few.ratio.value, "speedup_many": many.median, "speedup_onnx": ratios}


def onnx(s: Stage, done: Compressed) -> Any:
    """Exported and verified as any, opened by onnxruntime."""
    import onnxruntime

    assert s.reference is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    with TemporaryDirectory() as folder:
        export(done, Path(folder) / "out", targets["onnx"](), s.net, s.reference.batches, Job())
        return onnxruntime.InferenceSession(str(Path(folder) / "out" / MODEL), options, providers=["CPUExecutionProvider"])


def words(source: Path, data: Path | None, how: tuple[str, int], ways: dict[str, Row], tokens: int | None, limit: int) -> Iterator[Row]:
    """Few bits, then trained: distance to the original in KL."""
    quantize, bits = how
    name = f"{source.name}, {bits} bits g64" + (f", {quantize}" if quantize != "slim" else "")
    plan = Plan(Choice("magnitude", 0.0, quantize, bits, {f"{quantize}.{k}": v for k, v in GRID.items()}), tune=False)
    base = Recipe(source, plan, limit=limit, target="dense", train=data, lessons=tokens)
    yield one(base, name, "solved", "kl")
    for stage, knobs in ways.items():
        yield one(replace(base, plan=replace(plan, recover="distil", recovery=knobs)), name, stage, "kl")


def rows(quick: bool, only: str, seeds: tuple[int, ...], ways: dict[str, Row]) -> Iterator[Row]:
    if quick:
        yield from cut(SAMPLES / "digits-cnn", None, 0.8, SEEDS[:1], ways, "digits", 200)
        return
    for case in [c for name, c in fedavg.CASES.items() if only in ("", name)]:
        yield from fedavg.rows(case(fashion()), seeds)
    for kind in (x for x in CASES if x != "digits"):
        if only in ("", kind):
            yield from cut(fashion(), fashion() / "lessons" / "heldout.npz", 0.7, seeds, ways, kind, None)
    for quantize, bits in ((q, b) for q in LM for b in LM[q] if only in ("", "lm", q)):
        some = {k: v for k, v in ways.items() if k in LM[quantize][bits]}
        yield from words(SAMPLES / "sotu-lm", addresses(), (quantize, bits), some, WORDS, 4096)
    if only in ("", "smollm2"):
        from tests.real import smollm2

        yield from words(smollm2(), None, ("slim", 2), {k: v for k, v in ways.items() if k in SHORT}, None, 2048)


def show(r: Row) -> str:
    back = f"   {1 - r['score'] / r['solved']:6.1%} recovered" if r["metric"] == "kl" and r["solved"] else ""
    many = f" ({r['speedup_many']:.2f}x for 50)" if "speedup_many" in r else ""
    many += " (ONNX " + ", ".join(f"{x:.2f}x for {n}" for n, x in r["speedup_onnx"].items()) + ")" if "speedup_onnx" in r else ""
    speed = f"   {r['speedup']:.2f}x{many} faster" if "speedup" in r else ""
    said = f"{r['case']:40} {r['stage']:18} seed {r['seed']}   {r['metric']} {r['score']:.4g} of {r['dense']:.4g}"
    return f"{said}{back}{speed}   {r['bytes']:,} bytes   {r['cpu_s']} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", choices=("", *CASES, "lm", *LM, "smollm2", *fedavg.CASES))
    parser.add_argument("--seed", type=int, choices=fedavg.SEEDS, help="one seed alone")
    parser.add_argument("--way", choices=tuple(WAYS), help="one way to train alone")
    parser.add_argument("--json", type=Path, help="rows are added to a file's others as they come")
    asked = parser.parse_args()
    seeds = SEEDS if asked.seed is None else (asked.seed,)
    found: list[Row] = []
    for r in rows(asked.quick, asked.only, seeds, {asked.way: WAYS[asked.way]} if asked.way else WAYS):
        r["solved"] = next((x["score"] for x in found if x["case"] == r["case"] and x["stage"] == "solved"), None)
        r["run"] = machine()
        found.append(r)
        print(show(r), flush=True)
        if asked.json:
            write(asked.json, [*earlier(asked.json, {key(x) for x in found}), *found], asked.quick)


def key(r: Row) -> tuple[Any, ...]:
    return (r["case"], r["stage"], r["seed"])


def earlier(path: Path, now: set[tuple[Any, ...]]) -> list[Row]:
    """Other rows that a file holds already, each with the commit and the machine it was run on."""
    return [r for r in json.loads(path.read_text(encoding="utf-8"))["rows"] if key(r) not in now] if path.exists() else []


if __name__ == "__main__":
    main()
