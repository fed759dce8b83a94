"""Where the bundled files and the cache lie, in a checkout and when installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs

CAPS = "caps.json"  # {"layers": bytes}


def root() -> Path:
    """The resources folder: the checkout's, or the copy inside an installed wheel."""
    here = Path(__file__).resolve().parent
    checkout = here.parent / "resources"
    return checkout if (checkout / "samples").is_dir() else here / "_resources"


def cache_root() -> Path:
    """The cache folder, made if needed; the environment variable SLIM_CACHE moves it."""
    path = Path(os.environ.get("SLIM_CACHE") or platformdirs.user_cache_dir("slim-studio"))
    path.mkdir(parents=True, exist_ok=True)
    return path


def cap(name: str, default: int) -> int:
    """Bytes that a part of the cache may take: what the user set (core/cached.py: set_cap), else `default`."""
    try:
        return int(json.loads((cache_root() / CAPS).read_text(encoding="utf-8"))[name])
    except (OSError, ValueError, KeyError, TypeError):
        return default
