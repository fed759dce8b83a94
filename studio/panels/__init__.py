"""Docks and tabs, one a file: a class with title, area and show(snapshot)."""

from __future__ import annotations

from core.registry import Registry

panels = Registry("studio.panels")
