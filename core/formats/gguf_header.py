"""The header of a GGUF file, read strictly: metadata and where each tensor lies."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadFile

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
MAX_DIMS = 8  # ggml has 4


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor as the header has it; dims in ggml's order (the row length first)."""

    name: str
    dims: tuple[int, ...]
    type: int
    offset: int  # from the start of the data


@dataclass
class Cursor:
    """Reads forward and never past the end."""

    data: mmap.mmap
    at: int = 0

    def take(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            raise ValueError("cut off")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self.array(self.number("<I"), self.number("<Q"))
        if kind not in SCALARS:
            raise ValueError(f"metadata of unknown type {kind}")
        return self.number(SCALARS[kind])

    def array(self, kind: int, n: int) -> list[Any]:
        if kind == STRING:
            self.room(n, 8)
            return [self.text() for _ in range(n)]
        if kind not in SCALARS:
            raise ValueError(f"metadata array of unknown type {kind}")
        form = SCALARS[kind]
        size = struct.calcsize(form)
        self.room(n, size)
        return list(struct.unpack(f"<{n}{form[1]}", self.take(n * size)))

    def room(self, n: int, size: int) -> None:
        """Before a loop over what the file claims: can there be so many?"""
        if n * size > len(self.data) - self.at:
            raise ValueError("cut off")


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of the metadata with its type (and that of an array's items), so that it can be written again as it was."""

    value: Any
    kind: int
    items: int | None = None


def parse(path: Path) -> tuple[dict[str, Any], list[Stored], int]:
    """(metadata, tensors, where the data starts); BadFile for anything that is no whole little-endian GGUF 2 or 3."""
    found, tensors, start = read(path)
    return {k: f.value for k, f in found.items()}, tensors, start


def read(path: Path) -> tuple[dict[str, Field], list[Stored], int]:
    """`parse` with the metadata's types."""
    try:
        with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parsed(Cursor(data))
    except (ValueError, OSError, struct.error, OverflowError, MemoryError) as e:
        raise BadFile(f"{path.name}: not a whole GGUF file ({e}); download it again") from None


def _parsed(c: Cursor) -> tuple[dict[str, Field], list[Stored], int]:
    if c.take(4) != b"GGUF":
        raise ValueError("it doesn't begin with GGUF")
    version = c.number("<I")
    if version not in (2, 3):
        raise ValueError(f"version {version}; 2 and 3 are known, in little-endian order")
    count, keys = c.number("<Q"), c.number("<Q")
    c.room(keys, 12)
    metadata = {c.text(): _field(c) for _ in range(keys)}
    c.room(count, 24)
    tensors = [_stored(c) for _ in range(count)]
    align = metadata["general.alignment"].value if "general.alignment" in metadata else 32
    if type(align) is not int or align < 1 or align & (align - 1):
        raise ValueError(f"alignment {align!r} is no power of two")
    return metadata, tensors, -(-c.at // align) * align


def _field(c: Cursor) -> Field:
    kind = c.number("<I")
    if kind != ARRAY:
        return Field(c.value(kind), kind)
    items = c.number("<I")
    return Field(c.array(items, c.number("<Q")), kind, items)


def _stored(c: Cursor) -> Stored:
    name, n = c.text(), c.number("<I")
    if n > MAX_DIMS:
        raise ValueError(f"{name!r} has {n} dimensions")
    dims = tuple(c.number("<Q") for _ in range(n))
    return Stored(name, dims, c.number("<I"), c.number("<Q"))
