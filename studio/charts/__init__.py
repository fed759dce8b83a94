"""Charts of the middle row, one a file: a class with title and show(snapshot)."""

from __future__ import annotations

from core.registry import Registry

charts = Registry("studio.charts")
