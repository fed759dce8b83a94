"""Run as a process of its own, so that its memory and CPU seconds are its own: one recipe of ours, exported dense in float32."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Compress `source` by `choice`, `tune` and `cuts`, write it to `out`; what it took, and of it the statistics alone."""
    import torch

    from core.job import Job, Progress
    from core.recipe import Recipe
    from core.run import run
    from core.types import Choice, Plan

    torch.set_num_threads(1)
    plan = Plan(Choice(**asked["choice"]), tune=asked.get("tune", False), cuts=asked.get("cuts", {}))
    recipe = Recipe(Path(asked["source"]), plan, target="dense", target_knobs={"dtype": asked["dtype"]}, out=Path(asked["out"]))
    recipe = replace(recipe, data=_path(asked, "data"), limit=asked["limit"], calibrate=_path(asked, "calibrate"), tokens=asked["tokens"])
    recipe = replace(recipe, order=asked.get("order", recipe.order))
    phases: dict[str, float] = {}
    last = [time.process_time()]

    def tell(p: Progress) -> None:
        now = time.process_time()
        phases[p.phase] = phases.get(p.phase, 0.0) + now - last[0]
        last[0] = now

    start, cpu = time.perf_counter(), time.process_time()
    result = run(recipe, Job(tell=tell))
    took = {"cpu_s": time.process_time() - cpu, "seconds": time.perf_counter() - start, "phases": phases}
    score = result.report.variant.score
    reused = sum(o.reused for o in result.compressed.outcomes.values())
    return {
        **took, "peak_mb": _peak_mb(), "reused": reused,
        "metrics": {k: m.value for k, m in score.metrics.items()} if score else {}, "notes": result.report.notes,
    }  # fmt: skip


def _peak_mb() -> float:
    """Most memory this process held; ru_maxrss would begin with what the process that started it held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6


def _path(asked: dict[str, Any], key: str) -> Path | None:
    return Path(asked[key]) if asked.get(key) else None


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    found = main(given)
    Path(given["result"]).write_text(json.dumps(found))
