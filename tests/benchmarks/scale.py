"""Peak memory of runs over a synthetic Llama-8B-shaped sharded checkpoint, beside what preflight predicted; each run is its own process.

    python tests/benchmarks/scale.py [--quick] [--blocks N] [--vocabulary N] [--json PATH] [--only RUN ...]

Quick: a small stand-in of some 300 MB. Full: the real shape with few blocks (2 = 2.97 GB); memory does not grow with the number of blocks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE))
SHARD = 512_000_000  # bytes; published 8B checkpoints have shards of 4 to 5 GB, which are mapped and so make no difference
RUNS = {
    "data-free rtn 4 bit": ["--quantize", "rtn", "--bits", "4", "--knob", "rtn.group_size=64"],
    "data-free magnitude 50 %": ["--prune", "magnitude", "--amount", "0.5"],
    "calibrated wanda 50 %": ["--prune", "wanda", "--amount", "0.5"],
    "calibrated gptq 3 bit": ["--quantize", "gptq", "--bits", "3", "--knob", "gptq.group_size=64"],
}
FULL = ("data-free rtn 4 bit", "data-free magnitude 50 %", "calibrated wanda 50 %")  # gptq of 14336 inputs takes hours on two cores


@dataclass(frozen=True)
class Shape:
    hidden: int
    ffn: int
    heads: int
    kv: int
    vocabulary: int
    blocks: int


QUICK, REAL = Shape(1024, 3584, 8, 2, 8192, 8), Shape(4096, 14336, 32, 8, 128_256, 2)


def tensors(s: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a Llama in the order of its blocks; heads of 128."""
    yield "model.embed_tokens", (s.vocabulary, s.hidden)
    for i in range(s.blocks):
        at = f"model.layers.{i}."
        for p, rows in (("q", s.heads * 128), ("k", s.kv * 128), ("v", s.kv * 128)):
            yield f"{at}self_attn.{p}_proj", (rows, s.hidden)
        yield f"{at}self_attn.o_proj", (s.hidden, s.heads * 128)
        yield f"{at}mlp.gate_proj", (s.ffn, s.hidden)
        yield f"{at}mlp.up_proj", (s.ffn, s.hidden)
        yield f"{at}mlp.down_proj", (s.hidden, s.ffn)
        yield f"{at}input_layernorm", (s.hidden,)
        yield f"{at}post_attention_layernorm", (s.hidden,)
    yield "model.norm", (s.hidden,)
    yield "lm_head", (s.vocabulary, s.hidden)


def generate(folder: Path, s: Shape) -> int:
    """Random bfloat16 weights, N(0, 0.02) with a few input channels eight times as large, shard by shard; bytes written."""
    import torch
    from safetensors.torch import save_file

    own = torch.Generator().manual_seed(0)
    where: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    written = number = 0

    def flush() -> None:
        nonlocal number, shard
        number += 1
        save_file(shard, folder / f"model-{number:05}.safetensors")
        where.update(dict.fromkeys(shard, f"model-{number:05}.safetensors"))
        shard = {}

    for name, shape in tensors(s):
        w = torch.ones(shape, dtype=torch.bfloat16)
        if len(shape) == 2:
            w = torch.randn(shape, generator=own, dtype=torch.float32).mul_(0.02)
            w[:, torch.randperm(shape[1], generator=own)[:4]] *= 8
            w = w.bfloat16()
        shard[f"{name}.weight"] = w
        written += w.nbytes
        if sum(t.nbytes for t in shard.values()) > SHARD:
            flush()
    flush()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": written}, "weight_map": where}))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": s.hidden, "intermediate_size": s.ffn, "head_dim": 128,
        "num_attention_heads": s.heads, "num_key_value_heads": s.kv, "num_hidden_layers": s.blocks, "vocab_size": s.vocabulary,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "max_position_embeddings": 8192,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    for side in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(HERE / "resources" / "samples" / "sotu-lm" / side, folder / side)
    return written


def walk(folder: Path, args: list[str], tokens: int) -> dict[str, Any]:
    """In the child: the prediction, then the walk, then the peak the kernel counted for this process."""
    import torch

    from core import environment
    from core.cli import _knob, parser
    from core.compress import compress, needs
    from core.data.calibration import calibrating
    from core.formats import open_checkpoint
    from core.job import Job
    from core.layers import layers
    from core.preflight import measured_speed, preflight
    from core.store import Store
    from core.types import Choice, Plan

    environment.prepare()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    said = parser().parse_args(["export", str(folder), "--out", "-", *args])
    plan = Plan(Choice(said.prune, said.amount, said.quantize, said.bits, dict(_knob(k) for k in said.knob)))
    checkpoint = open_checkpoint(folder)
    found = layers(checkpoint)
    measured_speed()
    told, job, start = preflight(checkpoint, found, plan, tokens, runs=False), Job(), time.monotonic()
    calibration = None
    if asked := needs(plan, found):
        from core.calibrate import observe
        from core.networks import attach

        network = attach(checkpoint)
        data = calibrating(None, network, None, None, tokens)
        calibration = observe(network, checkpoint, data, [x for x in found if not x.protected], asked, job)
    done = compress(checkpoint, found, plan, calibration, Store.default(), job)
    counted = {k: v for k, v in told.parts.items() if k != "exporting"}
    return {
        "predicted_mb": max(counted.values()) / 1e6, "peak_mb": peak() / 1e6, "seconds": time.monotonic() - start,
        "predicted_seconds": told.seconds, "layers": len(done.outcomes), "parts_mb": {k: v / 1e6 for k, v in counted.items()},
    }  # fmt: skip


def peak() -> int:
    """VmHWM: the most physical memory this process ever had, mapped file pages included."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measured(name: str, folder: Path, tokens: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="slim-scale-cache-") as cache:
        command = [sys.executable, __file__, "--child", name, "--folder", str(folder), "--tokens", str(tokens)]
        out = subprocess.run(command, env={**os.environ, "SLIM_CACHE": cache}, capture_output=True, text=True, check=False)
    if out.returncode:
        raise SystemExit(f"{name}: {out.stderr[-2000:]}")
    return {"run": name, "tokens": tokens, **json.loads(out.stdout.splitlines()[-1])}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--blocks", type=int)
    p.add_argument("--vocabulary", type=int)
    p.add_argument("--tokens", type=int, default=1024)
    p.add_argument("--only", nargs="*", choices=list(RUNS))
    p.add_argument("--json", type=Path)
    p.add_argument("--child", help=argparse.SUPPRESS)
    p.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child:
        print(json.dumps(walk(args.folder, RUNS[args.child], args.tokens)))
        return
    shape = QUICK if args.quick else REAL
    shape = replace(shape, blocks=args.blocks or shape.blocks, vocabulary=args.vocabulary or shape.vocabulary)
    rows = []
    with tempfile.TemporaryDirectory(prefix="slim-scale-") as at:
        written = generate(Path(at), shape)
        print(f"{shape}: {written / 1e9:.2f} GB", flush=True)
        for name in args.only or (RUNS if args.quick else FULL):
            row = measured(name, Path(at), args.tokens)
            rows.append({**asdict(shape), "bytes": written, **row})
            off = row["predicted_mb"] / row["peak_mb"] - 1
            print(f"{name:28} peak {row['peak_mb']:7.0f} MB, predicted {row['predicted_mb']:7.0f} MB ({off:+.0%})", end="")
            print(f", {row['seconds']:6.1f} s, estimated {row['predicted_seconds']:.0f} s", flush=True)
            if args.json:  # after each run: a long one may be stopped
                args.json.parent.mkdir(parents=True, exist_ok=True)
                args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
