"""Pruning as one problem: the mask by ADMM, the weights on it by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..job import Job
from ..types import Seen
from .factor import DAMPINGS, alive, usable
from .polish import loss

if TYPE_CHECKING:
    from torch import Tensor

DAMP = 0.1  # of the unit diagonal, while the mask is searched
PENALTY = 1.0  # rho of the splitting, on moments scaled to a unit diagonal
SETTLED = 0.75  # share of the steps after which the full amount is gone
ITERATIONS = 20  # of conjugate gradients; more no longer shows on held-out inputs
PLAIN = 1


def searched(w: Tensor, h: Tensor, steps: int, drop: Callable[[Tensor, float], Tensor], job: Job) -> Tensor:
    """True where a weight of w (out, in) goes. `drop(score, share)` chooses that share of the final amount.

    Inputs are scaled to unit moments; alternates the unconstrained solution with the projection on the mask (Boža 2024, arXiv 2401.02938).
    """
    import torch

    h = alive(h)
    size = h.diagonal().sqrt()
    unit = (h / size / size.unsqueeze(1)).double()
    unit.diagonal().add_(DAMP)
    target = w * size
    pull = target @ unit.float()
    unit.diagonal().add_(PENALTY)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(unit)).float()
    job.check()
    free, dual = target.clone(), torch.zeros_like(target)
    gone = torch.zeros_like(w, dtype=torch.bool)
    for step in range(steps):
        job.check()
        share = min(1.0, (step + 1) / (SETTLED * steps))
        both = free + dual
        gone = drop(both.abs(), 1 - (1 - share) ** 3)
        kept = both.masked_fill(gone, 0)
        dual = both - kept
        free = (pull + PENALTY * (kept - dual)) @ inverse
    return gone


def refined(w: Tensor, h: Tensor, seen: Seen, mask: Tensor, job: Job) -> Tensor:
    """The weights (out, in) on the mask (True = stays) with the least loss, damped by what held-out inputs like best."""
    h = alive(h)
    held = alive(seen.held) if seen.held is not None and usable(seen.held) else None
    best, least = w * mask, None if held is None else float(loss(w, w * mask, held))
    for share in DAMPINGS if held is not None else DAMPINGS[PLAIN : PLAIN + 1]:
        damped = h.clone()
        damped.diagonal().add_(share * h.diagonal().mean())
        found = conjugate(w, damped, mask, best, job)
        error = None if held is None else float(loss(w, found, held))
        if error is None or least is None or error < least:
            best, least = found, error
        else:
            break  # the error is smooth in the damping: once it rises it goes on rising
    return best


def conjugate(w: Tensor, h: Tensor, mask: Tensor, start: Tensor, job: Job) -> Tensor:
    """argmin tr((W - X) H (W - X)^T) over X on the mask, all rows at once; preconditioned by the diagonal."""
    x, stays = start.clone(), mask.to(w.dtype)
    scale = h.diagonal().reciprocal()
    r = ((w - x) @ h).mul_(stays)
    z = r * scale
    p, old = z.clone(), (r * z).sum(1, keepdim=True)
    for _ in range(ITERATIONS):
        job.check()
        hp = (p @ h).mul_(stays)
        a = old / (p * hp).sum(1, keepdim=True).clamp(min=1e-30)
        x.addcmul_(a, p)
        r.addcmul_(a, hp, value=-1)
        z = r * scale
        new = (r * z).sum(1, keepdim=True)
        p = z.add_(new / old.clamp(min=1e-30) * p)
        old = new
    return x
