"""Intel's and AMD's running counters (RAPL) as the kernel's powercap tree shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from . import Counter, MeterLost, meters

POWERCAP = Path("/sys/class/powercap")
GRANT = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj (until the next start; a udev rule or tmpfiles.d keeps it)"


@meters("rapl")
@dataclass(frozen=True)
class Rapl:
    """Processor packages and, where they are counted apart, their memory.

    Core and uncore lie inside the package, psys holds it, and intel-rapl-mmio is the same package once more: none of them is added.
    Counters are microjoules that start again at max_energy_range_uj (Documentation/power/powercap/powercap.rst)."""

    title: ClassVar[str] = "RAPL"
    covers: ClassVar[str] = "processor package and memory"
    tick: ClassVar[float] = 0.001
    root: Path = POWERCAP

    def why(self) -> str:
        zones = self._zones()
        if not zones:
            return f"RAPL: {self.root} shows no processor package (a virtual machine, another system, or no module intel_rapl_msr)"
        try:
            self()
        except PermissionError:
            return f"RAPL: only root may read the counters (since Linux 5.10, CVE-2020-8694); to let everyone read them: {GRANT}"
        except MeterLost as e:
            return f"RAPL: {e}"
        return ""

    def __call__(self) -> Mapping[str, Counter]:
        """Every zone that is counted. PermissionError where only root may read, MeterLost where a file has gone or holds no number."""
        found = self._zones().items()
        return {name: Counter(self._micro(zone, "energy_uj"), self._micro(zone, "max_energy_range_uj")) for name, zone in found}

    def _micro(self, zone: Path, file: str) -> float:
        try:
            return int((zone / file).read_text(encoding="ascii")) / 1e6
        except PermissionError:
            raise
        except (OSError, ValueError) as e:
            raise MeterLost(f"{zone / file} can't be read ({e}); measure again, or go without a meter") from None

    def _zones(self) -> dict[str, Path]:
        """Name -> folder: "package-0" and "package-0 dram", wherever in the tree they hang."""
        found: dict[str, Path] = {}
        names = {p.name: self._name(p) for p in sorted(self.root.glob("intel-rapl:*")) if p.is_dir()}
        inside = {p.name: p for p in sorted(self.root.glob("intel-rapl:*/intel-rapl:*"))}  # real trees nest, the class folder is flat
        names |= {k: self._name(p) for k, p in inside.items() if k not in names}
        for key, name in names.items():
            at = self.root / key if (self.root / key).is_dir() else inside[key]
            above = names.get(key.rpartition(":")[0], "")
            if name.startswith("package"):
                found[name] = at
            elif name == "dram" and above.startswith("package"):
                found[f"{above} dram"] = at
        return found

    def _name(self, zone: Path) -> str:
        try:
            return (zone / "name").read_text(encoding="ascii").strip()
        except OSError:
            return ""
