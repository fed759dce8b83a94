"""Writes sample.json, the card that tells Slim Studio what a sample is, where it comes from and how well it does."""

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch
import transformers


def trained(script: str, seed: int, steps: int) -> dict[str, Any]:
    """Return how the network was trained; the CPU seconds are those of this process so far."""
    return {
        "script": f"resources/samples/{script}",
        "seed": seed,
        "steps": steps,
        "cpu_seconds": round(time.process_time()),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write the card, and open the weights to other users of the machine (safetensors makes them private)."""
    (folder / "sample.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)


def read_card(folder: Path) -> dict[str, Any]:
    """Read a card back."""
    card: dict[str, Any] = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    return card
