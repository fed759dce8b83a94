"""One picture, or one pair of sentences, shown to both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import pictures
from ..errors import BadData
from ..evaluate import answer, compare
from ..job import Job
from ..types import CLASSIFIERS
from . import Class, Likeness, Looked, Side

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TOP = 5
WAVE = 64  # pixels a side of a drawn frame


def look(before: Side, after: Side, pixels: Tensor, name: str, job: Job, label: str = "") -> Looked:
    """What both see in pixels (channels, height, width), or hear in a frame (samples,), prepared for the network."""
    task = before.network.task
    item = {CLASSIFIERS[task]: pixels[None]}
    a, b = (answer(s.network, s.weights, item, job)[0] for s in (before, after))
    kl = float(compare(task, a[None], b[None], {})["kl"])
    p, q = a.exp(), b.exp()
    most = min(TOP, len(p))
    first = p.topk(most).indices.tolist()
    found = [*first, *(i for i in q.topk(most).indices.tolist() if i not in first)]
    classes = tuple(Class(named(before.network.labels, i), float(p[i]), float(q[i])) for i in found)
    return Looked(name, shown(pixels), classes, kl, label)


def opened(file: Path, network: Any, beside: Path | None, item: Mapping[str, Any] | None) -> Tensor:
    """A picture file as the network wants it: as its preprocessor says, else as the held-out pictures (`item`, lying `beside`) are."""
    if network.task != "image-classification":
        raise BadData(f"{file.name}: this network is for {network.task} and can't look at pictures; open a classifier")
    said: dict[str, Any] = dict(network.pictures)
    if item is not None:
        channels, height, width = item["pixel_values"].shape[1:]
        said = {"num_channels": channels, **said}
        if "size" not in said and "image_size" not in said:
            said["image_size"] = (height, width)
    return pictures.one(file, said, beside)


def named(labels: tuple[str, ...], at: int) -> str:
    return labels[at] if at < len(labels) else str(at)


def shown(pixels: Tensor) -> np.ndarray[Any, Any]:
    """(height, width, 1 or 3) uint8: what the network is given, from its darkest to its brightest value; a frame of sound is drawn."""
    import numpy as np

    if pixels.ndim == 1:
        return wave(pixels)
    low, high = float(pixels.min()), float(pixels.max())
    scaled = (pixels - low) * (255 / max(high - low, 1e-12))
    found: np.ndarray[Any, Any] = scaled.round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(found[:, :, :3] if found.shape[2] >= 3 else found[:, :, :1])


def wave(frame: Tensor) -> np.ndarray[Any, Any]:
    """(WAVE, WAVE, 1) uint8: a frame's samples from left to right, each column from its least to its greatest."""
    import torch

    columns = frame[: len(frame) // WAVE * WAVE].view(WAVE, -1)
    most = float(frame.abs().max()) or 1.0
    low, high = (((WAVE - 1) / 2 * (1 - x / most)).round() for x in (columns.amax(1), columns.amin(1)))
    rows = torch.arange(WAVE)[:, None]
    inked = (rows >= low) & (rows <= high)
    found: np.ndarray[Any, Any] = (255 - 215 * inked.int()).byte()[..., None].numpy()
    return found


def liken(before: Side, after: Side, first: str, second: str, job: Job) -> Likeness:
    """How alike both hold two sentences."""
    network = before.network
    if network.task != "encoder":
        raise BadData(f"This network is for {network.task} and embeds no sentences; open a sentence encoder")
    if not (first.strip() and second.strip()):
        raise BadData("Two sentences are compared; write both")
    fed = network.tokenizer([first, second], padding=True, truncation=True, max_length=min(network.context, 256), return_tensors="pt")
    item = {k: fed[k] for k in ("input_ids", "attention_mask")}
    a, b = (answer(s.network, s.weights, item, job) for s in (before, after))
    moved = (a * b).sum(-1).tolist()
    return Likeness(first, second, float(a[0] @ a[1]), float(b[0] @ b[1]), (moved[0], moved[1]))
