"""The models that come with the studio, each with its held-out data and the score it had when it was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .resources import root
from .types import Task


@dataclass(frozen=True)
class Sample:
    """One bundled model."""

    title: str
    title_zh: str
    summary: str
    summary_zh: str
    path: Path
    task: Task
    score: Mapping[str, Any]  # metric, value, n, how

    @property
    def metric(self) -> str:
        return str(self.score["metric"])

    @property
    def value(self) -> float:
        return float(self.score["value"])


def samples() -> list[Sample]:
    """Every bundled sample, the language model first."""
    return [_sample(p) for p in sorted((root() / "samples").glob("*/sample.json"), reverse=True)]


def _sample(path: Path) -> Sample:
    said = json.loads(path.read_text(encoding="utf-8"))
    title, title_zh, summary, summary_zh = (said[k] for k in ("title", "title_zh", "summary", "summary_zh"))
    return Sample(title, title_zh, summary, summary_zh, path.parent, said["task"], said["score"])
