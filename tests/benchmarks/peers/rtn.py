"""Run by the peers' Python: seconds that torchao and optimum-quanto take to round one tensor to 4 bits in groups of 64 (JSON)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version


def best(act: Callable[[], object], times: int) -> float:
    """The shortest of some runs, after one that does not count."""
    act()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        act()
        found.append(time.perf_counter() - begin)
    return min(found)


def main(side: int, threads: int, times: int) -> dict[str, float]:
    """Asymmetric, extremes of each group, codes as uint8: what our rtn does with symmetric = false."""
    import torch
    from optimum.quanto import MaxOptimizer, qint4, quantize_weight
    from torchao.quantization.quant_primitives import MappingType, choose_qparams_affine, quantize_affine

    torch.set_num_threads(threads)
    w = torch.randn(side, side, generator=torch.Generator().manual_seed(0))

    def torchao() -> object:
        scale, zero = choose_qparams_affine(w, MappingType.ASYMMETRIC, (1, 64), torch.uint8, 0, 15)
        return quantize_affine(w, (1, 64), scale, zero, torch.uint8, 0, 15)

    def quanto() -> object:
        scale, shift = MaxOptimizer()(w, qint4, 0, 64)
        return quantize_weight(w, qint4, 0, scale, shift, 64, optimized=False)

    with torch.inference_mode():
        found = {"torchao": best(torchao, times), "optimum-quanto": best(quanto, times)}
    return {f"{name} {version(name)}": seconds for name, seconds in found.items()}


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:4]))))
