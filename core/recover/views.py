"""Pictures seen a little differently each time they are learned from: turned, zoomed, shifted and, where the user allows it, mirrored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import BadPlan

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TURN, ZOOM, SHIFT = math.radians(6), 0.1, 0.08  # at most, at full strength: an angle, a share of the size, a share of the side


def wanted(how: Any) -> bool:
    """Whether this way to train looks at changed pictures."""
    return any(getattr(how, name, None) for name in ("vary", "mirror"))


def check(how: Any, kind: str) -> None:
    """BadPlan where there is nothing to change, or where answers kept on disk would belong to other pictures."""
    if wanted(how) and kind != "images":
        raise BadPlan("Only pictures can be varied or mirrored, and this model learns from something else: set vary = 0 and mirror = false")
    if wanted(how) and getattr(how, "top", None):
        raise BadPlan("Answers kept on disk belong to the pictures as they are: set distil.top = 0, or vary = 0 and mirror = false")


def drawn(seed: int, step: int) -> torch.Generator:
    """The chance of one step, the same when a training is taken up again."""
    import torch

    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def varied(item: dict[str, Tensor], how: Any, g: torch.Generator) -> dict[str, Tensor]:
    """`item` with each of its pictures, pixel_values (n, channels, height, width), changed on its own; what would lie beyond an edge is as
    the edge is."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    x = item["pixel_values"]
    n, strength = len(x), how.vary
    angle, zoom, across, down = (2 * torch.rand(4, n, generator=g) - 1) * strength * torch.tensor([TURN, ZOOM, SHIFT, SHIFT])[:, None]
    side = 1.0 - 2.0 * (torch.rand(n, generator=g) < 0.5) if how.mirror else torch.ones(n)
    if not strength:
        return {**item, "pixel_values": x.where((side > 0).view(-1, 1, 1, 1), x.flip(-1))}
    c, s, ratio = (1 + zoom) * angle.cos(), (1 + zoom) * angle.sin(), x.shape[-2] / x.shape[-1]
    rows = [torch.stack([side * c, -s * ratio, 2 * across], 1), torch.stack([side * s / ratio, c, 2 * down], 1)]  # of a grid from -1 to 1
    grid = affine_grid(torch.stack(rows, 1).to(x.dtype), list(x.shape), align_corners=False)
    return {**item, "pixel_values": grid_sample(x, grid, padding_mode="border", align_corners=False)}
