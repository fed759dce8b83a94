"""The engine's own words (titles, docstrings, metric labels, sentences) in the language of the window."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from PySide6.QtCore import QCoreApplication

from core.resources import root


def word(text: str) -> str:
    """The translation of an English text of the engine; the text itself where there is none."""
    return QCoreApplication.translate("core", text) if text else ""


def about(method: type | None) -> str:
    """What a method of the engine says of itself, in the language of the window."""
    return word(tidy(method.__doc__ or "")) if method else ""


def tidy(docstring: str) -> str:
    """A docstring as paragraphs without the line breaks of its source."""
    return "\n\n".join(" ".join(part.split()) for part in docstring.strip().split("\n\n"))


@lru_cache(maxsize=512)  # trying every form takes 2 ms; emptied when the language changes
def said(text: str) -> str:
    """The translation of a whole sentence of the engine that names files, layers or figures; the sentence itself where there is none."""
    if (whole := word(text)) != text or not text:
        return whole
    for form, pattern in _forms():
        if (found := pattern.fullmatch(text)) and (other := word(form)) != form:
            return other.format(*(said(part) for part in found.groups()))
    parts = text.split(", and ")
    return "；".join(map(said, parts)) if len(parts) > 1 and all(said(p) != p for p in parts) else text


@lru_cache(maxsize=1)
def _forms() -> list[tuple[str, re.Pattern[str]]]:
    """The engine's sentences with {0}, {1} where something was put in, longest first; written by translations/update.py."""
    path = root() / "translations" / "sentences.json"
    forms: list[str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [(f, re.compile(re.sub(r"\\\{\d+\\\}", "(.*?)", re.escape(f)), re.DOTALL)) for f in sorted(forms, key=len, reverse=True)]
