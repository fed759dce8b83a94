"""The option table of one layer: what each method leaves of its output at a few settings, computed on a sample of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..compress import fits, layer_needs, solved
from ..curves import SOLVED, family
from ..job import Job
from ..plans import resolve
from ..prune import pruners
from ..prune.keep import PATTERNS
from ..quantize import quantizers
from ..registry import knobs
from ..sensed import Option
from ..solve.factor import alive, usable
from ..solve.polish import loss
from ..spans import inputs
from ..store import Store, key
from ..types import Choice, Layer, Plan, Seen, Setting, Value

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when an option's error changes
ROWS = 256  # of a layer: rows are solved for independently, and what a sample misses is in alpha too, which is a quotient of it
BITS = (2, 3, 4, 6)  # 5 lies between, 8 a sixteenth of 6: straight lines of logarithms
FEW = (2, 3, 4)  # of methods that are solved for: from there on a quarter per bit
AMOUNTS = (0.3, 0.5, 0.6, 0.7, 0.8)
QUICK = ("rtn", "magnitude", "wanda")  # for every layer, before any is solved for
SOLVERS = ("slim", "sparsegpt")  # where the plan names none of its own that makes up for its errors


@dataclass(frozen=True)
class Row:
    """One method with its knobs at several settings of its slider: kept in the store as one."""

    settings: tuple[Setting, ...]

    @property
    def method(self) -> str:
        return self.settings[0].quantize or self.settings[0].prune

    @property
    def solved(self) -> bool:
        return self.method in SOLVED


def rows(x: Layer, plan: Plan, groups: Iterable[int] = ()) -> list[Row]:
    """What is to be computed for a layer: the plan's own methods with their knobs, the quick ones, and one that solves; quick first. The
    plan's quantizer in these `groups`, too."""
    own = chosen(x, plan)
    if own is None:
        return []
    names = dict.fromkeys((*QUICK, own.quantize, own.prune, *_solvers(own)))
    found = [r for name in names if name for r in (_rounding(x, name, own, plan) if name in quantizers else _pruning(x, name, own, plan))]
    found += _grouped(x, own, plan, groups)
    return sorted(found, key=lambda r: (r.solved, r.method in pruners))


def _grouped(x: Layer, own: Setting, plan: Plan, groups: Iterable[int]) -> Iterable[Row]:
    """The plan's own quantizer in groups of other sizes; 0: one scale a row."""
    if not any(k.name == "group_size" for k in knobs(quantizers[own.quantize])):
        return
    mine = _rounding(x, own.quantize, own, plan)
    for g in groups:
        grid: dict[str, Value] = {"granularity": "group", "group_size": g} if g else {"granularity": "channel"}
        grouped = replace(own, quantize_knobs={**own.quantize_knobs, **grid})
        yield from (r for r in _rounding(x, own.quantize, grouped, plan) if r not in mine)


def chosen(x: Layer, plan: Plan) -> Setting | None:
    """The methods and knobs the plan has for a layer, at 3 bits and half of the weights; None where it is held."""

    def on(c: Choice, always: bool = False) -> Choice:
        return replace(c, bits=3 if always else None, amount=0.5 if always else None)

    every = replace(
        plan,
        model=on(plan.model, True),
        groups={k: on(c) for k, c in plan.groups.items()},
        layers={k: on(c) for k, c in plan.layers.items()},
    )
    s = resolve(every, [x])[x.name]
    return None if s.protected else s


def _solvers(own: Setting) -> tuple[str, ...]:
    return tuple(n for n in SOLVERS if not any(o in SOLVED for o in ((own.quantize,) if n in quantizers else (own.prune,))))


def _rounding(x: Layer, name: str, own: Setting, plan: Plan) -> list[Row]:
    base = Setting(quantize=name, quantize_knobs=_knobs(name, own.quantize, own.quantize_knobs, plan), seed=plan.seed)
    bits = (8,) if name == "int8dynamic" else FEW if name in SOLVED else BITS
    return _row(x, (replace(base, bits=b) for b in bits))


def _pruning(x: Layer, name: str, own: Setting, plan: Plan) -> list[Row]:
    base = Setting(prune=name, amount=0.5, prune_knobs=_knobs(name, own.prune, own.prune_knobs, plan), seed=plan.seed)
    base = replace(base, prune_knobs={k: v for k, v in base.prune_knobs.items() if k != "scope"})  # a layer's own share is what counts
    patterned = any(k.name == "pattern" for k in knobs(pruners[name]))
    if ":" in str(base.prune_knobs.get("pattern", "2:4" if name == "nm" else "")):
        return _row(x, [base])
    found = _row(x, (replace(base, amount=a) for a in AMOUNTS))
    if patterned and "2:4" in PATTERNS:
        return found + _row(x, [replace(base, prune_knobs={**base.prune_knobs, "pattern": "2:4"})])
    return found + (_row(x, [Setting(prune="nm", amount=0.5, seed=plan.seed)]) if name == "magnitude" else [])


def _knobs(name: str, own: str, said: Mapping[str, Value], plan: Plan) -> dict[str, Value]:
    """The plan's knobs of a method, whether or not a layer is given to it."""
    if name == own:
        return dict(said)
    return {k.removeprefix(f"{name}."): v for k, v in plan.model.knobs.items() if k.startswith(f"{name}.")}


def _row(x: Layer, settings: Iterable[Setting]) -> list[Row]:
    found = tuple(s for s in settings if not fits(x, s))
    return [Row(found)] if found else []


class Bench:
    """One layer on the bench: its rows read once, its moments at hand, each row of options out of the store or computed."""

    def __init__(self, x: Layer, w: Tensor, seen: Seen, job: Job) -> None:
        step = max(1, len(w) // ROWS)
        self.x, self.w, self.job = x, w[::step].float(), job
        self.seen = seen
        rows = self.w.flatten(1)
        held = seen.held if seen.held is not None and inputs(seen.held) == rows.shape[1] and usable(seen.held) else None
        self.held = None if held is None else alive(held)
        self.rows, self.norm = rows, max(float(rows.square().sum()), 1e-30)
        self.whole = self._apart(rows.new_zeros(rows.shape))

    def _apart(self, q: Tensor) -> float:
        return float((self.rows - q).square().sum()) if self.held is None else float(loss(self.rows, q, self.held))

    def option(self, setting: Setting, whole: Tensor | None = None) -> Option:
        """Computed on the rows at hand; or, where a `whole` layer was made of it already, read off that."""
        if whole is not None:
            step = max(1, len(whole) // ROWS)
            return self._option(setting, whole[::step].float().flatten(1))
        said = len(self.job.notes)
        found, _ = solved(self.x, setting, self.w, self.seen if layer_needs(setting) else Seen(), self.job)
        del self.job.notes[said:]  # a run says it where it matters
        return self._option(setting, found.dense().float().flatten(1))

    def _option(self, setting: Setting, q: Tensor) -> Option:
        plain = float((self.rows - q).square().sum()) / self.norm
        return Option(setting, family(setting), self._apart(q) / max(self.whole, 1e-30), plain)


def kept(x: Layer, row: Row, fingerprint: str, store: Store | None) -> list[Option] | None:
    """A row that was computed before."""
    found = store.said(_key(x, row, fingerprint)) if store else None
    if found is None or "options" not in found:
        return None
    said = json.loads(found["options"])
    return [Option(s, family(s), e, p) for s, (e, p) in zip(row.settings, said, strict=True)]


def keep(x: Layer, row: Row, fingerprint: str, store: Store | None, options: list[Option]) -> None:
    if store:
        store.keep(_key(x, row, fingerprint), {}, {"options": json.dumps([[o.error, o.plain] for o in options])})


def _key(x: Layer, row: Row, fingerprint: str) -> str:
    said = json.dumps([[s.bits, s.amount] for s in row.settings])
    return key(x.tensor, row.settings[0], f"options {CODE} {said} {fingerprint}")
