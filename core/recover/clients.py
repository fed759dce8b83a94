"""Who holds which samples of a federation, and the privacy of what they send: clipped, noised, and what that promises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..data import Batches, Fed, load
from ..errors import BadData
from ..job import Job
from .tune import SAMPLES, cut

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DELTA = 1e-5  # the chance that the promise of privacy does not hold


@dataclass
class Client:
    """One holder of data; what packing took off its last change it adds to the next (error feedback, Seide et al. 2014); its batch norms
    may be its own (FedBN, Li et al. 2021)."""

    name: str
    pieces: Batches
    kept: list[Tensor] = field(default_factory=list)
    norms: list[Tensor] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return sum(rows(x) for x in self.pieces.items)


def rows(item: dict[str, Tensor]) -> int:
    """Scored tokens or samples of one piece: what its mean loss is a mean over."""
    if "labels" in item:
        return len(item["labels"])
    return item["input_ids"].shape[1] - 1 if len(item["input_ids"]) == 1 else len(item["input_ids"])


def dealt(pieces: Batches, count: int, alpha: float, seed: int, spread: float = 0.0) -> list[Client]:
    """The samples among `count` clients: each class by shares drawn from Dirichlet(alpha), the smaller the more unlike and unequal (Hsu et
    al. 2019); alpha 0 deals every class alike. With a spread the clients' sizes are log-normal, too, as where people use a thing much and
    little (2 in Li et al. 2020, FedProx): a client's share of a class is drawn about its share of all. Samples without labels are one
    class. A client may end with nothing."""
    import numpy as np

    if count > len(units := _units(pieces)):
        raise BadData(f"{len(units)} samples can't be dealt to {count} clients; choose fewer clients or more data")
    g, wide = np.random.default_rng(seed), np.exp(spread * np.random.default_rng([seed, 1]).standard_normal(count))
    sizes = wide / wide.mean()  # all 1.0 without a spread
    kinds: dict[int, list[int]] = {}
    for i, u in enumerate(units):
        kinds.setdefault(int(u["labels"][0]) if "labels" in u else 0, []).append(i)
    held: list[list[int]] = [[] for _ in range(count)]
    for members in kinds.values():
        mixed = g.permutation(members)
        share = g.dirichlet(alpha * sizes) if alpha > 0 else sizes / count
        for own, part in zip(held, np.split(mixed, (share.cumsum()[:-1] * len(mixed)).round().astype(int))):
            own.extend(part.tolist())
    return [Client(f"client {k + 1}", _gathered(pieces, [units[i] for i in sorted(own)])) for k, own in enumerate(held)]


def holder(name: str, path: Path, network: Fed, limit: int | None, job: Job) -> Client:
    """The client that holds the samples of a file or folder; BadData for what can't be learned from."""
    found = load(path, network, limit, job)
    pieces = replace(found, items=tuple(cut(found)), nbytes=())
    if not pieces.items:
        raise BadData(f"{path.name}: too short to train on ({found.n:,} {found.unit}); choose more data")
    return Client(name, pieces)


def holders(path: Path, network: Fed, limit: int | None, job: Job) -> list[Client]:
    """Each file and each folder in a folder as one client, by its name; an empty folder is a client without samples."""
    inside = sorted(p for p in path.iterdir() if not p.name.startswith(".") and p.name != "sample.json") if path.is_dir() else []
    if len(inside) < 2:
        raise BadData(f"{path.name}: every client has a folder (or file) of its own in it, two at least; choose the folder above them")
    return [holder(p.stem if p.is_file() else p.name, p, network, limit, job) if _held(p) else _without(p.name) for p in inside]


def _held(path: Path) -> bool:
    """Whether there is anything in it."""
    return path.is_file() or any(path.iterdir())


def _without(name: str) -> Client:
    return Client(name, Batches("text", (), 0, "tokens", name, ""))


def _units(pieces: Batches) -> list[dict[str, Tensor]]:
    """What is dealt: single images or sentences, or whole windows of a text."""
    if pieces.kind == "text":
        return list(pieces.items)
    return [{k: v[i : i + 1] for k, v in x.items()} for x in pieces.items for i in range(len(next(iter(x.values()))))]


def _gathered(pieces: Batches, units: Sequence[dict[str, Tensor]]) -> Batches:
    """A client's samples as pieces of one forward pass each; sentences of different lengths stay alone."""
    import torch

    alike = pieces.single
    size = SAMPLES if alike else 1
    runs = [units[i : i + size] for i in range(0, len(units), size)]
    items = tuple({k: torch.cat([u[k] for u in run]) for k in run[0]} for run in runs)
    return replace(pieces, items=items, n=sum(map(rows, items)), nbytes=())


def clipped(change: list[Tensor], most: float) -> list[Tensor]:
    """A change no longer than `most` over all its tensors together."""
    size = math.sqrt(sum(float(t.square().sum()) for t in change))
    return change if size <= most else [t * (most / size) for t in change]


def noised(mean: list[Tensor], deviation: float, g: torch.Generator) -> list[Tensor]:
    import torch

    return [t + deviation * torch.randn(t.shape, generator=g) for t in mean]


def epsilon(noise: float, rounds: int, delta: float = DELTA) -> float:
    """ε of (ε, δ)-differential privacy of a client after `rounds` Gaussian mechanisms of noise multiplier `noise`, every client in every
    round: ρ = rounds / (2 noise²) by composition, ε = ρ + 2 sqrt(ρ ln(1/δ)) (Bun and Steinke 2016, zero-concentrated privacy)."""
    rho = rounds / (2 * noise**2)
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))
