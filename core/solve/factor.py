"""Second moments of the inputs as what the solvers walk along: an order of the columns, and Cholesky factors of the damped inverse."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..job import Job
from ..spans import diagonal, each

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DAMPINGS = (0.01, 0.03, 0.1, 0.3)  # shares of the mean diagonal; the held-out error decides among them
CONDITION = 2e5  # up to which float32 decomposes a matrix well
SMALL = 96  # a triangle no wider than this is inverted directly
GIVE_UP = 10.0  # a matrix that needs more damping than this has nothing left to say


@dataclass(frozen=True)
class Factor:
    """One Hessian, its columns in the order they are rounded (largest diagonal first), damped `len(damping)` times."""

    order: Tensor  # (in,)
    moments: Tensor  # (in, in) float32 in that order, undamped; dead inputs uncorrelated
    upper: tuple[Tensor, ...]  # (in, in) float32 each: upper Cholesky factor of each damped inverse
    damping: tuple[float, ...]  # what was really added, as a share of the mean diagonal

    def damped(self, k: int) -> Tensor:
        """(in, in) in order: the moments with the k-th damping on their diagonal."""
        h = self.moments.clone()
        h.diagonal().add_(self.damping[k] * h.diagonal().mean())
        return h

    @property
    def natural(self) -> Tensor:
        """(in,) where each input stands in the order."""
        return self.order.argsort()

    def importance(self, k: int) -> Tensor:
        """(in,) in natural order: what a squared error of one weight costs once all later weights have made up for it, 1 / U_jj^2."""
        return self.upper[k].diagonal().square().reciprocal()[self.natural]


_kept: dict[tuple[int, Any], tuple[weakref.ref[Any], Factor]] = {}


def usable(h: Tensor | None) -> bool:
    """Whether these moments say anything: finite, and not all zero."""
    return h is not None and bool(h.sum().isfinite()) and bool((diagonal(h) > 0).any())


def factor(h: Tensor, dampings: tuple[float, ...], job: Job, together: int = 1) -> Factor:
    """The factors of `h` (in, in); layers that share the very same tensor share them, and they are freed with it.

    `together` columns stay neighbours in the order (N:M patterns). A matrix that is not positive definite gets ten times the damping
    until it is, and the job's notes say so (Frantar et al. 2022, arXiv 2210.17323).
    """
    at = (id(h), (dampings, together))
    found = _kept.get(at)
    if found is None or found[0]() is not h:
        found = (weakref.ref(h, lambda _: _kept.pop(at, None)), _factor(h, dampings, together, job))
        _kept[at] = found
    return found[1]


def _factor(h: Tensor, dampings: tuple[float, ...], together: int, job: Job) -> Factor:
    import torch

    h = alive(h)
    first = h.diagonal().view(-1, together).sum(1).argsort(descending=True, stable=True) * together
    order = (first.unsqueeze(1) + torch.arange(together)).flatten()
    h = h.index_select(0, order).index_select(1, order)
    back = h.flip(0, 1)
    found = [_inverse(back, share, job) for share in dampings]
    return Factor(order, h, tuple(u for u, _ in found), tuple(share for _, share in found))


def strength(h: Tensor) -> Tensor:
    """(in,) the diagonal that `alive` would leave, without a second matrix in memory."""
    d = diagonal(h).float().clone()
    dead = ~(d > 0)
    d[dead] = 1.0 if bool(dead.all()) else d[~dead].mean()
    return d


def alive(h: Tensor) -> Tensor:
    """A float32 copy in which an input that never fired (or was spoiled) stands alone with the mean diagonal: it is simply rounded."""
    import torch

    if h.ndim == 3:
        return torch.stack([alive(part) for _, part in each(h)])
    h = h.float().clone()
    d = h.diagonal()
    dead = ~(d > 0)
    if bool(dead.any()):
        h[dead] = 0
        h[:, dead] = 0
        h.diagonal()[dead] = 1.0 if bool(dead.all()) else d[~dead].mean()  # a whole block of a wide layer may be dead
    return h


def _inverse(back: Tensor, share: float, job: Job) -> tuple[Tensor, float]:
    """Upper Cholesky factor of (h + share * mean diagonal)^-1, and the share that it took; `back` is h counted from its end.

    A damped matrix has a condition of at most inputs / share. Up to CONDITION float32 is as good (2.6e-6 off for 1536 inputs and 0.03)
    and takes half the time; beyond it is decomposed in float64.
    """
    import torch

    asked = share
    while share <= GIVE_UP:
        job.check()
        dtype = torch.float32 if len(back) <= CONDITION * share else torch.float64
        # the factor of the inverse is the inverse of the factor, columns counted from the back: half the work of inverting h first
        lower, bad = torch.linalg.cholesky_ex(_damped(back, share, dtype))
        if not int(bad):
            upper = _triangular_inverse(lower.float(), job).flip(0, 1)  # in float64 no digit before the sixth moved, in twice the time
            if bool(upper.sum().isfinite()):
                if share > asked:
                    job.note(f"input moments not positive definite: damped by {share:.0%} of their mean diagonal instead of {asked:.0%}")
                return upper, share
        share *= 10
    job.note("input moments of no possible data (far from positive definite): only their diagonal was used")
    return back.diagonal().flip(0).clamp(min=1e-30).rsqrt().diag(), 0.0


def _triangular_inverse(lower: Tensor, job: Job) -> Tensor:
    """By halves, so that nearly all of it is matrix products."""
    import torch

    n = len(lower)
    if n <= SMALL:
        job.check()
        return torch.linalg.solve_triangular(lower, torch.eye(n, dtype=lower.dtype), upper=False)
    m = n // 2
    out = torch.zeros_like(lower)
    out[:m, :m] = _triangular_inverse(lower[:m, :m], job)
    out[m:, m:] = _triangular_inverse(lower[m:, m:], job)
    out[m:, :m] = -(out[m:, m:] @ (lower[m:, :m] @ out[:m, :m]))
    return out


def _damped(h: Tensor, share: float, dtype: torch.dtype) -> Tensor:
    out = h.to(dtype, copy=True)
    out.diagonal().add_(share * out.diagonal().mean())
    return out
