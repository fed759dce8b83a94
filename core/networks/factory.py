"""Builds the user's own network from "file.py:function", after it has been tried in a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CannotRun
from ..job import Job
from ..types import Checkpoint, Task
from . import Network, networks

if TYPE_CHECKING:
    from torch import Tensor, nn


@networks("factory")
class Factory:
    """A Python function of the user's that returns the network; it runs only after an explicit yes."""

    @staticmethod
    def matches(checkpoint: Checkpoint) -> bool:
        return bool(checkpoint.factory)

    @staticmethod
    def task_of(checkpoint: Checkpoint) -> Task:
        return "image-classification"

    @staticmethod
    def build(checkpoint: Checkpoint, job: Job) -> Network:
        from ..child import run

        # a crash, an endless loop or an exit in the user's file ends the child, not the studio
        run("core.networks.factory:probe", {"factory": checkpoint.factory}, job)
        module = make(checkpoint.factory)
        names = matched(module, checkpoint)
        forward = _forward(module, names)
        return Network("image-classification", forward, forward, labels=_labels(checkpoint), module=module, names=names)


def probe(factory: str) -> dict[str, Any]:
    """In the child: build it once and say how large it is."""
    return {"parameters": sum(p.numel() for p in make(factory).parameters())}


def make(factory: str) -> nn.Module:
    """Call the function without arguments; whatever its file raises becomes one sentence."""
    from torch import nn

    file, _, function = factory.rpartition(":")
    path = Path(file).expanduser()
    if not path.is_file() or not function:
        raise CannotRun(f"{factory}: give it as file.py:function with a file that exists")
    spec = importlib.util.spec_from_file_location("slim_users_network", path)
    if spec is None or spec.loader is None:
        raise CannotRun(f"{path.name} is not a Python file; give it as file.py:function")
    found = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(found)
        module = getattr(found, function)()
    except (
        ArithmeticError,
        AttributeError,
        ImportError,
        LookupError,
        NameError,
        OSError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as e:
        raise CannotRun(
            f"{path.name}: {type(e).__name__}: {str(e).splitlines()[0][:120] if str(e) else function}; correct it and try again"
        ) from None
    if not isinstance(module, nn.Module):
        raise CannotRun(f"{path.name}: {function}() returned a {type(module).__name__}, not a torch.nn.Module; return the network")
    return module.eval().requires_grad_(False)


def matched(module: nn.Module, checkpoint: Checkpoint) -> dict[str, str]:
    """Module name -> tensor name; both must name and shape every weight alike."""
    out = {}
    for name, p in module.state_dict().items():
        stored = checkpoint.tied.get(name, name)
        info = checkpoint.tensors.get(stored)
        if info is None and name.endswith("num_batches_tracked"):
            continue
        if info is None:
            raise CannotRun(
                f"The network wants {name} {list(p.shape)} and the file doesn't have it; check that the factory builds this model"
            )
        if info.shape != tuple(p.shape):
            raise CannotRun(
                f"{name} should be {list(p.shape)} and is {list(info.shape)} in the file; check that the factory builds this model"
            )
        out[name] = stored
    return out


def _forward(module: nn.Module, names: dict[str, str]) -> Any:
    import torch

    def forward(weights: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        found = {n: weights[t].float() if weights[t].is_floating_point() else weights[t] for n, t in names.items()}
        try:
            out = torch.func.functional_call(module, found, (batch["pixel_values"],), tie_weights=False)
        except RuntimeError as e:
            raise CannotRun(
                f"The network can't take images of {list(batch['pixel_values'].shape[1:])}: {str(e).splitlines()[0][:120]}"
            ) from None
        return out.logits if hasattr(out, "logits") else out

    return forward


def _labels(checkpoint: Checkpoint) -> tuple[str, ...]:
    return tuple(str(v) for v in checkpoint.config.get("id2label", {}).values())
