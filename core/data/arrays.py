"""Images, and labels where there are some, out of an .npz file, normalised as the sample.json beside it says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadData
from . import Batches, Fed, card, fingerprint

if TYPE_CHECKING:
    from torch import Tensor

PER_BATCH = 50  # small enough that a cancel is heard within a second


def load(path: Path, network: Fed, limit: int | None) -> Batches:
    """The first `limit` images; arrays only, a pickle is refused."""
    import torch

    raw = path.read_bytes()
    images, labels = _arrays(path, raw)
    known = len(network.labels)
    if labels is not None and known and not 0 <= int(labels.min()) <= int(labels.max()) < known:
        raise BadData(
            f"{path.name}: labels run from {labels.min()} to {labels.max()}, but the network has {known} classes; choose its own data"
        )
    how = normalise(path, integers=images.dtype.kind in "ui")
    x = (torch.from_numpy(images[:limit]).float() * how["scale"] - how["mean"]) / how["std"]
    y = None if labels is None else torch.from_numpy(labels[:limit].astype("int64"))
    return Batches("images", dealt(x, y), len(x), "images", path.name, fingerprint(raw, limit, sorted(how.items())))


def dealt(x: Tensor, y: Tensor | None) -> tuple[dict[str, Tensor], ...]:
    """Pictures (n, channels, height, width) as batches, with their labels where these are known."""
    parts = {"pixel_values": x.split(PER_BATCH)} | ({} if y is None else {"labels": y.split(PER_BATCH)})
    return tuple({k: v[i].contiguous() for k, v in parts.items()} for i in range(len(parts["pixel_values"])))


def _arrays(path: Path, raw: bytes) -> tuple[Any, Any]:
    import numpy as np

    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            images = stored["images"]
            labels = stored["labels"] if "labels" in stored.files else None
    except KeyError:
        raise BadData(f"{path.name} has no array 'images' (N, channels, height, width); 'labels' (N) may come with them") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise BadData(f"{path.name} can't be read as plain arrays ({str(e).splitlines()[0][:90]}); save it with numpy.savez") from None
    shape, kind = (images.shape[:1], "u") if labels is None else (labels.shape, labels.dtype.kind)
    if images.ndim != 4 or shape != images.shape[:1] or not len(images):
        raise BadData(
            f"{path.name}: images {list(images.shape)} and labels {list(shape)} don't fit; "
            "images must be (N, channels, height, width) and labels (N)"
        )
    if images.dtype.kind not in "uif" or kind not in "ui":
        raise BadData(f"{path.name}: images are {images.dtype} and labels of kind {kind}; they must be numbers and whole numbers")
    return images, labels


def normalise(path: Path, integers: bool) -> dict[str, float]:
    """What sample.json says; otherwise bytes become 0 to 1 and floats stay as they are."""
    said = card(path).get("normalise", {})
    plain = {"scale": 1 / 255 if integers else 1.0, "mean": 0.0, "std": 1.0}
    try:
        how = {k: float(said.get(k, v)) for k, v in plain.items()}
    except (TypeError, ValueError, AttributeError):
        raise BadData(f"{path.parent / 'sample.json'}: 'normalise' must hold the numbers scale, mean and std; repair it") from None
    if how["std"] == 0:
        raise BadData(f"{path.parent / 'sample.json'}: 'normalise' has std 0; give the deviation of the pixels")
    return how
