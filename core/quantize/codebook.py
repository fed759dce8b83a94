"""Codebook: the points lie where the weights are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..job import Job
from ..registry import knob
from ..solve.rounding import blind, signal, solved
from ..solve.table import Table, clustered
from ..stored import Codebook
from ..types import Seen
from . import quantizers
from .grouped import Grouped, scale_type

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("codebook")
@dataclass(frozen=True, slots=True)
class KMeans:
    """2^bits values of its own for every output or group, by k-means with importance weights (SqueezeLLM, arXiv 2306.07629), then GPTQ.

    The table costs bytes, and no runtime unpacks it (exports are dense): `slim` in groups is better at equal bytes on all we measured.
    """

    title: ClassVar[str] = "Codebook (k-means)"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    symmetric: ClassVar[bool] = False
    table: ClassVar[bool] = True
    bits: int = 4
    granularity: str = knob("channel", choices=("group", "channel"))
    group_size: int = knob(128, choices=(32, 64, 128))
    rounds: int = knob(2, 0, 6, 1, label="Polishing rounds")

    def groups(self, width: int) -> int:
        """Groups in a row; a size that does not divide it is refused."""
        return Grouped(self.bits, self.granularity, self.group_size, False).groups(width)

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Codebook:
        """w (out, in ...) -> codes with their tables in `dtype`."""
        import torch

        dtype, job, rows = scale_type(w, dtype), job or Job(), w.flatten(1).float()
        groups = self.groups(rows.shape[1])
        h = signal(seen, rows.shape[1], job)

        def fit(importance: Tensor) -> Table:
            spread = importance.expand(1 if importance.ndim == 1 else len(rows), -1).unflatten(1, (groups, -1))
            return Table(clustered(rows.unflatten(1, (groups, -1)), spread, self.bits, dtype, job), rows.shape[1] // groups)

        codes, points = blind(rows, fit) if h is None else solved(rows, h, seen, fit, self.rounds, dtype, job)
        return Codebook(codes.to(torch.uint8), points.values.to(dtype), self.bits, points.size, tuple(w.shape), self.granularity)
