"""Writes .pt2 archives one tensor at a time: a zip without compression whose size follows from the names and lengths of its records."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ..job import Job

ALIGN = 64  # bytes that every record begins at a multiple of, as in torch's own archives
DATE = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same tensors
COUNT = 65_535  # records that a zip without its 64-bit form holds
STEP = 1 << 24

Made = tuple[str, int, Callable[[], Iterable[memoryview]]]  # a record's name, its bytes, and how they are had


def total(records: Iterable[tuple[str, int]]) -> int:
    """Bytes of an archive of these records (name, length)."""
    at = central = count = 0
    for name, nbytes in records:
        start, count = at, count + 1
        at += 30 + len(name) + _padding(at, name, nbytes) + (20 if _wide(nbytes) else 0) + nbytes
        more = 2 * (nbytes > zipfile.ZIP64_LIMIT) + (start > zipfile.ZIP64_LIMIT)
        central += 46 + len(name) + _padding(start, name, nbytes) + (4 + 8 * more if more else 0)
    wide = count > COUNT or at > zipfile.ZIP64_LIMIT or central > zipfile.ZIP64_LIMIT
    return at + central + 22 + (76 if wide else 0)


def write(path: Path, records: Iterable[Made], job: Job) -> None:
    """Stream the archive. Raises OSError as the disk does, ValueError when a record is not as long as said."""
    with path.open("wb") as f:
        with zipfile.ZipFile(f, "w", zipfile.ZIP_STORED) as z:
            for name, nbytes, parts in job.track(list(records), "Writing"):
                info = zipfile.ZipInfo(name, DATE)
                pad = _padding(f.tell(), name, nbytes)
                info.extra = b"FB" + struct.pack("<H", pad - 4) + b"Z" * (pad - 4)
                info.file_size = nbytes
                info.external_attr = 0o644 << 16
                done = 0
                with z.open(info, "w") as to:
                    for part in parts():
                        for i in range(0, len(part), STEP):
                            job.check()
                            done += to.write(part[i : i + STEP])
                if done != nbytes:
                    raise ValueError(f"{name}: planned {nbytes} bytes, made {done}")
        f.flush()
        os.fsync(f.fileno())


def _wide(nbytes: int) -> bool:
    """Whether zipfile writes the 64-bit form of a record's header (it leaves 5 % for what compression might add)."""
    return nbytes * 1.05 > zipfile.ZIP64_LIMIT


def _padding(at: int, name: str, nbytes: int) -> int:
    """Bytes of the extra field that moves a record's data to a multiple of ALIGN."""
    return 4 + -(at + 30 + len(name) + 4 + (20 if _wide(nbytes) else 0)) % ALIGN
