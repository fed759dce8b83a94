"""Grams follow from joules, losses, PUE and the grid; the ledger says when a slimming has paid for itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.carbon import CHOSEN, Place, carbon, choose, chosen, grams, kwh, regions
from core.energy import catalogue
from core.energy.meters.battery import Battery
from core.energy.meters.rapl import Rapl
from core.errors import BadPlan
from core.ledger import Bill, Took, accounted, paid, spent
from core.report import from_json, html, to_json
from core.resources import cache_root, root
from core.types import Energy

from .powercap import LAPTOP, add, tree
from .test_report import report

BEFORE, AFTER = (Energy(j, j / 2, j * 2, {}, "token", "", device="laptop") for j in (0.36, 0.09))


@pytest.fixture(autouse=True)
def own_place() -> Iterator[None]:
    yield
    (cache_root() / CHOSEN).unlink(missing_ok=True)


def test_a_kilowatt_for_an_hour_is_a_kilowatt_hour() -> None:
    assert kwh(1000 * 3600) == 1
    assert kwh(36) == 1e-5


def test_grams_are_the_walls_kilowatt_hours_times_the_grid() -> None:
    one_kwh = Energy(3.6e6, 3.6e6, 3.6e6, {}, "token", "")
    assert grams(one_kwh, Place("DEU"), 1).value == pytest.approx(380.9, abs=0.1)
    assert grams(one_kwh, Place("DEU", pue=1.5), 2).value == pytest.approx(3 * 380.95, abs=0.2)
    assert grams(one_kwh, Place("DEU", 40.0), 1).value == 40
    at_the_wall = catalogue()["laptop"].supply  # what the adapter and the converters leave
    assert grams(replace(one_kwh, device="laptop"), Place("DEU"), 1).value == pytest.approx(380.9 / at_the_wall, abs=0.1)


def test_the_interval_holds_the_energys_and_the_grids() -> None:
    g = grams(BEFORE, Place("FRA"))
    assert g.value / g.low == pytest.approx(math.exp(math.hypot(math.log(2), math.log(1.15))))
    assert g.high / g.value == pytest.approx(g.value / g.low)


def test_the_table_has_years_and_the_figures_its_source_prints() -> None:
    """CodeCarbon's global_energy_mix.json, 2023: FRA 56, SWE 41, USA 369, DEU 381, CHN 582, IND 713."""
    for code, said in {"FRA": 56, "SWE": 41, "USA": 369, "DEU": 381, "CHN": 582, "IND": 713}.items():
        assert regions()[code].grams == pytest.approx(said, abs=1)
        assert regions()[code].year == 2023
    assert len(regions()) > 200
    assert "MIT" in (root() / "energy" / "README.md").read_text(encoding="utf-8")


def test_a_place_is_chosen_once_and_a_broken_file_is_the_worlds_mean() -> None:
    assert chosen() == Place()
    choose(Place("NOR", pue=1.2, device="h100"))
    assert chosen() == Place("NOR", pue=1.2, device="h100")
    assert chosen().scene.device.key == "h100"
    (cache_root() / CHOSEN).write_text('{"region": "ATLANTIS"}')
    assert chosen() == Place()


@pytest.mark.parametrize("said", [{"region": "XXX"}, {"pue": 0.5}, {"grams": -1.0}, {"device": "mainframe"}, {"watts": 0.0}])
def test_an_impossible_place_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(BadPlan):
        Place(**said)  # type: ignore[arg-type]


def test_carbon_says_where_when_and_what_it_leaves_out() -> None:
    c = carbon(BEFORE, AFTER, Place("POL"))
    assert c.before.value == pytest.approx(4 * c.after.value)
    for said in ("Poland 2023", "excludes embodied carbon", "PUE 1", "by the hour"):
        assert said in c.how


def test_the_ledger_tells_after_how_many_tokens_the_work_is_paid_back() -> None:
    s = spent(Took(100.0), BEFORE, AFTER)
    assert s.joules == pytest.approx(100 * catalogue()["laptop"].computing)
    assert s.payback == pytest.approx(s.joules / 0.27)
    assert s.low < s.joules < s.high
    assert "paid back after" in paid(s)
    assert spent(Took(100.0), AFTER, BEFORE).payback is None
    assert "not paid back" in paid(spent(Took(100.0), AFTER, BEFORE))


def test_work_a_meter_saw_is_billed_by_it_and_only_the_rest_is_modelled(tmp_path: Path) -> None:
    with Bill(Rapl(tree(tmp_path, LAPTOP))) as bill:
        add(tmp_path, "intel-rapl:0", 90_000_000)
        took = bill.took()
    assert took.joules == pytest.approx(90.0)
    assert took.seconds == pytest.approx(took.metered, abs=0.1)
    s = spent(took, BEFORE, AFTER)
    assert (s.level, s.payback) == ("A", pytest.approx(s.joules / 0.27))
    assert s.low == pytest.approx(0.95 * 90, rel=0.05)
    assert "RAPL" in paid(s)
    both = took + Took(1000.0)  # the most of it unseen
    assert spent(both).level == "C"
    assert spent(both).joules == pytest.approx(90 + (both.seconds - both.metered) * catalogue()["laptop"].computing)


def test_a_batterys_steps_bill_no_work_of_seconds(tmp_path: Path) -> None:
    supply = tmp_path / "BAT0"
    supply.mkdir()
    for name, said in {"type": "Battery", "status": "Discharging", "energy_full": "50000000", "energy_now": "40000000"}.items():
        (supply / name).write_text(said)
    meter = Battery(tmp_path)
    assert meter.why() == ""
    with Bill(meter) as bill:
        took = bill.took()
    assert (took.metered, took.joules, took.meter) == (0.0, 0.0, "")
    assert took.seconds > 0


def test_a_counter_that_goes_away_leaves_what_was_read_before_it(tmp_path: Path) -> None:
    with Bill(Rapl(tree(tmp_path, LAPTOP))) as bill:
        add(tmp_path, "intel-rapl:0", 7_000_000)
        seen = bill.took()
        (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
        assert bill.took().joules == seen.joules == pytest.approx(7.0)
        assert bill.took().metered == seen.metered


def test_a_report_carries_grams_and_ledger_and_reads_back() -> None:
    r = report()
    energies = {"original": replace(r.original, energy=BEFORE), "variant": replace(r.variant, energy=AFTER)}
    found = accounted(replace(r, **energies))
    assert from_json(to_json(found)) == found
    page = html(found)
    for said in ("a million tokens", "excludes embodied carbon", "paid back after", "4 times less"):
        assert said in page


def test_slim_place_keeps_what_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    from core import cli

    assert cli.main(["place", "deu", "--pue", "1.3", "--device", "server"]) == 0
    assert "Germany 2023, 381 g CO2e a kWh, PUE 1.3; on Server" in capsys.readouterr().out
    assert cli.main(["place"]) == 0
    assert "Germany" in capsys.readouterr().out
    assert cli.main(["place", "--intensity", "20"]) == 0
    assert "your own figure (Germany), 20 g" in capsys.readouterr().out
    assert cli.main(["place", "fra"]) == 0
    assert "France 2023, 56 g" in capsys.readouterr().out
    assert cli.main(["place", "nowhere"]) == 2


def test_a_run_reports_grams_and_what_it_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from core import cli

    choose(Place("SWE", device="h100"))
    given = ["export", str(root() / "samples" / "digits-cnn"), "--out", str(tmp_path / "out"), "--bits", "8", "--limit", "40"]
    assert cli.main(given) == 0
    said = capsys.readouterr().out
    assert "Sweden 2023" in said
    assert "spent   " in said
    found = from_json((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert found.carbon is not None
    assert found.variant.energy is not None
    assert found.variant.energy.device == "h100"
    assert found.spent is not None
    assert found.spent.seconds >= sum(found.seconds.values()) > 0
