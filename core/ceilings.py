"""What this machine reaches at best: a self-test of at most five seconds, kept in the cache folder until the number of cores changes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .energy.devices import CEILINGS, keep
from .job import Job
from .resources import cache_root

if TYPE_CHECKING:
    from torch import Tensor

SECONDS = 0.25  # of each part
LARGE = 1 << 26  # float32 numbers: 256 MB, more than any cache here keeps
BRIEF = 0.15  # s of what takes microseconds
WIDE, TALL = 1024, 128  # a product as of a feed-forward layer over 128 tokens
NARROW = (16, 64)  # widths at which products are slower
LAST = 24e6  # bytes of the last cache where the system doesn't say


def ceilings(job: Job, again: bool = False) -> dict[str, Any]:
    """The self-test's figures (core/energy/devices.py: Device says what they are); measured once, with as many threads as the engine uses.
    On a busy machine some part is always disturbed, so a second test keeps the shorter time of each part."""
    last = known()
    if last and not again:
        return last
    import torch

    with torch.inference_mode():
        times = _test(job)
    was = last.get("times", {})
    times = {k: min(t, was.get(k, t)) for k, t in times.items()}
    found = {**_figures(times), "times": times, "cores": float(os.cpu_count() or 1)}
    keep(CEILINGS, found)
    return found


def known() -> dict[str, Any]:
    """What the last self-test found; {} where there was none, or on other cores."""
    try:
        found: dict[str, Any] = json.loads((cache_root() / CEILINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if found.get("cores") == os.cpu_count() else {}


def _test(job: Job) -> dict[str, float]:
    """Seconds of each part: the fastest of many short tries."""
    import torch
    from torch.nn.functional import conv2d, linear

    from .int8 import Int8Linear

    w, x, one = torch.ones(WIDE, WIDE), torch.ones(TALL, WIDE), torch.ones(1, 16)
    whole, tiny = (Int8Linear.of(torch.ones(n, n, dtype=torch.int8), torch.ones(n)) for n in (WIDE, 16))
    far, held = torch.ones(LARGE // 4096, 4096), torch.ones(256, 1024)  # weights that no cache holds; 1 MB of them, read over and over
    small = {n: (torch.ones(n, n), torch.ones(TALL, n)) for n in NARROW}
    conv = {n: (torch.ones(n, n, 3, 3), torch.ones(8, n, 16, 16)) for n in NARROW}
    parts: dict[str, tuple[Callable[[], object], float]] = {
        "product": (lambda: linear(x, w), SECONDS), "integers": (lambda: whole(x, None), SECONDS),
        "far": (lambda: linear(far[:1], far), SECONDS), "held": (lambda: linear(held[:1], held), SECONDS),
        "launch": (lambda: linear(one, small[16][0]), BRIEF), "integer launch": (lambda: tiny(one, None), BRIEF),
        "rounding": (lambda: _rounded(x), BRIEF), "round one": (lambda: _rounded(one), BRIEF),
        **{f"linear {n}": (partial(linear, v, m), BRIEF) for n, (m, v) in small.items()},
        **{f"conv {n}": (partial(conv2d, v, m, padding=1), BRIEF) for n, (m, v) in conv.items()},
    }  # fmt: skip
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter  # others' work stretches the second
    return {name: _fastest(call, job, seconds, clock) for name, (call, seconds) in parts.items()}


def _figures(t: Mapping[str, float]) -> dict[str, Any]:
    """Ceilings out of seconds; a copy of the shapes in `_test`."""
    flops = 2.0 * TALL * WIDE * WIDE / t["product"]
    rounding = max(0.0, t["rounding"] - t["round one"])
    integers = t["product"] / max(t["integers"] - rounding - t["integer launch"], 1e-9)
    narrow = [2.0 * TALL * n * n / t[f"linear {n}"] / flops for n in NARROW]
    narrow += [2.0 * 9 * 8 * 256 * n * n / t[f"conv {n}"] / flops for n in NARROW]
    return {
        "flops": flops, "read": 4.0 * LARGE / t["far"], "cached": float(1 << 20) / max(t["held"] - t["launch"], 1e-9), "cache": _cache(),
        "integers": max(1.0, integers), "rounding": rounding / (2 * 4 * TALL * WIDE), "integer_launch": t["integer launch"],
        "launch": t["launch"], "narrow": [min(1.0, s) for s in narrow],
    }  # fmt: skip


def _rounded(x: Tensor) -> Tensor:
    """What a dynamic int8 layer does to its tokens beside the product (core/int8.py)."""
    size = x.abs().amax(1, keepdim=True).clamp(min=1e-30)
    return x / size * size


def _fastest(call: Callable[[], object], job: Job, seconds: float, clock: Callable[[], float]) -> float:
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        job.check()
        start = clock()
        call()
        best = min(best, clock() - start)
    return max(best, 1e-9)


def _cache() -> float:
    """Bytes of weights that stay in the last cache: half of what the kernel says it holds."""
    sizes = []
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = index.read_text(encoding="ascii").strip()
        sizes.append(int(text.rstrip("KMG")) * {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0))
    return max(sizes, default=LAST) / 2
