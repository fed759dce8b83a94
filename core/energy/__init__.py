"""Energy is modelled, never measured here: roofline time on a stated laptop times its power, per token or sample."""

from __future__ import annotations

from .model import estimate, roofline

__all__ = ["estimate", "roofline"]
