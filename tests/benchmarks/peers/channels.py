"""Torch-Pruning: a share of every layer's channels by the L2 norm of coupled groups, one shot, no fine-tuning; answers as logits.

    python channels.py MODEL_FOLDER PIXELS.npz OUT_FOLDER '{"amount": 0.5}'     ({"amount": 0} only counts and answers)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_pruning as tp
from common import peak_mb
from torch import Tensor, nn

torch.set_num_threads(1)
torch.manual_seed(0)


class Logits(nn.Module):
    """The network as a function from pixels to logits, which is what the tracer wants."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(pixel_values=pixels).logits


def prune(model: Logits, example: Tensor, amount: float) -> None:
    """MetaPruner with GroupMagnitudeImportance(p=2), as the project's README does; the output layer keeps its classes."""
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    inner = [m.fc1 for m in model.modules() if hasattr(m, "fc1")]
    # of a transformer the feed-forward channels: its residual stream and its heads are wired into its forward
    kept = [m for m in layers if m not in inner] if inner else layers[-1:]
    given: dict[str, Any] = {"pruning_ratio": amount, "ignored_layers": kept}
    pruner = tp.pruner.MetaPruner(model, example, importance=tp.importance.GroupMagnitudeImportance(p=2), **given)
    pruner.step()


def main(folder: str, pictures: str, out: Path, amount: float) -> None:
    """Prune, count multiplications, answer every image."""
    from transformers import AutoModelForImageClassification

    model = Logits(AutoModelForImageClassification.from_pretrained(folder, dtype=torch.float32).eval())
    with np.load(pictures) as found:
        pixels = torch.from_numpy(found["pixels"])
    start, cpu = time.perf_counter(), time.process_time()
    if amount:
        prune(model, pixels[:2], amount)
    took = {"cpu_s": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    macs, parameters = tp.utils.count_ops_and_params(model, pixels[:1])
    out.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        np.save(out / "logits.npy", torch.cat([model(p) for p in pixels.split(64)]).numpy())
    (out / "result.json").write_text(json.dumps({**took, "peak_mb": peak_mb(), "macs": float(macs), "parameters": float(parameters)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])["amount"])
