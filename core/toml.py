"""Writes TOML: tables of plain values, and choices as their fields."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from .types import Choice, Value


def flat(choice: Choice) -> dict[str, Any]:
    return {f.name: getattr(choice, f.name) for f in fields(Choice) if f.name != "knobs"}


def lines(head: str, table: Mapping[str, Any], always: bool = False) -> list[str]:
    rows = [f"{k if k.isidentifier() and k.isascii() else quoted(k)} = {toml(v)}" for k, v in table.items() if v is not None]
    return ["", f"[{head}]", *rows] if rows or always else []


def toml(value: Value | list[float]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def relative(path: Path | None, base: Path | None) -> str | None:
    if path is None or base is None or not path.is_absolute() or path.parts[1:2] != base.parts[1:2]:
        return None if path is None else path.as_posix()
    return Path(os.path.relpath(path, base)).as_posix()
