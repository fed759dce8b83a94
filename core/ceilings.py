"""What this machine reaches at best: a self-test of at most five seconds, kept in the cache folder until the number of cores changes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .energy.devices import CEILINGS, keep
from .job import Job
from .resources import cache_root

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 0.7  # of each part
LARGE = 1 << 26  # float32 numbers: 256 MB, more than any cache here keeps
WIDE, TALL = 1024, 128  # a product as of a feed-forward layer over 128 tokens
LAST = 24e6  # bytes of the last cache where the system doesn't say


def ceilings(job: Job, again: bool = False) -> dict[str, float]:
    """flops (float32 product), read and cached (bytes/s), cache (bytes), integers (int8 / float32), launch (s); measured once, with as many
    threads as the engine uses. On a busy machine every figure is too low, so a second test keeps the better of both."""
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


def _known() -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads((cache_root() / CEILINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if found.get("cores") == os.cpu_count() else {}


def _test(job: Job) -> dict[str, float]:
    """Each ceiling by the fastest of many short tries."""
    import torch
    from torch.nn.functional import linear

    from .int8 import Int8Linear

    w, x = torch.ones(WIDE, WIDE), torch.ones(TALL, WIDE)
    whole = Int8Linear.of(torch.ones(WIDE, WIDE, dtype=torch.int8), torch.ones(WIDE))
    small, one = torch.ones(16, 16), torch.ones(1, 16)
    product = _fastest(lambda: linear(x, w), job)
    integers = _fastest(lambda: whole(x, None), job)
    launch = _fastest(lambda: linear(one, small), job, 0.1)
    held = torch.ones(256, 1024)  # 1 MB of weights, read over and over by one token
    cached = held.nbytes / max(_fastest(lambda: linear(held[:1], held), job) - launch, 1e-9)
    return {
        "flops": 2.0 * TALL * WIDE * WIDE / product, "read": _read(job), "cached": cached, "cache": _cache(),
        "integers": max(1.0, product / integers), "launch": launch, "cores": float(os.cpu_count() or 1),
    }  # fmt: skip


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
