"""Writes GGUF one tensor at a time; the header follows from metadata and entries alone, and with it the file's size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..job import Job
from ..types import Entry
from .gguf_header import Field

if TYPE_CHECKING:
    from torch import Tensor

ALIGN = 32  # bytes that every tensor begins at a multiple of


def padded(nbytes: int) -> int:
    return -(-nbytes // ALIGN) * ALIGN


def header(metadata: Mapping[str, Field], entries: Iterable[Entry]) -> bytes:
    """Everything before the first tensor, by the `gguf` package's own writer."""
    import gguf

    with tempfile.TemporaryDirectory(prefix="slim-gguf-") as folder:
        file = Path(folder) / "header"
        w = gguf.GGUFWriter(file, str(metadata["general.architecture"].value))
        for key, f in metadata.items():
            if key != "general.architecture":  # the writer's own first entry
                w.add_key_value(key, f.value, gguf.GGUFValueType(f.kind), None if f.items is None else gguf.GGUFValueType(f.items))
        for e in entries:
            _told(w, e)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_ti_data_to_file()
        w.close()
        found = file.read_bytes()
    return found + b"\0" * (padded(len(found)) - len(found))


def _told(w: object, e: Entry) -> None:
    import gguf
    import numpy as np

    assert isinstance(w, gguf.GGUFWriter)
    kind = gguf.GGMLQuantizationType[e.dtype]
    w.add_tensor_info(e.name, e.shape, np.dtype(np.float32), e.nbytes, raw_dtype=kind)


def write(path: Path, head: bytes, entries: Iterable[Entry], tensors: Callable[[str], dict[str, Tensor]], job: Job) -> None:
    """Stream the file; `tensors(layer)` gives a layer's tensors by entry name, blocks as bytes. Raises OSError as the disk does."""
    import torch

    with path.open("wb") as f:
        f.write(head)
        for e in job.track(list(entries), "Writing"):
            t = tensors(e.layer)[e.name]
            raw = t.contiguous().flatten().view(torch.uint8) if t.numel() else torch.empty(0, dtype=torch.uint8)
            if raw.numel() != e.nbytes:
                raise ValueError(f"{e.name}: planned {e.nbytes} bytes, made {raw.numel()}")
            for part in raw.split(1 << 24):
                job.check()
                f.write(memoryview(part.numpy()))
            f.write(b"\0" * (padded(e.nbytes) - e.nbytes))
        f.flush()
        os.fsync(f.fileno())
