"""Zero exactly a share of the weights by score: whole tensors, or N of every M."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def keep_top(w: Tensor, score: Tensor, amount: float) -> Tensor:
    """w with its round(amount * n) lowest-scored entries zero; ties fall by position, so that the count is exact."""
    n = round(amount * w.numel())
    if n <= 0:
        return w
    out = w.clone().flatten()
    out[score.flatten().topk(n, largest=False, sorted=False).indices] = 0
    return out.view(w.shape)


def keep_n_of_m(w: Tensor, score: Tensor, n: int, m: int) -> Tensor:
    """w with the m - n lowest-scored of every m neighbours along the input zero; the input width must divide by m."""
    rows = w.flatten(1).unflatten(1, (-1, m))
    drop = score.flatten(1).unflatten(1, (-1, m)).topk(m - n, largest=False).indices
    return rows.scatter(-1, drop, 0).reshape(w.shape)
