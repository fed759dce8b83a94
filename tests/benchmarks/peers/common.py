"""What every peer script does around its library: load the folder it is given, clock the work, write the weights it leaves.

These scripts run under the peers' Python, which has torch and transformers and nothing of the studio:
    python SCRIPT MODEL_FOLDER TOKENS.npz OUT_FOLDER '{"method": ..., "bits": ...}'
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", GOMP_SPINCOUNT="0", DO_NOT_TRACK="1", HF_DATASETS_OFFLINE="1")

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

torch.set_num_threads(1)
torch.manual_seed(0)
Work = Callable[[nn.Module, list[dict[str, list[list[int]]]], dict[str, Any]], dict[str, Tensor]]


def linears(model: nn.Module) -> dict[str, nn.Linear]:
    """What is compressed: every linear but the output layer."""
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head}


def network(folder: str) -> nn.Module:
    """The folder's model in float32, with its output layer if it writes text."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    kind = AutoConfig.from_pretrained(folder).architectures[0]
    cls = AutoModelForCausalLM if kind.endswith("ForCausalLM") else AutoModel
    return cls.from_pretrained(folder, dtype=torch.float32).eval()


def samples(file: str) -> list[dict[str, list[list[int]]]]:
    """One row of token ids each, without padding."""
    with np.load(file) as found:
        return [{"input_ids": [row.tolist()], "attention_mask": [[1] * len(row)]} for row in (found[k] for k in found.files)]


def main(work: Work) -> None:
    """Run `work(model, samples, how) -> {weight name: dense values}` and write weights.safetensors and result.json."""
    folder, tokens, out, how = sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
    model, rows = network(folder), samples(tokens)
    start, cpu = time.perf_counter(), time.process_time()
    weights = work(model, rows, how)
    took = {"cpu_s": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().float().contiguous().clone() for k, v in weights.items()}, out / "weights.safetensors")
    (out / "result.json").write_text(json.dumps({**took, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Most memory this process held; ru_maxrss would begin with what the process that started it held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024 / 1e6
