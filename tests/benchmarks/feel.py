"""How the studio feels: start, tree, tick, prediction, gaps of the window's thread, quantizer throughput; each beside its limit."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.table import write

Row = tuple[str, float, str, str]  # name, value, unit, limit

WINDOW = """
import os
from PySide6.QtCore import QEvent, QObject
from studio.app import build
app, window = build()
class First(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.UpdateRequest:
            watched.event(event)
            os._exit(0)
        return False
first = First()
window.installEventFilter(first)
window.show()
app.exec()
"""
TREE = """
import resource, sys, time
from pathlib import Path
from core.job import Job
from studio.work import open_model
start = time.perf_counter()
found = open_model(Path(sys.argv[1]), "", Job())
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, len(found.layers))
"""


def child(code: str, *args: str) -> tuple[float, str]:
    """Wall time of a fresh Python and what it printed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout


def start(quick: bool) -> list[Row]:
    """From process start to the first painted window, against importing torch; the best of some runs, files in the page cache."""
    n = 2 if quick else 5
    window = min(child(WINDOW)[0] for _ in range(n))
    torch = min(child("import torch")[0] for _ in range(n))
    return [
        ("first painted window", window, "s", ""),
        ("python -c 'import torch'", torch, "s", ""),
        ("window / import torch", window / torch, "", "< 0.5"),
    ]


def shard(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    """A safetensors file with a true header over a hole: its size without its bytes."""
    header, at = {}, 0
    for name, shape in tensors.items():
        n = 2
        for d in shape:
            n *= d
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        f.truncate(8 + len(text) + at)


def block(i: int, wide: int = 4096, inner: int = 14336) -> dict[str, tuple[int, ...]]:
    """One block in the shapes of an 8-billion-parameter llama."""
    shapes: dict[str, tuple[int, ...]] = {f"self_attn.{p}_proj": (wide if p in "qo" else wide // 4, wide) for p in "qkvo"}
    shapes |= {"mlp.gate_proj": (inner, wide), "mlp.up_proj": (inner, wide), "mlp.down_proj": (wide, inner)}
    shapes |= {"input_layernorm": (wide,), "post_attention_layernorm": (wide,)}
    return {f"model.layers.{i}.{k}.weight": v for k, v in shapes.items()}


def big(folder: Path) -> None:
    """32 blocks in 8 shards and an index: 16 GB of name, a few kB of disk."""
    names: dict[str, str] = {}
    for s in range(8):
        tensors = {k: v for i in range(4 * s, 4 * s + 4) for k, v in block(i).items()}
        tensors |= {"model.embed_tokens.weight": (128256, 4096)} if s == 0 else {}
        tensors |= {"lm_head.weight": (128256, 4096), "model.norm.weight": (4096,)} if s == 7 else {}
        file = f"model-{s + 1:05d}-of-00008.safetensors"
        shard(folder / file, tensors)
        names |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))


def tree(quick: bool) -> list[Row]:
    """Open the 16 GB shape in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        big(Path(folder))
        seconds, megabytes, found = (float(x) for x in child(TREE, folder)[1].split())
    assert found == 32 * 9 + 3, f"{found:.0f} layers in the tree"
    return [("tree of 16 GB in 8 shards", seconds, "s", "< 1"), ("its peak memory", megabytes, "MB", "< 300")]


def until(app: Any, true: Callable[[], bool], seconds: float = 120) -> None:
    """Run the window's loop until something holds."""
    from PySide6.QtCore import QEventLoop, QTimer

    loop, end = QEventLoop(), time.monotonic() + seconds
    timer = QTimer(interval=10)
    timer.timeout.connect(lambda: loop.quit() if true() or time.monotonic() > end else None)
    timer.start()
    loop.exec()
    if not true():
        raise SystemExit("feel: gave up waiting after 120 s")


def p99(found: list[float]) -> float:
    """The 99th percentile, in milliseconds."""
    return 1e3 * sorted(found)[min(len(found) - 1, int(0.99 * len(found)))]


def five_hundred(folder: Path, app: Any, session: Any) -> None:
    """Open a model of 500 layers, after the worker has counted the file's zeros."""
    shard(folder / "model.safetensors", {f"model.layers.{i // 5}.mlp.p{i % 5}_proj.weight": (512, 512) for i in range(500)})
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    session.open(folder)
    until(app, lambda: session.snapshot.original is not None and not session.engine.busy())
    session.set_target("packed")  # a dense export has the same size at every tick: nothing would be redrawn


def ticks(quick: bool) -> list[Row]:
    """A tick of the amount and bits sliders to charts drawn again, on 500 layers, after the worker has counted the file's zeros."""
    from PySide6.QtWidgets import QHBoxLayout, QWidget

    from studio.app import build
    from studio.charts import charts

    app, window = build()
    session = window.session
    with tempfile.TemporaryDirectory() as folder:
        five_hundred(Path(folder), app, session)
        row = QWidget()
        line = QHBoxLayout(row)
        parts = [charts[n](session, row) for n in charts]
        for part in parts:
            line.addWidget(part)
        row.resize(780, 270)
        row.show()
        took, sizes = [], set()
        for i in range(60 if quick else 400):
            begin = time.perf_counter()
            session.choose(amount=(i % 90) / 100, bits=2 + i % 7, gesture=1)
            for part in parts:
                part.show(session.snapshot)
            row.grab()
            sizes.add(session.snapshot.size and session.snapshot.size.total)
            took.append(time.perf_counter() - begin)
        session.close()
    assert len(sizes) > 3, "the ticks changed nothing, so nothing was redrawn"
    return [("slider tick to redrawn charts, 500 layers, p99", p99(took[5:]), "ms", "< 16")]


def prices(layers: Any) -> Any:
    """A sensitivity of so many layers with a full table each, in the shape a pass leaves."""
    from core.sensed import Option, Sensed, Sensitivity
    from core.types import Setting

    def options(i: int) -> tuple[Option, ...]:
        rounded = [Option(Setting(quantize="rtn", bits=b), "round", (1 + i % 7) * 4.0**-b, 2 * 4.0**-b) for b in (2, 3, 4, 5, 6, 8)]
        pruned = [Option(Setting(prune="magnitude", amount=a), "prune", a * a / 3, a * a) for a in (0.3, 0.5, 0.7, 0.8)]
        return (*rounded, *pruned)

    found = {x.name: Sensed(x.name, 0.001 * (1 + i % 97), 0.2, "measured", options(i)) for i, x in enumerate(layers)}
    return Sensitivity(found, "feel", done=len(found), total=len(found))


def churn(job: Any) -> None:
    """Work for the worker that ends when it is told to."""
    import torch

    x = torch.randn(512, 512)
    while True:
        job.check()
        x = (x @ x).clamp(-1, 1)


def predictions(quick: bool) -> list[Row]:
    """A tick of both sliders to its prediction on the screen, hollow with its interval, on 500 layers, while the worker computes."""
    from dataclasses import replace

    from core.predict import Predictor
    from core.types import Measured, Score
    from studio.app import build
    from studio.charts import charts

    app, window = build()
    session = window.session
    with tempfile.TemporaryDirectory() as folder:
        five_hundred(Path(folder), app, session)
        score = Score("causal-lm", {"perplexity": Measured(20.0, 0.5), "kl": Measured(0.0)}, 2048, "tokens", "", 1, 1)
        session._set(replace(session.snapshot, original=replace(session.snapshot.original, score=score)))
        session.pricing.predictor = Predictor.of(prices(session.snapshot.layers))
        chart = charts["accuracy"](session)
        chart.resize(300, 270)
        chart.show()
        session.engine.run("churn", "Churning", churn)
        took, shown = [], set()
        for i in range(60 if quick else 400):
            begin = time.perf_counter()
            session.choose(amount=(i % 90) / 100, bits=2 + i % 7, gesture=1)
            chart.show(session.snapshot)
            chart.grab()
            took.append(time.perf_counter() - begin)
            shown.add(float(chart.hollow.points()[0].pos().y()))
        session.engine.cancel("churn")
        session.close()
    assert len(shown) > 30, "the ticks predicted the same, so nothing was redrawn"
    return [("slider tick to prediction on screen, 500 layers, worker busy, p99", p99(took[5:]), "ms", "< 16")]


def gaps(quick: bool) -> list[Row]:
    """The longest time the window's thread did not answer while the worker compressed and evaluated."""
    from PySide6.QtCore import QTimer

    from studio.app import build

    app, window = build()
    window.show()
    session = window.session
    session.open(ROOT / "resources" / "samples" / "sotu-lm")
    until(app, lambda: bool(session.snapshot.original and session.snapshot.original.score and session.snapshot.original.score.complete))
    last = [time.perf_counter()]
    found: list[float] = []

    def beat() -> None:
        now = time.perf_counter()
        found.append(now - last[0])
        last[0] = now

    timer = QTimer(interval=5)
    timer.timeout.connect(beat)
    last[0] = time.perf_counter()
    timer.start()
    for n, bits in enumerate((4,) if quick else (8, 4, 3)):
        session.choose(bits=bits, amount=0.3)
        until(app, partial(_measured, session, n))
    timer.stop()
    return [("longest gap of the window while the worker measures", 1e3 * max(found), "ms", "< 50")]


def throughput(quick: bool) -> list[Row]:
    """Round-to-nearest, 4 bits, groups of 64, asymmetric, float32 in, one thread; the peers round the same tensor in their own process."""
    import torch

    from core.quantize import quantizers
    from core.types import Seen

    torch.set_num_threads(1)
    side, times = (2048, 5) if quick else (4096, 9)
    w = torch.randn(side, side, generator=torch.Generator().manual_seed(0))
    method = quantizers["rtn"](bits=4, granularity="group", group_size=64, symmetric=False)
    method(w, Seen())
    ours = min(_timed(lambda: method(w, Seen())) for _ in range(times))
    peers = rounded_by_peers(side, times)
    named = "round to nearest, 4 bits g64, 1 thread: "
    limit = f"> {w.nbytes / min(peers.values()) / 1e9:.3g}" if peers else ""
    rows: list[Row] = [(named + "ours", w.nbytes / ours / 1e9, "GB/s", limit)]
    return rows + [(named + name, w.nbytes / seconds / 1e9, "GB/s", "") for name, seconds in peers.items()]


def rounded_by_peers(side: int, times: int) -> dict[str, float]:
    """Seconds that each peer takes, out of their own venv."""
    python = ROOT / ".peers" / "bin" / "python"
    if not python.exists():
        print("round to nearest: torchao and optimum-quanto: peer not installed (make peers)")
        return {}
    script = ROOT / "tests" / "benchmarks" / "peers" / "rtn.py"
    done = subprocess.run([python, script, str(side), "1", str(times)], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(session: Any, n: int) -> bool:
    return len(session.snapshot.variants) > n


def _timed(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def main() -> None:
    """Print the table, and write it with --json."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--quick", action="store_true")
    said.add_argument("--json", type=Path)
    asked = said.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["SLIM_CACHE"] = tempfile.mkdtemp(prefix="slim-feel-")
    os.environ["SLIM_SETTINGS"] = os.environ["SLIM_CACHE"] + "/settings.ini"
    rows: list[Row] = []
    for part in (start, tree, ticks, predictions, gaps, throughput):
        for name, value, unit, limit in part(asked.quick):
            print(f"{name:<52} {value:>9.3g} {unit:<5} {limit}", flush=True)
            rows.append((name, value, unit, limit))
    if asked.json:
        write(asked.json, [dict(zip(("name", "value", "unit", "limit"), r, strict=True)) for r in rows], asked.quick)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.excepthook = sys.__excepthook__  # the window takes it over, and an error here would end in its log
