"""Zero exactly a share of the weights by score: whole tensors, several layers together, or N of every M."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadPlan
from ..solve.obs import BLOCK, Drop

if TYPE_CHECKING:
    from torch import Tensor

PATTERNS = ("unstructured", "2:4", "4:8")
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
    return w if n <= 0 else w.masked_fill(smallest(score, n).view(w.shape), 0)


def smallest(score: Tensor, n: int) -> Tensor:
    """True at the n lowest of non-negative scores (n of at least 1), flat; ties by position."""
    bits = bits_of(score)
    bucket = bits >> 15
    below = histogram(score).cumsum(0)
    at = int((below >= n).nonzero()[0])
    rest = n - (int(below[at - 1]) if at else 0)
    near = (bucket == at).nonzero().flatten()  # only the bucket that holds the threshold is sorted
    gone = bucket < at
    gone[near[bits[near].argsort(stable=True)[:rest]]] = True
    return gone


def fits(width: int, pattern: str) -> int:
    """How many neighbours the pattern speaks of (1: none); BadPlan when they don't divide the width."""
    m = 1 if pattern == "unstructured" else int(pattern.split(":")[1])
    if width % m:
        raise BadPlan(f"{pattern} needs an input width divisible by {m}, this layer has {width}; exclude it or choose unstructured")
    return m


def lowest(score: Tensor, amount: float, pattern: str = "unstructured") -> Tensor:
    """score (out, in) -> True at what goes: exactly round(amount * n) weights, or m - n of every m neighbours whatever the amount."""
    import torch

    if pattern == "unstructured":
        n = round(amount * score.numel())
        return smallest(score, n).view(score.shape) if n > 0 else torch.zeros_like(score, dtype=torch.bool)
    n, m = map(int, pattern.split(":"))
    rows = score.unflatten(-1, (-1, m))
    drop = rows.argsort(dim=-1, stable=True)[..., : m - n]
    return torch.zeros_like(rows, dtype=torch.bool).scatter_(-1, drop, True).flatten(-2)


def dealt(amount: float, out: int, at: slice) -> float:
    """The share of the weights of these inputs that goes, so that all blocks of a layer together lose exactly round(amount * n)."""
    first, last = (round(amount * out * n) for n in (at.start, at.stop))
    return (last - first) / (out * (at.stop - at.start))


def thinned(w: Tensor, score: Tensor, amount: float, pattern: str = "unstructured") -> Tensor:
    """w with its lowest-scored weights zero and the rest as it was."""
    fits(w[0].numel(), pattern)
    return w if amount <= 0 else w.masked_fill(lowest(score.flatten(1), amount, pattern).view(w.shape), 0)


def ranks(score: Tensor) -> Tensor:
    """Scores as ranks within their row, so that every row gives the same share; equal ranks still ordered by score."""
    import torch

    rows = score.flatten(1)
    order = rows.argsort(dim=1, stable=True)
    rank = torch.empty_like(rows).scatter_(1, order, torch.arange(rows.shape[1], dtype=rows.dtype).expand_as(rows))
    return rank + rows / rows.amax().clamp(min=1e-30) / 2


def choose(pattern: str, amount: float, out: int, width: int) -> Drop:
    """For the column loop: an equal share of every block of columns (exact over all of them), or m - n of every m."""
    import torch

    def share(score: Tensor, first: int) -> Tensor:
        n = round(amount * out * (first + len(score))) - round(amount * out * first)
        return smallest(score, n).view(score.shape) if n > 0 else torch.zeros_like(score, dtype=torch.bool)

    def of_neighbours(score: Tensor, first: int) -> Tensor:
        return lowest(score.T, amount, pattern).T

    return Drop(share, BLOCK) if pattern == "unstructured" else Drop(of_neighbours, int(pattern.split(":")[1]))


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
