"""llama.cpp's importance matrices on disk, in its GGUF form and the older binary one: mean squares of every layer's inputs."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadFile, CannotWrite
from .gguf_header import STRING, parse

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".imatrix", ".dat", ".gguf")  # that llama.cpp's own tools write
KIND = "imatrix"  # general.type of the GGUF form
SAYS = b"general.type" + struct.pack("<IQ", STRING, len(KIND)) + KIND.encode()  # as GGUF has it
HEAD = 4096  # bytes in which a file says what it is: the whole header of a model takes a tenth of a second, too long for a drop
CHUNK = 512  # tokens in one of llama.cpp's chunks, where a file does not say


@dataclass(frozen=True)
class Importance:
    """What an importance matrix says, by GGUF's tensor names."""

    squares: Mapping[str, np.ndarray]  # (in,) float32 = E[x^2]
    tokens: int  # behind each of them, as far as the file says


def is_imatrix(path: Path) -> bool:
    """Whether this is an importance matrix by its own words (GGUF) or its suffix (the older form says nothing)."""
    if not path.is_file() or path.suffix not in SUFFIXES:
        return False
    with path.open("rb") as f:
        head = f.read(HEAD)
    return SAYS in head if head.startswith(b"GGUF") else path.suffix != ".gguf"


def load(path: Path) -> Importance:
    """Either form, by libgguf's reader; BadFile for anything else."""
    import libgguf
    import numpy as np

    try:
        squares = libgguf.load_imatrix(path)
    except (OSError, ValueError, KeyError, OverflowError, MemoryError, struct.error) as e:
        raise BadFile(f"{path.name}: not a whole importance matrix ({e}); make it again with llama-imatrix or slim imatrix") from None
    wrong = next((n for n, s in squares.items() if not np.isfinite(s).all() or (s < 0).any()), "")
    if wrong:
        raise BadFile(f"{path.name}: {wrong} has squares that are negative or not finite; make it again with llama-imatrix or slim imatrix")
    return Importance(squares, _tokens(path))


def _tokens(path: Path) -> int:
    with path.open("rb") as f:
        if f.read(4) != b"GGUF":
            return CHUNK
    said = parse(path)[0]
    count, size = said.get("imatrix.chunk_count"), said.get("imatrix.chunk_size")
    return max(1, count * size) if type(count) is int and type(size) is int else CHUNK


def save(path: Path, found: Importance, data: str) -> None:
    """Write it: the older form when the name ends in .dat, else llama.cpp's present one. `data` names the text; whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        (_legacy if path.suffix == ".dat" else _gguf)(part, found, data)
        part.replace(path)
    except OSError as e:
        raise CannotWrite(f"{path.name} could not be written ({e.strerror or e}); free some space or choose another place") from None
    finally:
        part.unlink(missing_ok=True)


def _gguf(path: Path, found: Importance, data: str) -> None:
    import gguf
    import numpy as np

    w: Any = gguf.GGUFWriter(path, KIND)
    w.add_type(KIND)
    w.add_array("imatrix.datasets", [data])
    w.add_uint32("imatrix.chunk_count", -(-found.tokens // CHUNK))
    w.add_uint32("imatrix.chunk_size", CHUNK)
    for name, squares in sorted(found.squares.items()):
        w.add_tensor(f"{name}.in_sum2", (squares * np.float32(found.tokens))[None])
        w.add_tensor(f"{name}.counts", np.full((1, 1), found.tokens, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def _legacy(path: Path, found: Importance, data: str) -> None:
    """Entries of name, calls and sums over calls; then the number of calls and the text's name."""
    calls, said = -(-found.tokens // CHUNK), data.encode()
    with path.open("wb") as f:
        f.write(struct.pack("<i", len(found.squares)))
        for name, squares in sorted(found.squares.items()):
            raw = name.encode()
            f.write(struct.pack("<i", len(raw)) + raw + struct.pack("<ii", calls, len(squares)))
            f.write((squares * calls).astype("<f4").tobytes())
        f.write(struct.pack("<ii", calls, len(said)) + said)
