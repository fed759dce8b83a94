"""Traces a network into an ONNX graph without weights, in a fresh process, once; what comes of it is kept in the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .data import Batches, default
from .errors import CannotWrite
from .formats import open_checkpoint
from .formats.onnx_graph import FILE, Graph, home, stripped, traced
from .formats.safetensors_file import header
from .job import Job
from .networks import attach
from .networks.program import traceable
from .pitch import WINDOW
from .types import CLASSIFIERS, Checkpoint

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

    from .networks import Network

OPSET = 21  # of 2024; onnxruntime reads it since 1.20
TWO, TOKENS = 2, 8  # of the sample: a batch of one would be traced as a constant
AXES = ("batch", "sequence")


def trace(checkpoint: Checkpoint, batches: Batches | None, job: Job) -> Graph:
    """The network's graph, from the cache if it is there. CannotWrite says which network can't be traced, and why."""
    if found := traced(checkpoint):
        return found
    folder = home(checkpoint)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        for _ in job.track(("",), "Tracing the network"):
            child.run("core.onnx_trace:probe", {"file": str(aside / FILE), "shapes": _shapes(batches), **_said(checkpoint)}, job)
        with suppress(FileExistsError):
            os.rename(aside, folder)
    except OSError as e:
        raise CannotWrite(f"{folder.parent} can't be written ({e.strerror or e}); free some space or set SLIM_CACHE") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    made = traced(checkpoint)
    if made is None:
        raise CannotWrite("The traced network is gone from the cache; export again")
    return made


def _said(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a fresh process needs to open it again, cut or turned as it may be."""
    return {
        "path": str(checkpoint.path), "weights": str(checkpoint.weights or ""), "config": dict(checkpoint.config),
        "factory": checkpoint.factory, "tied": dict(checkpoint.tied),
    }  # fmt: skip


def _shapes(batches: Batches | None) -> dict[str, list[int]]:
    return {k: list(v.shape[1:]) for k, v in batches.items[0].items() if k != "labels"} if batches and batches.single else {}


def probe(file: str, shapes: Mapping[str, list[int]], path: str, weights: str, config: Any, factory: str, tied: Any, job: Job) -> bool:
    """In the fresh process: opened, built, traced and written without weights."""
    import onnx
    import torch

    torch.set_num_threads(1)
    checkpoint = replace(open_checkpoint(Path(path)), config=config, factory=factory, tied=tied)
    if weights:
        checkpoint = replace(checkpoint, tensors=header(next(Path(weights).glob("*.safetensors"))), weights=Path(weights))
    network, free = attach(checkpoint, job), None
    if checkpoint.format == "pt2":
        raw, sample, free = traceable(checkpoint, network, shapes)
        network = replace(network, raw=raw)
    else:
        sample = _sample(network, checkpoint, shapes)
    onnx.save(_exported(network, checkpoint, sample, job, free), file)
    return True


def _sample(network: Network, checkpoint: Checkpoint, shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """Two samples of what the network reads; values do not matter."""
    import torch

    if network.task == "audio-classification":
        return {CLASSIFIERS[network.task]: torch.zeros(TWO, WINDOW)}
    if network.task != "image-classification":
        ones = torch.ones(TWO, TOKENS, dtype=torch.long)
        found = {"input_ids": ones, "attention_mask": ones.clone()}
        return {**found, "token_type_ids": ones * 0} if "type_vocab_size" in checkpoint.config and network.task == "encoder" else found
    if not shapes:
        shapes = _shapes(_few(network, checkpoint))
    return {k: torch.zeros(TWO, *shape) for k, shape in shapes.items()}


def _few(network: Network, checkpoint: Checkpoint) -> Batches:
    from . import data

    path = default(checkpoint)
    if path is None:
        raise CannotWrite("The size of its pictures is not known; choose held-out pictures, which say it, and export again")
    return data.load(path, network, TWO)


def _exported(
    network: Network, checkpoint: Checkpoint, sample: dict[str, Tensor], job: Job, free: list[Any] | None = None
) -> ModelProto:
    """The graph with weights as inputs: nothing is folded into anything, and every weight keeps its name and its layout. `free`: the axes
    of each input that may change (None: the batch of pictures, batch and length of tokens)."""
    import onnx_ir
    import torch
    from onnxscript import optimizer
    from torch.export import Dim

    names = list(dict.fromkeys(network.names.values()))
    weights = [_empty(checkpoint, n) for n in names]
    free = free or [range(1 if v.is_floating_point() else v.ndim) for v in sample.values()]
    axes: Any = [dict.fromkeys(f, Dim.DYNAMIC) for f in free]
    out = "last_hidden_state" if network.task == "encoder" else "logits"
    try:
        program: Any = torch.onnx.export(
            _module(network, names, list(sample)), (weights, list(sample.values())), input_names=[*names, *sample], output_names=[out],
            dynamo=True, dynamic_shapes=([None] * len(weights), axes), optimize=False, opset_version=OPSET, verbose=False,
        )  # fmt: skip
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError, AssertionError, KeyError) as e:
        raise CannotWrite(f"torch can't turn this network into an ONNX graph ({_reason(e)}); export it in another format") from None
    job.check()
    optimizer.optimize(program.model)
    found = onnx_ir.to_proto(program.model)
    stripped(found.graph, set(names))
    _named(found, set(sample))
    return found


def _empty(checkpoint: Checkpoint, name: str) -> Tensor:
    """A tensor of the weight's shape, never filled: memory that nobody touches costs none."""
    import torch

    info = checkpoint.tensors[name]
    whole = {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
    return torch.empty(info.shape, dtype=whole.get(info.dtype, torch.float32))


def _module(network: Network, names: list[str], keys: list[str]) -> nn.Module:
    from torch import nn

    class Functional(nn.Module):
        """The network as a function of its weights and its inputs."""

        def forward(self, weights: list[Tensor], inputs: list[Tensor]) -> Tensor:
            return network.raw(dict(zip(names, weights, strict=True)), dict(zip(keys, inputs, strict=True)))

    return Functional().eval()


def _reason(e: BaseException) -> str:
    """The first line of the innermost cause that says something."""
    while e.__cause__ is not None:
        e = e.__cause__
    lines = [x.strip() for x in str(e).splitlines() if x.strip()]
    return f"{type(e).__name__}: {lines[0]}"[:200] if lines else type(e).__name__


def _named(model: ModelProto, inputs: set[str]) -> None:
    """Free axes by their meaning: torch calls them s10, s12 and s86."""
    known: dict[str, str] = {}
    for v in (v for v in model.graph.input if v.name in inputs):
        for i, d in enumerate(v.type.tensor_type.shape.dim):
            if d.dim_param:
                known[d.dim_param] = d.dim_param = AXES[min(i, 1)]
    for v in model.graph.output:
        for i, d in enumerate(v.type.tensor_type.shape.dim):
            if d.dim_param:
                d.dim_param = known.get(d.dim_param, AXES[min(i, 1)])
