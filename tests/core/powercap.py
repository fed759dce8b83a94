"""A powercap tree in the kernel's own layout, with counters of a recorded two-package server; the real meter reads it."""

from __future__ import annotations

from pathlib import Path

# zone -> (name, energy_uj, max_energy_range_uj), as `grep . /sys/class/powercap/*/{name,energy_uj,max_energy_range_uj}` prints them
SERVER = {
    "intel-rapl": ("", 0, 0),
    "intel-rapl:0": ("package-0", 262_143_000_000, 262_143_328_850),
    "intel-rapl:0:0": ("dram", 65_712_000_000, 65_712_999_613),
    "intel-rapl:1": ("package-1", 11_530_000_000, 262_143_328_850),
    "intel-rapl:1:0": ("dram", 1_204_000_000, 65_712_999_613),
}
LAPTOP = {
    "intel-rapl": ("", 0, 0),
    "intel-rapl:0": ("package-0", 40_000_000, 262_143_328_850),
    "intel-rapl:0:0": ("core", 21_000_000, 262_143_328_850),
    "intel-rapl:0:1": ("uncore", 3_000_000, 262_143_328_850),
    "intel-rapl:1": ("psys", 90_000_000, 262_143_328_850),
    "intel-rapl-mmio:0": ("package-0", 39_000_000, 262_143_328_850),
}


def tree(root: Path, zones: dict[str, tuple[str, int, int]]) -> Path:
    """Written as the class folder shows it: every zone beside the others, and sub-zones inside their parents as well."""
    for key, (name, energy, most) in zones.items():
        parts = key.split(":")
        places = [root / key] + ([root / ":".join(parts[:2]) / key] if len(parts) == 3 else [])
        for at in places:
            at.mkdir(parents=True, exist_ok=True)
            (at / "enabled").write_text("1\n")
            if name:
                (at / "name").write_text(f"{name}\n")
                (at / "energy_uj").write_text(f"{energy}\n")
                (at / "max_energy_range_uj").write_text(f"{most}\n")
    return root


def add(root: Path, zone: str, microjoules: int) -> None:
    """The processor goes on: a counter moves, and goes round where it must."""
    at = root / zone
    now = (int((at / "energy_uj").read_text()) + microjoules) % int((at / "max_energy_range_uj").read_text())
    (at / "energy_uj").write_text(f"{now}\n")
