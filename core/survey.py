"""What the weights of a checkpoint look like in figures: range, mean, deviation, zeros and outliers, one tensor in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from .inspection import FAR, STEP
from .job import Job

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Survey:
    """Figures over the finite values of one tensor, or of several (an outlier lies beyond FAR deviations of its own tensor)."""

    n: int = 0  # finite values
    low: float = inf
    high: float = -inf
    mean: float = 0.0
    squares: float = 0.0  # sum of squared distances from the mean
    zeros: int = 0
    outliers: int = 0
    broken: int = 0  # NaN or infinite

    @property
    def std(self) -> float:
        return sqrt(self.squares / self.n) if self.n else 0.0

    @property
    def sparsity(self) -> float:
        return self.zeros / self.n if self.n else 0.0


def survey(tensor: Tensor, job: Job) -> Survey:
    """Two walks in pieces of STEP elements: moments, then what lies far from them."""
    import torch

    flat = tensor.reshape(-1)
    found = joined(_piece(p.to(torch.float64), job) for p in flat.split(STEP)) if flat.numel() else Survey()
    far = 0
    for p in flat.split(STEP) if found.std else ():
        job.check()
        x = p.to(torch.float64)
        far += int((((x - found.mean).abs() > FAR * found.std) & x.isfinite()).sum())
    return Survey(found.n, found.low, found.high, found.mean, found.squares, found.zeros, far, found.broken)


def _piece(x: Tensor, job: Job) -> Survey:
    job.check()
    good = x[x.isfinite()]
    if not good.numel():
        return Survey(broken=x.numel())
    mean = float(good.mean())
    zeros, squares = good.numel() - int(good.count_nonzero()), float((good - mean).square().sum())
    return Survey(good.numel(), float(good.min()), float(good.max()), mean, squares, zeros, 0, x.numel() - good.numel())


def joined(parts: Iterable[Survey]) -> Survey:
    """The figures of all parts together (Chan, Golub and LeVeque 1983: exact where sums of squares cancel)."""
    out = Survey()
    for p in parts:
        n = out.n + p.n
        apart = p.mean - out.mean
        share = p.n / n if n else 0.0
        out = Survey(
            n, min(out.low, p.low), max(out.high, p.high), out.mean + apart * share, out.squares + p.squares + apart**2 * out.n * share,
            out.zeros + p.zeros, out.outliers + p.outliers, out.broken + p.broken,
        )  # fmt: skip
    return out
