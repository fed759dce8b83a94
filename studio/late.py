"""Modules that are imported when they are first asked for something, so that the first paint need not wait for the engine."""

from __future__ import annotations

import importlib
from typing import Any


class Late:
    """Stands for a module until one of its names is wanted."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
