"""Uneven points: a table of values per row or group, found by k-means with importance weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..job import Job
from .grid import Nearest, shared

if TYPE_CHECKING:
    import torch
    from torch import Tensor

STEP = 1 << 18  # weights clustered at once
SOLVABLE = 64  # values of a row up to which they are solved for together
ITERATIONS = 12  # of Lloyd's algorithm; the error moves by under 0.1 % after that


@dataclass(frozen=True)
class Table:
    """2^bits sorted values per group of `size` inputs, one of them exactly 0; a code is a place in the table."""

    values: Tensor  # (out, groups, points) float32, rising
    size: int

    @property
    def _edges(self) -> Tensor:
        return (self.values[..., 1:] + self.values[..., :-1]) / 2

    def nearest(self, order: Tensor) -> Nearest:
        import torch

        group = (order // self.size).tolist()
        edges = [e.contiguous() for e in self._edges.unbind(1)]
        values = self.values.unbind(1)

        def at(column: Tensor, j: int) -> tuple[Tensor, Tensor]:
            flat = column.reshape(-1, column.shape[-1]).T.contiguous()  # (out, dampings)
            code = torch.searchsorted(edges[group[j]], flat)
            value = values[group[j]].gather(1, code)
            return code.T.reshape(column.shape).to(column.dtype), value.T.reshape(column.shape)

        return at

    def zeros(self, order: Tensor) -> Tensor:
        return (self.values == 0).to(self.values.dtype).argmax(-1).to(self.values.dtype).T[order // self.size]

    def decode(self, codes: Tensor) -> Tensor:
        x = codes.long().unflatten(-1, (self.values.shape[1], -1))
        return self.values.expand(*x.shape[:-1], -1).gather(-1, x).flatten(-2)

    def direct(self, w: Tensor) -> Tensor:
        """w (out, in) -> the nearest places."""
        import torch

        x = w.unflatten(-1, (self.values.shape[1], -1)).contiguous()
        return torch.searchsorted(self._edges.contiguous(), x).flatten(-2).to(w.dtype)

    def refit(self, w: Tensor, codes: Tensor, h: Tensor, dtype: torch.dtype, job: Job) -> Table:
        """The values that are best for these codes, all of a row at once; where a row has too many for that, they stay as they are."""
        import torch

        groups, k = self.values.shape[1:]
        if groups * k > SOLVABLE:
            return self
        place = codes.long() + k * (torch.arange(codes.shape[1]) // self.size)
        values = self.values.flatten(1).clone()
        step = max(1, STEP // codes.shape[1])
        for i in range(0, len(w), step):
            part, some = place[i : i + step], slice(i, i + step)
            normal = w.new_empty(len(part), groups * k, groups * k)
            for v in range(groups * k):
                job.check()
                normal[:, v] = w.new_zeros(len(part), groups * k).scatter_add_(1, part, (part == v).to(w.dtype) @ h)
            right = w.new_zeros(len(part), groups * k).scatter_add_(1, part, w[some] @ h)
            values[some] = _solved(normal, right, values[some])
        found = values.to(dtype).float().view_as(self.values)
        rising = (found.diff(dim=-1) >= 0).all(-1, keepdim=True)
        return Table(torch.where(rising, found, self.values), self.size)

    def part(self, at: slice) -> Table:
        size, groups = shared(self.size, at)
        return Table(groups(self.values)[:, at.start // size : at.stop // size], size)

    def joined(self, parts: list[Table]) -> Table:
        import torch

        return self if any(p.size != self.size for p in parts) else Table(torch.cat([p.values for p in parts], 1), self.size)


def _solved(normal: Tensor, right: Tensor, old: Tensor) -> Tensor:
    """Batched solve in float64; 0 stays 0, and a value that no weight has stays what it was."""
    import torch

    normal, right = normal.double(), right.double()
    fixed = (old == 0) | (normal.diagonal(dim1=1, dim2=2) <= 0)
    right = torch.where(fixed, old.double(), right - (normal @ torch.where(fixed, old, 0).double().unsqueeze(-1)).squeeze(-1))
    normal.masked_fill_(fixed.unsqueeze(1) | fixed.unsqueeze(2), 0)
    d = normal.diagonal(dim1=1, dim2=2)
    d.mul_(1 + 1e-5).add_(fixed.double())
    found = torch.linalg.solve(normal, right).float()
    return torch.where(found.isfinite(), found, old)


def clustered(x: Tensor, h: Tensor, bits: int, dtype: torch.dtype, job: Job) -> Tensor:
    """x (out, groups, size), importance h (out or 1, groups, size) -> values (out, groups, 2^bits), rounded to `dtype`, one exactly 0.

    Lloyd's k-means with weights, as SqueezeLLM (Kim et al. 2023, arXiv 2306.07629).
    """
    import torch

    step = max(1, STEP // x[0].numel())
    parts = []
    for i in range(0, len(x), step):
        part, weight = x[i : i + step], h if len(h) == 1 else h[i : i + step]
        parts.append(_clustered(part, weight.expand_as(part), 2**bits, job).to(dtype).float())
    return torch.cat(parts)


def _clustered(x: Tensor, h: Tensor, k: int, job: Job) -> Tensor:
    import torch

    low, high = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    values = _pinned(low + (high - low) * torch.linspace(0, 1, k))
    hx = h * x
    for _ in range(ITERATIONS):
        job.check()
        code = torch.searchsorted(((values[..., 1:] + values[..., :-1]) / 2).contiguous(), x.contiguous())
        mass = torch.zeros_like(values).scatter_add_(-1, code, h)
        pull = torch.zeros_like(values).scatter_add_(-1, code, hx)
        values = _pinned(torch.where(mass > 0, pull / mass.clamp(min=1e-38), values).sort(-1).values)
    return values


def _pinned(values: Tensor) -> Tensor:
    """The value nearest to 0 becomes 0, so that a pruned weight has a place."""
    return values.scatter(-1, values.abs().argmin(-1, keepdim=True), 0.0).sort(-1).values
