"""What this machine reaches at best: a self-test of at most five seconds, kept in the cache folder until the number of cores changes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .energy.devices import CEILINGS, keep
from .job import Job
from .resources import cache_root

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 0.35  # of each part
LARGE = 1 << 26  # float32 numbers: 256 MB, more than any cache here keeps
BRIEF = 0.15  # s of what takes microseconds
WIDE, TALL = 1024, 128  # a product as of a feed-forward layer over 128 tokens
LAST = 24e6  # bytes of the last cache where the system doesn't say


def ceilings(job: Job, again: bool = False) -> dict[str, Any]:
    """The self-test's figures (core/energy/devices.py: Device says what they are); measured once, with as many threads as the engine uses.
    On a busy machine every figure is too low, so a second test keeps the better of both."""
    known = _known()
    if known and not again:
        return known
    import torch

    with torch.inference_mode():
        found = _test(job)
    for name in ("flops", "read", "cached"):
        found[name] = max(found[name], known.get(name, 0.0))
    found["launch"] = min(found["launch"], known.get("launch", found["launch"]))
    keep(CEILINGS, found)
    return found


def _known() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((cache_root() / CEILINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if found.get("cores") == os.cpu_count() else {}


def _test(job: Job) -> dict[str, Any]:
    """Each ceiling by the fastest of many short tries."""
    import torch
    from torch.nn.functional import linear

    from .int8 import Int8Linear

    w, x = torch.ones(WIDE, WIDE), torch.ones(TALL, WIDE)
    whole, tiny = (Int8Linear.of(torch.ones(n, n, dtype=torch.int8), torch.ones(n)) for n in (WIDE, 16))
    small, one = torch.ones(16, 16), torch.ones(1, 16)
    product = _fastest(lambda: linear(x, w), job)
    launch = _fastest(lambda: linear(one, small), job, BRIEF)
    integer_launch = _fastest(lambda: tiny(one, None), job, BRIEF)
    rounding = max(0.0, _fastest(lambda: _rounded(x), job, BRIEF) - _fastest(lambda: _rounded(one), job, BRIEF))
    integers = _fastest(lambda: whole(x, None), job) - rounding - integer_launch
    flops = 2.0 * TALL * WIDE * WIDE / product
    held = torch.ones(256, 1024)  # 1 MB of weights, read over and over by one token
    cached = held.nbytes / max(_fastest(lambda: linear(held[:1], held), job) - launch, 1e-9)
    return {
        "flops": flops, "read": _read(job), "cached": cached, "cache": _cache(), "integers": max(1.0, product / max(integers, 1e-9)),
        "rounding": rounding / (2 * x.nbytes), "integer_launch": integer_launch, "launch": launch, "narrow": _narrow(job, flops),
        "cores": float(os.cpu_count() or 1),
    }  # fmt: skip


def _rounded(x: Tensor) -> Tensor:
    """What a dynamic int8 layer does to its tokens beside the product (core/int8.py)."""
    size = x.abs().amax(1, keepdim=True).clamp(min=1e-30)
    return x / size * size


def _narrow(job: Job, flops: float) -> list[float]:
    """Shares of the large product's speed at 16 and 64 wide: of linear layers, then of 3x3 convolutions."""
    import torch
    from torch.nn.functional import conv2d, linear

    out = []
    for n in (16, 64):
        w, x = torch.ones(n, n), torch.ones(TALL, n)
        out.append(2 * TALL * n * n / _fastest(lambda: linear(x, w), job, BRIEF) / flops)  # noqa: B023
    for n in (16, 64):
        w, x = torch.ones(n, n, 3, 3), torch.ones(8, n, 16, 16)
        out.append(2 * 9 * 8 * 256 * n * n / _fastest(lambda: conv2d(x, w, padding=1), job, BRIEF) / flops)  # noqa: B023
    return [min(1.0, s) for s in out]


def _read(job: Job) -> float:
    """Bytes a second out of memory, by a token's product with weights that no cache holds."""
    import torch
    from torch.nn.functional import linear

    far: Tensor = torch.ones(LARGE // 4096, 4096)
    return far.nbytes / _fastest(lambda: linear(far[:1], far), job)


def _fastest(call: Callable[[], object], job: Job, seconds: float = SECONDS) -> float:
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        job.check()
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _cache() -> float:
    """Bytes of weights that stay in the last cache: half of what the kernel says it holds."""
    from pathlib import Path

    sizes = []
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = index.read_text(encoding="ascii").strip()
        sizes.append(int(text.rstrip("KMG")) * {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0))
    return max(sizes, default=LAST) / 2
