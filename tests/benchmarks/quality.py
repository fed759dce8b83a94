"""All methods on the same tokens in one run: the field's own libraries as processes, ours through recipes, one scorer for every variant.

What is made lies in the cache: a peer's result under its script, versions, data and settings; ours under the commit's layer store.
`make peers` installs the field; without it the rows say so. A full run is heavy: about an hour of two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

from core.prune import pruners
from core.quantize import quantizers
from tests.benchmarks.stage import MODELS, Stage, score
from tests.benchmarks.table import write

Row = dict[str, Any]
PEERS = ROOT / "tests" / "benchmarks" / "peers"
OTHERS = b"codecarbon"  # of peers.txt: for energy.py alone
GRID = {"group_size": 64, "symmetric": False}
SHOWN = ("model", "setting", "method", "kl", "one_minus_cos", "top1_drop", "macs", "bytes", "cpu_s", "peak_mb")


@dataclass(frozen=True)
class Method:
    """One row of a setting: a script of the field's with what it is told, or a plan of ours."""

    name: str
    script: str = ""  # "" = ours
    how: dict[str, Any] = field(default_factory=dict)
    tune: bool = False
    order: str = "parallel"  # of our calibration


def quantized(bits: int, tuned: bool, orders: tuple[str, ...] = ()) -> list[Method]:
    """The field at one number of bits, then ours, also in other `orders` of the calibration."""
    field_ = [Method(n, s, {"method": n, "bits": bits}) for n, s in (("rtn", "llmc"), ("hqq", "hqqlib"), ("gptq", "llmc"))]
    if bits == 3 and tuned:
        field_.append(Method("auto-round light", "autoround", {"bits": 3, "iters": 50, "batch": 1}))
    plan = {"quantize": "slim", "bits": bits, "knobs": {f"slim.{k}": v for k, v in GRID.items()}}
    ours = [Method("slim", how=plan), *(Method(f"slim, {o}", how=plan, order=o) for o in orders)]
    return [*field_, *ours, *([Method("slim + tuning", how=plan, tune=True)] if tuned else [])]


def pruned(pattern: str, tuned: bool) -> list[Method]:
    """Half of the weights zero, free or N of M."""
    told = {"amount": 0.5, **({"pattern": pattern} if pattern else {})}
    field_ = [Method(n, "llmc", {"method": n, **told}) for n in ("wanda", "sparsegpt")]
    plan = {"prune": "admm", "amount": 0.5, "knobs": {"admm.pattern": pattern} if pattern else {}}
    return [*field_, Method("admm", how=plan), *([Method("admm + tuning", how=plan, tune=True)] if tuned else [])]


def cut(kind: str) -> list[Method]:
    """Half of the channels, one shot."""
    return [Method("torch-pruning L2 groups", "channels", {"amount": 0.5}), Method("cut (obs)", how={"cuts": {kind: 0.5}})]


CORRECTED = ("corrected",)
SETTINGS: dict[str, dict[str, list[Method]]] = {
    "smollm2": {"3bit": quantized(3, True), "2bit": quantized(2, True), "50%": pruned("", True), "2:4": pruned("2:4", True)},
    "minilm": {"4bit": quantized(4, False, CORRECTED), "3bit": quantized(3, False, CORRECTED), "50%": pruned("", False)},
    "digits-cnn": {"channels": cut("channels")},
    "fashion-vit": {"channels": cut("ffn")},
}
SLOW = "autoround"  # a reference: half an hour for SmolLM2
QUICK = {"sotu-lm": {"3bit": quantized(3, True), "50%": pruned("", False)}, "digits-cnn": {"channels": cut("channels")}}


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Every asked-for method made (or taken out of the cache) and scored."""
    wanted = {tuple(w.split(":", 1)) for w in asked.only.split(",")} if asked.only else set()
    for model, settings in (QUICK if asked.quick else SETTINGS).items():
        chosen = {s: m for s, m in settings.items() if not wanted or (model, s) in wanted or (model,) in wanted}
        if not chosen:
            continue
        stage = Stage.of(MODELS[model], asked.quick)
        for setting, methods in chosen.items():
            for m in methods:
                if m.script == SLOW and not asked.slow:
                    continue
                if asked.side and asked.side != ("peers" if m.script else "ours"):
                    continue
                named: Row = {"model": model, "setting": setting, "method": m.name, "ours": not m.script}
                if why := missing(m):
                    yield {**named, "note": why}
                    continue
                out, took = by_peer(stage, m) if m.script else by_us(stage, m)
                yield {**named, **score(stage, out, m.how, m.name), **took}


def missing(m: Method) -> str:
    """Why a method can't run here ("" when it can)."""
    if m.script:
        return "" if (ROOT / ".peers" / "bin" / "python").exists() else "peer not installed (make peers)"
    asked = m.how.get("quantize") or m.how.get("prune") or ""
    return f"{asked}: not here yet" if asked and asked not in (*quantizers, *pruners) else ""


def by_peer(stage: Stage, m: Method) -> tuple[Path, Row]:
    """The folder a peer's script wrote, made once for its script, versions, data and settings."""
    script = PEERS / f"{m.script}.py"
    parts = [script.read_bytes(), (PEERS / "common.py").read_bytes(), _pins(), stage.data.read_bytes()]
    key = hashlib.sha256(b"\0".join(parts) + json.dumps([stage.model.name, m.how], sort_keys=True).encode()).hexdigest()[:16]
    out = stage.home / "peers" / f"{stage.model.name}-{m.name.split()[0]}-{key}"
    cached = (out / "result.json").exists()
    if not cached:
        command = [str(ROOT / ".peers" / "bin" / "python"), str(script), str(stage.folder), str(stage.data), str(out), json.dumps(m.how)]
        _run(command, out.with_suffix(".log"))
    return out, {**json.loads((out / "result.json").read_text()), "cached": cached}


def _pins() -> bytes:
    """The versions of what the scripts here use."""
    lines = (PEERS.parent / "peers.txt").read_bytes().splitlines(keepends=True)
    return b"".join(x for x in lines if not x.startswith(OTHERS))


def by_us(stage: Stage, m: Method) -> tuple[Path, Row]:
    """The folder our recipe exported; layers and statistics that an earlier row made are reused, and the row says how many."""
    out = stage.home / "ours" / f"{stage.model.name}-{hashlib.sha256(json.dumps([m.how, m.tune, m.order]).encode()).hexdigest()[:9]}"
    result = out.with_suffix(".json")
    told = {
        "source": str(stage.source), "out": str(out), "result": str(result), "data": str(stage.scored), "calibrate": stage.calibrate,
        "limit": stage.limit_of_run, "tokens": stage.tokens, "dtype": "F32", "tune": m.tune, "cuts": m.how.get("cuts", {}),
        "choice": {k: v for k, v in m.how.items() if k != "cuts"}, "order": m.order,
    }  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, str(ROOT / "tests" / "benchmarks" / "ours.py"), json.dumps(told)], out.with_suffix(".log"))
    took = {k: v for k, v in json.loads(result.read_text()).items() if k in ("cpu_s", "seconds", "peak_mb", "reused", "phases")}
    return out, {**took, **(_counted(stage, out) if "cuts" in m.how else {})}


def _counted(stage: Stage, out: Path) -> Row:
    """Multiplications of our cut network, by the counter that counts the field's; nothing when the field is not installed."""
    python, beside = ROOT / ".peers" / "bin" / "python", out.with_name(out.name + "-counted")
    if not python.exists():
        return {}
    _run([str(python), str(PEERS / "channels.py"), str(out), str(stage.data), str(beside), '{"amount": 0}'], out.with_suffix(".log"))
    return {"macs": json.loads((beside / "result.json").read_text())["macs"]}


def _run(command: list[str], log: Path) -> None:
    """One process on one thread, its output in a file that is shown when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as f:
        done = subprocess.run(command, stdout=f, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))


def shown(row: Row) -> str:
    """A line of the table."""
    figures = [f"{k} {row[k]:,.4g}" if isinstance(row[k], float) else f"{k} {row[k]:,}" for k in SHOWN[3:] if row.get(k) is not None]
    return f"{row['model']:<12} {row['setting']:<9} {row['method']:<24} {'  '.join(figures) or row.get('note', '')}"


def main() -> None:
    """Print a line for each variant as it is scored, and write the rows with --json (after each one, so that nothing is lost)."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--quick", action="store_true", help="bundled samples only: a minute")
    said.add_argument("--json", type=Path)
    said.add_argument("--only", default="", metavar="MODEL:SETTING,...", help="smollm2:3bit,minilm")
    said.add_argument("--side", choices=("peers", "ours"), default="", help="only the field's rows, or only ours")
    said.add_argument("--slow", action="store_true", help="AutoRound too, as a reference: half an hour more")
    asked = said.parse_args()
    found: list[Row] = []
    for row in rows(asked):
        found.append(row)
        print(shown(row), flush=True)
        if asked.json:
            write(asked.json, found, asked.quick)


if __name__ == "__main__":
    main()
