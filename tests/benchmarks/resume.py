"""Kills a run over SmolLM2-135M in its middle (SIGKILL), starts it again, and holds what it writes against an uninterrupted run's.

    python tests/benchmarks/resume.py [--tokens N] [--blocks N] [--json PATH] [--work FOLDER]

Each run is `slim run` of one recipe as a user would start it: 3 bits with the default method, calibrated, scored, exported and verified,
with an empty cache of its own but for the second, which finds what the killed one left. `--blocks` leaves the later blocks as they are, to
save time. Needs SIGKILL (not Windows).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE))
SETTING = "slim 3 bit, groups of 64"
LOOK = 0.1  # seconds between two looks at how many layers are done


def command(recipe: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "core", "run", str(recipe), "--out", str(out)]


def recipe(model: Path, tokens: int, blocks: int, at: Path) -> Path:
    """The recipe all runs share."""
    from core.formats import open_checkpoint
    from core.layers import layers as layers_of
    from core.recipe import Recipe, save
    from core.types import Choice, Plan

    later = [x.name for x in layers_of(open_checkpoint(model)) if (k := re.search(r"layers\.(\d+)\.", x.name)) and int(k[1]) >= blocks]
    first = Choice("magnitude", 0.0, "slim", 3, {"slim.group_size": 64})
    plan = Plan(first, layers={n: Choice(bits=16) for n in later if not n.endswith("norm")}, tune=False)
    save(Recipe(model, plan, limit=256, target="packed", tokens=tokens), at)
    return at


def started(line: list[str], cache: Path, log: Path) -> subprocess.Popen[bytes]:
    """The run in a process of its own, one thread, what it says in a file."""
    cache.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "SLIM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, cwd=HERE, env=env, stdout=log.open("wb"), stderr=subprocess.STDOUT)


def finished(line: list[str], cache: Path, log: Path) -> str:
    """The whole run; what it said."""
    if started(line, cache, log).wait():
        raise SystemExit(f"{' '.join(line)} failed:\n{log.read_text(encoding='utf-8')[-2000:]}")
    return log.read_text(encoding="utf-8")


def layers(cache: Path) -> int:
    return sum(1 for _ in cache.glob("layers/*/*.safetensors"))


def killed(line: list[str], cache: Path, log: Path, after: int) -> int:
    """A run that is killed once so many layers are in the store; how many there are afterwards."""
    run = started(line, cache, log)
    while layers(cache) < after:
        if run.poll() is not None:
            raise SystemExit(f"The run ended before {after} layers were done:\n{log.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(LOOK)
    run.kill()
    if run.wait() != -signal.SIGKILL:
        raise SystemExit("The run ended by itself before it was killed")
    return layers(cache)


def written(out: Path) -> dict[str, str]:
    """File -> SHA-256 of all a run wrote but its report, which tells the time."""
    files = sorted(f for f in out.rglob("*") if f.is_file() and not f.name.startswith("report."))
    return {str(f.relative_to(out)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def spent() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def measured(model: Path, tokens: int, blocks: int, work: Path) -> dict[str, Any]:
    out = {name: work / name / "out" for name in ("resumed", "whole")}
    said_by = recipe(model, tokens, blocks, work / "recipe.toml")
    marks = [spent()]
    whole = finished(command(said_by, out["whole"]), work / "cache-whole", work / "whole.log")
    marks.append(spent())
    made = layers(work / "cache-whole")
    line = command(said_by, out["resumed"])
    left = killed(line, work / "cache", work / "killed.log", made // 2)
    marks.append(spent())
    again = finished(line, work / "cache", work / "again.log")
    marks.append(spent())
    said = re.search(r"(\d+) of (\d+) layers were taken from the layer store", again)
    one, two = (written(out[name]) for name in ("whole", "resumed"))
    return {
        "model": "SmolLM2-135M-Instruct", "setting": SETTING, "tokens": tokens, "blocks": blocks, "layers": made,
        "left_by_the_killed_run": left,
        "reused": int(said.group(1)) if said else 0, "log": said.group(0) if said else "", "identical": one == two,
        "differing": sorted(n for n in {*one, *two} if one.get(n) != two.get(n)), "sha256": one,
        "reused_by_the_whole_run": len(re.findall("taken from the layer store", whole)),
        "cpu_seconds": dict(zip(("whole", "killed", "resumed"), (b - a for a, b in pairwise(marks)), strict=True)),
    }  # fmt: skip


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tokens", type=int, default=2048)
    p.add_argument("--blocks", type=int, default=30)
    p.add_argument("--json", type=Path)
    p.add_argument("--work", type=Path, help="where caches, exports and logs are kept; a temporary folder without it")
    args = p.parse_args()
    from tests.real import smollm2

    model = smollm2()
    with tempfile.TemporaryDirectory(prefix="slim-resume-") as aside:
        work = args.work or Path(aside)
        work.mkdir(parents=True, exist_ok=True)
        row = measured(model, args.tokens, args.blocks, work)
    print(f"killed with {row['left_by_the_killed_run']} of {row['layers']} layers done; then: {row['log']}")
    print(f"written bytes {'equal' if row['identical'] else 'DIFFER from'} the uninterrupted run's ({len(row['sha256'])} files)")
    print(", ".join(f"{k} {v:.0f} CPU s" for k, v in row["cpu_seconds"].items()))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    if not row["identical"] or not 0 < row["reused"] == row["left_by_the_killed_run"] < row["layers"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
