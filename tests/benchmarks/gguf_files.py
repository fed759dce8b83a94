"""GGUF files of ours against llama.cpp's own encoder: same types tensor by tensor, same bytes, same text, both scored by llama.cpp.

The other side is libgguf (byte-identical to ggml) with an importance matrix as llama-imatrix makes it, of all the tokens ours is
calibrated on. SmolLM2 comes dequantized out of 4-bit blocks, so it is moved off that lattice first, its function unchanged. The file is not
called gguf.py because that would hide the library of this name from every benchmark here that is run as a script.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCORED = "tests.benchmarks.gguf_files:scored"
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

import numpy as np
import torch

from core import child
from core.calibrate import kept, observe
from core.compress import Compressed, compress, original
from core.data import load
from core.data.calibration import Calibrating, calibrating
from core.export import save, settings_of
from core.formats import open_checkpoint, permuted, read, targets
from core.formats.gguf_metadata import described
from core.ggml import FORMS
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.quantize import quantizers
from core.quantize.ggml import TYPES as FAMILIES
from core.resources import cache_root, root
from core.solve.blockscales import blocked
from core.store import Store
from core.types import BLOCK_BYTES, Checkpoint, Choice, Layer, Plan, Seen
from tests.benchmarks.stage import _dense, _texts
from tests.benchmarks.table import write

Row = dict[str, Any]
WINDOW = 256  # tokens llama.cpp reads at once
SHOWN = ("model", "type", "writer", "kl", "ppl", "bytes", "of_theirs", "weights_of_theirs", "encode_gb_s")
# What llama-quantize calls a file -> the quantizer's family and bits; with rows that 256 doesn't divide both sides take the same fallbacks.
TYPES = {
    "Q4_0": ("Q_0", 4), "Q3_K": ("K", 3), "Q2_K": ("K", 2), "Q4_K": ("K", 4), "IQ4_NL": ("IQ4_NL", 4), "Q8_0": ("K", 8), "Q6_K": ("K", 6),
    "Q5_K": ("K", 5), "Q4_1": ("Q_1", 4), "Q5_0": ("Q_0", 5), "Q5_1": ("Q_1", 5), "IQ4_XS": ("IQ4_XS", 4),
    "Q4_K_M": ("K", 4), "Q3_K_M": ("K", 3),
}  # fmt: skip
FEW = ("Q4_0", "Q3_K", "Q2_K", "Q4_K")


@dataclass(frozen=True)
class Bench:
    """One model with its statistics on both sides."""

    name: str
    checkpoint: Checkpoint
    network: Network
    data: Calibrating
    imatrix: dict[str, np.ndarray]
    windows: list[list[int]]
    home: Path
    blocks: int = 0  # only the first so many are encoded; 0 = all


def off_grid(folder: Path) -> None:
    """Norm gains folded into what they feed, and random factors between v and o, up and down: the same function on another lattice."""
    from safetensors.torch import load_file, save_file

    w = {n: t.float() for n, t in load_file(folder / "model.safetensors").items()}
    own = torch.Generator().manual_seed(0)
    depth = 1 + max(int(n.split(".")[2]) for n in w if n.startswith("model.layers."))
    for i in range(depth):
        at = {n.removeprefix(f"model.layers.{i}.").removesuffix(".weight"): n for n in w if n.startswith(f"model.layers.{i}.")}
        for norm, fed in (("input_layernorm", ("q", "k", "v")), ("post_attention_layernorm", ("gate", "up"))):
            for part in fed:
                name = at[f"self_attn.{part}_proj" if norm == "input_layernorm" else f"mlp.{part}_proj"]
                w[name] = w[name] * w[at[norm]]
            w[at[norm]] = torch.ones_like(w[at[norm]])
        v, o, up, down = (at[n] for n in ("self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"))
        s, t = (0.78 + 0.5 * torch.rand(len(w[n]), generator=own) for n in (v, up))
        heads = w[o].shape[1] // len(s)  # query heads that share a key head
        size = 64 if len(s) % 64 == 0 else 32
        w[v], w[up], w[down] = w[v] * s[:, None], w[up] * t[:, None], w[down] / t
        w[o] = w[o] / s.view(-1, 1, size).expand(-1, heads, -1).flatten()
    save_file({n: t.half().contiguous() for n, t in w.items()}, folder / "model.safetensors", {"format": "pt"})


def prepared(name: str, tokens: int, scored: int, blocks: int) -> Bench:
    """The float16 folder, its data and the importance matrix; all but the last kept in the cache."""
    home = cache_root() / "gguf"
    home.mkdir(parents=True, exist_ok=True)
    folder = root() / "samples" / "sotu-lm"
    if name == "smollm2":
        from tests.real import smollm2

        folder = home / "smollm2-off-grid"
        if not folder.exists():
            aside = home / "smollm2.part"
            shutil.rmtree(aside, ignore_errors=True)
            _dense(smollm2(), aside, "F32")
            off_grid(aside)
            aside.rename(folder)
    held, text = _texts(home)
    checkpoint = open_checkpoint(folder)
    network = attach(checkpoint)
    data = calibrating(Path(text), network, held, None, tokens)
    ids = torch.cat([b["input_ids"][0] for b in load(held, network, scored).items])
    windows = [w.tolist() for w in ids.split(min(WINDOW, network.context)) if len(w) > 1]
    imatrix = _imatrix(home / f"{name}-{tokens}.npz", checkpoint, network, data)
    return Bench(name, checkpoint, network, data, imatrix, windows, home, blocks)


def _imatrix(file: Path, checkpoint: Checkpoint, network: Network, data: Calibrating) -> dict[str, np.ndarray]:
    """Mean square of every input of every linear layer over all calibration tokens, by module name."""
    if file.exists():
        with np.load(file) as found:
            return dict(found)
    assert network.module is not None
    sums: dict[str, torch.Tensor] = {}
    count = 0
    linears = {n: m for n, m in network.module.named_modules() if isinstance(m, torch.nn.Linear)}
    watching = [m.register_forward_pre_hook(_adding(sums, n)) for n, m in linears.items()]
    weights = {n: read(t).float() for n, t in checkpoint.tensors.items()}
    with torch.inference_mode():
        for batch in data.whole.items:
            network.forward(weights, batch)
            count += batch["input_ids"].numel()
    for w in watching:
        w.remove()
    out = {n: (s / count).numpy() for n, s in sums.items()}
    np.savez(file, **out)
    return out


def _adding(sums: dict[str, torch.Tensor], name: str) -> Any:
    def hook(_: Any, given: Any) -> None:
        x = given[0].flatten(0, -2).float()
        sums[name] = sums.get(name, torch.zeros(x.shape[1])) + x.square().sum(0)

    return hook


def mixed(name: str, role: str, i: int, depth: int) -> int:
    """Bits of a layer that a mix of llama.cpp's treats better than the rest, in block i of `depth` (llama-quant.cpp); 0 = as the rest."""
    more = i < depth // 8 or i >= 7 * depth // 8 or (i - depth // 8) % 3 == 2
    if name == "Q4_K_M":
        return 6 if more and role in ("v_proj", "down_proj") else 0
    if name == "Q3_K_M":
        early = {"v_proj": i < 2, "down_proj": i < depth // 16}.get(role)
        return 5 if early else 4 if role in ("v_proj", "o_proj") or (role == "down_proj" and more) else 0
    return 0


def planned(b: Bench, name: str, found: tuple[Layer, ...]) -> Plan:
    """The type everywhere, or in the first `blocks` only, and a mix's better layers."""
    family, bits = TYPES[name]
    said = Choice(quantize="ggml", bits=bits, knobs={"ggml.family": family})
    at = {x.name: int(m[1]) for x in found if x.kind == "linear" and (m := re.search(r"layers\.(\d+)\.", x.name))}
    depth = 1 + max(at.values())
    own = {x.name: mixed(name, x.role, at[x.name], depth) for x in found if x.name in at and at[x.name] < (b.blocks or depth)}
    plan = Plan(groups={f"model.layers.{i}.*": said for i in range(b.blocks)}) if b.blocks else Plan(said)
    return replace(plan, layers={n: Choice(bits=x) for n, x in own.items() if x})


def ours(b: Bench, name: str, file: Path, store: Store) -> tuple[Compressed, float | None]:
    """Our file, and the CPU seconds of compressing without the statistics'; None where another type had made some of its layers."""
    found = tuple(layers(b.checkpoint))
    plan = planned(b, name, found)
    statistics = observe(b.network, b.checkpoint, b.data, found, {"inputs"}, Job(), store=kept.default())
    for x in (x for x in found if x.kind == "linear"):
        _ = statistics.seen[x.name]  # collected and kept on disk before the clock starts
    before = time.process_time()
    made = compress(b.checkpoint, found, plan, statistics, store, Job())
    took = time.process_time() - before
    save(made, file, targets["gguf"](), Job())
    return made, None if any(o.reused for o in made.outcomes.values()) else took


def theirs(b: Bench, made: Compressed, mine: Path, file: Path) -> float:
    """Our file with every block tensor encoded again by libgguf: same types and bytes by construction. Gives its CPU seconds."""
    import gguf
    import libgguf

    shutil.copyfile(mine, file)
    names = {v: k for k, v in described(b.checkpoint).names.items()}
    heads = described(b.checkpoint).heads
    took = 0.0
    with file.open("r+b") as f:
        for t in gguf.GGUFReader(mine).tensors:
            name = names[t.name]
            if t.tensor_type.name not in BLOCK_BYTES or name.removesuffix(".weight") not in made.outcomes:
                continue
            w = read(b.checkpoint.tensors[name]).float().numpy()
            before = time.process_time()
            raw = torch.from_numpy(libgguf.quantize_rows(w, t.tensor_type, imatrix=b.imatrix[name.removesuffix(".weight")]))
            took += time.process_time() - before
            f.seek(int(t.data_offset))
            f.write((permuted(raw, heads[t.name]) if t.name in heads else raw).numpy().tobytes())
    return took


def scored(source: str, files: list[str], windows: list[list[int]]) -> dict[str, Any]:
    """In a process of its own: mean KL of each file to `source`, and its perplexity, all by llama.cpp."""
    from core.verify_gguf import Llama, _log_softmax

    room, count = max(map(len, windows)), sum(len(w) - 1 for w in windows)
    original, *others = (Llama(f, room) for f in (source, *files))
    kl, loss = [0.0] * len(others), [0.0] * len(others)
    for w in windows:
        p = _log_softmax(original.logits(w))
        for i, other in enumerate(others):
            q = _log_softmax(other.logits(w))
            kl[i] += float((np.exp(p) * (p - q)).sum())
            loss[i] -= float(q[np.arange(len(w) - 1), w[1:]].sum())
    each = [{"kl": k / (count + len(windows)), "ppl": float(np.exp(x / count)), "tokens": count} for k, x in zip(kl, loss)]
    return {"scores": each}


def weighed(b: Bench, files: list[Path]) -> list[float]:
    """Mean KL with each file's decoded weights in float32 here: what the weights alone cost, without the runtime's 8-bit activations."""

    def answers(weights: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        with torch.inference_mode():
            return [b.network.forward(weights, {"input_ids": torch.tensor([w])})[0].log_softmax(-1) for w in b.windows]

    given = answers({n: read(t).float() for n, t in b.checkpoint.tensors.items()})
    out = []
    for file in files:
        found = answers({n: read(t).float() for n, t in open_checkpoint(file).tensors.items()})
        out.append(sum(float((p.exp() * (p - q)).sum(dtype=torch.float64)) for p, q in zip(given, found)) / sum(map(len, b.windows)))
    return out


def rows(b: Bench, only: tuple[str, ...]) -> Iterator[Row]:
    """Two rows for each type: ours and theirs."""
    with tempfile.TemporaryDirectory(prefix="slim-gguf-") as folder:
        whole, store = Path(folder) / "original.gguf", Store(Path(folder) / "layers")
        save(original(b.checkpoint, layers(b.checkpoint), store), whole, targets["gguf"](dtype="F32"), Job())
        for name in only:
            files = [Path(folder) / f"{name}-{who}.gguf" for who in ("ours", "theirs")]
            made, took = ours(b, name, files[0], store)
            times = (took, theirs(b, made, *files))
            assert files[0].stat().st_size == files[1].stat().st_size
            used = sorted({targets["gguf"]().of(x, settings_of(made)[x.name]) for x in made.layers if x.name in made.outcomes})
            weights = sum(x.tensor.parameters for x in made.layers if x.name in made.outcomes)
            found = child.run(SCORED, {"source": str(whole), "files": [str(f) for f in files], "windows": b.windows})["scores"]
            alone = weighed(b, files)
            for i, (who, file, score, seconds) in enumerate(zip(("ours", "libgguf"), files, found, times)):
                ratio = score["kl"] / found[1]["kl"]
                yield {
                    "model": b.name, "type": name, "types": used, "writer": who, **score, "bytes": file.stat().st_size, "of_theirs": ratio,
                    "kl_of_weights": alone[i], "weights_of_theirs": alone[i] / alone[1],
                    "encode_gb_s": 4e-9 * weights / max(seconds, 1e-9) if seconds else None, "cpu_s": seconds, "blocks": b.blocks,
                    "calibration": b.data.whole.n,
                }  # fmt: skip
                file.unlink()


def speed(names: tuple[str, ...], quick: bool) -> Iterator[Row]:
    """GB/s of float32 weights on one thread: rounded to nearest by the quantizer (encoder llama.cpp, no data) beside bare libgguf, and our
    search beside libgguf's own with an importance matrix."""
    import gguf
    import libgguf

    w = 0.05 * torch.randn(512 if quick else 1024, 1536, generator=torch.Generator().manual_seed(0))
    weight = torch.rand(1536, generator=torch.Generator().manual_seed(1)) + 0.05
    for name in names:
        kind = gguf.GGMLQuantizationType[name]
        family, bits = next((f, b) for f, types in FAMILIES.items() for b in range(2, 9) if types.get(b, "Q8_0") == name)
        nearest = quantizers["ggml"](bits=bits, family=family, encoder="llama.cpp")
        ways: dict[str, Callable[[], Any]] = {
            "rtn_gb_s": partial(nearest, w, Seen()), "libgguf_gb_s": partial(libgguf.quantize_rows, w.numpy(), kind),
            "search_gb_s": partial(_searched, w, weight, name),
            "libgguf_imatrix_gb_s": partial(libgguf.quantize_rows, w.numpy(), kind, weight.numpy()),
        }  # fmt: skip
        found = {k: 4e-9 * w.numel() / max(min(_timed(do) for _ in range(3)), 1e-9) for k, do in ways.items()}
        yield {
            "type": name, **found, "rtn_of_theirs": found["rtn_gb_s"] / found["libgguf_gb_s"],
            "search_of_theirs": found["search_gb_s"] / found["libgguf_imatrix_gb_s"],
            "search_of_their_rtn": found["search_gb_s"] / found["libgguf_gb_s"],
        }  # fmt: skip


def _searched(w: torch.Tensor, weight: torch.Tensor, name: str) -> None:
    grid = blocked(w, weight, name, Job())
    grid.packed(grid.direct(w))


def _timed(do: Callable[[], Any]) -> float:
    before = time.process_time()
    do()
    return time.process_time() - before


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--quick", action="store_true", help="the sample language model and four types")
    p.add_argument("--json", type=Path)
    p.add_argument("--model", choices=("sotu-lm", "smollm2"), action="append")
    p.add_argument("--tokens", type=int, default=8192, help="of calibration, for both sides")
    p.add_argument("--blocks", type=int, default=0, help="encode only the first so many, for a look that takes a minute")
    p.add_argument("--type", choices=tuple(TYPES), action="append")
    asked = p.parse_args()
    torch.set_num_threads(1)
    only = tuple(asked.type or (FEW if asked.quick else TYPES))
    found: list[Row] = []
    for r in speed(tuple(n for n in FORMS if n in only) if asked.type or asked.quick else tuple(FORMS), asked.quick):
        found.append(r)
        rtn = f"rounds {r['rtn_gb_s']:.3f} GB/s, {r['rtn_of_theirs']:.2f} of libgguf"
        print(f"{r['type']:8} {rtn}; searches {r['search_gb_s']:.4f}, {r['search_of_theirs']:.2f} of libgguf with an imatrix", flush=True)
    print("".join(f"{c:>18}" for c in SHOWN))
    for name in asked.model or (("sotu-lm",) if asked.quick else ("sotu-lm", "smollm2")):
        b = prepared(name, asked.tokens, 1024 if asked.quick or name == "smollm2" else 2048, asked.blocks)
        for r in rows(b, only):
            found.append(r)
            print("".join(f"{f'{r[c]:.5g}' if isinstance(r[c], float) else str(r[c]):>18}" for c in SHOWN), flush=True)
            if asked.json:
                write(asked.json, found, asked.quick)


if __name__ == "__main__":
    main()
