"""Reports read back, and their page carries everything with it and escapes every name."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.card import card
from core.errors import BadFile
from core.ledger import Took, accounted
from core.report import from_json, html, to_json, write
from core.types import Check, Choice, Energy, Measured, Outcome, Plan, Report, Score, Setting, Size, Variant, Verdict

NASTY = "<script>alert('&')</script>"


def report() -> Report:
    size, energy = Size(1000, {NASTY: 900}, 4000), Energy(0.5, 0.25, 1.0, {"arithmetic": 0.5}, "token", NASTY)
    score = Score("causal-lm", {"kl": Measured(0.1, 0.02), "perplexity": Measured(30.0, 1.0)}, 100, "tokens", f"/x/{NASTY}.txt", 2, 2, 1.5)
    outcome = Outcome(Setting("magnitude", 0.3, "rtn", 4, {}, {"group_size": 64}, 7, {"bits": "model"}), 0.01, 0.3, "k")
    plan = Plan(Choice("magnitude", 0.3, "rtn", 4, {"rtn.group_size": 64}), {"g": Choice(bits=6)}, {"l": Choice(protect=True)}, 7)
    variant = Variant(plan, size, energy, score, {NASTY: outcome}, "v", "2026-11-24T03:00:00+00:00")
    verdict = Verdict(NASTY, (Check(NASTY, True, NASTY),))
    return Report(NASTY, variant, variant, "packed", "/o", verdict, (NASTY,), {"torch": "2"}, {"compressing": 1.0})


def test_json_reads_back() -> None:
    assert from_json(to_json(report())) == report()


def test_what_was_not_measured_reads_back() -> None:
    blind = replace(report().variant, score=None, energy=None)
    assert from_json(to_json(replace(report(), original=blind, variant=blind, verdict=None))).variant == blind


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "bogus": 3}'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(BadFile, match="report"):
        from_json(text)


class Tags(HTMLParser):
    """Every element's name and every address it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.loads += [str(v) for k, v in attrs if k in ("src", "href")]


def test_the_page_runs_nothing_and_loads_nothing() -> None:
    tags = Tags()
    tags.feed(html(report()))
    assert "svg" in tags.names
    assert "script" not in tags.names
    assert tags.loads == []
    assert "@import" not in html(report())


def test_energy_is_hatched_and_called_modelled_with_its_range() -> None:
    page = html(report())
    assert "Energy, modelled" in page
    assert 'class="ha"' in page
    assert "0.25 to 1 J" in page or "(0.25 to 1)" in page


def test_accuracy_shows_its_standard_error() -> None:
    assert "30 ± 1" in html(report())


def test_a_single_exported_file_gets_its_report_beside_it(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"x")
    assert [p.name for p in write(report(), tmp_path / "m.safetensors")] == ["m.report.json", "m.report.html", "m.README.md"]
    assert [p.name for p in write(report(), tmp_path)] == ["report.json", "report.html", "README.md"]


def test_the_model_card_tells_every_figure_with_how_it_was_come_by(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    own = "---\nlicense: apache-2.0\nlanguage: en\ndatasets:\n- secret\n---\n# The net\nlicense: mine\n"
    (tmp_path / "net" / "README.md").write_text(own, encoding="utf-8")
    told = card(accounted(replace(report(), source=str(tmp_path / "net")), Took(9.0)))
    assert told.startswith("---\nlicense: apache-2.0\nlanguage: en\ntags:\n- slim-studio\n- quantized\n- pruned\n---\n")
    for said in ("# net, slimmed", "| bytes | 1,000 | 1,000 | exact |", "| Perplexity | 30 ± 1 | 30 ± 1 | measured on 100 tokens"):
        assert said in told
    for said in ("modelled (catalogue)", "excludes embodied carbon", "- 1 layer: 4 bits by rtn in groups of 64, 30% pruned by magnitude"):
        assert said in told
    assert "1 of 1 checks hold" in told
    assert "9 s of this machine" in told
    assert "compressed-tensors" in told.split("## Use")[1]


def test_names_in_a_model_card_stay_names() -> None:
    assert "<script>" not in card(report())
