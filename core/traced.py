"""Traces a transformers network into a program (torch.export), once per config and in a process of its own; weights are put in later."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .derived import CAP, evict
from .errors import CannotWrite
from .formats.pt2_target import FILE, NAMES, home, template_of
from .job import Job
from .resources import cap
from .types import Checkpoint, TensorInfo

if TYPE_CHECKING:
    from torch import nn

SIDE = 64  # pixels a side while tracing, where the model says none: the sides are dynamic then


def prepare(checkpoint: Checkpoint, job: Job) -> None:
    """Have the program ready that `checkpoint` will be written as: the opened one, or a trace out of the cache or of a fresh process."""
    if template_of(checkpoint) is not None:
        return
    from .child import run

    folder = home(checkpoint)
    said = {
        "config": dict(checkpoint.config), "tied": dict(checkpoint.tied), "format": checkpoint.format,
        "sides": [str(s) for s in checkpoint.sides], "tensors": [[t.name, list(t.shape), t.dtype] for t in checkpoint.tensors.values()],
    }  # fmt: skip
    for _ in job.track(("",), "Tracing the network"):
        run("core.traced:trace", {**said, "folder": str(folder)}, job)
    evict(folder.parent, cap("checkpoints", CAP), folder)
    if template_of(checkpoint) is None:
        raise CannotWrite("The traced network is gone from the cache; export again")


def trace(
    config: dict[str, Any], tied: dict[str, str], format: str, sides: list[str], tensors: list[list[Any]], folder: str, job: Job
) -> int:
    """In the child: build, empty and export the network; returns the bytes of the program without weights."""
    import torch

    from .networks import transformers_folder as folder_of

    infos = {n: TensorInfo(n, tuple(shape), dtype, 0, Path()) for n, shape, dtype in tensors}
    checkpoint = Checkpoint(Path(), format, infos, config, tied=tied, sides=tuple(map(Path, sides)))
    task, module = folder_of.task_of(checkpoint), folder_of.skeleton(checkpoint)
    names = folder_of.matched(module, checkpoint)
    pictures = folder_of.pictures(checkpoint)
    _hollow(module)
    _simple(module, task)
    problem = ""
    for inputs, dynamic in _inputs(task, module, pictures, folder_of.context(checkpoint)):
        try:
            with torch.no_grad():
                made = torch.export.export(module, (), inputs, dynamic_shapes=dynamic)
            break
        except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError, AttributeError) as e:
            problem = problem or f"{type(e).__name__}: {(str(e).splitlines() or [''])[0][:160]}"
    else:
        raise CannotWrite(f"torch.export can't trace this network ({problem}); export it as dense safetensors")
    shown = {"pictures": pictures} if task == "image-classification" else {}
    about = {"task": task, "labels": list(folder_of.labels(checkpoint)), **shown}
    return _kept(Path(folder), made, {"names": names, "about": about})


def _kept(folder: Path, made: Any, names: dict[str, Any]) -> int:
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{os.getpid()}.tmp.pt2"
    try:
        torch.export.save(made, aside)
        os.replace(aside, folder / FILE)
        (folder / NAMES).write_text(json.dumps(names), encoding="utf-8")
    except OSError as e:
        raise CannotWrite(f"{folder} can't be written ({e.strerror or e}); free some space or set SLIM_CACHE") from None
    finally:
        aside.unlink(missing_ok=True)
    return (folder / FILE).stat().st_size


def _hollow(module: nn.Module) -> None:
    """Every weight becomes one number repeated, so that the saved program holds a graph and no weights; shared ones stay shared."""
    import torch
    from torch import nn

    seen: dict[int, Any] = {}

    def hollow(t: Any) -> Any:
        if id(t) not in seen:
            empty = torch.zeros((), dtype=t.dtype).expand(t.shape)
            seen[id(t)] = (t, nn.Parameter(empty, requires_grad=False) if isinstance(t, nn.Parameter) else empty)
        return seen[id(t)][1]

    for part in module.modules():
        for name, p in list(part._parameters.items()):
            part._parameters[name] = None if p is None else hollow(p)
        for name, b in list(part._buffers.items()):
            if b is not None and name not in part._non_persistent_buffers_set:
                part._buffers[name] = hollow(b)


def _simple(module: Any, task: str) -> None:
    """Give the network a forward of tensors alone, with the one answer that counts; the names of its weights stay."""
    whole = module.forward

    def text(input_ids: Any) -> Any:
        return whole(input_ids=input_ids, use_cache=False, return_dict=True).logits

    def sentences(input_ids: Any, attention_mask: Any) -> Any:
        return whole(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).last_hidden_state

    def images(pixel_values: Any) -> Any:
        return whole(pixel_values=pixel_values, return_dict=True).logits

    module.forward = {"causal-lm": text, "encoder": sentences}.get(task, images)


def _inputs(task: str, module: Any, pictures: dict[str, Any], context: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Sample inputs and what may change of them: as much as possible first."""
    import torch
    from torch.export import Dim

    batch = Dim("batch", min=1, max=1 << 20)
    if task == "image-classification":
        sides, fixed = _sides(pictures)
        x = {"pixel_values": torch.zeros(2, int(pictures.get("num_channels", getattr(module.config, "num_channels", 3))), *sides)}
        if not fixed:
            yield x, {"pixel_values": {0: batch, 2: Dim.AUTO, 3: Dim.AUTO}}
        yield x, {"pixel_values": {0: batch}}
        yield x, {"pixel_values": {0: Dim.AUTO}}
        return
    n = min(16, context)
    ids = {"input_ids": torch.ones(2, n, dtype=torch.long)}
    ids |= {"attention_mask": torch.ones(2, n, dtype=torch.long)} if task == "encoder" else {}
    yield ids, {k: {0: batch, 1: Dim("tokens", min=1, max=context)} for k in ids}
    yield ids, {k: {0: Dim.AUTO, 1: Dim.AUTO} for k in ids}


def _sides(pictures: dict[str, Any]) -> tuple[tuple[int, int], bool]:
    """(height, width) of the pictures, and whether the model says so."""
    from .data.pictures import _pair

    said = pictures.get("crop_size") if pictures.get("do_center_crop") else pictures.get("size", pictures.get("image_size"))
    if isinstance(said, dict) and "shortest_edge" in said:
        said = said["shortest_edge"]
    return (_pair(said), True) if said else ((SIDE, SIDE), False)


