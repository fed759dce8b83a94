"""The exact bytes an export will write, known before it is written and quick enough to follow a slider over thousands of layers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from .formats.shards import cuts, index, limit, names
from .types import ITEM_BYTES, Checkpoint, Layer, Setting, Size

if TYPE_CHECKING:
    import numpy as np

KEPT = 64  # ways of storing that a checkpoint remembers, newest last
ORDERS = 32  # orders of tensors that a checkpoint remembers
DIGITS = 22  # characters around a tensor's name and in its two offsets, about
_FRAME = len('{"__metadata__":{"format":"pt"}}')
_AROUND = ',:{"dtype":"%s","shape":[%s],"data_offsets":[,]}'
_TENS = [10**k for k in range(1, 19)]
Alike = tuple[Any, ...]  # layers of one kind, type and shape: a target stores them alike, each under its own name


@dataclass(frozen=True, slots=True)
class Form:
    """What a layer puts into a file, apart from its name and from the layers before it."""

    nbytes: int
    sizes: tuple[int, ...]  # bytes of each of its tensors
    text: int  # characters of the header that speak of it, but for its name and the digits of its offsets
    ends: tuple[tuple[int, str], ...]  # -bytes of an item (what the writer sorts by), and how the tensor's name goes on after the layer's


def size(checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting], target: Any) -> Size:
    """Bytes of the weight files with headers and index, and of each layer within them; the original is what the opened files take."""
    found = tuple(layers)
    if hasattr(target, "nbytes"):  # a format that counts for itself (ONNX, exported programs)
        total, per = target.nbytes(checkpoint, found, settings)
        return Size(total, per, _opened(checkpoint))
    forms = _forms(checkpoint, found, settings, target)
    if hasattr(target, "head"):
        total = _single(checkpoint, found, forms, settings, target)
        return Size(total, {x.name: f.nbytes for x, f in zip(found, forms)}, _opened(checkpoint))
    starts = cuts([f.nbytes for f in forms], limit(checkpoint, target))
    total = sum(_file(checkpoint, found, forms, i, j) for i, j in zip(starts, [*starts[1:], len(found)]))
    if len(starts) > 1:
        total += _index(checkpoint, found, forms, starts)
    return Size(total, {x.name: f.nbytes for x, f in zip(found, forms)}, _opened(checkpoint))


def _opened(checkpoint: Checkpoint) -> int:
    """Bytes of the files that were opened."""
    files = checkpoint.kept.setdefault("files", {t.file for t in checkpoint.tensors.values()})
    return sum(f.stat().st_size for f in files)


def _single(checkpoint: Checkpoint, layers: tuple[Layer, ...], forms: list[Form], settings: Mapping[str, Setting], target: Any) -> int:
    """Bytes of the one file of a target that has a header of its own (GGUF), whose length no plan changes; tensors are padded to 32."""

    def head() -> int:
        return 0 if target.unfit(checkpoint) else len(target.head(checkpoint, target.entries(checkpoint, layers, settings)))

    before: int = _newest(checkpoint, "heads", (target.key, tuple(x.name for x in layers)), ORDERS, head)
    return before + sum(-(-n // 32) * 32 for f in forms for n in f.sizes)


def each(checkpoint: Checkpoint, layers: tuple[Layer, ...], settings: Mapping[str, Setting], target: Any) -> list[int]:
    """Bytes every layer adds to the files with its part of the header: what a budget is dealt out in. Their sum is off by a few digits."""
    forms = _forms(checkpoint, layers, settings, target)
    return [f.nbytes + f.text + sum(len(x.name) + len(end) + DIGITS for _, end in f.ends) for x, f in zip(layers, forms)]


def _forms(checkpoint: Checkpoint, layers: tuple[Layer, ...], settings: Mapping[str, Setting], target: Any) -> list[Form]:
    """How each layer will be stored: the target is asked once for layers that are alike and share a setting."""
    at: dict[int, dict[Alike, Form]] = {}
    out: list[Form] = []
    apart: frozenset[str] = target.apart(checkpoint) if hasattr(target, "apart") else frozenset()
    for x, alike in zip(layers, _alike(checkpoint, layers)):
        if x.tensor.name in apart:
            out.append(_form(checkpoint, x, settings, target))
            continue
        setting = settings[x.name]
        table = at.get(id(setting))
        if table is None:
            table = at[id(setting)] = _newest(checkpoint, "forms", f"{target!r}{target.hangs_on(setting)}", KEPT, dict)
        form = table.get(alike)
        if form is None:
            form = table[alike] = _form(checkpoint, x, settings, target)
        out.append(form)
    return out


def _alike(checkpoint: Checkpoint, layers: tuple[Layer, ...]) -> list[Alike]:
    last: tuple[tuple[Layer, ...], list[Alike]] | None = checkpoint.kept.get("alike")
    if last is None or last[0] != layers:
        known: dict[Alike, Alike] = {}
        keys = [(x.kind, x.tensor.dtype, x.tensor.shape, x.tensor.name.removeprefix(x.name)) for x in layers]
        last = checkpoint.kept["alike"] = (layers, [known.setdefault(k, k) for k in keys])
    return last[1]


def _form(checkpoint: Checkpoint, x: Layer, settings: Mapping[str, Setting], target: Any) -> Form:
    """Sums over the entries of one layer."""
    entries = target.entries(checkpoint, (x,), settings)
    known: dict[Any, Any] = checkpoint.kept.setdefault("ends", {})
    own = hasattr(target, "head") or hasattr(target, "nbytes")  # such a target names tensors in its own way, and sorts none
    if stray := "" if own else next((e.name for e in entries if not e.name.startswith(x.name)), ""):
        raise ValueError(f"{type(target).__name__} stores {x.name} as {stray}: a tensor's name must begin with its layer's")
    ends = () if own else tuple((-ITEM_BYTES[e.dtype], e.name.removeprefix(x.name)) for e in entries)
    sizes = tuple(e.nbytes for e in entries)
    text = sum(len(_AROUND % (e.dtype, ",".join(map(str, e.shape)))) for e in entries)
    return Form(sum(sizes), sizes, text, known.setdefault(ends, ends))


def _file(checkpoint: Checkpoint, layers: tuple[Layer, ...], forms: list[Form], i: int, j: int) -> int:
    """Bytes of the file of layers i to j: its header, whose offsets are as long as their digits, padded to 8 bytes, and its tensors."""
    import numpy as np

    named, order = _order(checkpoint, layers, forms, i, j)
    sizes = np.fromiter(chain.from_iterable([f.sizes for f in forms[i:j]]), np.int64)
    stops = sizes[order].cumsum()
    # a tensor stops where the next one starts, and the first starts at "0"
    digits = 2 * len(stops) + 2 * int(np.searchsorted(_TENS, stops, "right").sum()) + (1 - len(str(stops[-1])) if len(stops) else 0)
    text = _FRAME + named + sum([f.text for f in forms[i:j]]) + digits
    return 8 + text + -text % 8 + int(sizes.sum())


def _order(checkpoint: Checkpoint, layers: tuple[Layer, ...], forms: list[Form], i: int, j: int) -> tuple[int, np.ndarray]:
    """Characters of all names in JSON, and where the writer puts each tensor; these change only when a layer's tensors change names."""
    import numpy as np

    alike = checkpoint.kept["alike"][0]

    def found() -> tuple[int, np.ndarray, object]:
        keys = [(item, x.name + end) for x, f in zip(layers[i:j], forms[i:j]) for item, end in f.ends]
        order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        return sum(len(json.dumps(n)) for _, n in keys), order, alike  # held, so that its id stays its own

    return _newest(checkpoint, "orders", (id(alike), i, *[id(f.ends) for f in forms[i:j]]), ORDERS, found)[:2]


def _index(checkpoint: Checkpoint, layers: tuple[Layer, ...], forms: list[Form], starts: list[int]) -> int:
    """Bytes of the index: a line `    "name": "file",` for each tensor, within a frame that holds their sum."""
    named = sum(_order(checkpoint, layers, forms, i, j)[0] for i, j in zip(starts, [*starts[1:], len(layers)]))
    count = sum(len(f.ends) for f in forms)
    frame = len(index(())) - len("0{}") + len("{\n  }")
    return frame + len(str(sum(f.nbytes for f in forms))) + named + count * len(f'    : "{names(len(starts))[0]}",\n') - len(",")


def _newest(checkpoint: Checkpoint, what: str, key: object, most: int, make: Callable[[], Any]) -> Any:
    """What is kept under `key`, made if need be, and made the newest of at most so many."""
    table: dict[object, Any] = checkpoint.kept.setdefault(what, {})
    found = table.pop(key, None)
    found = make() if found is None else found
    table[key] = found
    while len(table) > most:
        table.pop(next(iter(table)), None)
    return found
