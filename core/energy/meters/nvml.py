"""NVIDIA GPUs' own energy counters, through nvidia-ml-py (extra `nvidia`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from . import Counter, MeterLost, meters


@meters("nvml")
@dataclass(frozen=True)
class Nvml:
    """nvmlDeviceGetTotalEnergyConsumption of every GPU: millijoules since the driver was loaded, Volta and later, updated every 0.1 s."""

    title: ClassVar[str] = "NVML"
    covers: ClassVar[str] = "NVIDIA GPUs, board"
    tick: ClassVar[float] = 0.1
    library: Any = None  # None: pynvml, when it is asked for

    def why(self) -> str:
        try:
            found = self()
        except ImportError:
            return "NVML: nvidia-ml-py is not installed; pip install 'slim-studio[nvidia]'"
        except MeterLost as e:
            return f"NVML: {e}"
        return "" if found else "NVML: no NVIDIA GPU here"

    def __call__(self) -> Mapping[str, Counter]:
        """Every GPU by its UUID; MeterLost says what the driver said."""
        nvml = self.library or importlib.import_module("pynvml")
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as e:
            raise MeterLost(f"no NVIDIA driver answers ({e}); install it, or go without a meter") from None
        try:
            boards = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
            return {str(nvml.nvmlDeviceGetUUID(b)): Counter(nvml.nvmlDeviceGetTotalEnergyConsumption(b) / 1e3) for b in boards}
        except nvml.NVMLError as e:
            raise MeterLost(f"a GPU does not tell its energy ({e}); counters exist from Volta on") from None
        finally:
            nvml.nvmlShutdown()
