"""AutoRound in its light setting (50 iterations a block): rounding learned by signed gradients; a reference, far slower than the others."""

from __future__ import annotations

from typing import Any

import torch
from auto_round import AutoRound
from common import linears, main
from torch import Tensor, nn


def work(model: nn.Module, rows: list[Any], how: dict[str, Any]) -> dict[str, Tensor]:
    """The model's linears as AutoRound leaves them: rounded, decoded, in place."""
    from transformers import AutoTokenizer

    data = [{k: torch.tensor(r[k]) for k in r} for r in rows if len(r["input_ids"][0]) == len(rows[0]["input_ids"][0])]
    tokenizer = AutoTokenizer.from_pretrained(model.config._name_or_path)
    made = AutoRound(
        model, tokenizer, scheme={"bits": how["bits"], "group_size": 64, "sym": False, "data_type": "int", "act_bits": 16},
        dataset=data, iters=how["iters"], nsamples=len(data), seqlen=data[0]["input_ids"].shape[1], batch_size=how["batch"],
        device_map="cpu", enable_torch_compile=False, amp=False,
    )  # fmt: skip
    found, _ = made.quantize()
    return {f"{name}.weight": m.weight for name, m in linears(found).items()}


if __name__ == "__main__":
    main(work)
