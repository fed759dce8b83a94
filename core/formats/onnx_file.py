"""What an ONNX file takes by protobuf's rules, and how it is put down: in one file, or with its weights in another beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..types import ITEM_BYTES

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

PRODUCER = "Slim Studio"
MODEL = "model.onnx"
BESIDE = ".data"  # what follows the name of a file whose weights lie beside it
SMALL, PAGE = 1024, 4096  # bytes: smaller tensors stay in the graph; others begin on a page, so that they can be mapped
# onnx.TensorProto's numbers
TYPES = {
    "F32": 1, "U8": 2, "I8": 3, "U16": 4, "I16": 5, "I32": 6, "I64": 7, "BOOL": 9, "F16": 10, "F64": 11, "U32": 12, "U64": 13, "BF16": 16,
}  # fmt: skip


def framed(n: int) -> int:
    """Bytes of an item of n bytes with its tag and its length (seven bits a byte)."""
    return 1 + max(1, -(-n.bit_length() // 7)) + n


def values(t: TensorProto) -> int:
    """Bytes of a tensor's values, which it may be waiting for."""
    n = next(ITEM_BYTES[k] for k, v in TYPES.items() if v == t.data_type)
    for d in t.dims:
        n *= d
    return n


def length(t: TensorProto) -> int:
    """Bytes of a tensor with its values, unless they lie in another file."""
    return t.ByteSize() if t.HasField("raw_data") or t.external_data else t.ByteSize() + framed(values(t))


def whole(model: ModelProto) -> int:
    """Bytes of a model whose tensors may wait for their values."""
    g = model.graph
    items = sum(framed(x.ByteSize()) for part in (g.node, g.input, g.output) for x in part)
    found = items + sum(framed(length(t)) for t in g.initializer) + framed(len(g.name.encode()))
    return sum(framed(x.ByteSize()) for x in model.opset_import) + framed(len(PRODUCER)) + 2 + framed(found)


def parted(model: ModelProto, beside: str) -> tuple[ModelProto, list[tuple[TensorProto, int]], int]:
    """The model with its large tensors in the file `beside`, those tensors with their places there, and its bytes."""
    from onnx import ModelProto, StringStringEntryProto, TensorProto

    out, at, places = ModelProto(ir_version=model.ir_version, producer_name=PRODUCER), 0, []
    out.opset_import.extend(model.opset_import)
    g, old = out.graph, model.graph
    g.name = old.name
    for mine, theirs in ((g.node, old.node), (g.input, old.input), (g.output, old.output)):
        mine.extend(theirs)
    for t in old.initializer:
        n = values(t)
        if n < SMALL:
            g.initializer.append(t)
            continue
        at = -(-at // PAGE) * PAGE
        said = {"location": beside, "offset": at, "length": n}
        entries = [StringStringEntryProto(key=k, value=str(v)) for k, v in said.items()]
        far = TensorProto(name=t.name, data_type=t.data_type, dims=t.dims, data_location=TensorProto.EXTERNAL, external_data=entries)
        g.initializer.append(far)
        places.append((t, at))
        at += n
    return out, places, at


def put(model: ModelProto, file: Path, limit: int) -> None:
    """Write a model that has its values; beyond `limit` bytes they go into a second file, and the model keeps them too."""
    beside = file.with_name(file.name + BESIDE)
    if whole(model) > limit:
        model, places, _ = parted(model, beside.name)
        with beside.open("wb") as f:
            for t, at in places:
                f.seek(at)
                f.write(t.raw_data)
        beside.chmod(0o644)
    file.write_bytes(model.SerializeToString(deterministic=True))
    file.chmod(0o644)


def gone(file: Path) -> None:
    """Remove a file and what lies beside it."""
    for f in (file, file.with_name(file.name + BESIDE)):
        f.unlink(missing_ok=True)


def there(file: Path) -> int:
    """Bytes of both."""
    beside = file.with_name(file.name + BESIDE)
    return file.stat().st_size + (beside.stat().st_size if beside.exists() else 0)


def session(model: ModelProto, folder: Path) -> Any:
    """An onnxruntime session of one thread for a model in memory, through a file in `folder`: protobuf ends at 2 GB."""
    import onnxruntime

    options, file = onnxruntime.SessionOptions(), folder / "run.onnx"
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    put(model, file, LIMIT)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


LIMIT = 2_000_000_000  # bytes of one file: protobuf ends at 2^31
