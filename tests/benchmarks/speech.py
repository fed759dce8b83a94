"""What slimming costs a network that hears: CREPE tiny (the bundled sample), and in full out of its package, through onnxruntime and back;
and what the large one teaches the small one.

Pitch accuracy is on the bundled synthetic voices, whose pitch is known; KL and agreement are to the original on the same frames.
`--quick` takes 60 frames and a few steps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

from core.job import Job
from core.recipe import Recipe
from core.run import run
from core.types import Choice, Plan
from tests.benchmarks.table import write

Row = dict[str, Any]
SAMPLE = ROOT / "resources" / "samples" / "pitch-crepe"
FULL = 120  # frames the large one is scored on: 0.13 s a frame
CHANNEL = {"rtn.granularity": "channel"}
STATIC = {"activations": "static"}


def plans(steps: int) -> Iterator[tuple[str, Plan, str, dict[str, str]]]:
    """(what is done, its plan, the format, its knobs)."""
    idle = Plan(tune=False)
    yield "as it is", idle, "onnx", {}
    for bits in (8, 4):
        yield f"{bits} bits a channel", replace(idle, model=Choice("magnitude", 0.0, "rtn", bits, CHANNEL)), "onnx", {}
    yield "8 bits, static int8", replace(idle, model=Choice("magnitude", 0.0, "rtn", 8, CHANNEL)), "onnx", STATIC
    cut = replace(idle, cuts={"channels": 0.25, "method": "magnitude", "compensate": False})
    yield "a quarter of the inner channels cut", cut, "onnx", {}
    taught = replace(cut, recover="distil", recovery={"train": "all", "steps": steps, "rate": 0.01})
    yield "the same, distilled", taught, "onnx", {}


def one(recipe: Recipe, name: str, what: str) -> Row:
    """One recipe carried out, exported and verified."""
    start = time.process_time()
    with TemporaryDirectory() as home:
        found = run(replace(recipe, out=Path(home) / "out"), Job()).report
    score, verdict = found.variant.score, found.verdict
    assert score is not None
    assert verdict is not None
    speed = next((c.detail for c in verdict.checks if c.name == "speed"), "")
    return {
        "model": name, "what": what, "bytes": found.variant.size.total, "original": found.original.size.total, "frames": score.n,
        "pitch": score.metrics["pitch"].value, "error": score.metrics["pitch"].error, "kl": score.metrics["kl"].value,
        "agreement": score.metrics["agreement"].value, "tool": verdict.tool, "verified": verdict.passed, "speed": speed,
        "notes": [n for n in found.notes if "loss on data" in n], "cpu_s": round(time.process_time() - start, 1),
    }  # fmt: skip


def rows(quick: bool, full: bool) -> Iterator[Row]:
    """Every plan on the sample; the large network without the training."""
    for what, plan, target, knobs in plans(24 if quick else 200):
        limit, tokens = (60, 64) if quick else (None, 384)
        base = Recipe(SAMPLE, plan, data=SAMPLE / "heldout.wav", limit=limit, tokens=tokens, target=target, target_knobs=knobs)
        yield one(base, "CREPE tiny", what)
    if not full:
        return
    from tests.real import crepe

    yield one(replace(base, teacher=crepe()), "CREPE tiny", f"{what} by CREPE full")
    for what, plan, target, knobs in list(plans(0))[:3]:
        base = Recipe(crepe(), plan, data=SAMPLE / "heldout.wav", limit=FULL, tokens=32, target=target, target_knobs=knobs)
        yield one(replace(base, calibrate=SAMPLE / "calibrate.wav"), "CREPE full", what)


def show(r: Row) -> str:
    said = f"{r['model']:10} {r['what']:36} {r['bytes']:>12,} bytes   pitch {r['pitch']:.1%} ± {r['error']:.1%}   KL {r['kl']:.4f}"
    return f"{said}   same {r['agreement']:.1%}   {r['speed']}   {r['cpu_s']} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true", help="also the large network: some ten minutes")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[Row] = []
    for r in rows(asked.quick, asked.full):
        found.append(r)
        print(show(r), flush=True)
    if asked.json:
        write(asked.json, found, asked.quick)


if __name__ == "__main__":
    main()
