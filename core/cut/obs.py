"""Optimal brain surgery on whole input channels: which go at the least cost to a layer's output, and how the rest makes up for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadData
from ..job import Job

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 32  # of the greedy choice: what is removed in one round is chosen without hearing of the others
ESCALATE = 10.0


@dataclass
class Moments:
    """Sums over the samples of one consumer: inputs x of the network as cut so far, outputs y of the original. float64."""

    xx: Tensor  # (in, in)
    yx: Tensor  # (out, in)
    x: Tensor  # (in,)
    y: Tensor  # (out,)
    n: int

    def second(self, centred: bool) -> tuple[Tensor, Tensor]:
        """E[x xT] and E[y xT], about the means where a bias can take them up."""
        a, b = self.xx / self.n, self.yx / self.n
        if not centred:
            return a, b
        mx, my = self.x / self.n, self.y / self.n
        return a - mx.outer(mx), b - my.outer(mx)


def damped(a: Tensor, damping: float) -> tuple[Tensor, float]:
    """The inverse of a + damping * mean(diagonal) * I and the damping it took: ten times more after each failed factorisation."""
    import torch

    d = a.diagonal()
    mean = float(d.mean())
    if not mean > 0:
        return torch.eye(len(a), dtype=a.dtype), damping  # nothing ever came in: all columns are equally worthless
    while damping < 1e6:
        c, failed = torch.linalg.cholesky_ex(a + torch.eye(len(a), dtype=a.dtype) * (damping * mean))
        if not int(failed):
            return torch.cholesky_inverse(c), damping
        damping *= ESCALATE
    raise BadData("the statistics of this layer hold NaN or infinities; check the calibration data")


def refitted(w: Tensor, a: Tensor, b: Tensor, keep: Tensor, damping: float) -> Tensor:
    """The least-squares weight on the kept columns, pulled towards w: argmin E|W'x - y|^2 + damping * mean(diag) * |W' - w|^2.

    w (out, in), a (in, in), b (out, in), keep: column numbers. With y = Wx this is the exact optimal-brain-surgeon update of all
    removals at once (Hassibi and Stork 1993; ZipLM, Kurtic et al. 2023). Returns (out, in) with zeros in the other columns.
    """
    import torch

    aa = a[keep][:, keep]
    inverse, used = damped(aa, damping)
    pull = used * float(aa.diagonal().mean())
    out = torch.zeros_like(w)
    out[:, keep] = (b[:, keep] + pull * w[:, keep]) @ inverse
    return out


@dataclass
class Consumer:
    """One reader of a dimension during the choice: its weight and inverse second moments, both updated as units go."""

    w: Tensor  # (out, in), rows weighted by what a norm behind makes of them
    inverse: Tensor  # (in, in)
    span: int  # columns a unit owns
    scale: float  # of its output: E|Wx|^2

    def scores(self) -> Tensor:
        """(units,) = rise of E|error|^2 over E|output|^2 when a unit goes: sum over rows of w_S ([H^-1]_SS)^-1 w_S^T."""
        import torch

        m = self.w.shape[1] // self.span
        wide = self.w.unflatten(1, (m, self.span))
        gram = torch.einsum("rms,rmt->mst", wide, wide)
        blocks = self.inverse.unflatten(1, (m, self.span)).unflatten(0, (m, self.span)).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        return torch.linalg.solve(blocks, gram).diagonal(dim1=1, dim2=2).sum(-1) / self.scale

    def remove(self, units: Tensor) -> None:
        """Take units out: W -= W_S ([H^-1]_SS)^-1 H^-1_S, and H^-1 by block elimination."""
        import torch

        at = (units[:, None] * self.span + torch.arange(self.span)).flatten()
        step = torch.linalg.solve(self.inverse[at][:, at], self.inverse[at])
        self.w -= self.w[:, at] @ step
        self.inverse -= self.inverse[:, at] @ step
        self.inverse[at], self.inverse[:, at], self.w[:, at] = 0.0, 0.0, 0.0
        self.inverse[at, at] = 1.0


def chosen(consumers: Sequence[Consumer], units: int, n: int, job: Job) -> list[int]:
    """The n units that stay, found greedily: in each round the cheapest go, and every consumer makes up for them."""
    import torch

    alive = torch.ones(units, dtype=torch.bool)
    batch = max(1, (units - n) // ROUNDS)
    while (over := int(alive.sum()) - n) > 0:
        job.check()
        score = torch.stack([c.scores() for c in consumers]).sum(0).masked_fill(~alive, torch.inf)
        gone = score.argsort(stable=True)[: min(batch, over)]
        for c in consumers:
            c.remove(gone)
        alive[gone] = False
    return [int(i) for i in alive.nonzero().flatten()]
