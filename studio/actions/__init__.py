"""Everything a menu offers: functions of the window with a name, a shortcut and a reason when they can't act."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication

from ..snapshot import Snapshot

Run = Callable[[Any], None]
Why = Callable[[Snapshot], str]
translate = QCoreApplication.translate
MENUS = ("File", "Edit", "Model", "Run", "View", "Help")


def always(_: Snapshot) -> str:
    return ""


def opened(s: Snapshot) -> str:
    """Needs a model."""
    return "" if s.checkpoint else translate("actions", "Open a model first.")


@dataclass(frozen=True)
class Action:
    """One entry of a menu; `why` says what is missing, "" when it can act."""

    name: str
    shortcut: str
    menu: str
    icon: str
    bar: bool  # also on the toolbar
    why: Why
    run: Run
    under: str  # title of a submenu, "" for none
    on: Callable[[], bool] | None  # whether its tick is set; None = it has no tick
    keys: str  # a key that the layer tree and the charts hear themselves, shown beside the name
    n: int  # a number in its name

    @property
    def tip(self) -> str:
        return translate("actions", (self.run.__doc__ or "").strip())

    @property
    def label(self) -> str:
        return translate("actions", self.name).format(n=self.n)


_found: list[Action] = []


def action(
    name: Any, shortcut: str = "", menu: str = "File", *, icon: str = "", bar: bool = False, why: Why = always, under: Any = "",
    on: Callable[[], bool] | None = None, keys: str = "", n: int = 0,
) -> Callable[[Run], Run]:  # fmt: skip
    """Put the decorated function of the window into a menu; its docstring is the tooltip."""

    def keep(run: Run) -> Run:
        _found.append(Action(name, shortcut, menu, icon, bar, why, run, under, on, keys, n))
        return run

    return keep


def actions() -> list[Action]:
    """All actions, by file and then as written."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return list(_found)
