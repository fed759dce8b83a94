"""Networks: one skeleton per checkpoint on which any set of weights runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import CannotRun
from ..job import Job
from ..registry import Registry
from ..types import Checkpoint, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

networks = Registry("core.networks")
Run = Callable[[dict[str, "Tensor"], dict[str, "Tensor"]], "Tensor"]
Step = Callable[[dict[str, "Tensor"], "Tensor", Any], tuple["Tensor", Any]]


@dataclass(frozen=True)
class Network:
    """How to run a checkpoint: `forward(weights by tensor name, batch)` gives logits or embeddings."""

    task: Task
    forward: Run
    raw: Run  # before pooling: what a stock loader returns
    tokenizer: Any = None
    labels: tuple[str, ...] = ()
    context: int = 512
    module: nn.Module | None = None  # the skeleton, for hooks that watch inputs or hear a cancel
    names: Mapping[str, str] = field(default_factory=dict)  # module's parameter or buffer -> tensor name
    pictures: Mapping[str, Any] = field(default_factory=dict)  # how pictures become its input, see core/data/pictures.py
    # (weights, ids (1, n), cache of what came before or None) -> (logits (1, n, vocabulary), cache); None: it keeps no keys and values
    step: Step | None = None


def attach(checkpoint: Checkpoint, job: Job | None = None) -> Network:
    """Build the skeleton; CannotRun says why there is none."""
    if why := runnable(checkpoint):
        raise CannotRun(why)
    return next(n for n in networks.values() if n.matches(checkpoint)).build(checkpoint, job or Job())


def task_of(checkpoint: Checkpoint) -> Task:
    """What a checkpoint is for, from its headers alone; torch-free. CannotRun says why it can't be scored."""
    if why := runnable(checkpoint):
        raise CannotRun(why)
    found: Task = next(n for n in networks.values() if n.matches(checkpoint)).task_of(checkpoint)
    return found


def runnable(checkpoint: Checkpoint) -> str:
    """Why this checkpoint can't be evaluated, "" when it can be tried; torch-free."""
    if any(n.matches(checkpoint) for n in networks.values()):
        return ""
    return (
        "These weights come without a description of their network: they can be slimmed, inspected and exported, "
        "but accuracy can't be measured. Open the folder with its config.json to measure it."
    )
