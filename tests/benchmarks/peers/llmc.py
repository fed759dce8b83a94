"""llm-compressor: round to nearest, GPTQ (act-order with static groups), SparseGPT and Wanda, through `oneshot`."""

from __future__ import annotations

from typing import Any

from common import linears, main
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from torch import Tensor, nn


def work(model: nn.Module, rows: list[Any], how: dict[str, Any]) -> dict[str, Tensor]:
    """The model's linears after llm-compressor; quantized ones decoded through its own scales and zero points."""
    found = linears(model)
    data = Dataset.from_dict({k: [r[k][0] for r in rows] for k in rows[0]})
    longest = max(len(r["input_ids"][0]) for r in rows)
    data_free = how["method"] == "rtn"
    given = {} if data_free else {"dataset": data, "num_calibration_samples": len(rows), "max_seq_length": longest}
    oneshot(
        model=model, recipe=[modifier(model, found, how)], shuffle_calibration_samples=False, batch_size=1,
        pipeline="datafree" if data_free else how.get("pipeline", "sequential"), **given,
    )  # fmt: skip
    return {f"{name}.weight": decoded(m, how) for name, m in linears(model).items()}


def modifier(model: nn.Module, found: dict[str, nn.Linear], how: dict[str, Any]) -> Any:
    """The library's object for a method."""
    ignore = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and n not in found]
    if how["method"] in ("sparsegpt", "wanda"):
        cls = {"sparsegpt": SparseGPTModifier, "wanda": WandaPruningModifier}[how["method"]]
        return cls(sparsity=how["amount"], mask_structure=how.get("pattern", "0:0"), targets=["Linear"], ignore=ignore)
    weights = {"num_bits": how["bits"], "type": "int", "symmetric": False, "strategy": "group", "group_size": 64}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    if how["method"] == "rtn":
        return QuantizationModifier(config_groups=groups, ignore=ignore)
    return GPTQModifier(config_groups=groups, ignore=ignore, actorder="static")


def decoded(m: nn.Linear, how: dict[str, Any]) -> Tensor:
    """Dense values; rounding is idempotent for what GPTQ has rounded already."""
    if not hasattr(m, "weight_scale"):
        return m.weight
    return fake_quantize(m.weight, m.weight_scale, m.weight_zero_point, m.quantization_scheme.weights)


if __name__ == "__main__":
    main(work)
