"""Ways to train a slimmed model: which loss it follows and what of it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..registry import Registry, knob

recoveries = Registry("core.recover")
WHAT = ("scales", "lora", "all")


@dataclass(frozen=True, slots=True)
class Training:
    """How the loop runs."""

    train: str = knob("scales", choices=WHAT, label="What is trained")
    steps: int = knob(200, 8, 20_000, 8)
    rate: float = knob(0.004, 0.0001, 0.05, 0.0001, label="Learning rate")
    warmup: float = knob(0.05, 0.0, 0.5, 0.01, label="Warm-up")
    decay: float = knob(0.0, 0.0, 0.3, 0.01, label="Pull to the start")
    clip: float = knob(1.0, 0.1, 10.0, 0.1, label="Gradient clipping")
    batch: int = knob(1, 1, 32, 1, label="Pieces a step")
    rank: int = knob(8, 1, 64, 1, label="LoRA rank")


@recoveries("finetune")
@dataclass(frozen=True, slots=True)
class FineTune(Training):
    """Trains on the task itself: the next token or the label. Masks and grids hold: with `all` or `lora` a quantized layer is trained
    through its rounding (QAT with learned scales: LSQ, Esser et al. 2020, arXiv:1902.08153)."""

    title: ClassVar[str] = "Fine-tune"
    share: ClassVar[float] = 0.0
    temperature: ClassVar[float] = 1.0


@recoveries("distil")
@dataclass(frozen=True, slots=True)
class Distil(Training):
    """Trains towards the original's answers, (1 - λ)·task + λ·T²·KL(teacher ‖ student) (Hinton et al. 2015, arXiv:1503.02531); λ = 1 needs
    no labels. Masks and grids hold, as in fine-tuning."""

    title: ClassVar[str] = "Distil"
    share: float = knob(1.0, 0.0, 1.0, 0.05, label="λ, weight of the teacher")
    temperature: float = knob(1.0, 1.0, 10.0, 0.5, label="Temperature")
