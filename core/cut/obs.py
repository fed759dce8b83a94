"""Optimal brain surgery on whole input channels: which go at the least cost to a layer's output, and how the rest makes up for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BadData
from ..job import Job

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 32  # of the greedy choice: what is removed in one round is chosen without hearing of the others
ESCALATE = 10.0
PULLS = (0.01, 0.1, 1.0)  # dampings tried on what is held out; 1 won in most layers of SmolLM2 on 1 024 tokens
ROWS = 1 << 13  # of inputs that are multiplied at once


@dataclass
class Moments:
    """Sums over the samples of one consumer: inputs x of the network as cut so far, outputs y it is to have. float64."""

    xx: Tensor  # (in, in)
    yx: Tensor  # (out, in)
    x: Tensor  # (in,)
    y: Tensor  # (out,)
    yy: float = 0.0
    n: float = 0.0  # samples, by their weight
    held: Moments | None = None  # of other samples, for a score

    @staticmethod
    def empty(weight: Tensor) -> Moments:
        """Of a consumer with this weight (out, in, ...), before anything was seen."""
        import torch

        (out, in_), f = weight.flatten(1).shape, torch.float64
        return Moments(
            torch.zeros(in_, in_, dtype=f), torch.zeros(out, in_, dtype=f), torch.zeros(in_, dtype=f), torch.zeros(out, dtype=f)
        )  # fmt: skip

    def add(self, x: Tensor, y: Tensor, job: Job, weight: Tensor | None = None) -> None:
        """x (samples, in), y (samples, out), weight (samples,): what each counts."""
        import torch

        f = torch.float64
        for a, b, w in zip(x.split(ROWS), y.split(ROWS), (torch.ones(len(x)) if weight is None else weight).split(ROWS)):
            job.check()
            weighted = a * w[:, None]
            self.xx += weighted.T @ a  # float32 products of a few thousand rows, summed in float64
            self.yx += b.T @ weighted
            self.x += weighted.sum(0, dtype=f)
            self.y += (b * w[:, None]).sum(0, dtype=f)
            self.yy += float((b.square().sum(1) * w).sum(dtype=f))
            self.n += float(w.sum(dtype=f))

    def with_held(self) -> Moments:
        """All samples, those held out too."""
        if self.held is None:
            return self
        h = self.held
        return Moments(self.xx + h.xx, self.yx + h.yx, self.x + h.x, self.y + h.y, self.yy + h.yy, self.n + h.n)

    def second(self, centred: bool) -> tuple[Tensor, Tensor]:
        """E[x xT] and E[y xT], about the means where a bias can take them up."""
        a, b = self.xx / self.n, self.yx / self.n
        if not centred:
            return a, b
        mx, my = self.x / self.n, self.y / self.n
        return a - mx.outer(mx), b - my.outer(mx)


def damped(a: Tensor, damping: float) -> tuple[Tensor, float]:
    """The inverse of a + damping * mean(diagonal) * I and the damping it took."""
    import torch

    c, used = factored(a, damping)
    return torch.cholesky_inverse(c), used


def factored(a: Tensor, damping: float) -> tuple[Tensor, float]:
    """The lower Cholesky factor of a + damping * mean(diagonal) * I, with ten times more damping after each failure."""
    import torch

    one, mean = torch.eye(len(a), dtype=a.dtype), float(a.diagonal().mean())
    if not mean > 0:
        return one, damping  # nothing ever came in: all columns are equally worthless
    while damping < 1e6:
        c, failed = torch.linalg.cholesky_ex(a + one * (damping * mean))
        if not int(failed):
            return c, damping
        damping *= ESCALATE
    raise BadData("the statistics of this layer hold NaN or infinities; check the calibration data")


def refitted(w: Tensor, a: Tensor, b: Tensor, keep: Tensor, damping: float) -> Tensor:
    """The least-squares weight on the kept columns, pulled towards w: argmin E|W'x - y|^2 + damping * mean(diag) * |W' - w|^2.

    w (out, in), a (in, in), b (out, in), keep: column numbers. With y = Wx this is the exact optimal-brain-surgeon update of all
    removals at once (Hassibi and Stork 1993; ZipLM, Kurtic et al. 2023). Returns (out, in) with zeros in the other columns; the b's of
    several targets below one another give their weights below one another.
    """
    import torch

    aa = a[keep][:, keep]
    c, used = factored(aa, damping)
    pull = used * float(aa.diagonal().mean())
    out = torch.zeros_like(b)
    out[:, keep] = torch.cholesky_solve((b[:, keep] + pull * w[:, keep].repeat(len(b) // len(w), 1)).T, c).T
    return out


def best(w: Tensor, m: Moments, keep: Tensor, damping: float, centred: bool, job: Job) -> Tensor:
    """The refit of least error on what `m.held` saw: how strongly it is pulled towards w, and what share it makes up of earlier losses.

    The target is Wx + share * (y - Wx), so that share 0 is the plain update and 1 aims at all the original had. The winner is fitted
    anew to all samples; where nothing is held out, `damping` and a share of 1 stand."""
    import torch

    if m.held is None:
        return refitted(w, *m.second(centred), keep, damping)
    (a, b), scored = _ends(w, m, centred), m.held.second(centred)

    def tried(pull: float) -> tuple[float, float]:
        job.check()
        plain, full = refitted(w, a, b, keep, pull).tensor_split(2)
        return _shared(plain, full, *scored)

    pull, share = _lowest(tried, sorted({damping, *PULLS}))
    plain, full = refitted(w, *_ends(w, m.with_held(), centred), keep, pull).tensor_split(2)
    return torch.lerp(plain, full, share)


def _lowest(tried: Callable[[float], tuple[float, float]], ladder: Sequence[float]) -> tuple[float, float]:
    """(the step of least error, its share), walking downhill from the step nearest to 1: the error has one valley."""
    at = start = min(range(len(ladder)), key=lambda i: abs(math.log(ladder[i])))
    found = {at: tried(ladder[at])}
    for way in (1, -1):
        while 0 <= at + way < len(ladder):
            found[at + way] = tried(ladder[at + way])
            if found[at + way] >= found[at]:
                break
            at += way
        if at != start:
            break  # the other way is uphill
    return ladder[at], found[at][1]


def _ends(w: Tensor, m: Moments, centred: bool) -> tuple[Tensor, Tensor]:
    """E[x xT], and E[t xT] of the targets Wx and y below one another; a refit to anything between lies between theirs."""
    import torch

    a, b = m.second(centred)
    return a, torch.cat([w @ a, b])


def _shared(plain: Tensor, full: Tensor, a: Tensor, b: Tensor) -> tuple[float, float]:
    """(error, share) of the best plain + share * (full - plain), 0 <= share <= 1: the error is a parabola of the share."""
    step = full - plain
    along = step @ a
    slope, curve = float((along * plain).sum() - (step * b).sum()), float((along * step).sum())
    share = min(1.0, max(0.0, -slope / curve)) if curve > 0 else 0.0
    return error(plain, a, b) + 2 * share * slope + share * share * curve, share


def error(w: Tensor, a: Tensor, b: Tensor) -> float:
    """E|Wx - y|^2 but for its constant part."""
    return float((w @ a * w).sum() - 2 * (w * b).sum())


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
        if self.span == 1:
            return self.w.square().sum(0) / self.inverse.diagonal() / self.scale
        wide = self.w.unflatten(1, (m, self.span))
        gram = torch.einsum("rms,rmt->mst", wide, wide)
        blocks = self.inverse.unflatten(1, (m, self.span)).unflatten(0, (m, self.span)).diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        return torch.linalg.solve(blocks, gram).diagonal(dim1=1, dim2=2).sum(-1) / self.scale

    def remove(self, units: Tensor) -> None:
        """Take units out: W -= W_S ([H^-1]_SS)^-1 H^-1_S, and H^-1 by block elimination."""
        import torch

        at = (units[:, None] * self.span + torch.arange(self.span)).flatten()
        step = torch.linalg.solve(self.inverse[at][:, at], self.inverse[at])
        self.w.addmm_(self.w[:, at], step, alpha=-1)
        self.inverse.addmm_(self.inverse[:, at], step, alpha=-1)
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
