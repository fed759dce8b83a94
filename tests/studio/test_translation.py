"""Every text of the window and the engine has its Chinese, with the same placeholders, and the compiled file holds it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QWidget

from core.resources import root
from studio import app as studio_app
from studio import settings, words
from studio.session import Session
from studio.window import MainWindow

HELD = re.compile(r"\{\w*\}")
HOW = "add them to resources/translations/zh_CN.json and run resources/translations/update.py (its docstring says how)"


@pytest.fixture(scope="module")
def update() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update", root() / "translations" / "update.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def chinese(qapp: QApplication) -> Iterator[None]:
    settings.set_language("zh_CN")
    studio_app.translate(qapp)
    yield
    settings.set_language("en")
    studio_app.translate(qapp)


def listed(texts: list[str]) -> str:
    return "".join(f"\n  {t!r}" for t in texts)


def test_no_text_of_the_window_or_of_the_engines_methods_is_left_untranslated(update: ModuleType) -> None:
    known, composed = update.chinese(), set(update.sentences())
    missing = [t for t in update.texts() if t not in known and t not in composed]
    assert not missing, f"{len(missing)} texts have no Chinese; {HOW}:{listed(missing)}"


def test_nine_in_ten_of_the_engines_sentences_are_translated(update: ModuleType) -> None:
    """A tenth of slack for messages that were written today; they are shown in English until they have their Chinese."""
    known, composed = update.chinese(), update.sentences()
    missing = [t for t in composed if t not in known]
    assert len(missing) <= len(composed) // 10, f"{len(missing)} sentences have no Chinese; {HOW}:{listed(missing)}"


def test_a_translation_has_the_placeholders_of_its_text(update: ModuleType) -> None:
    wrong = [k for k, v in update.chinese().items() if sorted(HELD.findall(k)) != sorted(HELD.findall(v))]
    assert not wrong, f"these translations lose or invent a placeholder:{listed(wrong)}"


def test_a_translation_is_not_empty_and_ends_as_its_text_does(update: ModuleType) -> None:
    wrong = [k for k, v in update.chinese().items() if not v.strip() or k.endswith("…") != v.rstrip("”。").endswith("…")]
    assert not wrong, listed(wrong)


def test_the_compiled_file_holds_what_the_texts_say(update: ModuleType) -> None:
    found = QTranslator()
    assert found.load("studio_zh_CN", str(root() / "translations"))
    known = update.chinese()
    stale = []
    for context in update.collect().iter("context"):
        name = context.findtext("name") or ""
        for source in (m.findtext("source") or "" for m in context.iter("message")):
            if source in known and found.translate(name, source) != known[source]:
                stale.append(source)
    assert not stale, f"the .qm file is older than its texts; run resources/translations/update.py:{listed(stale)}"


def test_a_sentence_of_the_engine_with_a_name_in_it_is_said_in_chinese(chinese: None) -> None:
    said = words.said("plan.txt is empty; choose a file with text in it")
    assert said != "plan.txt is empty; choose a file with text in it"
    assert said.startswith("plan.txt")
    assert words.said("something nobody wrote") == "something nobody wrote"


def shown(widget: QWidget) -> list[str]:
    """All that a widget and those inside it say."""
    found: list[str] = []
    for w in (widget, *widget.findChildren(QWidget)):
        found += [w.toolTip(), w.whatsThis(), w.accessibleName(), w.windowTitle()]
        found += [w.text()] if isinstance(w, (QLabel, QAbstractButton)) else []
        found += [w.placeholderText()] if isinstance(w, QLineEdit) else []
        found += [t for a in w.actions() for t in (a.text(), a.toolTip())]
    return [t for t in found if t]


def test_the_whole_window_speaks_chinese(chinese: None, digits: Session, qtbot: Any, update: ModuleType) -> None:
    window = MainWindow(digits, digits.engine)
    qtbot.addWidget(window)
    window.resize(1280, 800)
    window.show()
    qtbot.waitUntil(lambda: "compare" in window.parts)
    digits.choose(bits=4)
    qtbot.waitUntil(lambda: digits.snapshot.current >= 0, timeout=120_000)
    window._draw()
    known = update.chinese()
    english = sorted({t for t in shown(window) for line in t.splitlines() if known.get(line.strip(), line) not in (line, line.strip())})
    assert not english, f"these are shown in English:{listed(english)}"


def test_another_language_is_a_new_window_over_the_same_session(digits: Session, qtbot: Any, qapp: QApplication) -> None:
    window = MainWindow(digits, digits.engine)
    window.show()
    qtbot.waitUntil(lambda: "jobs" in window.parts)
    assert window.menus.menus["File"].title() == "&File"
    settings.set_language("zh_CN")
    other = studio_app.again(qapp, window)
    qtbot.addWidget(other)
    try:
        assert other.menus.menus["File"].title() == "文件(&F)"
        assert other.session is digits
        qtbot.waitUntil(lambda: other.pages.currentIndex() == 1)
        digits.choose(bits=8)
        qtbot.waitUntil(lambda: "size" in other.parts and len(other.parts["size"].rows) > 1)
        assert digits.snapshot.plan.model.bits == 8, "the worker lives on when the first window goes"
    finally:
        settings.set_language("en")
        studio_app.translate(qapp)
        assert QCoreApplication.translate("Menus", "&File") == "&File"


def test_the_language_follows_the_system_until_one_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PySide6.QtCore import QLocale

    monkeypatch.setattr(QLocale, "system", staticmethod(lambda: QLocale("zh_CN")))
    assert (settings.chosen_language(), settings.language()) == ("system", "zh_CN")
    settings.set_language("en")
    assert settings.language() == "en"
