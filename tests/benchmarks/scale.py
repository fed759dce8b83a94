"""Peak memory of runs over a synthetic Llama-8B-shaped sharded checkpoint, beside what preflight predicted; each run is its own process.

    python tests/benchmarks/scale.py [--quick] [--blocks N] [--vocabulary N] [--json PATH] [--only RUN ...] [--folder MADE EARLIER]

Quick: a small stand-in of some 300 MB. Full: the real widths with 4 of 32 blocks and a vocabulary of 32 000 (2.27 GB). A run holds one
layer or one block at a time, so that its memory does not grow with the number of blocks; runs that look at data compress the first block
alone, as every further one would take as long again. The solvers are run in blocks of the hidden size: with the 8192 inputs that share a
matrix as a rule they take more than 4 GB on these widths.
"""

from __future__ import annotations

import argparse
import json
import math
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
    "data-free rtn 4 bit": "--quantize rtn --bits 4 --knob rtn.group_size=64",
    "data-free magnitude 50 %": "--prune magnitude --amount 0.5",
    "calibrated wanda 50 %": "--prune wanda --amount 0.5",
    "calibrated gptq 3 bit, blocks of the hidden size": "--quantize gptq --bits 3 --knob gptq.group_size=64 --block HIDDEN",
    "calibrated slim 3 bit, blocks of the hidden size": "--quantize slim --bits 3 --knob slim.group_size=64 --block HIDDEN",
}


@dataclass(frozen=True)
class Shape:
    hidden: int
    ffn: int
    heads: int
    kv: int
    vocabulary: int
    blocks: int


QUICK, REAL = Shape(1024, 3584, 8, 2, 8192, 8), Shape(4096, 14336, 32, 8, 32_000, 4)
FORMULA = (
    "data-free: the process + the largest layer (2 bytes a weight as stored, 1 of its result, some of its method: rtn 3, magnitude and hqq "
    "20), however many layers; calibrated: the larger of a block's statistics (4 * width * b bytes for the solver, once per input met, and "
    "for the scores, once per layer, where b inputs share a matrix; 6 bytes a weight of the block) and of solving its largest layer; plus "
    "4 * hidden * tokens for the hidden states, twice while they move on. Neither blocks nor vocabulary count: core/preflight.py"
)
TRUE = replace(REAL, vocabulary=128_256, blocks=32)  # 8.03 billion parameters, 16.06 GB: foreseen from its headers alone


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


def headers(s: Shape, file: Path) -> Any:
    """The checkpoint of a shape without a byte of its weights: all that a prediction looks at."""
    from core.types import Checkpoint, TensorInfo

    named = ((f"{n}.weight", shape) for n, shape in tensors(s))
    infos = {n: TensorInfo(n, shape, "BF16", 2 * math.prod(shape), file) for n, shape in named}
    return Checkpoint(file, "folder", infos, {"vocab_size": s.vocabulary, "model_type": "llama", "architectures": ["LlamaForCausalLM"]})


def first_block(layers: Any) -> dict[str, Any]:
    """The choices that leave all blocks but the first as they are."""
    from core.types import Choice

    return {x.name: Choice(amount=0.0, bits=16) for x in layers if ".layers." in x.name and ".layers.0." not in x.name}


def asked(folder: Path, how: str, hidden: int) -> tuple[Any, int | None]:
    """What a command line of the table asks for: its plan and its block."""
    from core.cli import _knob, parser
    from core.types import Choice, Plan

    said = parser().parse_args(["export", str(folder), "--out", "-", *how.replace("HIDDEN", str(hidden)).split()])
    return Plan(Choice(said.prune, said.amount, said.quantize, said.bits, dict(_knob(k) for k in said.knob))), said.block


def watched(checkpoint: Any, found: Any, plan: Any, tokens: int, block: int | None, job: Any) -> Any:
    """The calibration the plan's methods ask for; None where they look at nothing."""
    from core.calibrate import observe
    from core.compress import needs
    from core.data.calibration import calibrating
    from core.networks import attach

    if not needs(plan, found):
        return None
    network = attach(checkpoint)
    data = calibrating(None, network, None, None, tokens, block)
    return observe(network, checkpoint, data, [x for x in found if not x.protected], needs(plan, found), job)


def walk(folder: Path, how: str, tokens: int) -> dict[str, Any]:
    """In the child: the prediction, then the walk, then the peak the kernel counted for this process."""
    import torch

    from core import environment
    from core.compress import compress, needs
    from core.formats import open_checkpoint
    from core.job import Job
    from core.layers import layers
    from core.preflight import measured_speed, preflight
    from core.store import Store

    environment.prepare()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    checkpoint = open_checkpoint(folder)
    found = layers(checkpoint)
    plan, block = asked(folder, how, checkpoint.config["hidden_size"])
    measured_speed()
    big = headers(TRUE, folder / "config.json")
    whole = preflight(big, layers(big), plan, tokens, runs=False, block=block)
    if needs(plan, found):
        plan = replace(plan, layers=first_block(found))
    told = preflight(checkpoint, found, plan, tokens, runs=False, block=block)
    job, start, cpu = Job(point=grown), time.monotonic(), time.process_time()
    done = compress(checkpoint, found, plan, watched(checkpoint, found, plan, tokens, block, job), Store.default(), job)
    counted, foreseen = ({k: v for k, v in f.parts.items() if k != "exporting"} for f in (told, whole))
    return {
        "predicted_mb": max(counted.values()) / 1e6, "peak_mb": peak() / 1e6, "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu, "predicted_seconds": told.seconds, "layers": len(done.outcomes),
        "predicted_mb_of_8b": max(foreseen.values()) / 1e6, "predicted_seconds_of_8b": whole.seconds, "block": block,
        "parts_mb": {k: v / 1e6 for k, v in counted.items()},
    }  # fmt: skip


def grown(point: Any) -> None:
    """How far memory has grown after each layer, for whoever watches."""
    print(f"{time.process_time():7.1f} s {peak() / 1e6:7.0f} MB {point[0]}", file=sys.stderr, flush=True)


def peak() -> int:
    """VmHWM: the most physical memory this process ever had, mapped file pages included."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measured(name: str, folder: Path, tokens: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="slim-scale-cache-") as cache:
        command = [sys.executable, __file__, "--child", name, "--folder", str(folder), "--tokens", str(tokens)]
        out = subprocess.run(command, env={**os.environ, "SLIM_CACHE": cache}, stdout=subprocess.PIPE, text=True, check=False)
    if out.returncode:
        raise SystemExit(f"{name} failed; see above")
    return {"run": name, "tokens": tokens, **json.loads(out.stdout.splitlines()[-1])}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--blocks", type=int)
    p.add_argument("--vocabulary", type=int)
    p.add_argument("--tokens", type=int, default=512)
    p.add_argument("--only", nargs="*", choices=list(RUNS))
    p.add_argument("--json", type=Path)
    p.add_argument("--child", help=argparse.SUPPRESS)
    p.add_argument("--folder", type=Path, help="where the checkpoint is, or is to be left for the next time")
    args = p.parse_args()
    if args.child:
        print(json.dumps(walk(args.folder, RUNS[args.child], args.tokens)))
        return
    shape = QUICK if args.quick else REAL
    shape = replace(shape, blocks=args.blocks or shape.blocks, vocabulary=args.vocabulary or shape.vocabulary)
    rows = []
    with tempfile.TemporaryDirectory(prefix="slim-scale-") as aside:
        at = args.folder or Path(aside)
        at.mkdir(parents=True, exist_ok=True)
        made = [f.stat().st_size for f in at.glob("*.safetensors")]
        written = sum(made) if made else generate(at, shape)
        print(f"{shape}: {written / 1e9:.2f} GB", flush=True)
        for name in args.only or RUNS:
            row = measured(name, at, args.tokens)
            rows.append({**asdict(shape), "bytes": written, **row, "ratio": row["predicted_mb"] / row["peak_mb"]})
            off = rows[-1]["ratio"] - 1
            print(f"{name:28} peak {row['peak_mb']:7.0f} MB, predicted {row['predicted_mb']:7.0f} MB ({off:+.0%})", end="")
            print(f", {row['seconds']:6.1f} s, estimated {row['predicted_seconds']:.0f} s", flush=True)
            if args.json:  # after each run: a long one may be stopped
                args.json.parent.mkdir(parents=True, exist_ok=True)
                args.json.write_text(json.dumps({"formula": FORMULA, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
