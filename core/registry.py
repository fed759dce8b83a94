"""A registry is a dict filled by decorators, importing its package's files when first asked."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from .errors import BadPlan
from .types import Value

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting of a method, as the form, the recipe and the CLI see it."""

    name: str
    default: Value
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[Value, ...] = ()
    unit: str = ""
    label: str = ""


def knob(
    default: Any, low: float | None = None, high: float | None = None, step: float | None = None,
    *, choices: tuple[Value, ...] = (), unit: str = "", label: str = "",
) -> Any:  # fmt: skip
    """A dataclass field that is also a slider (low, high, step) or a list of choices."""
    meta = {"low": low, "high": high, "step": step, "choices": choices, "unit": unit, "label": label}
    return field(default=default, metadata={"knob": meta})


def knobs(method: type) -> list[Knob]:
    """The knobs of a registered method in the order they were written."""
    return [Knob(f.name, cast(Value, f.default), **f.metadata["knob"]) for f in fields(method) if "knob" in f.metadata]


def make(method: type[T], given: Mapping[str, Value]) -> T:
    """An instance with these knobs; an unknown name or a value out of range is a BadPlan that says which."""
    known = {k.name: k for k in knobs(method)}
    for name, value in given.items():
        if name not in known:
            raise BadPlan(f"{method.__name__} has no knob {name!r}; it has {', '.join(known) or 'none'}")
        _check(method, known[name], value)
    return method(**given)


def _check(method: type, k: Knob, value: Value) -> None:
    if k.choices and value not in k.choices:
        raise BadPlan(f"{method.__name__}: {k.name} can't be {value!r}; choose one of {', '.join(map(str, k.choices))}")
    number = isinstance(k.default, (int, float)) and not isinstance(k.default, bool)
    if number and (isinstance(value, (bool, str)) or value != value):
        raise BadPlan(f"{method.__name__}: {k.name} must be a number, not {value!r}")
    if isinstance(k.default, bool) and not isinstance(value, bool):
        raise BadPlan(f"{method.__name__}: {k.name} must be true or false, not {value!r}")
    if number and k.low is not None and k.high is not None and not k.low <= float(value) <= k.high:
        raise BadPlan(f"{method.__name__}: {k.name} = {value} is outside {k.low:g} to {k.high:g}")


class Registry(Mapping[str, type[Any]]):
    """name -> class, filled by `@registry("name")` in the files of one package, sorted by file then order."""

    def __init__(self, package: str) -> None:
        self.package = package
        self._found: dict[str, type[Any]] = {}
        self._loaded = False

    def __call__(self, name: str) -> Callable[[type[T]], type[T]]:
        def register(cls: type[T]) -> type[T]:
            if name in self._found:
                raise ValueError(f"{self.package}: {name!r} is registered twice")
            cls.key = name  # type: ignore[attr-defined]
            self._found[name] = cls
            return cls

        return register

    def _load(self) -> dict[str, type[Any]]:
        if not self._loaded:
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            self._loaded = True
        return self._found

    def __getitem__(self, name: str) -> type[Any]:
        found = self._load()
        if name not in found:
            raise BadPlan(f"{self.package}: no {name!r} here; there is {', '.join(found)}")
        return found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())
