"""Pictures in a folder, with one subfolder a class or without labels, prepared as the checkpoint's preprocessor_config.json says."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadData
from ..job import Job
from . import Batches, Fed, card
from .arrays import dealt, normalise

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg")
MOST = 1000  # pictures when no limit is given: 600 MB of 224 x 224 in float32
SYNSET = re.compile(r"n\d{8}")


def classes(path: Path) -> dict[str, list[Path]]:
    """Subfolder -> its pictures, both in order of their names; {} when no subfolder holds one."""
    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = {p.name: loose(p) for p in folders}
    return {name: files for name, files in found.items() if files}


def loose(path: Path) -> list[Path]:
    """The pictures that lie in a folder itself, in order of their names."""
    return sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES)


def load(path: Path, network: Fed, limit: int | None, job: Job) -> Batches:
    """Up to `limit` pictures, taken from all classes in turn, so that a small limit is no single class; without subfolders they have no
    labels."""
    import torch

    turns, how, seen = _turns(path, network), _how(path, network.pictures), hashlib.sha256()
    made = []
    for file, _ in job.track(turns[: limit or MOST], "Reading pictures"):
        raw = file.read_bytes()
        seen.update(raw)
        made.append(_prepared(file, raw, how))
    if len({t.shape for t in made}) > 1:
        raise BadData(f"{path.name}: the pictures differ in size and the model says none; resize them to one size first")
    seen.update(repr((limit, sorted(how.items()))).encode())
    known = [label for _, label in turns[: len(made)] if label is not None]
    items = dealt(torch.stack(made), torch.tensor(known) if known else None)
    return Batches("images", items, len(made), "images", path.name, seen.hexdigest())


def _turns(path: Path, network: Fed) -> list[tuple[Path, int | None]]:
    """Every picture with its class, None where nothing says one; BadData where there is none."""
    found = classes(path)
    if not found and (plain := loose(path)):
        return [(f, None) for f in plain]
    if not found:
        raise BadData(f"{path.name}: no .png or .jpg lies in it; put the pictures into one folder per class, or here if nobody named them")
    index = labelled(path, list(found), network.labels)
    rows = zip_longest(*([(f, index[n]) for f in files] for n, files in found.items()))
    return [x for row in rows for x in row if x is not None]


def one(file: Path, said: Mapping[str, Any], beside: Path | None) -> Tensor:
    """A single picture (channels, height, width), prepared as `said`, or as the card beside the held-out data says."""
    try:
        raw = file.read_bytes()
    except OSError as e:
        raise BadData(f"{file}: can't be read ({e.strerror}); choose another picture") from None
    return _prepared(file, raw, _how(beside or file, said))


def labelled(path: Path, folders: list[str], labels: tuple[str, ...]) -> dict[str, int]:
    """Folder -> class, by the network's label (or one of its comma-separated names), by number, or all ImageNet synsets in order."""
    if not labels:
        labels = tuple(folders)
    known: dict[str, int | None] = {}
    for i, label in enumerate(labels):
        for name in {_plain(x) for x in (label, *label.split(","))}:
            known[name] = None if name in known else i  # a crane is a bird and a machine
    known |= {_plain(label): i for i, label in enumerate(labels)}
    if len(folders) == len(labels) and all(SYNSET.fullmatch(f) for f in folders):
        return {f: i for i, f in enumerate(sorted(folders))}
    out: dict[str, int] = {}
    for f in folders:
        at = known.get(_plain(f))
        at = int(f) if at is None and f.isdecimal() and int(f) < len(labels) else at
        if at is None:
            raise BadData(f"{path.name}: {f!r} is no class of this network; name the folders like its labels ({', '.join(labels[:4])} …)")
        out[f] = at
    return out


def _plain(label: str) -> str:
    return "".join(c for c in label.casefold() if c.isalnum())


def _how(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is done to a picture, in transformers' words; without a preprocessor the sample.json beside the folder counts."""
    try:
        out = {
            "mode": "L" if said.get("num_channels") == 1 else "RGB", "resample": int(said.get("resample", 2)),
            **_size(said),
        }  # fmt: skip
        if "image_mean" not in said and not card(path) and "rescale_factor" not in said:
            return out | {"scale": 1 / 255, "mean": (0.0,), "std": (1.0,)}
        if "image_mean" not in said:
            how = normalise(path, integers=True)
            return out | {"scale": how["scale"], "mean": (how["mean"],), "std": (how["std"],)}
        scale = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
        plain = not said.get("do_normalize", True)
        mean, std = ((0.0,), (1.0,)) if plain else (tuple(map(float, said["image_mean"])), tuple(map(float, said["image_std"])))
        if 0.0 in std:
            raise ValueError("image_std 0")
    except (TypeError, ValueError, KeyError) as e:
        raise BadData(
            f"preprocessor_config.json doesn't say how to prepare pictures ({e}); restore it from where you got the model"
        ) from None
    return out | {"scale": scale, "mean": mean, "std": std}


def _size(said: Mapping[str, Any]) -> dict[str, Any]:
    """`size`: (height, width), or the length of the shorter side, or None = as they are; `crop`: (height, width) of the middle, or None."""
    crop = _pair(said["crop_size"]) if said.get("do_center_crop") else None
    size = said.get("size", said.get("image_size"))
    if not said.get("do_resize", True) or size is None:
        return {"size": None, "crop": crop}
    if not isinstance(size, Mapping) or "shortest_edge" not in size:
        return {"size": _pair(size), "crop": crop}
    edge = int(size["shortest_edge"])
    if "crop_pct" not in said:
        return {"size": edge, "crop": crop}
    # ConvNeXT: below 384 the shorter side becomes edge / crop_pct and the middle is kept, from 384 on both sides become edge
    return {"size": int(edge / said["crop_pct"]), "crop": (edge, edge)} if edge < 384 else {"size": (edge, edge), "crop": None}


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return (int(size), int(size)) if not isinstance(size, (list, tuple)) else (int(size[0]), int(size[1]))


def _prepared(file: Path, raw: bytes, how: Mapping[str, Any]) -> Tensor:
    """(channels, height, width) in float32; PNG and JPEG only, whatever the name says."""
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG")) as opened:
            picture = _fitted(opened.convert(how["mode"]), how)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise BadData(f"{file.parent.name}/{file.name} can't be read as a picture ({str(e)[:80]}); remove or repair it") from None
    x = torch.from_numpy(np.array(picture, np.float32)).reshape(picture.height, picture.width, -1).permute(2, 0, 1)
    mean, std = (torch.tensor(how[k])[:, None, None] for k in ("mean", "std"))
    return (x * how["scale"] - mean) / std


def _fitted(picture: Image, how: Mapping[str, Any]) -> Image:
    size, crop = how["size"], how["crop"]
    if isinstance(size, int):
        scale = size / min(picture.size)
        size = (size, int(picture.height * scale)) if picture.width <= picture.height else (int(picture.width * scale), size)
    elif size:
        size = size[::-1]
    if size and size != picture.size:
        picture = picture.resize(size, how["resample"])
    if crop:
        left, top = (picture.width - crop[1]) // 2, (picture.height - crop[0]) // 2
        picture = picture.crop((left, top, left + crop[1], top + crop[0]))
    return picture
