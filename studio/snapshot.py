"""Everything the window shows, as one frozen value; a view redraws where it differs from what it drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.types import Checkpoint, Energy, Layer, Outcome, Plan, Score, Setting, Size, Variant


@dataclass(frozen=True)
class Snapshot:
    """The document and what is known of it."""

    checkpoint: Checkpoint | None = None
    layers: tuple[Layer, ...] = ()
    plan: Plan = field(default_factory=Plan)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    target: Any = None
    size: Size | None = None
    energy: Energy | None = None
    energy_original: Energy | None = None
    original: Score | None = None
    score: Score | None = None  # the present plan's; may still be sharpening
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    selection: tuple[str, ...] = ()
    data: Path | None = None
    runnable: str = ""
    dirty: bool = False
