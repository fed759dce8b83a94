"""Text out of a .txt, .jsonl or .csv file, or out of a folder of .txt files."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import BadData

Row = Mapping[str, Any]
NAMES = ("text", "content")  # columns taken first
FIELD = 1 << 27  # characters one cell may have; csv's own limit of 131 072 is less than a chapter


def document(path: Path, most: int) -> str:
    """At most about `most` characters (whole rows); BadData when it is no UTF-8, empty or without a column of text."""
    if path.is_dir():
        files = sorted(path.rglob("*.txt"))
        if not files:
            raise BadData(f"{path.name}: no .txt file in this folder; choose a folder of UTF-8 texts")
        found = _joined((_plain(f, most) for f in files), most)
    elif rows := ROWS.get(path.suffix.lower()):
        found = _joined(_column(path, rows(path)), most)
    else:
        found = _plain(path, most)
    if not found.strip():
        raise BadData(f"{path.name} is empty; choose a file with text in it")
    return found[:most]


def _plain(path: Path, most: int) -> str:
    with path.open("rb") as f:
        raw = f.read(4 * most)  # a character has up to four bytes
        whole = not f.read(1)
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(raw, final=whole)
    except UnicodeDecodeError as e:
        raise BadData(f"{path.name} is not UTF-8 text (byte {e.start}); convert it to UTF-8 first") from None


def _joined(parts: Iterator[str], most: int) -> str:
    """Parts with an empty line between them, no more than are needed."""
    out: list[str] = []
    held = 0
    for p in parts:
        out.append(p)
        held += len(p) + 2
        if held >= most:
            break
    return "\n\n".join(out)


def _column(path: Path, rows: Iterator[Row]) -> Iterator[str]:
    """The cells of the column that holds the text; empty ones are left out."""
    name = ""
    for i, row in enumerate(rows, 1):
        name = name or chosen(path, row)
        cell = row.get(name)
        if cell is not None and not isinstance(cell, str):
            raise BadData(f"{path.name}: row {i} holds no text under {name!r} but {str(cell)[:40]!r}; repair that row")
        if cell and cell.strip():
            yield cell


def chosen(path: Path, row: Row) -> str:
    """Which column: "text", "content", the only column, or the first with words in it."""
    named = next((k for n in NAMES for k in row if k.casefold() == n and isinstance(row[k], str | None)), None)
    words = [k for k, v in row.items() if isinstance(v, str) and not _number(v)]
    only = [k for k, v in row.items() if isinstance(v, str)] if len(row) == 1 else []
    found = named or next(iter(only or words), None)
    if found is None:
        raise BadData(f"{path.name} has no column of text, only {', '.join(map(str, row)) or 'empty rows'}; name the right one 'text'")
    return found


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as f:
        for i, line in enumerate(f, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if i == 1 else "utf-8"))
            except UnicodeDecodeError:
                raise BadData(f"{path.name} is not UTF-8 text (line {i}); convert it to UTF-8 first") from None
            except (ValueError, RecursionError) as e:
                raise BadData(f"{path.name}: line {i} is no JSON ({e}); write one JSON object on each line") from None
            if not isinstance(row, dict | str):
                raise BadData(f'{path.name}: line {i} is no JSON object; write lines like {{"text": "…"}}')
            yield {"text": row} if isinstance(row, str) else row


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            for row in csv.DictReader(f, restkey=None):
                yield {k: v for k, v in row.items() if k is not None}
    except UnicodeDecodeError:
        raise BadData(f"{path.name} is not UTF-8 text; convert it to UTF-8 first") from None
    except csv.Error as e:
        raise BadData(f"{path.name} can't be read as a table ({e}); save it again as comma-separated UTF-8") from None


ROWS: Mapping[str, Callable[[Path], Iterator[Row]]] = {".jsonl": _jsonl, ".csv": _csv}
