"""HQQ's own library (its authors' code), data-free, groups of 64 along the input."""

from __future__ import annotations

from typing import Any

import torch
from common import linears, main
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear
from torch import Tensor, nn


def work(model: nn.Module, rows: list[Any], how: dict[str, Any]) -> dict[str, Tensor]:
    """The model's linears, quantized and decoded by the library."""
    config = BaseQuantizeConfig(nbits=how["bits"], group_size=64, axis=1)
    out = {}
    for name, m in linears(model).items():
        made = HQQLinear(m, config, compute_dtype=torch.float32, device="cpu", del_orig=False)
        out[f"{name}.weight"] = made.dequantize()
    return out


if __name__ == "__main__":
    main(work)
