"""Apple silicon's own energy counters, through zeus-apple-silicon (extra `apple`): no root needed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from . import Counter, MeterLost, meters

RAILS = ("cpu_total_mj", "dram_mj")  # where the engine works; a chip that does not tell one gives None for it


@meters("apple")
@dataclass(frozen=True)
class Apple:
    """IOReport's counters of the processor's cores and of memory, in millijoules, as macOS sums them."""

    title: ClassVar[str] = "Apple silicon"
    covers: ClassVar[str] = "processor cores and memory"
    tick: ClassVar[float] = 0.05
    library: Any = None  # None: zeus_apple_silicon, when it is asked for

    def why(self) -> str:
        try:
            found = self()
        except ImportError:
            return "Apple silicon: zeus-apple-silicon is not installed (macOS on arm64 only); pip install 'slim-studio[apple]'"
        except MeterLost as e:
            return f"Apple silicon: {e}"
        return "" if found else "Apple silicon: this chip tells no energy of its processor"

    def __call__(self) -> Mapping[str, Counter]:
        zeus = self.library or importlib.import_module("zeus_apple_silicon")
        try:
            said = zeus.AppleEnergyMonitor().get_cumulative_energy()
        except RuntimeError as e:
            raise MeterLost(f"IOReport does not answer ({e}); go without a meter") from None
        return {r.removesuffix("_mj"): Counter(mj / 1e3) for r in RAILS if (mj := getattr(said, r, None)) is not None}
