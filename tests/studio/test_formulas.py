"""The page of formulas, in both languages with the same sources; the fresh small student that the Run menu proposes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.resources import root
from studio import settings
from studio.formulas import Formulas, text
from studio.menus import Menus
from studio.session import Session
from studio.window import MainWindow


def test_the_menu_opens_the_page_in_the_windows_language(digits: Session, qtbot: Any) -> None:
    settings.set_toured()
    window = MainWindow(digits, digits.engine)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: "jobs" in window.parts)
    assert isinstance(window.menus, Menus)
    window.menus.named("Formulas…").trigger()
    page = window.findChild(Formulas)
    assert page is not None
    shown = page.page.toPlainText()
    for word in ("Pruning by magnitude", "q = clip(round(x/s) + z, 0, 2^b - 1)", "λ·T²·KL", "Σ_k (n_k/n)·Δ_k", "max(operations / speed"):
        assert word in shown
    page.reject()


def test_the_menu_proposes_a_fresh_small_student_that_is_one_undo_step(digits: Session, qtbot: Any) -> None:
    settings.set_toured()
    window = MainWindow(digits, digits.engine)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: "recovery" in window.parts)
    before = digits.snapshot.plan
    window.menus.named("Propose a fresh small student").trigger()
    plan = digits.snapshot.plan
    assert plan.cuts["method"] == "fresh"
    assert (plan.recover, plan.recovery["train"]) == ("distil", "all")
    assert digits.snapshot.size.total < 0.6 * digits.snapshot.size.original
    digits.undo()
    assert digits.snapshot.plan == before


def test_a_chinese_window_reads_it_in_chinese(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "language", lambda: "zh_CN")
    page = Formulas()
    qtbot.addWidget(page)
    assert "联邦平均" in page.page.toPlainText()


def test_both_languages_have_the_same_sections_formulas_and_sources() -> None:
    english, chinese = text("en"), text("zh_CN")
    for found in (r"^## ", r"arXiv:\d{4}\.\d{5}", r"doi:[\w./]+", r"\*\*"):
        a, b = (re.findall(found, t, re.MULTILINE) for t in (english, chinese))
        assert [x.rstrip("./") for x in a] == [x.rstrip("./") for x in b], found
    assert len(re.findall(r"^## ", english, re.MULTILINE)) == 6
    assert {p.name for p in (root() / "help").iterdir()} == {"formulas.en.md", "formulas.zh_CN.md"}
