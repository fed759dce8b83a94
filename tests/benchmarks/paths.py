"""The whole path on real checkpoints: open, 30 % magnitude and 4 bits, measured, exported packed, loaded by transformers."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

from core.job import Job, Progress
from core.recipe import Recipe, load
from core.resources import root
from core.run import run
from core.types import Choice, Plan, Report
from tests.benchmarks.table import write
from tests.real import minilm, smollm2

Row = dict[str, Any]
SHOWN = ("before", "after", "ratio", "kl", "kl_error", "perplexity_before", "perplexity", "cosine", "agreement", "seconds")


def recipes() -> Iterator[tuple[str, Recipe]]:
    """The two bundled recipes on their models, and the GGUF's own blocks of 32 with zero points, to see what its lattice flatters."""
    for name, source in (("smollm2-4bit", smollm2()), ("minilm-4bit", minilm())):
        yield name, replace(load(root() / "recipes" / f"{name}.toml"), source=source)
    lattice = Choice("magnitude", 0.0, "rtn", 4, {"rtn.group_size": 32, "rtn.symmetric": False})
    yield "smollm2, 4 bits in its own blocks", Recipe(smollm2(), Plan(lattice), target="packed")


def row(name: str, report: Report) -> Row:
    """Everything one run measured, and what the fresh process said."""
    a, b = report.original, report.variant
    assert a.score is not None
    assert b.score is not None
    out: Row = {"name": name, "before": a.size.total, "after": b.size.total, "ratio": round(a.size.total / b.size.total, 3)}
    out |= {"n": b.score.n, "unit": b.score.unit, "data": b.score.data}
    for metric, m in b.score.metrics.items():
        out |= {metric: m.value, f"{metric}_error": m.error, f"{metric}_before": a.score.metrics[metric].value}
    out["verified"] = report.verdict.tool if report.verdict else ""
    out["checks"] = {c.name: c.detail for c in report.verdict.checks} if report.verdict else {}
    return out | {"seconds": round(sum(report.seconds.values()), 1), "took": {k: round(v, 1) for k, v in report.seconds.items()}}


def _told(p: Progress) -> None:
    if p.done == 0:
        print(f"  {p.phase}", file=sys.stderr, flush=True)


def main() -> None:
    """Print the table, and write all rows with --json."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--quick", action="store_true", help="1024 tokens or 64 sentences instead of all")
    said.add_argument("--json", type=Path)
    asked = said.parse_args()
    os.environ.setdefault("SLIM_REAL", os.environ.get("SLIM_CACHE", ""))
    rows = []
    with tempfile.TemporaryDirectory(prefix="slim-paths-") as scratch:
        os.environ["SLIM_CACHE"] = f"{scratch}/cache"
        for name, recipe in recipes():
            limit = (64 if "minilm" in name else 1024) if asked.quick else None
            out = Path(scratch) / "out" if "blocks" not in name else None
            rows.append(row(name, run(replace(recipe, limit=limit, out=out), Job(tell=_told)).report))
            print(name + "  " + "  ".join(f"{k} {rows[-1][k]:.6g}" for k in SHOWN if k in rows[-1]), flush=True)
    if asked.json:
        write(asked.json, rows, asked.quick)


if __name__ == "__main__":
    main()
