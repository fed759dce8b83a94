"""Verification of an exported program: loaded by torch.export in a fresh process, weights compared bit by bit, answers with ours."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .compress import Compressed
from .formats import open_checkpoint, read
from .formats.pt2 import archive
from .formats.pt2_target import template_of
from .formats.safetensors_file import TORCH
from .job import Job
from .networks.program import at_once
from .types import Check, Setting, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from .data import Batches
    from .networks import Network
    from .verify import Written

TOLERANCE = 1e-3  # of the outputs' standard deviation: float32 sums in another order differ by about 1e-6, a wrong scale by far more
SAMPLES = 4
ROUNDS = 5


def verify_pt2(
    file: Path, written: Written, compressed: Compressed, settings: Mapping[str, Setting], target: Any,
    network: Network | None, batches: Batches | None, job: Job,
) -> Verdict:  # fmt: skip
    """Reopen `file` in a fresh process; every check with what it found."""
    checkpoint, template = compressed.checkpoint, template_of(compressed.checkpoint)
    assert template is not None
    same = {x.tensor.name: x.tensor.dtype for x in compressed.layers if x.name not in compressed.outcomes}
    tensor = {e.name: x.tensor.name for x in compressed.layers for e in target.entries(checkpoint, (x,), settings)}
    args: dict[str, Any] = {
        "file": str(file), "source": str(checkpoint.weights or checkpoint.path), "total": written.nbytes,
        "checksums": dict(written.checksums), "entries": [[e.name, e.dtype, list(e.shape)] for e in written.entries],
        "also": {n: e for n, t in template.names.items() for e in tensor if tensor[e] == t and e != n},
        "untouched": {e.name: tensor[e.name] for e in written.entries if same.get(tensor[e.name]) == e.dtype}, "answers": "",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="slim-verify-") as scratch:
        if network and batches:
            args["answers"] = str(_answers(Path(scratch) / "answers.safetensors", compressed, settings, target, network, batches, job))
        job.check()
        found = child.run("core.verify_pt2:probe", args, job)
    return Verdict(found["tool"], tuple(Check(*c) for c in found["checks"]))


def _answers(
    file: Path, compressed: Compressed, settings: Mapping[str, Setting], target: Any, network: Network, batches: Batches, job: Job
) -> Path:
    """The studio's own answers to the first batch, with the weights as the program stores them."""
    import torch
    from safetensors.torch import save_file

    template = template_of(compressed.checkpoint)
    rows = min(SAMPLES, at_once(template.archive)) if template else SAMPLES
    batch = {k: v[:rows].contiguous() for k, v in batches.items[0].items() if k != "labels"}
    weights = {}
    for x in job.track(compressed.layers, "Answering for comparison"):
        t = next(iter(target.tensors(compressed.checkpoint, x, settings[x.name], compressed.stored(x)).values()))
        weights[x.tensor.name] = t.float() if t.is_floating_point() else t
    with torch.inference_mode():
        answer = network.raw(weights, batch).float().contiguous()
    save_file({"answer": answer.clone(), **{f"batch.{k}": v for k, v in batch.items()}}, str(file))
    return file


def probe(**args: Any) -> dict[str, Any]:
    """In the fresh process: the program by torch.export.load, its weights, and what it answers."""
    import torch

    file = Path(args["file"])
    there = file.stat().st_size
    checks = [Check("file size", there == args["total"], f"{there} bytes on disk, {args['total']} planned")]
    try:
        program = torch.export.load(file)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError, IndexError) as e:
        checks.append(Check("opens in torch.export", False, f"{type(e).__name__}: {e}"[:300]))
        return _told(checks)
    checks.append(Check("opens in torch.export", True, f"{len(list(program.graph.nodes))} nodes"))
    checks += [_tensors(program, args), _untouched(program, args)]
    if args["answers"] and all(c.passed for c in checks):
        checks.append(_agrees(program, file, args["answers"]))
    return _told(checks)


def _told(checks: list[Check]) -> dict[str, Any]:
    import torch

    return {"tool": f"torch.export of torch {torch.__version__}", "checks": [[c.name, c.passed, c.detail] for c in checks]}


def _crc(t: Tensor) -> int:
    import torch

    return zlib.crc32(t.detach().contiguous().flatten().view(torch.uint8).numpy().data) if t.numel() else 0


def _tensors(program: Any, args: Mapping[str, Any]) -> Check:
    """Type, shape and checksum of every weight, under each of its names."""
    import torch

    state = program.state_dict
    for name, dtype, shape in args["entries"]:
        t = state.get(name)
        if t is None or t.dtype != getattr(torch, TORCH[dtype]) or list(t.shape) != shape:
            have = "nothing" if t is None else f"{t.dtype} {list(t.shape)}"
            return Check("names, types and shapes", False, f"{name}: planned {dtype} {shape}, found {have}")
        if args["checksums"][name] != _crc(t):
            return Check("bytes as written", False, f"{name} was changed")
    shared = next((n for n, e in args["also"].items() if not torch.equal(state[n], state[e])), "")
    detail = f"{shared} is not what it shares" if shared else f"{len(args['entries'])} checksums agree"
    return Check("bytes as written", not shared, detail)


def _untouched(program: Any, args: Mapping[str, Any]) -> Check:
    """Weights the plan leaves alone are the source's, bit for bit."""
    if not args["untouched"]:
        return Check("untouched tensors", True, "0 bit-identical to the source")
    source = open_checkpoint(Path(args["source"]))
    bad = next((n for n, t in args["untouched"].items() if _crc(read(source.tensors[t])) != _crc(program.state_dict[n])), "")
    return Check(
        "untouched tensors", not bad, f"{bad} differs from the source" if bad else f"{len(args['untouched'])} bit-identical to the source"
    )


def _agrees(program: Any, file: Path, answers: str) -> Check:
    """Largest difference of the answers in standard deviations of the studio's, and how long the program takes for them."""
    import torch
    from safetensors.torch import load_file
    from torch.utils._pytree import tree_flatten, tree_unflatten

    from .networks.program import asked

    given = load_file(answers)
    batch = {k.removeprefix("batch."): v for k, v in given.items() if k.startswith("batch.")}
    flat, which, cut = asked(archive(file), batch)
    args, kwargs = tree_unflatten(flat, program.call_spec.in_spec)
    module = program.module()
    with torch.inference_mode():
        found = tree_flatten(module(*args, **kwargs))[0][which].float()
        start = time.perf_counter()
        for _ in range(ROUNDS):
            module(*args, **kwargs)
        took = (time.perf_counter() - start) / ROUNDS
    apart, allowed = float((cut(found) - given["answer"]).abs().max()), TOLERANCE * float(given["answer"].std())
    told = f"largest difference {apart:.2e}, allowed {allowed:.2e} ({TOLERANCE:g} of the outputs' standard deviation)"
    some = next(iter(batch.values()))
    many, unit = (some.numel(), "tokens") if "input_ids" in batch else (len(some), "samples")
    return Check("same answers", apart <= allowed, f"{told}; {many / took:.3g} {unit}/s, measured on this machine")
