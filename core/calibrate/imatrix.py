"""An importance matrix as statistics: read for methods that look at a layer's inputs, collected from a network for other tools."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import Batches
from ..errors import BadFile, BadPlan
from ..formats import read
from ..formats.gguf_metadata import named
from ..formats.imatrix_file import Importance, load
from ..job import Job
from ..networks import Network
from ..spans import span
from ..types import Calibration, Checkpoint, Layer, Seen
from . import layer_modules

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

CODE = "1"  # raise it when what is made of a file changes
ONLY = "An importance matrix holds the squares of each layer's inputs and nothing more; choose a calibration text for {what}"


@dataclass(frozen=True)
class Diagonals(Mapping[str, Seen]):
    """Layer.name -> second moments of which only the diagonal is known, made when a layer asks for them."""

    squares: Mapping[str, np.ndarray]
    tokens: int

    def __getitem__(self, name: str) -> Seen:
        import torch

        h = torch.from_numpy(self.squares[name])
        b = span(len(h))
        blocks = torch.diag_embed(h.view(-1, b))
        return Seen(hessian=blocks[0] if len(blocks) == 1 else blocks, samples=self.tokens)

    def __iter__(self) -> Iterator[str]:
        return iter(self.squares)

    def __len__(self) -> int:
        return len(self.squares)


def calibration(path: Path, checkpoint: Checkpoint, layers: Iterable[Layer], needs: Iterable[str], order: str, job: Job) -> Calibration:
    """What the file says of these layers; BadFile when it is of another model, BadPlan for methods that want more than it holds."""
    if more := sorted(set(needs) - {"inputs"}):
        raise BadPlan(ONLY.format(what=f"methods that ask for {' and '.join(more)}"))
    if order == "sequential":
        raise BadPlan(ONLY.format(what="sequential order"))
    names, found = named(checkpoint), load(path)
    widths = {x.name: (names.get(x.tensor.name, ""), x.tensor.parameters // max(1, x.tensor.shape[0])) for x in layers if x.prunable}
    squares = {n: found.squares[g] for n, (g, _) in widths.items() if g in found.squares}
    wrong = next((n for n, s in squares.items() if len(s) != widths[n][1]), "")
    if wrong or not squares:
        why = f"{wrong} has {widths[wrong][1]} inputs and there {len(squares[wrong])}" if wrong else "it names none of the layers"
        raise BadFile(f"{path.name} is the importance matrix of another model: {why}; choose the one made of {checkpoint.path.name}")
    job.note(f"Calibrated on {path.name}: {len(squares)} layers, {found.tokens:,} tokens")
    return Calibration(Diagonals(squares, found.tokens), hashlib.sha256(CODE.encode() + path.read_bytes()).hexdigest())


def collected(network: Network, checkpoint: Checkpoint, data: Batches, job: Job) -> Importance:
    """The mean square of every input of every layer over all of `data`, each token counting the same, as llama-imatrix has it."""
    import torch

    names = named(checkpoint)
    modules = {names.get(t, ""): m for t, m in layer_modules(network, checkpoint).items()}
    sums: dict[str, Tensor] = {}
    kept: list[Tensor | None] = [None]
    hooks = [m.register_forward_pre_hook(_adding(sums, n, kept)) for n, m in modules.items() if n and isinstance(m, torch.nn.Linear)]
    try:
        weights = {n: _floats(read(t)) for n, t in job.track(checkpoint.tensors.items(), "Loading")}
        tokens = 0
        with torch.inference_mode():
            for batch in job.track(data.items, "Collecting"):
                mask = batch.get("attention_mask")
                kept[0] = None if mask is None else mask.flatten().bool()
                network.forward(weights, batch)
                tokens += batch["input_ids"].numel() if mask is None else int(mask.sum())
    finally:
        for h in hooks:
            h.remove()
    return Importance({n: (s / tokens).float().numpy() for n, s in sums.items()}, tokens)


def _floats(t: torch.Tensor) -> Tensor:
    return t.float() if t.is_floating_point() else t


def _adding(sums: dict[str, Tensor], name: str, kept: list[Tensor | None]) -> Any:
    def hook(_: Any, given: Any) -> None:
        import torch

        x = given[0].flatten(0, -2).float()
        if kept[0] is not None and len(kept[0]) == len(x):
            x = x[kept[0]]
        sums[name] = sums.get(name, torch.zeros(x.shape[1], dtype=torch.float64)) + x.square().sum(0, dtype=torch.float64)

    return hook
