"""How many inputs of a wide layer share one matrix of second moments: memory and time of the solvers grow with its square and cube."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MOST = 8192  # inputs; a fixed number, as the result must not hang on the machine it is made on
NARROW = 128  # inputs: fewer at most are not asked for, as a group of weights with a scale of its own may have so many
LEAST = 16  # inputs a block has at least
ALIGNED = (128, 64, 32, 16, 8, 4, 1)  # group sizes and N:M patterns that a block should hold whole, the largest first


def span(width: int, most: int = MOST) -> int:
    """Inputs of each of the equal blocks that `width` inputs are kept in: all of them where they are at most `most`.

    The largest divisor of the width that is a multiple of 128; failing that of 64 and so on, but not much smaller than asked for. A width
    without any such divisor stays whole.
    """
    if width <= most:
        return width
    sizes = [width // k for k in range(-(-width // most), width // LEAST + 1) if width % k == 0]
    fitting = (size for a in ALIGNED for size in sizes if size % a == 0 and 4 * size >= min(most, width))
    return next(fitting, max(sizes, default=width))


def each(h: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The inputs that share a matrix, with it (b, b): of moments (in, in) all, of moments (blocks, b, b) block after block."""
    if h.ndim == 2:
        yield slice(0, len(h)), h
        return
    b = h.shape[-1]
    yield from ((slice(j * b, (j + 1) * b), part) for j, part in enumerate(h))


def inputs(h: Tensor) -> int:
    """How many inputs the moments are of."""
    return h.shape[-1] * (len(h) if h.ndim == 3 else 1)


def diagonal(h: Tensor) -> Tensor:
    """(in,) the second moment of every input by itself."""
    return h.diagonal(dim1=-2, dim2=-1).flatten()
