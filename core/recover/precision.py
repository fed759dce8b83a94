"""Whether bfloat16 pays here: a training step's products in both, timed once a machine; accumulation and weights stay float32."""

from __future__ import annotations

import json
import os
import time
from contextlib import AbstractContextManager, nullcontext

from ..resources import cache_root

PRECISIONS = ("auto", "float32", "bfloat16")
SIZE, ROUNDS = 384, 5  # of the products that are timed: a few milliseconds each
GAIN = 1.2  # less than a fifth is not worth the rounding


def running(precision: str) -> AbstractContextManager[object]:
    """The context a forward pass runs in; "auto" takes bfloat16 where it was measured to be faster."""
    import torch

    half = precision == "bfloat16" or (precision == "auto" and speedup() >= GAIN)
    return torch.autocast("cpu", torch.bfloat16) if half else nullcontext()


def speedup() -> float:
    """How many times faster a product with its gradients is in bfloat16 on this machine, measured; noted beside the cache."""
    import torch

    path, here = cache_root() / "bfloat16.json", [os.cpu_count(), torch.__version__]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["here"] == here:
            return float(found["speedup"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    once = min(_seconds(torch.float32) for _ in range(ROUNDS)) / min(_seconds(torch.bfloat16) for _ in range(ROUNDS))
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(json.dumps({"speedup": once, "here": here}), encoding="utf-8")
    os.replace(aside, path)
    return once


def _seconds(dtype: object) -> float:
    import torch

    w, x = torch.ones(SIZE, SIZE, requires_grad=True), torch.ones(SIZE, SIZE)
    begun = time.perf_counter()
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        (x @ w).sum().backward()
    return time.perf_counter() - begun
