"""Energy: roofline time on a stated device times its power, per token or sample; measured where a meter exists (core.energy.meters)."""

from __future__ import annotations

from .devices import Device, Scene, catalogue, device
from .levels import ratio
from .model import estimate, loaded, roofline

__all__ = ["Device", "Scene", "catalogue", "device", "estimate", "loaded", "ratio", "roofline"]
