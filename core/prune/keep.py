"""Zero exactly a share of the weights by score: whole tensors, several layers together, or N of every M."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BUCKETS = 1 << 16  # the upper 16 of the 31 bits of a non-negative float32: buckets 0.4 % wide


def bits_of(score: Tensor) -> Tensor:
    """Non-negative scores as integers of the same order."""
    import torch

    return score.float().contiguous().flatten().view(torch.int32)


def histogram(score: Tensor) -> Tensor:
    """How many scores fall in each bucket, lowest first."""
    import torch

    return torch.bincount(bits_of(score) >> 15, minlength=BUCKETS)


def keep_top(w: Tensor, score: Tensor, amount: float) -> Tensor:
    """w with its round(amount * n) lowest-scored entries zero; ties fall by position, so that count and choice are exact."""
    n = round(amount * w.numel())
    if n <= 0:
        return w
    bits = bits_of(score)
    bucket = bits >> 15
    below = histogram(score).cumsum(0)
    at = int((below >= n).nonzero()[0])
    rest = n - (int(below[at - 1]) if at else 0)
    near = (bucket == at).nonzero().flatten()  # only the bucket that holds the threshold is sorted
    out = w.clone().flatten()
    out[bucket < at] = 0
    out[near[bits[near].argsort(stable=True)[:rest]]] = 0
    return out.view(w.shape)


def spread(counts: list[Tensor], amount: float) -> list[int]:
    """How many weights each layer loses under one threshold over all histograms; they add up to exactly round(amount * total)."""
    import torch

    table = torch.stack(counts)
    n = round(amount * int(table.sum()))
    if n <= 0:
        return [0] * len(counts)
    below = table.sum(0).cumsum(0)
    at = int((below >= n).nonzero()[0])
    rest = n - (int(below[at - 1]) if at else 0)
    sure, near = table[:, :at].sum(1), table[:, at]
    # inside the threshold's bucket all scores are within 0.4 %: shared in proportion, the remainder by largest fraction
    exact = near.double() * (rest / int(near.sum()))
    whole = exact.floor().long()
    order = (exact - whole).argsort(descending=True, stable=True)
    whole[order[: rest - int(whole.sum())]] += 1
    return (sure + whole).tolist()


def keep_n_of_m(w: Tensor, score: Tensor, n: int, m: int) -> Tensor:
    """w with the m - n lowest-scored of every m neighbours along the input zero; the input width must divide by m."""
    rows = w.flatten(1).unflatten(1, (-1, m))
    drop = score.flatten(1).unflatten(1, (-1, m)).topk(m - n, largest=False).indices
    return rows.scatter(-1, drop, 0).reshape(w.shape)
