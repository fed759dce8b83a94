"""What the energy model is worth here: its joules against a meter where there is one, else the time half of it, ratio by ratio.

Each configuration is original against variant (the same again, dynamic int8, half of it cut out) on the bundled samples and, without
--quick, SmolLM2: predicted from shapes and this machine's self-test alone, and measured by turns. `anchored` is the prediction with what
the original took beyond its model (attention, norms, Python) carried over unchanged. With `codecarbon` in .peers the same work is also
tracked by it, side by side. Timings want a quiet machine: the load is written beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

from core.energy import Scene, device, estimate
from core.energy.devices import HERE
from core.energy.meters import meter, reasons
from core.energy.model import ENGINE, INTEGERS
from core.job import Job
from core.measure import Faster, timed, turns
from core.plans import resolve
from core.types import Checkpoint, Choice, Energy, Layer, Plan, Size
from tests.benchmarks.table import write

CUTS: dict[str, dict[str, Any]] = {
    "sotu-lm": {"ffn": 0.5, "heads": 0.5}, "fashion-vit": {"ffn": 0.5, "heads": 0.5}, "digits-cnn": {"channels": 0.5},
    "smollm2": {"ffn": 0.5},
}  # fmt: skip
TIME, JOULES = 0.15, 0.20  # how far a predicted ratio may be off
PEER = ROOT / ".peers" / "bin" / "python"
TRACKED = 20.0  # s of the same work, for the side by side
TRACKER = """
import sys
from codecarbon import OfflineEmissionsTracker
t = OfflineEmissionsTracker(country_iso_code="DEU", measure_power_secs=1, tracking_mode="machine", log_level="error", save_to_file=False)
t.start()
print("ready", flush=True)
sys.stdin.readline()
t.stop()
d = t.final_emissions_data
print(d.energy_consumed * 3.6e6, d.cpu_power, d.ram_power, d.emissions * 1e3, d.cpu_model, sep="|")
"""


@dataclass(frozen=True)
class Side:
    """One network that runs, and what the model must know of it."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    plan: Plan
    network: Any
    weights: dict[str, Any]

    def pass_(self, item: dict[str, Any]) -> Any:
        return self.network.forward(self.weights, item)

    def modelled(self, n: int) -> Energy:
        """Of one unit, when n of them are there at once."""
        lm = self.network.task == "causal-lm"
        scene = Scene(device(HERE), "prefill" if lm else "decode", 1 if lm else n, n if lm else 256)
        settings = resolve(self.plan, self.layers)
        size = Size(0, {x.name: (1 if settings[x.name].quantize == INTEGERS else 4) * x.tensor.parameters for x in self.layers}, 0)
        return estimate(self.checkpoint, self.layers, settings, size, SimpleNamespace(key=ENGINE), self.network.task, scene)


def sides(name: str, path: Path) -> Iterator[tuple[str, Side]]:
    """The original, then each variant."""
    from core.compress import compress, original
    from core.cut import Cut, cut
    from core.formats import open_checkpoint
    from core.int8 import running
    from core.layers import layers
    from core.networks import attach
    from core.store import Store

    job, checkpoint, store = Job(), open_checkpoint(path), Store.default()
    found, network = tuple(layers(checkpoint)), attach(checkpoint)
    first = Side(checkpoint, found, Plan(), network, original(checkpoint, found, store).weights(job))
    yield "dense", first
    plan = Plan(layers={x.name: Choice(quantize=INTEGERS, bits=8) for x in found if x.kind == "linear" and not x.protected})
    if plan.layers:
        yield "int8", replace(first, plan=plan, network=running(compress(checkpoint, found, plan, None, store, job), network))
    slim = cut(checkpoint, Cut(method="magnitude", compensate=False, **CUTS[name]), None, None, job)
    left = tuple(layers(slim))
    yield "structured 50 %", Side(slim, left, Plan(), attach(slim), original(slim, left, store).weights(job))


def both(first: Callable[[], object], second: Callable[[], object], quick: bool) -> Faster:
    """Seconds of the processor by turns, which other programs on the machine stretch less than those of the clock; on one thread."""

    def gauge(call: Callable[[], object]) -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    found = turns(first, second, gauge, Job(), 6 if quick else 25, 2.0 if quick else 10.0)
    return Faster(timed([a for a, _ in found]), timed([b for _, b in found]), timed([a / b for a, b in found]), len(found))


def rows(name: str, path: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """A row for each configuration of one model."""
    import torch

    from core import data
    from core.latency import fed
    from core.metered import metered

    first: Side | None = None
    with torch.inference_mode():
        for what, side in sides(name, path):
            first = first or side
            held = data.default(first.checkpoint)
            assert held is not None
            item, told, n = fed(data.load(held, first.network, 256))
            before, after = first.modelled(n), side.modelled(n)
            t = both(lambda: first.pass_(item), lambda: side.pass_(item), quick)  # noqa: B023
            rest = max(0.0, t.first.median / n - before.seconds)
            row = {
                "config": f"{name}, {what}", "what": told, "predicted_ratio": before.seconds / after.seconds,
                "anchored_ratio": (before.seconds + rest) / (after.seconds + rest), "measured_ratio": t.ratio.median,
                "low": t.ratio.low, "high": t.ratio.high, "modelled_share": before.seconds * n / t.first.median, "level": before.level,
            }  # fmt: skip
            if (m := meter()) is not None:
                j = metered(lambda: first.pass_(item), lambda: side.pass_(item), n, m, Job())  # noqa: B023
                row |= {"measured_joules_ratio": j.ratio.value, "error": j.ratio.error, "measured_joules": j.before.value, "level": "A"}
                row |= {"predicted_joules_ratio": before.joules / after.joules, "predicted_joules": before.joules}
            yield row


def tracked(path: Path) -> dict[str, Any]:
    """The same work by CodeCarbon and by our model: both figures, both assumptions."""
    import torch

    from core import data
    from core.carbon import Place, grams
    from core.latency import fed

    if not PEER.exists() or subprocess.run([PEER, "-c", "import codecarbon"], capture_output=True, check=False).returncode:
        return {"config": "codecarbon", "said": "not installed in .peers: make peers"}
    _, side = next(sides("sotu-lm", path))
    held = data.default(side.checkpoint)
    assert held is not None
    item, _, n = fed(data.load(held, side.network, 256))
    child = subprocess.Popen([PEER, "-c", TRACKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    start, calls = time.perf_counter(), 0
    with torch.inference_mode():
        while time.perf_counter() - start < TRACKED:
            side.pass_(item)
            calls += 1
    took = time.perf_counter() - start
    joules, cpu, ram, emitted, model = child.communicate("\n")[0].strip().split("|")
    e, own = side.modelled(n), device(HERE)
    whole = replace(e, joules=e.joules * n * calls, low=e.low * n * calls, high=e.high * n * calls)
    busy = own.computing * own.factor * took
    return {
        "config": f"side by side, {took:.0f} s of sotu-lm reading {n} tokens", "codecarbon_joules": float(joules),
        "codecarbon_assumes": f"{cpu} W of processor ({model}), {ram} W of memory, whole machine", "codecarbon_grams": float(emitted),
        "modelled_joules": whole.joules, "low": whole.low, "high": whole.high, "busy_joules": busy,
        "modelled_grams": grams(whole, Place("DEU"), 1).value, "modelled_assumes": e.how,
    }  # fmt: skip


def main() -> None:
    """Print the table, and write it with --json."""
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("--quick", action="store_true")
    said.add_argument("--json", type=Path)
    said.add_argument("--only", choices=list(CUTS), help="one model")
    asked = said.parse_args()
    import torch

    from core.ceilings import ceilings
    from core.resources import root
    from tests.real import smollm2

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    print(json.dumps(ceilings(Job(), again=True)))
    if meter() is None:
        print("no meter here, so only the time half of the model is checked:", *reasons().values(), sep="\n  ")
    models = {n: root() / "samples" / n for n in ("sotu-lm", "fashion-vit", "digits-cnn")}
    if not asked.quick or asked.only == "smollm2":
        models["smollm2"] = smollm2()
    models = {k: v for k, v in models.items() if asked.only in (None, k)}
    out = []
    print(f"{'configuration':<32}{'predicted':>10}{'anchored':>10}{'measured':>10}  interval")
    for name, path in models.items():
        for r in rows(name, path, asked.quick):
            off = r["anchored_ratio"] / r["measured_ratio"] - 1
            held = "" if abs(off) <= TIME else f"  off by {off:+.0%}"
            print(
                f"{r['config']:<32}{r['predicted_ratio']:>10.2f}{r['anchored_ratio']:>10.2f}{r['measured_ratio']:>10.2f}"
                f"  {r['low']:.2f} to {r['high']:.2f}{held}", flush=True,
            )  # fmt: skip
            out.append(r)
    close = sum(abs(r["anchored_ratio"] / r["measured_ratio"] - 1) <= TIME for r in out)
    raw = sum(abs(r["predicted_ratio"] / r["measured_ratio"] - 1) <= TIME for r in out)
    print(f"within {TIME:.0%} of the measured ratio: {close} of {len(out)} anchored, {raw} of {len(out)} from shapes alone")
    if "sotu-lm" in models:
        out.append(tracked(models["sotu-lm"]))
        print(json.dumps(out[-1], indent=1, ensure_ascii=False))
    if asked.json:
        write(asked.json, out, asked.quick)


if __name__ == "__main__":
    main()
