"""Images and labels out of an .npz file, normalised as the sample.json beside it says."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from ..errors import BadData
from . import Batches, Fed, card, fingerprint

PER_BATCH = 50  # small enough that a cancel is heard within a second


def load(path: Path, network: Fed, limit: int | None) -> Batches:
    """The first `limit` images; arrays only, a pickle is refused."""
    import torch

    raw = path.read_bytes()
    images, labels = _arrays(path, raw)
    known = len(network.labels)
    if known and not 0 <= int(labels.min()) <= int(labels.max()) < known:
        raise BadData(
            f"{path.name}: labels run from {labels.min()} to {labels.max()}, but the network has {known} classes; choose its own data"
        )
    how = normalise(path, integers=images.dtype.kind in "ui")
    x = (torch.from_numpy(images[:limit]).float() * how["scale"] - how["mean"]) / how["std"]
    y = torch.from_numpy(labels[:limit].astype("int64"))
    pairs = zip(x.split(PER_BATCH), y.split(PER_BATCH), strict=True)
    items = tuple({"pixel_values": a, "labels": b} for a, b in pairs)
    return Batches("images", items, len(y), "images", path.name, fingerprint(raw, limit, sorted(how.items())))


def _arrays(path: Path, raw: bytes) -> tuple[Any, Any]:
    import numpy as np

    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
    except KeyError as e:
        raise BadData(f"{path.name} has no array {e}; it needs 'images' (N, channels, height, width) and 'labels' (N)") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise BadData(f"{path.name} can't be read as plain arrays ({str(e).splitlines()[0][:90]}); save it with numpy.savez") from None
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(images):
        raise BadData(
            f"{path.name}: images {list(images.shape)} and labels {list(labels.shape)} don't fit; "
            "images must be (N, channels, height, width) and labels (N)"
        )
    if images.dtype.kind not in "uif" or labels.dtype.kind not in "ui":
        raise BadData(f"{path.name}: images are {images.dtype} and labels {labels.dtype}; they must be numbers and whole numbers")
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
