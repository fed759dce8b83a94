"""Gradual pruning: zeros come one after the other while the rest is trained, along a cubic to what the plan asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadPlan
from ..prune import pruners
from ..registry import make
from ..types import Setting

if TYPE_CHECKING:
    from torch import Tensor

    from .parts import Plain

GROWN = 0.6  # of the steps: the rest trains at the final zeros
EVERY = 100  # times at most that zeros are added


def cubic(t: float) -> float:
    """Share of the final zeros after the share t of the schedule: 1 - (1 - t)³, most of them early, while there is much to choose from
    (Zhu and Gupta 2017, arXiv:1710.01878)."""
    return 1 - (1 - min(max(t, 0.0), 1.0)) ** 3


def check(setting: Setting, name: str) -> None:
    """BadPlan where zeros must fall in a pattern, which single weights can't reach one after the other."""
    pattern = getattr(make(pruners[setting.prune], setting.prune_knobs), "pattern", "")
    if ":" in str(pattern):
        raise BadPlan(f"{name}: zeros in the pattern {pattern} can't come gradually; switch gradual off, or prune without a pattern")


def grow(part: Plain, final: int, share: float) -> None:
    """Zero the smallest weights until this share of the `final` number is zero; what is zero stays so."""
    import torch

    mask = part.mask
    assert mask is not None
    count = round(share * final)
    if count <= mask.numel() - int(mask.count_nonzero()):
        return
    size: Tensor = (part.latent().detach().flatten() * mask.flatten()).abs()
    gone = torch.argsort(size, stable=True)[:count]
    mask.view(-1)[gone] = 0
