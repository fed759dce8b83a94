"""Exports: written beside the target, reopened by a fresh process, and only then given their name."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compress import Compressed
from .errors import CannotRun, CannotWrite, NotVerified
from .formats.folder import SIDES
from .formats.safetensors_write import HEAD, Shard, Writer, Written, shards, total
from .job import Job
from .types import FLOATS, Entry, Setting, Verdict
from .verify import verify

if TYPE_CHECKING:
    from .data import Batches
    from .networks import Network

OURS = ("config.json", "*.safetensors", "*.safetensors.index.json", "report.json", "report.html", "recipe.toml", *SIDES)
SPARE = 4_000_000  # bytes wanted free beyond the weights: config, tokenizer, directory blocks


def save(compressed: Compressed, path: Path, target: Any, job: Job) -> Path:
    """Write without reopening; the path appears only when everything is on the disk."""
    path = _allowed(compressed, path, target)
    with _beside(path) as aside:
        _write(compressed, aside, path, target, job)
        _place(aside, path)
    return path


def export(compressed: Compressed, path: Path, target: Any, network: Network | None, batches: Batches | None, job: Job) -> Verdict:
    """Write, reopen in a fresh process, give it its name. On failure, cancel or a full disk nothing is left."""
    path = _allowed(compressed, path, target)
    with _beside(path) as aside:
        written = _write(compressed, aside, path, target, job)
        verdict = verify(aside, written, compressed, target, network, batches, job)
        if not verdict.passed:
            bad = next(c for c in verdict.checks if not c.passed)
            raise NotVerified(f"The export was reopened and found different ({bad.name}: {bad.detail}); it was removed, please report this.")
        job.check()
        _place(aside, path)
    return verdict


def single_file(compressed: Compressed, path: Path) -> bool:
    """A checkpoint without a config goes into one file when the path is named like one."""
    return not compressed.checkpoint.config and path.suffix == ".safetensors"


def _allowed(compressed: Compressed, path: Path, target: Any) -> Path:
    """The absolute path, when writing there destroys nothing and fits; CannotWrite otherwise."""
    path = Path(path).expanduser().absolute()
    source = compressed.checkpoint.path.resolve()
    files = shards(target.entries(compressed.checkpoint, compressed.layers, compressed.settings))
    if target.key == "packed" and not compressed.checkpoint.config:
        raise CannotWrite("Packed weights need a config.json that says how they are packed, and this model has none; export it dense.")
    if path.resolve() == source or path.resolve() in source.parents or source in path.resolve().parents:
        raise CannotWrite(f"{path.name}: the opened model lies there; choose another place, an export never overwrites its source.")
    if path.suffix == ".safetensors" and not path.is_dir() and (compressed.checkpoint.config or len(files) > 1):
        raise CannotWrite(f"{path.name}: this export is a folder (config and weights); choose a folder's name without .safetensors.")
    _replaceable(path)
    _roomy(path, total(files) + SPARE)
    return path


def _replaceable(path: Path) -> None:
    """Nothing there, an empty folder, or an earlier export of ours and nothing else."""
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    names = [p.name for p in path.iterdir()] if path.is_dir() else []
    foreign = next((n for n in names if not any(fnmatchcase(n, o) for o in OURS)), "")
    weights = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if foreign or not weights or not all(_ours(w) for w in weights):
        what = f"it holds {foreign}" if foreign else "what is there is no export of Slim Studio"
        raise CannotWrite(f"{path} can't be replaced: {what}; choose a new name or an empty folder.")


def _ours(file: Path) -> bool:
    try:
        with file.open("rb") as f:
            f.seek(8)
            return f.read(len(HEAD)) == HEAD.encode()
    except OSError:
        return False


def _roomy(path: Path, needed: int) -> None:
    there = next((p for p in path.parents if p.exists()), path.parent)
    try:
        free = shutil.disk_usage(there).free
    except OSError as e:
        raise CannotWrite(f"{path.parent}: {e.strerror}; choose another place.") from None
    if free < needed:
        raise CannotWrite(f"{path.parent} has {free / 1e6:.1f} MB free and the export needs {needed / 1e6:.1f} MB; free some space or choose another disk.")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder on the same file system that is gone afterwards, whatever happened; system errors become sentences."""
    aside = path.parent / f".{path.name}.{os.getpid()}.part"
    made = [p for p in path.parents if not p.exists()]
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        made = []
    except OSError as e:
        raise CannotWrite(f"{path.name} could not be written ({e.strerror or e}); nothing was left behind. Free some space or choose another place.") from e
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        for p in made:
            if p.is_dir() and not any(p.iterdir()):
                p.rmdir()


def _place(aside: Path, path: Path) -> None:
    """Give the finished export its name; an earlier one goes only after the new one stands."""
    single = path.suffix == ".safetensors" and (aside / path.name).exists()
    if single:
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


def _write(compressed: Compressed, folder: Path, path: Path, target: Any, job: Job) -> Written:
    """All files of the export into `folder`."""
    checkpoint, settings = compressed.checkpoint, compressed.settings
    entries = target.entries(checkpoint, compressed.layers, settings)
    name = path.name if single_file(compressed, path) else "model.safetensors"
    files = shards(entries, name)
    if checkpoint.config:
        _sides(compressed, folder, job)
        _config(compressed, folder, target, entries)
    return Written(files, _weights(compressed, folder, target, files, job))


def _weights(compressed: Compressed, folder: Path, target: Any, files: Sequence[Shard], job: Job) -> dict[str, int]:
    with ExitStack() as stack:
        writer = Writer(folder, files, stack, job)
        for layer in job.track(compressed.layers, "Writing"):
            setting = compressed.settings.get(layer.name, Setting())
            for name, tensor in target.tensors(layer, setting, compressed.stored(layer)).items():
                writer.put(name, tensor)
        writer.finish()
    return writer.checksums


def _config(compressed: Compressed, folder: Path, target: Any, entries: list[Entry]) -> None:
    """config.json as it was, with the number type that is really inside and what the target adds."""
    kept = {k: v for k, v in compressed.checkpoint.config.items() if k != "torch_dtype"}
    gained = target.config(compressed.checkpoint, compressed.layers, compressed.settings)
    if "quantization_config" in gained:
        _today(compressed, gained["quantization_config"])
    config = {**kept, "dtype": _dtype(entries), **gained}
    file = folder / "config.json"
    file.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    file.chmod(0o644)


def _today(compressed: Compressed, quantization: dict[str, Any]) -> None:
    """Modules that transformers 5 calls by another name than the file are listed under both, or they would not be found."""
    from .networks.transformers_folder import renamed, skeleton

    try:
        now = renamed(skeleton(compressed.checkpoint), compressed.checkpoint)
    except CannotRun:
        return
    both: dict[str, list[str]] = {}
    for new, stored in now.items():
        both.setdefault(stored.removesuffix(".weight"), []).append(new.removesuffix(".weight"))
    for scheme in quantization["config_groups"].values():
        scheme["targets"] = list(dict.fromkeys(n for t in scheme["targets"] for n in (t, *both.get(t, []))))
    quantization["ignore"] = list(dict.fromkeys(n for t in quantization["ignore"] for n in (t, *both.get(t, []))))


def _dtype(entries: list[Entry]) -> str:
    """The floating type of most numbers, by transformers' name."""
    count = Counter[str]()
    for e in entries:
        if e.dtype in FLOATS:
            count[e.dtype] += e.nbytes
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    return names[count.most_common(1)[0][0]] if count else "float32"


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
