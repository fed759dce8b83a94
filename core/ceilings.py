"""What this machine reaches at best: a self-test of at most five seconds, kept in the cache folder until the number of cores changes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .energy.devices import CEILINGS, keep
from .job import Job
from .resources import cache_root

SECONDS = 0.25  # of each part
LARGE = 1 << 26  # float32 numbers: 256 MB, more than any cache here keeps
BRIEF = 0.15  # s of what takes microseconds
WIDE, TALL = 1024, 128  # a product as of a feed-forward layer over 128 tokens
NARROW = (16, 64)  # widths at which products are slower
HEADS = (8, 4, 64, 16)  # images, heads, tokens and width of a head: attention as of a small network
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
    from torch.nn.functional import conv2d, gelu, linear, scaled_dot_product_attention, silu

    from .int8 import Int8Linear

    w, x, one = torch.ones(WIDE, WIDE), torch.ones(TALL, WIDE), torch.ones(1, NARROW[1])
    whole, tiny = (Int8Linear.of(torch.ones(n, n, dtype=torch.int8), torch.ones(n)) for n in (WIDE, NARROW[1]))
    far, held = torch.ones(LARGE // 4096, 4096), torch.ones(256, 1024)  # weights that no cache holds; 1 MB of them, read over and over
    heads, tall = torch.ones(*HEADS), torch.linspace(-4, 4, TALL * 512).view(TALL, 512)
    small = {n: (torch.ones(n, n), torch.ones(TALL, n)) for n in NARROW}
    conv = {n: (torch.ones(n, n, 3, 3), torch.ones(8, n, 16, 16)) for n in NARROW}
    parts: dict[str, tuple[Callable[[], object], float]] = {
        "product": (lambda: linear(x, w), SECONDS), "integers": (lambda: whole(x, None), SECONDS),
        "far": (lambda: linear(far[:1], far), SECONDS), "held": (lambda: linear(held[:1], held), SECONDS),
        "launch": (lambda: linear(one, small[64][0]), BRIEF), "integer launch": (lambda: tiny(one, None), BRIEF),
        "integers 64": (lambda: tiny(small[64][1], None), BRIEF),
        "scores": (lambda: scaled_dot_product_attention(heads, heads, heads), BRIEF),
        "gelu": (lambda: gelu(tall), BRIEF), "silu": (lambda: silu(tall), BRIEF),
        **{f"linear {n}": (partial(linear, v, m), BRIEF) for n, (m, v) in small.items()},
        **{f"conv {n}": (partial(conv2d, v, m, padding=1), BRIEF) for n, (m, v) in conv.items()},
    }  # fmt: skip
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter  # others' work stretches the second
    return {name: _fastest(call, job, seconds, clock) for name, (call, seconds) in parts.items()}


def _figures(t: Mapping[str, float]) -> dict[str, Any]:
    """Ceilings out of seconds; a copy of the shapes in `_test`."""
    flops = 2.0 * TALL * WIDE * WIDE / t["product"]
    integers, rounding = _integers(t, flops)
    # without the launch, which is counted for itself
    narrow = [2.0 * TALL * n * n / _beyond(t[f"linear {n}"], t["launch"]) / flops for n in NARROW]
    narrow += [2.0 * 9 * 8 * 256 * n * n / _beyond(t[f"conv {n}"], t["launch"]) / flops for n in NARROW]
    images, heads, tokens, size = HEADS
    scores = float(images * heads * tokens * tokens)
    return {
        "flops": flops, "read": 4.0 * LARGE / t["far"], "cached": float(1 << 20) / max(t["held"] - t["launch"], 1e-9), "cache": _cache(),
        "integers": integers, "rounding": rounding, "integer_launch": t["integer launch"], "launch": t["launch"],
        "narrow": [min(1.0, s) for s in narrow], "score": max(0.0, (t["scores"] - t["launch"]) / scores - 4.0 * size / flops),
        "gelu": t["gelu"] / (TALL * 512), "silu": t["silu"] / (TALL * 512),
    }  # fmt: skip


def _beyond(seconds: float, launch: float) -> float:
    """What is left without the launch; at least a quarter, because both are measured."""
    return max(seconds - launch, seconds / 4)


def _integers(t: Mapping[str, float], flops: float) -> tuple[float, float]:
    """How many times as fast as float32 products in integers are, and the seconds a byte of activations takes beside them (scaled, rounded,
    scaled back): from layers 64 and 1024 wide, whose times are a n + b n² beside what any layer takes."""
    n, m = NARROW[1], WIDE
    first, second = (max(t[k] - t["integer launch"], 1e-9) for k in ("integers 64", "integers"))
    square = (second / m - first / n) / (m - n)
    each = first / n - square * n
    if square <= 0 or each < 0:
        square, each = second / (m * m), 0.0
    return max(1.0, 2.0 * TALL / flops / square), each / (2 * 4 * TALL)


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
