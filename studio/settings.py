"""What the studio remembers between starts: language, theme, recent files, layout, and whether to go on where one left off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QLocale, QSettings

RECENT = 8


def store() -> QSettings:
    """The user's settings; SLIM_SETTINGS names another file, for tests."""
    if path := os.environ.get("SLIM_SETTINGS"):
        return QSettings(path, QSettings.Format.IniFormat)
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "slim-studio", "studio")


def theme() -> str:
    """ "light", "dark" or "system"."""
    return str(store().value("theme", "system"))


def set_theme(which: str) -> None:
    store().setValue("theme", which)


def chosen_language() -> str:
    """ "en", "zh_CN" or "system"."""
    return str(store().value("language", "system"))


def language() -> str:
    """ "en" or "zh_CN": what was chosen, else what the system speaks."""
    chosen = chosen_language()
    return ("zh_CN" if QLocale.system().name().startswith("zh") else "en") if chosen == "system" else chosen


def set_language(which: str) -> None:
    store().setValue("language", which)


def restores() -> bool:
    """Whether the next start opens what was open."""
    return store().value("restores", "true") in (True, "true")


def set_restores(on: bool) -> None:
    store().setValue("restores", "true" if on else "false")


def refines() -> bool:
    """Whether quiet time is used to measure plans that teach the prediction."""
    return store().value("refines", "true") in (True, "true")


def set_refines(on: bool) -> None:
    store().setValue("refines", "true" if on else "false")


def on_battery() -> bool:
    """Whether the machine runs on its battery, as far as the system tells."""
    import psutil

    found = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return found is not None and found.power_plugged is False


def toured() -> bool:
    """Whether the first-run tour was seen or skipped."""
    return store().value("toured", "false") in (True, "true")


def set_toured(seen: bool = True) -> None:
    store().setValue("toured", "true" if seen else "false")


def state(name: str) -> QByteArray:
    """How a part of the window was left (columns, splitter); empty at first."""
    found: Any = store().value(f"state/{name}", QByteArray())
    return found


def keep_state(name: str, state: QByteArray) -> None:
    store().setValue(f"state/{name}", state)


def recent() -> list[Path]:
    """Files opened lately that still exist, newest first."""
    said: Any = store().value("recent", [])
    names = [said] if isinstance(said, str) else list(said or [])
    return [p for p in map(Path, names) if p.exists()]


def remember(path: Path) -> None:
    """Put a file on top of the recent ones."""
    paths = [path, *(p for p in recent() if p != path)]
    store().setValue("recent", [str(p) for p in paths[:RECENT]])


def layout() -> tuple[QByteArray, QByteArray]:
    """(geometry, state) of the main window; empty at first."""
    found: list[Any] = [store().value(k, QByteArray()) for k in ("geometry", "state")]
    return found[0], found[1]


def keep_layout(geometry: QByteArray, state: QByteArray) -> None:
    s = store()
    s.setValue("geometry", geometry)
    s.setValue("state", state)
