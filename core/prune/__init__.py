"""Pruning methods, one a file: each a frozen dataclass whose call returns the weight with exact zeros."""

from __future__ import annotations

from ..registry import Registry

pruners = Registry("core.prune")
