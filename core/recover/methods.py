"""Ways to train a slimmed model: which loss it follows and what of it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..registry import Registry, knob
from .precision import PRECISIONS

if TYPE_CHECKING:
    from .federated import Federation
    from .fit import Fit

recoveries = Registry("core.recover")
WHAT = ("scales", "lora", "all")
STATISTICS = ("counted", "batch")  # statistics of a training pass: as counted before, or the pass's own


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
    vary: float = knob(0.0, 0.0, 1.0, 0.1, label="Vary pictures")
    mirror: bool = knob(False, label="Mirror pictures")
    statistics: str = knob("counted", choices=STATISTICS, label="Batch norms run on")
    gradual: bool = knob(False, label="Prune gradually")
    precision: str = knob("auto", choices=PRECISIONS)

    @staticmethod
    def loop() -> type[Fit]:
        from .fit import Fit

        return Fit


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
    """Trains towards a teacher's answers, (1 - λ)·task + λ·T²·KL(teacher ‖ student) (Hinton et al. 2015, arXiv:1503.02531), the original's
    unless another teacher is given; λ = 1 needs no labels. With a weight of hidden states, what the blocks give is taught, too (Romero et
    al. 2015, arXiv:1412.6550). Masks and grids hold, as in fine-tuning."""

    title: ClassVar[str] = "Distil"
    share: float = knob(1.0, 0.0, 1.0, 0.05, label="λ, weight of the teacher")
    temperature: float = knob(1.0, 1.0, 10.0, 0.5, label="Temperature")
    top: int = knob(0, 0, 4096, 16, label="Teacher's classes on disk (0: all, in memory)")
    hidden: float = knob(0.0, 0.0, 10.0, 0.1, label="Weight of hidden states")


@recoveries("federated")
@dataclass(frozen=True, slots=True)
class Federated:
    """Simulates clients that train on their own share of the data and a server that averages what they send, weighted by their samples
    (FedAvg, McMahan et al. 2017, arXiv:1602.05629). Masks and grids are the server's; only changes of floats are averaged. With `folders`
    each folder (or file) in the training data's folder is a client; else the samples are dealt. What batch norms counted stays as it is,
    is pooled over all clients' samples (`weighted`), or all of a batch norm is each client's own and never sent (`local`: FedBN, Li et al.
    2021, arXiv:2102.07623)."""

    title: ClassVar[str] = "Federated"
    code: ClassVar[str] = "5"  # in place of train.CODE
    train: str = knob("all", choices=WHAT, label="What is trained")
    clients: int = knob(10, 2, 200, 1)
    rounds: int = knob(20, 1, 500, 1)
    epochs: int = knob(1, 1, 20, 1, label="Local epochs")
    partition: str = knob("dealt", choices=("dealt", "folders"), label="Who holds what")
    alpha: float = knob(0.3, 0.0, 10.0, 0.1, label="Dirichlet α (0: even)")
    spread: float = knob(0.0, 0.0, 3.0, 0.1, label="Spread of the clients' sizes (0: none)")
    participation: float = knob(1.0, 0.1, 1.0, 0.05)
    weighted: bool = knob(True, label="Weighted by samples")
    local: str = knob("adam", choices=("adam", "sgd"), label="Local optimizer")
    rate: float = knob(0.004, 0.0001, 1.0, 0.0001, label="Learning rate")
    falling: bool = knob(False, label="Rate falls from round to round")
    batch: int = knob(1, 1, 10_000, 1, label="Pieces a step")
    server: str = knob("fedavg", choices=("fedavg", "fedavgm", "fedadam"))
    server_rate: float = knob(0.02, 0.001, 1.0, 0.001, label="Server's rate (FedAdam)")
    prox: float = knob(0.0, 0.0, 10.0, 0.01, label="FedProx μ")
    trim: float = knob(0.0, 0.0, 0.45, 0.05, label="Trimmed on either side")
    limit: float = knob(0.0, 0.0, 100.0, 0.1, label="Longest change")
    noise: float = knob(0.0, 0.0, 20.0, 0.1, label="Noise, of the longest change")
    update: str = knob("float32", choices=("float32", "int8", "top"), label="Sent as")
    norms: str = knob("kept", choices=("kept", "weighted", "local"), label="Batch norms of the clients")
    share: float = knob(0.0, 0.0, 1.0, 0.05, label="λ, weight of the teacher")
    temperature: float = knob(1.0, 1.0, 10.0, 0.5, label="Temperature")
    rank: int = knob(8, 1, 64, 1, label="LoRA rank")

    def __post_init__(self) -> None:
        if self.noise and not self.limit:
            raise BadPlan("Noise hides a client only if its change has a longest size: set federated.limit, too")
        if self.noise and (self.trim or self.update != "float32"):  # either lets one client weigh more than the ε that is told allows
            raise BadPlan("Noise hides a client only in a plain mean: set federated.trim = 0 and federated.update = float32")
        if self.noise and self.norms == "weighted":
            raise BadPlan("Statistics of batch norms are sent as they are, not hidden by noise: set federated.norms = kept, or local")

    @staticmethod
    def loop() -> type[Federation]:
        from .federated import Federation

        return Federation
