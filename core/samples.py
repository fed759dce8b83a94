"""The bundled models of the welcome page, each with its measured dense score."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .resources import root


@dataclass(frozen=True, slots=True)
class Sample:
    """What the welcome page shows of one."""

    title: str
    title_zh: str
    summary: str
    summary_zh: str
    path: Path
    metric: str
    value: float


def samples() -> list[Sample]:
    """Read from resources/samples/*/sample.json."""
    found = []
    for card in sorted((root() / "samples").glob("*/sample.json"), reverse=True):
        c = json.loads(card.read_text())
        score = c["score"]
        found.append(Sample(c["title"], c["title_zh"], c["summary"], c["summary_zh"], card.parent, score["metric"], score["value"]))
    return found
