"""Meters read the kernel's own files; what can't be read says why, and joules of both sides come from turns."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.energy.meters import Counter, MeterLost, Tally, available, meters, reasons, spent
from core.energy.meters.apple import Apple
from core.energy.meters.battery import Battery
from core.energy.meters.nvml import Nvml
from core.energy.meters.rapl import Rapl
from core.errors import Cancelled
from core.job import Job
from core.metered import mean, metered
from core.types import Measured

from .powercap import LAPTOP, SERVER, add, tree


def test_packages_and_their_memory_are_added_and_wrap_around(tmp_path: Path) -> None:
    meter = Rapl(tree(tmp_path, SERVER))
    assert meter.why() == ""
    assert set(meter()) == {"package-0", "package-0 dram", "package-1", "package-1 dram"}
    tally = Tally(meter)
    add(tmp_path, "intel-rapl:0", 9_000_000)  # past its range
    add(tmp_path, "intel-rapl:0:0", 2_000_000)  # past its own, smaller one
    add(tmp_path, "intel-rapl:1", 5_000_000)
    assert tally.joules() == pytest.approx(16.0)
    add(tmp_path, "intel-rapl:1:0", 1_500_000)
    assert tally.joules() == pytest.approx(17.5)


def test_what_lies_in_the_package_or_around_it_is_not_added_again(tmp_path: Path) -> None:
    meter = Rapl(tree(tmp_path, LAPTOP))
    assert {k: c.joules for k, c in meter().items()} == {"package-0": 40.0}


def test_a_tree_that_nests_its_zones_as_the_devices_folder_does_is_read_too(tmp_path: Path) -> None:
    tree(tmp_path, SERVER)
    for zone in ("intel-rapl:0:0", "intel-rapl:1:0"):
        shutil.rmtree(tmp_path / zone)
    assert set(Rapl(tmp_path)()) == {"package-0", "package-0 dram", "package-1", "package-1 dram"}


def test_counters_that_only_root_may_read_say_how_to_grant_it(tmp_path: Path) -> None:
    tree(tmp_path, LAPTOP)
    (tmp_path / "intel-rapl:0" / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
    tmp_path.chmod(0o755)
    # as root nothing is forbidden: read as nobody, from inside the tree, because the folders around it are root's own
    code = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from core.energy.meters.rapl import Rapl
os.chdir(sys.argv[1])
Rapl(Path(".")).why()  # brings what Python loads late
if os.geteuid() == 0:
    os.setuid(65534)
print(Rapl(Path(".")).why())
"""
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert "only root" in said
    assert "chmod a+r" in said


def test_a_counter_that_goes_away_is_one_sentence(tmp_path: Path) -> None:
    meter = Rapl(tree(tmp_path, SERVER))
    tally = Tally(meter)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    with pytest.raises(MeterLost, match="energy_uj can't be read"):
        tally.joules()
    shutil.rmtree(tmp_path / "intel-rapl:1")
    with pytest.raises(MeterLost, match=r"package-1.* has gone"):
        tally.joules()


def test_a_file_that_holds_no_number_is_one_sentence(tmp_path: Path) -> None:
    (tree(tmp_path, LAPTOP) / "intel-rapl:0" / "energy_uj").write_text("\n")
    assert "can't be read" in Rapl(tmp_path).why()


def test_a_counter_without_a_range_that_falls_is_refused() -> None:
    with pytest.raises(MeterLost, match="backwards"):
        spent({"gpu": Counter(5.0)}, {"gpu": Counter(3.0)})


def test_no_powercap_tree_is_said_with_its_reasons(tmp_path: Path) -> None:
    assert "virtual machine" in Rapl(tmp_path / "nowhere").why()


def battery(root: Path, status: str = "Discharging", **files: int) -> Battery:
    """A power_supply folder with the mains, a mouse and one battery."""
    for name, said in (("AC", {"type": "Mains"}), ("hidpp_0", {"type": "Battery", "scope": "Device", "status": "Discharging"})):
        (root / name).mkdir(parents=True, exist_ok=True)
        for k, v in said.items():
            (root / name / k).write_text(f"{v}\n")
    (root / "BAT0").mkdir(exist_ok=True)
    for k, v in {"type": "Battery", "status": status, **files}.items():
        (root / "BAT0" / k).write_text(f"{v}\n")
    return Battery(root)


def test_a_battery_tells_what_has_left_it_in_joules(tmp_path: Path) -> None:
    tally = Tally(battery(tmp_path, energy_full=50_000_000, energy_now=40_000_000))
    battery(tmp_path, energy_now=39_990_000)
    assert tally.joules() == pytest.approx(36.0)  # 10 mWh


def test_a_battery_that_counts_charge_is_read_at_its_design_voltage(tmp_path: Path) -> None:
    files = {"charge_full": 4_000_000, "voltage_min_design": 11_400_000, "voltage_now": 12_345_000}
    tally = Tally(battery(tmp_path, charge_now=3_000_000, **files))
    battery(tmp_path, charge_now=2_999_000, voltage_now=12_200_000)
    assert tally.joules() == pytest.approx(41.04)  # 1 mAh at 11.4 V


def test_a_battery_on_the_mains_asks_for_the_plug_to_be_pulled(tmp_path: Path) -> None:
    assert "pull the plug" in battery(tmp_path, "Charging", energy_full=5, energy_now=4).why()
    assert "has none" in Battery(tmp_path / "nowhere").why()


class Recorded:
    """nvidia-ml-py as it answered in a recorded session of two boards; the counters move with every reading."""

    class NVMLError(Exception):
        pass

    def __init__(self, *readings: tuple[int, ...]) -> None:
        self.readings, self.open = list(readings), 0
        self.now: tuple[int, ...] = ()

    def nvmlInit(self) -> None:
        self.open += 1
        if not self.readings:
            raise self.NVMLError("Driver Not Loaded")
        self.now = self.readings.pop(0)

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.now)

    def nvmlDeviceGetHandleByIndex(self, i: int) -> int:
        return i

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if self.now[handle] < 0:
            raise self.NVMLError("Not Supported")
        return self.now[handle]


def test_gpus_tell_millijoules_and_the_library_is_closed_again() -> None:
    library = Recorded((1_000_000, 5_000), (1_000_700, 5_300))
    assert Tally(Nvml(library)).joules() == pytest.approx(1.0)
    assert library.open == 0


def test_a_gpu_before_volta_and_a_missing_driver_are_sentences() -> None:
    old = Recorded((-1,))
    assert "Volta" in Nvml(old).why()
    assert old.open == 0
    assert "no NVIDIA driver" in Nvml(Recorded()).why()


class Chip:
    """zeus-apple-silicon as it answers: sums of millijoules per rail, None for one the chip does not tell."""

    def __init__(self, *readings: tuple[int | None, int | None]) -> None:
        self.readings = list(readings)

    def AppleEnergyMonitor(self) -> SimpleNamespace:
        if not self.readings:
            raise RuntimeError("no IOReport subscription")
        cores, memory = self.readings.pop(0)
        said = SimpleNamespace(cpu_total_mj=cores, dram_mj=memory, gpu_mj=9_000)
        return SimpleNamespace(get_cumulative_energy=lambda: said)


def test_apples_counters_of_cores_and_memory_are_added_and_a_silent_chip_is_a_sentence() -> None:
    assert Tally(Apple(Chip((5_000, 700), (7_500, 900)))).joules() == pytest.approx(2.7)
    assert Tally(Apple(Chip((5_000, None), (7_500, None)))).joules() == pytest.approx(2.5)
    assert "tells no energy" in Apple(Chip((None, None))).why()
    assert "no IOReport subscription" in Apple(Chip()).why()


def test_every_registered_meter_answers_here_without_raising() -> None:
    assert set(meters) == {"rapl", "nvml", "apple", "battery"}
    assert len(available()) + len(reasons()) == len(meters)
    assert all(why.startswith(title) for title, why in reasons().items())


def test_meters_do_not_import_torch() -> None:
    code = "import sys; from core.energy.meters import reasons; reasons(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Machine:
    """A processor with a clock of its own, whose counter runs at 10 W always and at 30 W more while it works; the true meter reads it."""

    def __init__(self, root: Path) -> None:
        self.root, self.now = tree(root, LAPTOP), 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float, watts: float = 10.0) -> None:
        self.now += seconds
        add(self.root, "intel-rapl:0", round(1e6 * watts * seconds))

    def work(self, seconds: float) -> None:
        self.sleep(seconds, 40.0)


def test_original_and_variant_are_metered_by_turns_above_what_the_machine_draws_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path)
    for module in ("metered", "measure"):
        monkeypatch.setattr(f"core.{module}.time", machine)
    own = random.Random(0)
    found = metered(lambda: machine.work(0.4 + own.uniform(0, 0.01)), lambda: machine.work(0.2), 2.0, Rapl(tmp_path), Job(), 20.0)
    assert found.idle == pytest.approx(10, rel=1e-3)
    assert found.ratio.value == pytest.approx(2, rel=0.03)
    assert found.before_net.value == pytest.approx(30 * 0.4 / 2, rel=0.03)
    assert found.before.value > found.before_net.value > found.after_net.value > 0
    assert 0 < found.before.error < found.before.value
    assert found.rounds >= 6


def test_metering_hears_a_cancel(tmp_path: Path) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        metered(lambda: None, lambda: None, 1.0, Rapl(tree(tmp_path, LAPTOP)), job)


def test_a_mean_comes_with_its_standard_error() -> None:
    assert mean([1.0, 2.0, 3.0]) == Measured(2.0, pytest.approx(3**-0.5))


def test_slim_measure_prints_joules_of_a_powercap_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import cli
    from core.resources import root

    machine = Machine(tmp_path)
    true = Rapl.__call__

    def live(self: Rapl) -> object:
        machine.sleep(0.01)
        return true(self)

    monkeypatch.setattr(Rapl, "__call__", live)
    monkeypatch.setattr(Rapl, "__init__", lambda self, root=tmp_path: object.__setattr__(self, "root", root))
    for name, value in (("WINDOW", 0.02), ("IDLE", 0.05), ("SECONDS", 0.2)):
        monkeypatch.setattr(f"core.metered.{name}", value)
    monkeypatch.setattr("core.metered.metered.__defaults__", (0.2,))
    monkeypatch.setattr("core.measure.interleaved.__defaults__", (0.2,))
    assert cli.main(["measure", str(root() / "samples" / "digits-cnn")]) == 0
    said = capsys.readouterr().out
    assert "measured: RAPL, processor package and memory" in said
    assert "at rest" in said
    assert "model   " in said


def test_slim_measure_without_a_meter_says_why_and_which_model_stands_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import cli
    from core.resources import root

    monkeypatch.setattr("core.commands_measure.meter", lambda: None)
    monkeypatch.setattr("core.measure.interleaved.__defaults__", (0.2,))
    assert cli.main(["measure", str(root() / "samples" / "digits-cnn")]) == 0
    said = capsys.readouterr().out
    assert "energy was not measured" in said
    assert "RAPL: " in said or available()
    assert "Modelled, not measured" in said
