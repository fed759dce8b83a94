"""Exports a program: the same graph with other weights, which torch.export.load and everything that starts from it reads."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickletools
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..job import Job
from ..pitch import is_pitch
from ..registry import knob
from ..resources import cache_root
from ..stored import Stored
from ..types import ITEM_BYTES, Checkpoint, Entry, Layer, Setting
from . import targets
from .dense import DenseTarget
from .pt2 import ABOUT, MOST, TYPES, Archive, archive, archive_of
from .pt2_graph import lifted, unsafe
from .pt2_write import total, write

if TYPE_CHECKING:
    from torch import Tensor

MADE_BY = "Slim Studio"
NUMBERS = {v: k for k, v in TYPES.items()}
CODE = "program 1"  # raise it when tracing changes
FILE, NAMES = "program.pt2", "names.json"  # of a trace
KEPT = "pt2"  # where a checkpoint remembers the program its export begins with
MODULES = ("torch._utils", "torch", "collections")  # what a pickle of plain tensors speaks of
TASKS = ("CausalLM", "LMHeadModel", "ForImageClassification", "Model")


@dataclass(frozen=True)
class Template:
    """A program whose weights are to be replaced."""

    archive: Archive
    names: Mapping[str, str]  # parameter or buffer -> the checkpoint's tensor
    about: Mapping[str, Any]


@targets("pt2")
@dataclass(frozen=True, slots=True)
class Pt2Target:
    """An exported program: runs without the model's source code; pruned and quantized values are rounded in place, so that bytes fall only
    with the type or where something was cut out."""

    title: ClassVar[str] = "Exported program (torch.export)"
    runs_in: ClassVar[str] = "torch.export.load, torch.compile, AOTInductor, ExecuTorch and other compilers of programs"
    suffix: ClassVar[str] = ".pt2"
    dtype: str = knob("source", choices=("source", "F32", "F16", "BF16"))

    def unfit(self, checkpoint: Checkpoint) -> str:
        """Why this model can't be a program; "" when it can."""
        if "unfit pt2" not in checkpoint.kept:
            checkpoint.kept["unfit pt2"] = _foreign(checkpoint) if checkpoint.format == "pt2" else _unknown(checkpoint)
        return str(checkpoint.kept["unfit pt2"])

    def refuses(self, checkpoint: Checkpoint, layer: Layer, setting: Setting) -> str:
        if setting.quantize == "int8dynamic":
            return "a program holds the rounded weights: the bytes are not saved, and integer activations are up to the runtime"
        return "a program holds values, not codes: the rounding is kept, the bytes are not saved" if setting.quantize else ""

    def detail(self, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> str:
        """Which types the file will hold."""
        return ", ".join(f"{n} × {t}" for t, n in Counter(self.of(x) for x in layers).most_common())

    def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
        first = _named(checkpoint)
        return [Entry(first.get(x.tensor.name, x.tensor.name), self.of(x), x.tensor.shape, x.name) for x in layers if _wanted(x, first)]

    def hangs_on(self, setting: Setting) -> tuple[object, ...]:
        return ()

    def of(self, layer: Layer) -> str:
        """The type a tensor is stored in: vectors keep theirs, and nothing is stored wider than it was."""
        source = DenseTarget().of(layer)
        asked = DenseTarget(self.dtype).of(layer)
        return source if len(layer.tensor.shape) < 2 or ITEM_BYTES[asked] > ITEM_BYTES[source] else asked

    def tensors(self, checkpoint: Checkpoint, layer: Layer, setting: Setting, stored: Stored) -> dict[str, Tensor]:
        import torch

        from .safetensors_file import TORCH

        name = _named(checkpoint).get(layer.tensor.name, layer.tensor.name)
        return {name: stored.dense().to(getattr(torch, TORCH[self.of(layer)]))}

    def config(
        self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return {}

    def pending(self, checkpoint: Checkpoint) -> bool:
        """Whether the graph's bytes are not known yet: the network has never been traced."""
        return not self.unfit(checkpoint) and template_of(checkpoint) is None

    def nbytes(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> tuple[int, dict[str, int]]:
        """Bytes of the file and of each layer's tensors in it, which no plan changes; without a trace the graph is missing (`pending`)."""
        template, found = None if self.unfit(checkpoint) else template_of(checkpoint), tuple(layers)
        key = f"{KEPT} {self!r} {template is not None} {hash(tuple(x.name for x in found))}"
        if key not in checkpoint.kept:
            entries = self.entries(checkpoint, found, settings)
            made = _records(template, entries) if template else [(f"archive/data/weights/{e.name}", e.nbytes, None) for e in entries]
            of = {e.layer: e.nbytes for e in entries}
            checkpoint.kept[key] = total((name, nbytes) for name, nbytes, _ in made), {x.name: of.get(x.name, 0) for x in found}
        whole: tuple[int, dict[str, int]] = checkpoint.kept[key]
        return whole

    def write(
        self, file: Path, checkpoint: Checkpoint, entries: list[Entry], tensors: Callable[[str], dict[str, Tensor]], job: Job
    ) -> None:
        """Stream the archive; `tensors(layer)` gives a layer's tensors by entry name."""
        template = template_of(checkpoint)
        assert template is not None, "a network must be traced before it is written"
        if _inputs(template.archive) == b"" != _given(template.archive):
            job.note("The program's sample inputs are more than plain tensors and could run code, so they were left out")
        where = {e.name: e for e in entries}

        def parts(name: str) -> Callable[[], Iterator[memoryview]]:
            return lambda: iter([_bytes(_laid(tensors(where[name].layer)[name], template.archive.weights[name]))])

        write(file, [(n, size, parts(had) if isinstance(had, str) else had) for n, size, had in _records(template, entries)], job)


def template_of(checkpoint: Checkpoint) -> Template | None:
    """The program an export begins with: the opened one, or what tracing made of a network (None before core/traced.py did that)."""
    if KEPT not in checkpoint.kept and checkpoint.format == "pt2":
        found = archive_of(checkpoint)
        checkpoint.kept[KEPT] = Template(found, {n: checkpoint.tied.get(n, n) for n in found.weights}, found.about())
    elif KEPT not in checkpoint.kept and (home(checkpoint) / NAMES).is_file():
        names = json.loads((home(checkpoint) / NAMES).read_text(encoding="utf-8"))
        checkpoint.kept[KEPT] = Template(archive(home(checkpoint) / FILE), names["names"], names["about"])
    template: Template | None = checkpoint.kept.get(KEPT)
    return template


def home(checkpoint: Checkpoint) -> Path:
    """Where the trace of this network is kept; it hangs on the network and on the packages that trace, never on the values of weights."""
    found: Path | None = checkpoint.kept.get("pt2 home")
    if found is None:
        said = [CODE, *(f"{p} {version(p)}" for p in ("torch", "transformers")), *map(str, checkpoint.sides), checkpoint.format]
        rows = [[t.name, list(t.shape), t.dtype] for t in checkpoint.tensors.values()]
        text = json.dumps([said, checkpoint.config, dict(checkpoint.tied), rows], sort_keys=True, default=str)
        found = checkpoint.kept["pt2 home"] = cache_root() / "derived" / hashlib.sha256(text.encode()).hexdigest()
    return found


def ours(path: Path) -> bool:
    """Whether a program says that we wrote it."""
    return archive(path).about().get("made_by") == MADE_BY


def _foreign(checkpoint: Checkpoint) -> str:
    """Why an opened program can't be written again."""
    found = archive_of(checkpoint)
    if why := unsafe(found.program):
        return f"This program holds {why}; torch.export.load could run code of the file's own for it, so export it as dense safetensors"
    odd = next((n for n, c in found.constants.items() if c.get("use_pickle") or not str(c.get("path_name")).startswith("tensor_")), "")
    if odd:
        return f"This program holds {odd} as a pickled object, which would run code when it is loaded; export it as dense safetensors"
    metas = [t.get("tensor_meta") or {} for t in (*found.weights.values(), *found.constants.values())]
    device = next((d for m in metas if (d := str((m.get("device") or {}).get("type", "cpu"))) != "cpu"), "")
    return f"This program was exported on {device}; export it on the CPU to have it written again" if device else ""


def _unknown(checkpoint: Checkpoint) -> str:
    """Why a model that is no program can't become one."""
    config = checkpoint.config
    if not config and is_pitch(checkpoint.tensors):
        return "networks that hear are traced into ONNX alone; export it as ONNX, or as dense safetensors"
    if not config.get("model_type"):
        return "A program needs a graph, and these are weights alone; open the folder with config.json, or the program itself"
    if "auto_map" in config or "quantization_config" in config:
        return "This network can't be built here, so it can't be traced; export it as dense safetensors"
    name = str((config.get("architectures") or [""])[0])
    return "" if name.endswith(TASKS) else f"I don't know what goes into a {name or 'nameless network'}; export it as dense safetensors"


def _named(checkpoint: Checkpoint) -> dict[str, str]:
    """Tensor -> the first name the program has for it."""
    template = template_of(checkpoint)
    out: dict[str, str] = {}
    for name, at in (template.names if template else {}).items():
        out.setdefault(at, name)
    return out


def _wanted(layer: Layer, first: Mapping[str, str]) -> bool:
    """Whether the program has a place for it (before tracing all are thought to have one)."""
    return not first or layer.tensor.name in first


def _records(template: Template, entries: list[Entry]) -> list[tuple[str, int, Any]]:
    """Every record in the template's order: (name, bytes, how to get them); a tensor's is its name."""
    found, stored = template.archive, {e.name: e for e in entries}
    config, files = _weights(template, stored)
    texts = {
        f"data/weights/{found.model}_weights_config.json": config,
        f"models/{found.model}.json": _compact(_program(found, stored, template.names)),
        f"data/sample_inputs/{found.model}.pt": _inputs(found),
        ABOUT: _compact({"made_by": MADE_BY, **{k: v for k, v in template.about.items() if k != "made_by"}}),
    }
    old = {f"data/weights/{w['path_name']}" for w in found.weights.values()}
    out = [(f"{found.prefix}/data/weights/{file}", nbytes, had) for file, nbytes, had in files]
    for name in [*found.records, *([] if ABOUT in found.records else [ABOUT])]:
        if name in texts:
            out.append((f"{found.prefix}/{name}", len(texts[name]), _text(texts[name])))
        elif name not in old:
            out.append((f"{found.prefix}/{name}", found.records[name].nbytes, _copy(found, name)))
    return out


def _weights(template: Template, stored: Mapping[str, Entry]) -> tuple[bytes, list[tuple[str, int, Any]]]:
    """The table of weights, and their records: one for every tensor, however many names it has."""
    config: dict[str, Any] = {}
    files: list[tuple[str, int, Any]] = []
    at: dict[str, tuple[str, Entry]] = {}
    for name, said in template.archive.weights.items():
        tensor = template.names.get(name)
        if tensor not in at or tensor is None:
            e = stored.get(name) or _rest(name, said)
            file = f"weight_{len(files)}"
            files.append((file, e.nbytes, name if name in stored else _zeros(e.nbytes)))
            at[tensor or f"\0{name}"] = (file, e)
        file, e = at[tensor or f"\0{name}"]
        strides = [{"as_int": n} for n in _strides(said)]
        meta = {**said["tensor_meta"], "dtype": NUMBERS[e.dtype], "strides": strides, "storage_offset": {"as_int": 0}}
        config[name] = {**said, "path_name": file, "use_pickle": False, "tensor_meta": meta}
    return _compact({"config": config}), files


def _rest(name: str, said: Mapping[str, Any]) -> Entry:
    """A tensor of the network that the checkpoint has not and that no answer hangs on (an encoder's pooler)."""
    return Entry(name, TYPES[said["tensor_meta"]["dtype"]], _shape(said))


def _shape(said: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(n["as_int"]) for n in said["tensor_meta"]["sizes"])


def _strides(said: Mapping[str, Any]) -> list[int]:
    """The program's own strides where they are an order of dimensions, rows behind rows otherwise."""
    shape, given = _shape(said), [int(n["as_int"]) for n in said["tensor_meta"]["strides"]]
    step = 1
    for s, n in sorted((s, n) for n, s in zip(shape, given) if n > 1):
        if s != step:
            break
        step *= n
    else:
        return given
    return [prod(max(1, n) for n in shape[i + 1 :]) for i in range(len(shape))]


def _laid(t: Tensor, said: Mapping[str, Any]) -> Tensor:
    """The tensor's values in the order in which they lie in the file."""
    strides = _strides(said)
    return t.permute(sorted(range(t.ndim), key=lambda i: (-strides[i], i))).contiguous()


def _program(found: Archive, stored: Mapping[str, Entry], names: Mapping[str, str]) -> dict[str, Any]:
    """The graph, with a cast behind every weight that is stored in another type than the graph computes in."""
    program = dict(found.program)
    module = program["graph_module"] = dict(program["graph_module"])
    graph = module["graph"] = dict(module["graph"])
    graph["tensor_values"] = values = dict(graph["tensor_values"])
    first = {at: n for n, at in reversed(list(names.items()))}
    renamed: dict[str, str] = {}
    casts = []
    for p, (_, name) in lifted(found.program).items():
        said = found.weights.get(name)
        if said is None:
            continue
        e = stored.get(first.get(names.get(name, ""), name)) or _rest(name, said)
        meta = copy.deepcopy(values[p])
        meta["strides"] = [{"as_int": n} for n in _strides(said)]
        if NUMBERS[e.dtype] != meta["dtype"]:
            renamed[p] = _free(f"{p}_wide", values)
            values[renamed[p]] = dict(meta)
            casts.append(_cast(p, renamed[p], meta["dtype"]))
            meta["dtype"] = NUMBERS[e.dtype]
        values[p] = meta
    graph["nodes"] = casts + [_taking(n, renamed) for n in graph["nodes"]]
    return program


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _cast(p: str, name: str, dtype: int) -> dict[str, Any]:
    inputs = [
        {"name": "self", "arg": {"as_tensor": {"name": p}}, "kind": 1}, {"name": "dtype", "arg": {"as_scalar_type": dtype}, "kind": 1},
    ]  # fmt: skip
    return {
        "target": "torch.ops.aten.to.dtype", "inputs": inputs, "outputs": [{"as_tensor": {"name": name}}], "metadata": {},
        "is_hop_single_tensor_return": None, "name": name,
    }  # fmt: skip


def _taking(node: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The node with the casts' results for its arguments; a graph within it has names of its own."""

    def told(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: v if k == "as_graph" else renamed.get(v, v) if k == "name" and isinstance(v, str) else told(v) for k, v in x.items()}
        return [told(v) for v in x] if isinstance(x, list) else x

    return {**node, "inputs": [{**i, "arg": told(i["arg"])} for i in node["inputs"]]} if renamed else dict(node)


def _given(found: Archive) -> bytes:
    name = f"data/sample_inputs/{found.model}.pt"
    return found.bytes(name) if name in found.records and found.records[name].nbytes <= MOST else b""


def _inputs(found: Archive) -> bytes:
    """The program's sample inputs where unpickling them can only make tensors, nothing otherwise: torch.export.load would run the rest."""
    raw = _given(found)
    return raw if plain(raw) else b""


def plain(raw: bytes) -> bool:
    """Whether a torch.save archive names nothing but what tensors and containers are made of."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as z:
            tables = [n for n in z.namelist() if n.endswith((".pkl", ".py")) or "/code/" in n]
            named = [(o.name, str(arg)) for n in tables for o, arg, _ in pickletools.genops(z.read(n))]
    except (ValueError, KeyError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, UnicodeError):
        return False
    if len(tables) != 1 or any(o in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4") for o, _ in named):
        return False
    return all(arg.split(" ")[0] in MODULES and arg.split(" ")[1] in MAKERS for o, arg in named if o == "GLOBAL")


MAKERS = {
    "_rebuild_tensor_v2", "_rebuild_parameter", "OrderedDict", "Size", "device", "FloatStorage", "HalfStorage", "BFloat16Storage",
    "DoubleStorage", "LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage",
}  # fmt: skip


def _compact(table: Any) -> bytes:
    return json.dumps(table, separators=(",", ":")).encode()


def _text(raw: bytes) -> Callable[[], Iterator[memoryview]]:
    return lambda: iter([memoryview(raw)])


def _zeros(nbytes: int) -> Callable[[], Iterator[memoryview]]:
    return lambda: iter([memoryview(bytes(nbytes))])


def _copy(found: Archive, name: str) -> Callable[[], Iterator[memoryview]]:
    return lambda: iter([memoryview(found.bytes(name))])


def _bytes(t: Tensor) -> memoryview:
    import torch

    return memoryview(t.flatten().view(torch.uint8).numpy().data) if t.numel() else memoryview(b"")
