"""Structured pruning: neurons, heads, channels and blocks are cut out, and a smaller checkpoint stands where the larger one stood."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadPlan, CannotWrite
from ..formats import open_checkpoint, read
from ..formats.safetensors_write import write
from ..graph import Slice, graph
from ..job import Job
from ..resources import cache_root
from ..types import Checkpoint, Entry, Seen
from .plan import Cut, Widths, cut_of, kept, planned, planned_layers, renumbered, widths

if TYPE_CHECKING:
    from torch import Tensor

    from ..data import Batches
    from ..networks import Network
    from .engine import State

__all__ = ["Cut", "Widths", "cut", "cut_of", "planned", "planned_layers", "widths"]

CODE = "1"  # raise it when a cut's result changes
CAP = 20_000_000_000  # bytes of cut checkpoints in the cache


def cut(
    checkpoint: Checkpoint, how: Cut, network: Network | None, batches: Batches | None, grads: Mapping[str, Seen] | None, job: Job
) -> Checkpoint:
    """The checkpoint with units and blocks cut out, in the cache under a hash of what made it; it opens like any other.

    Without network and data only `method = magnitude` with `compensate = false` is possible. BadPlan says what is.
    """
    planned(checkpoint, how)  # refuses what can't be
    if how.idle:
        return checkpoint
    looks = how.method != "magnitude" or how.compensate or how.blocks
    if looks and (network is None or batches is None):
        raise BadPlan(
            "Cutting looks at what goes through the network, and it can't run or there is no data; "
            'open a folder with config.json and give data, or set method = "magnitude", compensate = false and blocks = 0'
        )
    data = batches.fingerprint if looks and batches else ""
    folder = cache_root() / "cuts" / _key(checkpoint, how, data)
    if not (folder / "config.json").is_file():
        _make(checkpoint, how, network, batches, grads or {}, folder, job)
        _evict(folder)
    with suppress(OSError):
        os.utime(folder)
    opened = open_checkpoint(folder, job)
    return replace(checkpoint, tensors=opened.tensors, config=opened.config, weights=folder)


def _key(checkpoint: Checkpoint, how: Cut, data: str) -> str:
    """What a cut depends on: the files' identity, the config, the cut, the data, the code."""
    files = sorted({t.file for t in checkpoint.tensors.values()})
    source = [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    text = json.dumps([CODE, source, dict(checkpoint.config), asdict(how), data], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _make(
    checkpoint: Checkpoint, how: Cut, network: Network | None, batches: Batches | None, grads: Mapping[str, Seen], folder: Path, job: Job
) -> None:
    """Drop blocks, cut dimensions, write."""
    from . import engine
    from .blocks import staying

    shares = kept(checkpoint, how)
    weights = {n: _floats(read(t)) for n, t in checkpoint.tensors.items()}
    names, shorter = {n: n for n in checkpoint.tensors}, checkpoint
    if how.blocks and network and batches:
        from ..networks import attach

        depth = graph(checkpoint).depth
        stay = staying(checkpoint, network, weights, batches, depth, how.blocks, job)
        job.note(f"Blocks dropped: {', '.join(str(i) for i in range(depth) if i not in stay)} of {depth}, by measured KL")
        names, shorter = renumbered(checkpoint, stay), planned(checkpoint, Cut(blocks=how.blocks))
        network = attach(shorter, Job())
    state = engine.State(graph(shorter), how, shares, {new: weights[old] for new, old in names.items()})
    old_grads = {new.removesuffix(".weight"): grads[o] for new, old in names.items() if (o := old.removesuffix(".weight")) in grads}
    if network and batches and (how.method == "obs" or how.compensate) and state.dimensions:
        engine.with_data(state, network, batches, old_grads, job)
    else:
        engine.without_data(state, old_grads, job)
    _write(checkpoint, planned(checkpoint, how), names, state, folder, job)


def _floats(t: Tensor) -> Tensor:
    return t.float() if t.is_floating_point() else t


def _write(checkpoint: Checkpoint, slim: Checkpoint, names: Mapping[str, str], state: State, folder: Path, job: Job) -> None:
    """A dense safetensors folder, written aside and renamed; what the cut did not touch keeps its bits."""
    cuts: dict[str, list[tuple[Slice, list[int]]]] = {}
    for d in state.dimensions:
        for s in (*d.made, *d.used):
            cuts.setdefault(s.tensor, []).append((s, state.kept[d.name]))
    touched = {*cuts, *(n for d in state.dimensions for s in d.used for n in (s.bias, f"{s.norm}.running_mean"))}

    def tensors(name: str) -> dict[str, Tensor]:
        t = state.weights[name] if name in touched else read(checkpoint.tensors[names[name]])
        for s, units in cuts.get(name, []):
            t = t.index_select(s.axis, _entries(s, units))
        return {name: t.to(_type(slim.tensors[name].dtype))}

    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        write(aside / "model.safetensors", [Entry(n, t.dtype, t.shape, n) for n, t in slim.tensors.items()], tensors, job)
        _json(aside / "cut.json", {"kept": state.kept, "cut": asdict(state.cut), "source": str(checkpoint.path)})
        _json(aside / "config.json", slim.config)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(aside, folder)
    except OSError as e:
        raise CannotWrite(f"The cut model can't be kept in {folder.parent} ({e}); free some space or set SLIM_CACHE") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _entries(s: Slice, units: list[int]) -> Tensor:
    import torch

    return (torch.tensor(units)[:, None] * s.span + torch.arange(s.span)).flatten()


def _type(dtype: str) -> Any:
    import torch

    from ..formats.safetensors_file import TORCH

    return getattr(torch, TORCH[dtype])


def _json(path: Path, said: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _evict(fresh: Path) -> None:
    """Drop the least recently used cut checkpoints beyond the cap, never the newest."""
    found = sorted((p for p in fresh.parent.iterdir() if p != fresh), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    total = sum(f.stat().st_size for f in fresh.iterdir())
    for p in found:
        total += sum(f.stat().st_size for f in p.iterdir()) if p.is_dir() else 0
        if total > CAP:
            shutil.rmtree(p, ignore_errors=True)
