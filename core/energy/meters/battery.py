"""A laptop's battery while it discharges: the whole machine, screen included, in steps of some ten joules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from . import Counter, MeterLost, meters

SUPPLY = Path("/sys/class/power_supply")


@meters("battery")
@dataclass(frozen=True)
class Battery:
    """What has gone out of the batteries (Linux: power_supply class; energy in microwatt-hours, or charge times voltage)."""

    title: ClassVar[str] = "Battery"
    covers: ClassVar[str] = "the whole machine, screen included"
    tick: ClassVar[float] = 30.0
    root: Path = SUPPLY

    def why(self) -> str:
        found = self._batteries()
        if not found:
            return f"Battery: {self.root} has none"
        if any(self._said(b, "status") != "Discharging" for b in found):
            return "Battery: it is being charged or full; pull the plug to measure"
        try:
            self()
        except MeterLost as e:
            return f"Battery: {e}"
        return ""

    def __call__(self) -> Mapping[str, Counter]:
        """Joules that have left each battery since it was full; MeterLost when one has gone or is being charged."""
        return {b.name: Counter(self._full(b) - self._now(b)) for b in self._batteries()}

    def _batteries(self) -> list[Path]:
        return [b for b in sorted(self.root.glob("*")) if self._said(b, "type") == "Battery" and self._said(b, "scope") != "Device"]

    def _now(self, b: Path) -> float:
        if self._said(b, "status") != "Discharging":
            raise MeterLost(f"{b.name} does not discharge any more; pull the plug and measure again")
        return self._joules(b, "now")

    def _full(self, b: Path) -> float:
        return self._joules(b, "full")

    def _joules(self, b: Path, which: str) -> float:
        """µWh x 3.6e-3 = J; µAh at the design voltage (the present one falls as it drains, and energy would seem to come back)."""
        if energy := self._said(b, f"energy_{which}"):
            return int(energy) * 3.6e-3
        charge, volt = self._said(b, f"charge_{which}"), self._said(b, "voltage_min_design") or self._said(b, "voltage_now")
        if not charge or not volt:
            raise MeterLost(f"{b} tells neither energy nor charge; go without a meter")
        return int(charge) * 3.6e-3 * int(volt) / 1e6

    def _said(self, b: Path, file: str) -> str:
        try:
            return (b / file).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
