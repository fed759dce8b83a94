"""Runs an exported program as a network: its graph through core/program.py, fed by what its inputs look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadFile, CannotRun
from ..formats import read
from ..formats.folder import table
from ..formats.pt2 import TYPES, Archive, archive_of
from ..formats.pt2_graph import given, lifted, made, op, tensor
from ..formats.safetensors_file import TORCH
from ..job import Job
from ..types import Checkpoint, Task
from . import Network, networks

if TYPE_CHECKING:
    from torch import Tensor

    from ..program import Program

SYMBOL = re.compile(r"Symbol\('(\w+)'")
FREE = 1 << 40  # no size is as large: the upper end of a dimension without one
CONTEXT = 512  # tokens, of a program that takes any number
ELSE = "it can be slimmed and exported, not evaluated"


@dataclass(frozen=True)
class Slot:
    """One tensor the program wants: what it is to it, and the least and the most of each dimension."""

    role: str  # "pixels", "ids", "mask", "types" or "positions"
    dtype: str
    dims: tuple[tuple[int, int], ...]


@networks("program")
class ExportedProgram:
    """A program of torch.export: no source code is needed, and none in the file is run."""

    @staticmethod
    def matches(checkpoint: Checkpoint) -> bool:
        return checkpoint.format == "pt2"

    @staticmethod
    def task_of(checkpoint: Checkpoint) -> Task:
        return task_of(checkpoint)

    @staticmethod
    def build(checkpoint: Checkpoint, job: Job) -> Network:
        from ..program import Program

        found = archive_of(checkpoint)
        with _following(checkpoint.path.name):
            slots = _slots(found)
            module = Program(found.program, {name: read(found.place("constants", name)) for name in found.constants})
            task, which, pooled = _task(found, slots)
        names = {at: checkpoint.tied.get(n, n) for at, n in module.names.items()}
        missing = next((n for n in names.values() if n not in checkpoint.tensors), None)
        if missing:
            raise CannotRun(f"The graph takes {missing} and the file doesn't have it; export the program again")
        raw = _forward(module, names, slots, which)
        about = found.about()
        network = Network(
            task, _pooling(raw, pooled) if task == "encoder" else raw, raw, _tokenizer(checkpoint.path.parent, task),
            tuple(map(str, about.get("labels", ()))), _context(slots), module, names, _pictures(checkpoint.path.parent, slots, about),
        )  # fmt: skip
        if task == "causal-lm":
            _checked(network, checkpoint, job)
        return network


def task_of(checkpoint: Checkpoint) -> Task:
    """What a program is for, from the shapes of its inputs and outputs alone; torch-free. CannotRun says why it can't be scored."""
    with _following(checkpoint.path.name):
        found = archive_of(checkpoint)
        return _task(found, _slots(found))[0]


@contextmanager
def _following(name: str) -> Iterator[None]:
    """A graph that is not what it should be becomes one sentence."""
    try:
        yield
    except BadFile as e:
        raise CannotRun(f"A constant of the graph can't be read: {e}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration, RuntimeError, OverflowError) as e:
        raise CannotRun(f"The graph of {name} can't be followed ({type(e).__name__}: {str(e)[:80]}); {ELSE}") from None


def _slots(found: Archive) -> list[Slot]:
    """What the program wants of its user; CannotRun when that is no data we can read."""
    graph, out = found.program["graph_module"]["graph"], list[Slot]()
    for spec in found.program["graph_module"]["signature"]["input_specs"]:
        kind, said = next(iter(spec.items()))
        if kind in ("custom_obj", "token"):
            raise CannotRun(f"This program takes an object of its own ({kind}) as an input; {ELSE}")
        if kind != "user_input" or not (name := tensor(said["arg"])):
            continue
        meta = graph["tensor_values"][name]
        dims = tuple(_dim(n, found.program["range_constraints"]) for n in meta["sizes"])
        dtype = TYPES.get(meta["dtype"], "")
        out.append(Slot(_role(name, dtype, dims, [s.role for s in out]), dtype, dims))
    if not {"pixels", "ids"} & {s.role for s in out}:
        raise CannotRun(f"This program takes neither images nor token ids, so there is nothing I could feed it; {ELSE}")
    return out


def _dim(said: Mapping[str, Any], ranges: Mapping[str, Any]) -> tuple[int, int]:
    """Least and most of one dimension."""
    if "as_int" in said:
        return int(said["as_int"]), int(said["as_int"])
    symbol = SYMBOL.match(str(said["as_expr"]["expr_str"]))
    limits = ranges.get(symbol[1], {}) if symbol else {}
    return int(limits.get("min_val") or 0), int(limits.get("max_val") or FREE)


def _role(name: str, dtype: str, dims: tuple[tuple[int, int], ...], before: list[str]) -> str:
    whole = dtype in ("I64", "I32")
    if dtype in ("F32", "F16", "BF16", "F64") and len(dims) == 4 and "pixels" not in before:
        return "pixels"
    if len(dims) == 2 and "mask" in name:
        return "mask"
    if len(dims) == 2 and whole and "type" in name:
        return "types"
    if len(dims) == 2 and whole and "position" in name:
        return "positions"
    if len(dims) == 2 and whole and "ids" not in before:
        return "ids"
    said = f"{dtype} {[a if a == b else 'any' for a, b in dims]}"
    want = "images (batch, channels, height, width) nor token ids (batch, tokens)"
    raise CannotRun(f"Its input {name[:60]} ({said}) is neither {want}; {ELSE}")


def _task(found: Archive, slots: list[Slot]) -> tuple[Task, int, bool]:
    """(task, which of its outputs is scored, whether that has to be pooled over tokens), from the shapes of its outputs."""
    graph = found.program["graph_module"]["graph"]
    specs = found.program["graph_module"]["signature"]["output_specs"]
    outputs = [tensor(o) for o, s in zip(graph["outputs"], specs, strict=True) if "user_output" in s]
    shapes = [graph["tensor_values"][o]["sizes"] if o else [] for o in outputs]
    images = slots[0].role == "pixels" or any(s.role == "pixels" for s in slots)
    for i, sizes in enumerate(shapes):
        last = sizes[-1].get("as_int", 0) if sizes else 0
        if images and len(sizes) == 2 and last > 1:
            return "image-classification", i, False
        if not images and len(sizes) == 3 and last > 1:
            return ("causal-lm" if last == _vocabulary(found) else "encoder"), i, True
        if not images and len(sizes) == 2 and last > 1:
            return "encoder", i, False
    said = ", ".join(str([n.get("as_int", "any") for n in s]) for s in shapes) or "nothing"
    raise CannotRun(f"Its output ({said}) is neither classes (batch, classes) nor answers to tokens (batch, tokens, size); {ELSE}")


def _vocabulary(found: Archive) -> int:
    """Rows of the table that tokens are looked up in; 0 where there is none."""
    graph, names = found.program["graph_module"]["graph"], lifted(found.program)
    for node in graph["nodes"]:
        if op(node) == "embedding.default" and (p := tensor(given(node)["weight"])) in names:
            return int(graph["tensor_values"][p]["sizes"][0]["as_int"])
    casts = {made(n): tensor(next(iter(given(n).values()))) for n in graph["nodes"] if op(n) == "to.dtype"}
    rows = [graph["tensor_values"][casts[p]]["sizes"][0]["as_int"] for n in graph["nodes"] if op(n) == "embedding.default"
            and (p := tensor(given(n)["weight"])) in casts]  # fmt: skip
    return int(max(rows, default=0))


def _forward(module: Program, names: dict[str, str], slots: list[Slot], which: int) -> Any:
    import torch

    types = {at: module.types[n] for at, n in module.names.items()}
    main = next(s for s in slots if s.role in ("pixels", "ids"))

    def run(found: dict[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        inputs = [_filled(s, batch) for s in slots]
        try:
            out = torch.func.functional_call(module, found, (inputs,), tie_weights=False)
        except (RuntimeError, IndexError, TypeError, ValueError, KeyError) as e:
            first = (str(e).splitlines() or [type(e).__name__])[0][:120]
            raise CannotRun(f"The program can't take this data ({first}); choose data of the shape it was exported for") from None
        return out[which].float()

    def forward(weights: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        found = {at: weights[t].to(types[at]) for at, t in names.items()}
        key = "pixel_values" if main.role == "pixels" else "input_ids"
        rows, most = len(batch[key]), max(1, main.dims[0][1])
        parts = [{k: v[i : i + most] for k, v in batch.items() if k != "labels"} for i in range(0, rows, most)]
        out = torch.cat([run(found, p)[: len(p[key])] for p in parts])
        return out[:, : batch[key].shape[1]] if main.role == "ids" and out.ndim == 3 else out

    return forward


def at_once(found: Archive) -> int:
    """Most samples that the program takes at once."""
    return min(s.dims[0][1] for s in _slots(found))


def asked(found: Archive, batch: Mapping[str, Tensor]) -> tuple[list[Any], int, Callable[[Tensor], Tensor]]:
    """All inputs of the program for a batch in their order (constants among them), which output counts, and how to cut it to the batch."""
    slots = _slots(found)
    feed, flat = iter([_filled(s, batch) for s in slots]), list[Any]()
    for spec in found.program["graph_module"]["signature"]["input_specs"]:
        if "user_input" in spec:
            arg = spec["user_input"]["arg"]
            flat.append(next(feed) if tensor(arg) else None if "as_none" in arg else next(iter(arg.values())))
    rows = batch["pixel_values"] if "pixel_values" in batch else batch["input_ids"]
    tokens = "pixel_values" not in batch
    return flat, _task(found, slots)[1], lambda out: out[: len(rows), : rows.shape[1]] if tokens and out.ndim == 3 else out[: len(rows)]


def _filled(slot: Slot, batch: Mapping[str, Tensor]) -> Tensor:
    """The tensor of one slot, repeated or padded on the right to the least the program was exported for."""
    import torch

    if slot.role == "pixels":
        x = batch["pixel_values"]
    else:
        ids = batch["input_ids"]
        x = {"ids": ids, "mask": batch.get("attention_mask", torch.ones_like(ids)), "types": torch.zeros_like(ids),
             "positions": torch.arange(ids.shape[1]).expand_as(ids)}[slot.role]  # fmt: skip
    for axis, ((low, high), n) in enumerate(zip(slot.dims, x.shape, strict=True)):
        if axis and (n > high or (n < low and slot.role == "pixels")):
            raise CannotRun(f"This program takes {low if low == high else f'{low} to {high}'} along axis {axis} and was given {n}; {FIT}")
        if n < low and axis == 0:
            x = torch.cat([x, x[-1:].expand(low - n, *x.shape[1:])])
        elif n < low:
            x = torch.nn.functional.pad(x, (0, low - n))
    return x.to(getattr(torch, TORCH[slot.dtype]))


FIT = "choose data of that size, or export the program with dynamic shapes"


KEYS = {"pixels": "pixel_values", "ids": "input_ids", "mask": "attention_mask", "types": "token_type_ids", "positions": "position_ids"}


def traceable(checkpoint: Checkpoint, network: Network, shapes: Mapping[str, list[int]]) -> tuple[Any, dict[str, Tensor], list[Any]]:
    """To trace an opened program once more: (weights, inputs by name) -> its answer in one piece, inputs that fit it, and each one's free
    axes. `shapes`: of the pictures, where the program takes any."""
    import torch

    slots, module = _slots(archive_of(checkpoint)), network.module
    assert module is not None
    which = _task(archive_of(checkpoint), slots)[1]
    own, types = dict(module.names), module.types  # type: ignore[arg-type]  # a Program's
    kinds = {at: types[n] for at, n in own.items()}  # type: ignore[index]

    def raw(weights: dict[str, Tensor], inputs: dict[str, Tensor]) -> Tensor:
        found = {at: weights[t].to(kinds[at]) for at, t in network.names.items()}
        out: Tensor = torch.func.functional_call(module, found, ([inputs[KEYS[s.role]] for s in slots],), tie_weights=False)[which]
        return out.float()

    sample, free = {}, []
    for s in slots:
        axes = [i for i, (low, high) in enumerate(s.dims) if low != high and (i == 0 or s.role != "pixels")]
        given_ = [0, *shapes.get(KEYS[s.role], [])]
        if s.role == "pixels" and len(given_) < len(s.dims) and any(low != high for low, high in s.dims[1:]):
            raise CannotRun("The size of its pictures is not known; choose held-out pictures, which say it, and export again")
        dims = [_likely(d) if d[0] == d[1] or i in axes else given_[i] for i, d in enumerate(s.dims)]
        sample[KEYS[s.role]] = torch.ones(dims, dtype=getattr(torch, TORCH[s.dtype]))
        free.append(axes)
    return raw, sample, free


def _likely(dim: tuple[int, int]) -> int:
    """A size within the limits; not 0 or 1 where others are allowed, which would be traced as a constant."""
    low, high = dim
    return low if low == high else min(high, max(low, 3))


def _pooling(raw: Any, tokens: bool) -> Any:
    """Mean over the real tokens where there is an answer a token; normalised."""

    def forward(weights: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        out: Tensor = raw(weights, batch)
        if tokens:
            m = batch["attention_mask"].unsqueeze(-1).to(out.dtype)
            out = (out * m).sum(1) / m.sum(1).clamp(min=1)
        return out / out.norm(dim=-1, keepdim=True)

    return forward


def _checked(network: Network, checkpoint: Checkpoint, job: Job) -> None:
    """Later tokens must not change the answers to earlier ones, or perplexity would mean nothing: tried on 8 tokens."""
    import torch

    weights = {n: t.float() if t.is_floating_point() else t for n in job.track(set(network.names.values()), "Loading")
               if (t := read(checkpoint.tensors[n])) is not None}  # fmt: skip
    ids = torch.arange(8).unsqueeze(0)
    other = ids.clone()
    other[:, -1] = 0
    with torch.inference_mode():
        a, b = (network.raw(weights, {"input_ids": x})[:, :-1] for x in (ids, other))
    if float((a - b).abs().max()) > 1e-3 * float(a.std()):
        raise CannotRun(f"Its answers to a token hang on later tokens, so it is no language model that goes from left to right; {ELSE}")


def _tokenizer(folder: Path, task: Task) -> Any:
    """The tokenizer that lies beside the program; None for networks without text."""
    from transformers import AutoTokenizer

    if task == "image-classification":
        return None
    if not any(folder.glob("tokenizer*")):
        raise CannotRun("This program reads token ids; put its tokenizer.json and tokenizer_config.json into the same folder to score it")
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as e:
        raise CannotRun(f"The tokenizer beside it can't be loaded ({str(e).splitlines()[0][:120]}); put tokenizer.json there") from None


def _context(slots: list[Slot]) -> int:
    ids = [s.dims[1][1] for s in slots if s.role == "ids"]
    return min(CONTEXT, *ids) if ids else CONTEXT


def _pictures(folder: Path, slots: list[Slot], about: Mapping[str, Any]) -> dict[str, Any]:
    """Size and channels out of the input's shape, under what is said beside it of pictures."""
    dims = next((s.dims for s in slots if s.role == "pixels"), ())
    out: dict[str, Any] = {}
    if dims and dims[1][0] == dims[1][1]:
        out["num_channels"] = dims[1][0]
    if dims and all(a == b for a, b in dims[2:]):
        out["image_size"] = [dims[2][0], dims[3][0]]
    file = folder / "preprocessor_config.json"
    said = about.get("pictures")
    return out | (said if isinstance(said, dict) else {}) | (table(file) if file.is_file() else {})
