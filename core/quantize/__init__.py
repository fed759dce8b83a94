"""Quantizers, one a file: each a frozen dataclass whose call returns codes, scales and zero points."""

from __future__ import annotations

from ..registry import Registry

quantizers = Registry("core.quantize")
