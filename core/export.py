"""Exports: written beside the target, reopened by a fresh process, and only then given their name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compress import Compressed, original
from .errors import BadFile, CannotRun, CannotWrite, NotVerified
from .formats.folder import SIDES
from .formats.gguf_header import parse
from .formats.gguf_metadata import MADE_BY
from .formats.gguf_write import write as write_gguf
from .formats.onnx_file import BESIDE, MODEL, gone
from .formats.pt2_target import ours as our_program
from .formats.safetensors_write import write
from .formats.shards import INDEX, index, limit, shards
from .job import Job
from .offers import cannot
from .onnx_trace import trace
from .onnx_write import write_onnx
from .plans import resolve
from .size import size
from .traced import prepare
from .types import Setting, Verdict
from .verify import Written, checksum, verify
from .verify_gguf import verify_gguf
from .verify_onnx import verify_onnx
from .verify_pt2 import verify_pt2

if TYPE_CHECKING:
    from torch import Tensor

    from .data import Batches
    from .networks import Network

MARK = "slim-studio.json"  # in every folder we write: what may be replaced later
OURS = (
    MARK, "config.json", "*.safetensors", MODEL, MODEL + BESIDE, INDEX, "report.json", "report.html", "README.md", "recipe.toml", *SIDES,
)  # fmt: skip
SPARE = 4_000_000  # bytes wanted free beyond the weights: config, tokenizer, directory blocks


def save(compressed: Compressed, path: Path, target: Any, job: Job) -> Path:
    """Write without reopening; the path appears only when everything is on the disk."""
    path = _allowed(compressed, path, target)
    with beside(path) as aside:
        _traced(compressed, target, None, job)
        _write(compressed, aside, path, target, job)
        _place(aside, path)
    return path


def export(
    compressed: Compressed, path: Path, target: Any, network: Network | None, batches: Batches | None, job: Job,
    teach: Callable[[], Batches] | None = None,
) -> Verdict:  # fmt: skip
    """Write, reopen in a fresh process, give it its name. On failure, cancel or a full disk nothing is left.

    `teach` gives calibration data, which static activations are measured on."""
    path = _allowed(compressed, path, target)
    with beside(path) as aside:
        _traced(compressed, target, batches, job)
        plain = _plain(compressed, aside, target, job) if target.key == "onnx" and network and batches and compressed.outcomes else None
        learnt = teach() if plain and teach and target.activations == "static" else None
        written = _write(compressed, aside, path, target, job, plain, learnt)
        verdict = _verdict(aside, path, plain, written, compressed, target, network, batches, job)
        if not verdict.passed:
            bad = next(c for c in verdict.checks if not c.passed)
            said = f"The export was reopened and found different ({bad.name}: {bad.detail}); it was removed, please report this."
            raise NotVerified(said, verdict)
        job.check()
        _place(aside, path)
    return verdict


def _verdict(
    aside: Path, path: Path, plain: Path | None, written: Written, compressed: Compressed, target: Any,
    network: Network | None, batches: Batches | None, job: Job,
) -> Verdict:  # fmt: skip
    """What the tool the file is for says of it."""
    settings = settings_of(compressed)
    if target.key == "pt2":
        return verify_pt2(aside / path.name, written, compressed, settings, target, network, batches, job)
    if suffix(target):
        return verify_gguf(aside / path.name, written, compressed, settings, target, network, batches, job)
    if target.key != "onnx":
        return verify(aside, written, compressed, target, network, batches, job)
    verdict = verify_onnx(aside / MODEL, plain, written, compressed, settings, target, network, batches, job)
    if plain:
        gone(plain)
    return verdict


def _plain(compressed: Compressed, aside: Path, target: Any, job: Job) -> Path:
    """The original in float32, in the same format: what speed is measured against, and whether the graph is the network."""
    whole, kind = original(compressed.checkpoint, compressed.layers, compressed.store), type(target)(dtype="F32", one_gb=target.one_gb)
    settings, file = settings_of(whole), aside / f".float32.{MODEL}"
    write_onnx(whole, file, kind, settings, _layerwise(whole, settings, kind, {}), job)
    return file


def _traced(compressed: Compressed, target: Any, batches: Batches | None, job: Job) -> None:
    """The graph a format needs before anything can be written in it."""
    if target.key == "onnx":
        trace(compressed.checkpoint, batches, job)
    if target.key == "pt2":
        prepare(compressed.checkpoint, job)


def suffix(target: Any) -> str:
    """Of the one file a target writes; "" = a folder."""
    return getattr(target, "suffix", "")


def single_file(compressed: Compressed, path: Path) -> bool:
    """A checkpoint without a config goes into one file when the path is named like one."""
    return not compressed.checkpoint.config and path.suffix == ".safetensors"


def _allowed(compressed: Compressed, path: Path, target: Any) -> Path:
    """The absolute path, when writing there destroys nothing and fits; CannotWrite otherwise."""
    path = Path(path).expanduser().absolute()
    source = compressed.checkpoint.path.resolve()
    if why := cannot(target, compressed.checkpoint, compressed.layers, settings_of(compressed)):
        raise CannotWrite(f"This plan can't be packed: {why}." if target.key == "packed" else why)
    if suffix(target) and path.suffix != suffix(target):
        raise CannotWrite(f"{path.name}: this export is one file; choose a name that ends in {suffix(target)}.")
    if path.resolve() == source or path.resolve() in source.parents or source in path.resolve().parents:
        raise CannotWrite(f"{path.name}: the opened model lies there; choose another place, an export never overwrites its source.")
    single = ".onnx" if target.key == "onnx" else ".safetensors" if compressed.checkpoint.config else ""
    if single and path.suffix == single and not path.is_dir():
        raise CannotWrite(f"{path.name}: this export is a folder (config and weights); choose a folder's name without {single}.")
    _replaceable(path)
    total = size(compressed.checkpoint, compressed.layers, settings_of(compressed), target).total
    _roomy(path, total + SPARE)
    return path


def _replaceable(path: Path) -> None:
    """Nothing there, an empty folder, or an earlier export of ours and nothing else."""
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if path.is_file() and path.suffix in (".gguf", ".pt2") and _ours(path):
        return
    names = [p.name for p in path.iterdir()] if path.is_dir() else []
    foreign = next((n for n in names if not any(fnmatchcase(n, o) for o in OURS)), "")
    if foreign or MARK not in names:
        what = f"it holds {foreign}" if foreign else "what is there is no export of Slim Studio"
        raise CannotWrite(f"{path} can't be replaced: {what}; choose a new name or an empty folder.")


def _ours(path: Path) -> bool:
    """Whether a GGUF file or a program says that we made it."""
    try:
        if path.suffix == ".pt2":
            return our_program(path)
        return parse(path)[0].get("general.quantized_by") == MADE_BY
    except BadFile:
        return False


def _roomy(path: Path, needed: int) -> None:
    there = next((p for p in path.parents if p.exists()), path.parent)
    try:
        free = shutil.disk_usage(there).free
    except OSError as e:
        raise CannotWrite(f"{path.parent}: {e.strerror}; choose another place.") from None
    if free < needed:
        raise CannotWrite(f"{path.parent} has {free / 1e6:.1f} MB free and the export needs {needed / 1e6:.1f} MB; choose another disk.")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder on the same file system that is gone afterwards, whatever happened; system errors become sentences."""
    aside = path.parent / f".{path.name}.{os.getpid()}.part"
    made = [p for p in path.parents if not p.exists()]
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        made = []
    except OSError as e:
        raise CannotWrite(
            f"{path.name} could not be written ({e.strerror or e}); nothing was left behind. Free some space or choose another place."
        ) from e
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        for p in made:
            if p.is_dir() and not any(p.iterdir()):
                p.rmdir()


def _place(aside: Path, path: Path) -> None:
    """Give the finished export its name; an earlier one goes only after the new one stands."""
    if (aside / path.name).is_file():
        os.replace(aside / path.name, path)
        return
    old = aside.with_suffix(".old")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(aside, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def settings_of(compressed: Compressed) -> dict[str, Setting]:
    """Every layer's setting, also where compression had nothing to do."""
    return {**resolve(compressed.plan, compressed.layers), **compressed.settings}


def _write(
    compressed: Compressed, folder: Path, path: Path, target: Any, job: Job, plain: Path | None = None, learnt: Batches | None = None
) -> Written:
    """All files of the export into `folder`."""
    checkpoint, settings = compressed.checkpoint, settings_of(compressed)
    if suffix(target):
        return _one(compressed, folder / path.name, target, settings, job)
    names = _module_names(compressed, target, settings)
    if checkpoint.config:
        _sides(compressed, folder, job)
        config = {k: v for k, v in checkpoint.config.items() if k != "torch_dtype"}
        _text(folder / "config.json", config | target.config(checkpoint, compressed.layers, settings, names))
    if not single_file(compressed, path):
        _text(folder / MARK, {"made_by": "Slim Studio", "target": target.key, "source": checkpoint.path.name})
    if target.key == "onnx":
        job.note(target.detail(compressed.layers, settings))
        return write_onnx(compressed, folder / MODEL, target, settings, _layerwise(compressed, settings, target, {}), job, plain, learnt)
    sums: dict[str, int] = {}
    entries = target.entries(checkpoint, compressed.layers, settings)
    found = shards(entries, limit(checkpoint, target))
    files = [path.name] if single_file(compressed, path) else [s.file for s in found]
    for i, (file, shard) in enumerate(zip(files, found, strict=True), 1):
        phase = "Writing" if len(found) == 1 else f"Writing file {i} of {len(found)}"
        write(folder / file, shard.entries, _layerwise(compressed, settings, target, sums), job, phase)
        (folder / file).chmod(0o644)
    if len(found) > 1:
        (folder / INDEX).write_bytes(index(found))
        (folder / INDEX).chmod(0o644)
    return Written(tuple(files), tuple(entries), size(checkpoint, compressed.layers, settings, target).total, sums)


def _one(compressed: Compressed, file: Path, target: Any, settings: dict[str, Setting], job: Job) -> Written:
    """The one file of a target that carries config and tokenizer, or the network's graph, in itself."""
    checkpoint, sums = compressed.checkpoint, dict[str, int]()
    entries = target.entries(checkpoint, compressed.layers, settings)
    job.note(target.detail(compressed.layers, settings))
    tensors = _layerwise(compressed, settings, target, sums)
    if target.key == "pt2":
        target.write(file, checkpoint, entries, tensors, job)
    else:
        write_gguf(file, target.head(checkpoint, entries), entries, tensors, job)
    file.chmod(0o644)
    return Written((file.name,), tuple(entries), size(checkpoint, compressed.layers, settings, target).total, sums)


def _module_names(compressed: Compressed, target: Any, settings: dict[str, Setting]) -> dict[str, str]:
    """Layer -> what transformers calls its module, which config.json must say of packed layers; {} = as stored."""
    checkpoint = compressed.checkpoint
    if target.key != "packed" or not any(target.packs(checkpoint, x, settings[x.name]) for x in compressed.layers):
        return {}
    from .networks.transformers_folder import matched, skeleton

    try:
        found = matched(skeleton(checkpoint), checkpoint)
    except CannotRun as e:
        if "ImageClassification" not in str(checkpoint.config.get("architectures")):
            return {}  # text networks keep their names
        raise CannotWrite(f"Packed weights are found by module name, and this network's are not known ({e}); export it dense.") from None
    out: dict[str, str] = {}
    for module, tensor in found.items():
        out.setdefault(tensor.removesuffix(".weight"), module.removesuffix(".weight"))
    return out


def _layerwise(
    compressed: Compressed, settings: dict[str, Setting], target: Any, sums: dict[str, int]
) -> Callable[[str], dict[str, Tensor]]:
    """A layer's tensors for the writer, each one's checksum noted as it is handed over."""
    layers = {x.name: x for x in compressed.layers}

    def tensors(name: str) -> dict[str, Tensor]:
        stored = compressed.stored(layers[name])
        found: dict[str, Tensor] = target.tensors(compressed.checkpoint, layers[name], settings[name], stored)
        for n, t in found.items():
            if t.is_floating_point() and not t.isfinite().all() and stored.dense().isfinite().all():
                raise CannotWrite(f"{name} holds values that {t.dtype} can't (F16 ends at 65504); export as BF16 or F32.")
            sums[n] = checksum(t)
        return found

    return tensors


def _text(file: Path, table: dict[str, Any]) -> None:
    file.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    file.chmod(0o644)


def _sides(compressed: Compressed, folder: Path, job: Job) -> None:
    """Tokenizer and preprocessor files; a GGUF's tokenizer is written out of its metadata."""
    for side in compressed.checkpoint.sides:
        to = folder / side.name
        if side.is_dir():
            shutil.copytree(side, to, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(side, to)
            to.chmod(0o644)
    if compressed.checkpoint.format == "gguf":
        _gguf_tokenizer(compressed.checkpoint.path, folder, job)


def _gguf_tokenizer(source: Path, folder: Path, job: Job) -> None:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError, ImportError) as e:
        job.note(f"The GGUF's tokenizer could not be converted ({e}); take tokenizer.json from the original model.")
        return
    tokenizer.save_pretrained(str(folder))
