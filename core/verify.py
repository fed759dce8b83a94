"""Verification: a fresh process reopens an export with the tools its readers will use and compares."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .compress import Compressed
from .formats import open_checkpoint, read
from .formats.folder import table
from .formats.safetensors_file import header
from .formats.shards import INDEX
from .job import Job
from .plans import resolve
from .types import Check, Checkpoint, Entry, Layer, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from .data import Batches
    from .networks import Network

TOLERANCE = 1e-3  # of the outputs' standard deviation: float32 sums in another order differ by about 1e-6, a wrong scale by far more
SAMPLES = 4  # of the first batch


@dataclass(frozen=True)
class Written:
    """What was put down: the weight files, the planned tensors, the predicted bytes and a checksum of every tensor as handed over."""

    files: tuple[str, ...]
    entries: tuple[Entry, ...]
    nbytes: int
    checksums: Mapping[str, int]


def checksum(tensor: Tensor) -> int:
    """CRC-32 of the bytes."""
    return zlib.crc32(_raw(tensor))


def verify(
    folder: Path, written: Written, compressed: Compressed, target: Any, network: Network | None, batches: Batches | None, job: Job
) -> Verdict:
    """Reopen `folder` in a fresh process; every check with what it found."""
    checkpoint = compressed.checkpoint
    same = {x.tensor.name: x.tensor.dtype for x in compressed.layers if x.name not in compressed.outcomes}
    args: dict[str, Any] = {
        "folder": str(folder), "source": str(checkpoint.weights or checkpoint.path),
        "total": written.nbytes, "checksums": dict(written.checksums),
        "entries": [[e.name, e.dtype, list(e.shape)] for e in written.entries], "files": list(written.files),
        "untouched": [e.name for e in written.entries if same.get(e.name) == e.dtype],
        "architecture": (checkpoint.config.get("architectures") or [""])[0], "task": network.task if network else "", "answers": "",
        "own": network is not None and network.task == "audio-classification",
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="slim-verify-") as scratch:
        if network and batches and (checkpoint.config or args["own"]):
            args["answers"] = str(_answers(Path(scratch) / "answers.safetensors", written, compressed, target, network, batches, job))
        job.check()
        found = child.run("core.verify:probe", args, job)
    return Verdict(found["tool"], tuple(Check(*c) for c in found["checks"]))


def _as_stored(compressed: Compressed, layer: Layer, target: Any, dense: bool) -> Tensor:
    """The layer rounded as the export rounds it, in float32."""
    stored = compressed.stored(layer)
    setting = {**resolve(compressed.plan, (layer,)), **compressed.settings}[layer.name]
    t = target.tensors(compressed.checkpoint, layer, setting, stored)[layer.tensor.name] if dense else stored.dense()
    return t.float() if t.is_floating_point() else t


def _answers(file: Path, written: Written, compressed: Compressed, target: Any, network: Network, batches: Batches, job: Job) -> Path:
    """The studio's own answers to the first batch, with the weights as the export stores them."""
    import torch
    from safetensors.torch import save_file

    batch = {k: v[:SAMPLES].contiguous() for k, v in batches.items[0].items() if k != "labels"}
    held = {e.name for e in written.entries}
    layers = job.track(compressed.layers, "Answering for comparison")
    weights = {x.tensor.name: _as_stored(compressed, x, target, x.tensor.name in held) for x in layers}
    with torch.inference_mode():
        answer = network.forward(weights, batch).float().contiguous()
    save_file({"answer": answer.clone(), **{f"batch.{k}": v for k, v in batch.items()}}, str(file))
    return file


def probe(**args: Any) -> dict[str, Any]:
    """In the fresh process: all checks of one export."""
    import safetensors
    import torch

    folder = Path(args["folder"])
    tool = f"safetensors {safetensors.__version__}, torch {torch.__version__}"
    entries = [Entry(n, d, tuple(s)) for n, d, s in args["entries"]]
    checks = [_tensors(folder, entries), _bytes(folder, args["total"]), _checksums(folder, args["checksums"])]
    checks += [_shards(folder, args["files"])] if len(args["files"]) > 1 else []
    if not all(c.passed for c in checks):
        return _told(tool, checks)
    checks.append(_untouched(folder, open_checkpoint(Path(args["source"])) if args["untouched"] else None, args["untouched"]))
    if args["architecture"]:
        name, more = _reopened(folder, args)
        tool, checks = f"{name}, {tool}", checks + more
    elif args["own"] and args["answers"]:
        checks.append(_own(folder, args["answers"]))
    return _told(tool, checks)


def _told(tool: str, checks: list[Check]) -> dict[str, Any]:
    return {"tool": tool, "checks": [[c.name, c.passed, c.detail] for c in checks]}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _tensors(folder: Path, wanted: list[Entry]) -> Check:
    """Names, types and shapes, read by the reference implementation."""
    from safetensors import safe_open

    have = {}
    for file in _files(folder):
        with safe_open(file, "pt") as f:
            for name in f.keys():  # noqa: SIM118  safe_open is no mapping
                part = f.get_slice(name)
                have[name] = (part.get_dtype(), tuple(part.get_shape()))
    plan = {e.name: (e.dtype, e.shape) for e in wanted}
    wrong = sorted(n for n in plan.keys() | have.keys() if plan.get(n) != have.get(n))
    detail = f"{wrong[0]}: planned {plan.get(wrong[0])}, found {have.get(wrong[0])}" if wrong else f"{len(plan)} tensors as planned"
    return Check("names, types and shapes", not wrong, detail)


def _bytes(folder: Path, planned: int) -> Check:
    there = sum(f.stat().st_size for f in folder.glob("*.safetensors*"))  # with the index
    return Check("file size", there == planned, f"{there} bytes on disk, {planned} planned")


def _shards(folder: Path, files: list[str]) -> Check:
    """Exactly these files, and an index that finds every tensor where it lies."""
    where = {n: f.name for f in _files(folder) for n in header(f)}
    said = table(folder / INDEX).get("weight_map") or {}
    wrong = sorted({f.name for f in _files(folder)} ^ set(files)) or sorted(n for n in where if said.get(n) != where[n])
    detail = f"{wrong[0]} is not where the index says" if wrong else f"{len(files)} files, every tensor where the index says"
    return Check("shards and index", not wrong and said.keys() == where.keys(), detail)


def _checksums(folder: Path, wanted: Mapping[str, int]) -> Check:
    """Every tensor's bytes against the checksum taken while it was handed to the writer."""
    infos = {n: t for f in _files(folder) for n, t in header(f).items()}
    bad = [n for n, crc in wanted.items() if checksum(read(infos[n])) != crc]
    return Check(
        "bytes as written", not bad and wanted.keys() == infos.keys(), f"{bad[0]} was changed" if bad else f"{len(wanted)} checksums agree"
    )


def _raw(tensor: Tensor) -> memoryview:
    import torch

    return memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data) if tensor.numel() else memoryview(b"")


def _untouched(folder: Path, source: Checkpoint | None, names: list[str]) -> Check:
    """Tensors the plan leaves alone are the source's, bit for bit."""
    infos = {n: t for f in _files(folder) for n, t in header(f).items()}
    bad = [n for n in names if source and _raw(read(infos[n])) != _raw(read(source.tensors[n]))]
    return Check("untouched tensors", not bad, f"{bad[0]} differs from the source" if bad else f"{len(names)} bit-identical to the source")


def _reopened(folder: Path, args: Mapping[str, Any]) -> tuple[str, list[Check]]:
    """Loaded by transformers as anyone would, and asked the same questions as the studio's network."""
    import torch
    import transformers

    name = f"transformers {transformers.__version__}"
    cls = getattr(transformers, args["architecture"], None)
    if cls is None:
        return name, [Check("opens in transformers", True, f"not tried: {name} doesn't know {args['architecture']}")]
    try:
        model, info = cls.from_pretrained(str(folder), dtype="auto", output_loading_info=True, local_files_only=True)
    except (ValueError, RuntimeError, KeyError, TypeError, ImportError, OSError, AttributeError) as e:
        return name, [Check("opens in transformers", False, f"{type(e).__name__}: {e}"[:300])]
    missing = [m for m in sorted(info["missing_keys"]) if "pooler" not in m]
    left = missing + sorted(info["unexpected_keys"]) + [str(m) for m in info["mismatched_keys"]]
    checks = [
        Check(
            "opens in transformers", not left, f"{left[0]} missing or not wanted" if left else f"{args['architecture']}, every tensor used"
        )
    ]
    if "quantization_config" in table(folder / "config.json"):
        import compressed_tensors

        name += f" + compressed-tensors {compressed_tensors.__version__}"
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer.compressor.decompress_model(model)
    if args["answers"] and not left:
        torch.nn.Module.float(model)  # past the guard for packed weights: they are unpacked by now
        checks.append(_agrees(model.eval(), args["answers"], args["task"]))
    return name, checks


def _own(folder: Path, file: str) -> Check:
    """Of a network that no library but its own builds: opened as the studio opens it, and asked the same questions."""
    import torch

    from .networks import attach

    given, batch = _asked(file)
    checkpoint = open_checkpoint(folder)
    with torch.inference_mode():
        mine = attach(checkpoint).forward({n: read(t) for n, t in checkpoint.tensors.items()}, batch)
    return _same(mine, given)


def _asked(file: str) -> tuple[Tensor, dict[str, Tensor]]:
    """The studio's answers, and what it was asked."""
    from safetensors.torch import load_file

    given = load_file(file)
    return given["answer"], {k.removeprefix("batch."): v for k, v in given.items() if k.startswith("batch.")}


def _agrees(model: Any, file: str, task: str) -> Check:
    import torch

    from .networks.transformers_folder import _pooled

    given, batch = _asked(file)
    with torch.inference_mode():
        out = model(**batch, return_dict=True)
    return _same(_pooled(out.last_hidden_state, batch["attention_mask"]) if task == "encoder" else out.logits, given)


def _same(mine: Tensor, given: Tensor) -> Check:
    """Largest difference of the answers, in standard deviations of the studio's."""
    apart = float((mine.float() - given).abs().max())
    allowed = TOLERANCE * float(given.std())
    held = apart <= allowed  # False for NaN
    return Check(
        "same answers", held, f"largest difference {apart:.2e}, allowed {allowed:.2e} ({TOLERANCE:g} of the outputs' standard deviation)"
    )
