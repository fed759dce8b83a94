"""What every benchmark writes with --json: its rows, and the machine and commit they come from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, rows: list[dict[str, Any]], quick: bool) -> None:
    """All rows with where they come from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), "quick": quick, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Processor, versions, commit, and how busy the machine was: timings beside other work are worth less."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    cpu = next((x.split(":")[1].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), platform.processor())
    return {
        "cpu": cpu, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "torch": version("torch"),
        "python": platform.python_version(), "commit": commit.stdout.strip(),
    }  # fmt: skip


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []
