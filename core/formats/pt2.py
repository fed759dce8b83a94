"""Reads torch.export's .pt2 archives: tensors out of the zip's directory and its JSON tables; nothing in the file is unpickled or run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..errors import BadFile
from ..job import Job
from ..types import ITEM_BYTES, Checkpoint, TensorInfo
from . import readers
from .pt2_graph import kinds

SCHEMA = 8  # major version of the program's JSON: torch 2.9 to 2.13 write it
MOST = 256 << 20  # bytes of JSON that are read: a network of 400 layers takes 5 MB
TYPES = {
    1: "U8", 2: "I8", 3: "I16", 4: "I32", 5: "I64", 6: "F16", 7: "F32", 8: "F64", 12: "BOOL", 13: "BF16", 28: "U16",
    29: "F8_E4M3", 30: "F8_E5M2", 34: "U32", 35: "U64",
}  # fmt: skip
ABOUT = "extra/slim-studio.json"
KEPT = "archive"  # where a checkpoint remembers its tables
AGAIN = "load it where it was made and save it again with torch.export.save of torch 2.9 or later"


@dataclass(frozen=True)
class Record:
    """One file of the archive: where its bytes lie."""

    offset: int
    nbytes: int


@dataclass(frozen=True)
class Archive:
    """An exported program: its graph as JSON, and where its tensors lie."""

    path: Path
    records: Mapping[str, Record]  # name within the archive -> its place, in the file's order
    prefix: str  # the folder all records lie in
    model: str  # its name: "model" when torch.export.save wrote it
    program: Mapping[str, Any]
    weights: Mapping[str, Mapping[str, Any]]  # parameter or buffer -> what weights_config says of it
    constants: Mapping[str, Mapping[str, Any]]

    def bytes(self, name: str) -> bytes:
        """All of a record."""
        with self.path.open("rb") as f:
            f.seek(self.records[name].offset)
            return f.read(self.records[name].nbytes)

    def about(self) -> dict[str, Any]:
        """What a program that we wrote says of itself: labels, and how pictures are prepared; {} of any other."""
        if ABOUT not in self.records or self.records[ABOUT].nbytes > MOST:
            return {}
        try:
            said = json.loads(self.bytes(ABOUT))
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def place(self, folder: str, name: str) -> TensorInfo:
        """Where a tensor of data/`folder` lies; BadFile when it can't be mapped."""
        return _info(self, name, (self.weights if folder == "weights" else self.constants)[name], folder)


@readers("pt2")
class Pt2:
    """A program that torch.export.save wrote."""

    suffixes: ClassVar = (".pt2",)
    dtypes: ClassVar = ()  # its tensors lie in the file as safetensors' do

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_file() and path.suffix == ".pt2"

    @staticmethod
    def open(path: Path, job: Job) -> Checkpoint:
        found = archive(path)
        first: dict[TensorInfo, str] = {}
        tensors, tied = {}, {}
        for name in found.weights:
            t = found.place("weights", name)
            at = TensorInfo("", t.shape, t.dtype, t.nbytes, path, t.offset, strides=t.strides)
            if t.nbytes and at in first:
                tied[name] = first[at]
            else:
                first[at] = name
                tensors[name] = t
        if not tensors:
            raise BadFile(f"{path.name}: this program has no weights, so there is nothing to slim; export a network that has some")
        does = kinds(found.program, {n: t.shape for n, t in tensors.items()}, tied)
        made = Checkpoint(path, "pt2", tensors, tied=tied, kinds=does)
        made.kept[KEPT] = found
        return made


def archive_of(checkpoint: Checkpoint) -> Archive:
    """The opened program's tables, which are parsed once."""
    if KEPT not in checkpoint.kept:
        checkpoint.kept[KEPT] = archive(checkpoint.path)
    found: Archive = checkpoint.kept[KEPT]
    return found


def archive(path: Path) -> Archive:
    """The archive's tables; BadFile says what is wrong with it, also where another torch made it."""
    try:
        with zipfile.ZipFile(path) as z:
            records, prefix = _records(path, z)
            names = [n.removeprefix("models/").removesuffix(".json") for n in records if n.startswith("models/") and n.endswith(".json")]
            if why := _odd(records, names):
                raise BadFile(f"{path.name}: {why}")
            model = names[0]
            tables = [json.loads(_read(z, f"{prefix}/{n}")) for n in _tables(model)]
    except (OSError, ValueError, KeyError, RecursionError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as e:
        first = (str(e).splitlines() or [type(e).__name__])[0][:120]
        raise BadFile(f"{path.name}: cut off or not a program of torch.export ({first}); get the file again") from None
    if not _sound(*tables):
        raise BadFile(f"{path.name}: its tables of graph and weights are not what torch.export writes; get the file again")
    program, weights, constants = tables
    major = program["schema_version"].get("major")
    if major != SCHEMA:
        made = str(program.get("torch_version", "another torch"))[:40]
        raise BadFile(f"{path.name}: written by torch {made} in version {major} of the format, and I read version {SCHEMA}; {AGAIN}")
    return Archive(path, records, prefix, model, program, weights["config"], constants["config"])


def _tables(model: str) -> tuple[str, str, str]:
    return f"models/{model}.json", f"data/weights/{model}_weights_config.json", f"data/constants/{model}_constants_config.json"


def _odd(records: Mapping[str, Record], models: list[str]) -> str:
    """Why these records are no program that is written as today's torch does; "" when they are."""
    if any(n.startswith("serialized_") or "/serialized_" in n for n in records):
        return f"written by torch 2.8 or older, whose weights are a pickle; {AGAIN}"
    if not models and any(n.startswith("data/aotinductor/") for n in records):
        return "compiled for one machine (AOTInductor): it holds machine code and no graph; open the program it was compiled from"
    if not models:
        raise ValueError("no graph in it")
    if len(models) != 1:
        return f"holds {len(models)} programs and I open files with one; save the one you want with torch.export.save"
    if f"data/weights/{models[0]}.pt" in records:
        return f"written by torch 2.8 or older, whose weights are a pickle; {AGAIN}"
    missing = [n for n in _tables(models[0]) if n not in records]
    return f"its {missing[0]} is missing; get the file again" if missing else ""


def _sound(program: Any, weights: Any, constants: Any) -> bool:
    """Whether the three tables have the parts that everything else looks up."""
    try:
        graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
        lists = (graph["inputs"], graph["outputs"], graph["nodes"], signature["input_specs"], signature["output_specs"])
        maps = (graph["tensor_values"], program["schema_version"], program["range_constraints"], weights["config"], constants["config"])
    except (TypeError, KeyError, IndexError):
        return False
    return all(isinstance(x, list) for x in lists) and all(isinstance(x, dict) for x in maps)


def _records(path: Path, z: zipfile.ZipFile) -> tuple[dict[str, Record], str]:
    """Every record by its name below the archive's one folder."""
    infos, size = z.infolist(), path.stat().st_size
    if not infos:
        raise ValueError("an empty archive")
    prefix = infos[0].filename.split("/")[0] if "/" in infos[0].filename else ""
    out: dict[str, Record] = {}
    with path.open("rb") as f:
        for i in infos:
            if i.compress_type != zipfile.ZIP_STORED or i.flag_bits & 1:
                raise ValueError(f"{i.filename} is compressed or encrypted, which torch doesn't do")
            f.seek(i.header_offset)
            head = f.read(30)
            at = i.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            name = i.filename.removeprefix(f"{prefix}/")
            if head[:4] != b"PK\x03\x04" or at + i.file_size > size or name in out:
                raise ValueError(f"{i.filename} is there twice or not where the directory says")
            out[name] = Record(at, i.file_size)
    return out, prefix


def _read(z: zipfile.ZipFile, name: str) -> bytes:
    """A JSON record, checked against its checksum."""
    if z.getinfo(name).file_size > MOST:
        raise ValueError(f"{name} is larger than {MOST >> 20} MB")
    return z.read(name)


def _info(found: Archive, name: str, said: Mapping[str, Any], folder: str) -> TensorInfo:
    """One tensor by what its table says, held against the record's size."""
    file = found.path.name
    try:
        if said["use_pickle"]:
            raise BadFile(f"{file}: {name} is a pickled object (a tensor subclass, say); export the program with plain tensors")
        meta = said["tensor_meta"]
        shape = tuple(n["as_int"] for n in meta["sizes"])
        strides = tuple(n["as_int"] for n in meta["strides"])
        start, dtype = meta["storage_offset"]["as_int"], TYPES.get(meta["dtype"], "")
        record = found.records[f"data/{folder}/{said['path_name']}"]
        numbers = (start, *shape, *strides)
    except (TypeError, KeyError, AttributeError):
        raise BadFile(f"{file}: the entry of {name!r} is incomplete; get the file again") from None
    if not dtype:
        raise BadFile(f"{file}: {name!r} has type number {meta['dtype']} of torch, which I don't know; convert it to float32 first")
    if not all(type(n) is int and 0 <= n < 2**62 for n in numbers) or len(shape) != len(strides) or len(shape) > 64:
        raise BadFile(f"{file}: {name!r} has a shape or place that is no number; get the file again")
    item = ITEM_BYTES[dtype]
    info = TensorInfo(name, shape, dtype, item, found.path, record.offset + start * item, strides=_apart(shape, strides))
    info = TensorInfo(name, shape, dtype, info.parameters * item, found.path, info.offset, strides=info.strides)
    if info.strides and not _dense(shape, strides):
        raise BadFile(f"{file}: {name!r} is a view with gaps or repeats; call .contiguous() on it and export the program again")
    if start * item + info.nbytes > record.nbytes:
        raise BadFile(f"{file}: {name!r} should have {info.nbytes} bytes and its record holds {record.nbytes}; get the file again")
    return info


def _apart(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides where they are not those of rows behind rows; () where they are."""
    step = 1
    for n, s in zip(reversed(shape), reversed(strides)):
        if n > 1 and s != step:
            return strides if 0 not in shape else ()
        step *= n
    return ()


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the strides only order the dimensions in another way (channels_last, a transposed weight)."""
    step = 1
    for s, n in sorted((s, n) for n, s in zip(shape, strides) if n > 1):
        if s != step:
            return False
        step *= n
    return True
