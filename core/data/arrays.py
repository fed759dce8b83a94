"""NumPy archives of images and labels."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadData
from ..networks import Network
from . import Batches, fingerprint, sources

if TYPE_CHECKING:
    import numpy as np

BATCH = 50


@sources("arrays")
class Arrays:
    """An .npz with `images` (N, C, H, W) and `labels` (N,); a sample.json beside it may say how to normalise."""

    suffixes: ClassVar = (".npz",)

    @staticmethod
    def load(path: Path, network: Network, limit: int | None) -> Batches:
        import torch

        if network.task != "image-classification":
            raise BadData(f"{path.name} holds images and this network reads text; choose a .txt")
        raw = path.read_bytes()
        images, labels = _arrays(raw, path, limit)
        if len(labels) and network.labels and not 0 <= labels.min() <= labels.max() < len(network.labels):
            raise BadData(f"{path.name}: labels run from {labels.min()} to {labels.max()}, the network knows 0 to {len(network.labels) - 1}")
        x, y = torch.from_numpy(_normalised(images, path)), torch.from_numpy(labels)
        items = tuple({"pixel_values": x[i : i + BATCH], "labels": y[i : i + BATCH]} for i in range(0, len(x), BATCH))
        return Batches("images", items, len(x), "images", path, fingerprint(raw, limit))


def _arrays(raw: bytes, path: Path, limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as z:
            images, labels = z["images"][:limit], z["labels"][:limit]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
        raise BadData(f"{path.name}: not an .npz with images and labels ({e}); write it with numpy.savez(images=..., labels=...)") from None
    if images.ndim != 4 or labels.shape != images.shape[:1] or not len(labels):
        raise BadData(f"{path.name}: images {images.shape} and labels {labels.shape} should be (N, C, H, W) and (N,), N at least 1")
    return images, labels.astype(np.int64)


def _normalised(images: np.ndarray, path: Path) -> np.ndarray:
    import numpy as np

    card = path.with_name("sample.json")
    n = json.loads(card.read_text()).get("normalise", {}) if card.exists() else {}
    x = images.astype(np.float32) * n.get("scale", 1.0)
    return ((x - n.get("mean", 0.0)) / n.get("std", 1.0)).astype(np.float32)
