"""What every layer could be, what it would then weigh and lose: the options a plan is searched among."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compress import fits
from ..energy import Scene, loaded, roofline
from ..plans import resolve
from ..quantize import quantizers
from ..registry import knobs
from ..size import each
from ..types import Checkpoint, Choice, Layer, Plan, Setting, Task
from .compact import Same, same
from .knapsack import Floats, Ints, Knapsack, Sweep, sweep

if TYPE_CHECKING:
    from ..predict import Predictor

Allowed = Callable[[Layer, Setting], bool]
FUSED = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("gate_proj", "up_proj"), ("w1", "w3"), ("q", "k", "v"))
DEEP = 8  # blocks from which the first, the last and the early down projections have a floor: in fewer they are too much of the model
BITS = (2, 3, 4, 5, 6, 8)  # that are offered
FLOOR = 3  # bits of that floor
EARLY = 8  # one block in so many, from the front, is early
BLOCK = re.compile(r"^(?:.*?\.)?(\d+)\.")
HELD = "held by you"


@dataclass(frozen=True, eq=False)
class Table:
    """The options of all free layers (or of groups that must stay alike), in the knapsack's order; the other layers are fixed."""

    checkpoint: Checkpoint
    layers: tuple[Layer, ...]
    plan: Plan
    target: Any
    predictor: Predictor
    task: Task
    members: tuple[tuple[int, ...], ...]  # per group: places in `layers`
    ways: tuple[Setting, ...]  # per option: what all of the group's members would be
    fixed: Mapping[str, Setting]
    notes: Mapping[str, str]  # Layer.name -> why it is fixed, or doesn't go lower
    stored: Floats  # (options, most members in a group): bytes of each member, 0 where there is none
    values: Floats  # (options,): predicted loss
    start: Ints
    asked: Mapping[str, Any] = field(default_factory=dict)  # what `table` was given by name
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def safe(self) -> bool:
        """Whether the floors hold."""
        return bool(self.asked.get("safe", True))

    @property
    def scene(self) -> Scene | None:
        """Where joules and seconds are modelled; None: the default device."""
        found: Scene | None = self.asked.get("scene")
        return found

    @cached_property
    def knapsack(self) -> Knapsack:
        """By bytes."""
        return Knapsack(self.start, self.stored.sum(1), self.values)

    @cached_property
    def sweep(self) -> Sweep:
        return sweep(self.knapsack)

    @cached_property
    def rest(self) -> int:
        """Bytes of the fixed layers, with their part of the header."""
        settings = {x.name: self.fixed.get(x.name, Setting()) for x in self.layers}
        weighed = each(self.checkpoint, self.layers, settings, self.target)
        return sum(n for x, n in zip(self.layers, weighed) if x.name in self.fixed)

    @cached_property
    def free(self) -> frozenset[str]:
        return frozenset(self.layers[i].name for g in self.members for i in g)

    def settings(self, chosen: Ints) -> dict[str, Setting]:
        """Layer.name -> setting, of one option per group."""
        out = dict(self.fixed)
        for places, option in zip(self.members, chosen.tolist()):
            for i in places:
                out[self.layers[i].name] = self.ways[option]
        return {x.name: out[x.name] for x in self.layers}

    def spent(self, total: float, seconds: bool = False) -> tuple[Knapsack, float]:
        """The same options by modelled joules (or seconds) when all weights move `total` bytes, and what the fixed layers spend."""
        at = self.places
        cost = roofline(self.checkpoint, self.layers, self.task, np.maximum(at, 0), self.moved, total, self.scene)[seconds] * (at >= 0)
        places, moved = self.others
        rest = roofline(self.checkpoint, self.layers, self.task, places, moved, total, self.scene)[seconds].sum()
        return Knapsack(self.start, cost.sum(1), self.values), float(rest)

    @cached_property
    def places(self) -> Ints:
        """(options, most members in a group): each member's place in `layers`, -1 where there is none."""
        groups = np.array([[*g, *[-1] * (self.stored.shape[1] - len(g))] for g in self.members], np.int64).reshape(len(self.members), -1)
        found: Ints = groups[self.knapsack.group]
        return found

    @cached_property
    def moved(self) -> Floats:
        """`stored`, once loaded by what runs the target."""
        at = self.places
        found = loaded(self.checkpoint, self.layers, self.task, np.maximum(at, 0), self.stored, self.ways, self.target, self.scene)
        return found * (at >= 0)

    @cached_property
    def others(self) -> tuple[Ints, Floats]:
        """Places of the fixed layers and of the key-value cache, and the bytes they move."""
        settings = {x.name: self.fixed.get(x.name, Setting()) for x in self.layers}
        weighed = np.array([*each(self.checkpoint, self.layers, settings, self.target), 0.0])
        places = np.array([*[i for i, x in enumerate(self.layers) if x.name in self.fixed], len(self.layers)], np.int64)
        theirs = [*(settings[self.layers[i].name] for i in places[:-1]), Setting()]
        return places, loaded(self.checkpoint, self.layers, self.task, places, weighed[places], theirs, self.target, self.scene)

    def held(self, chosen: Ints) -> float:
        """Bytes that all weights together move under these options."""
        return float(self.moved[chosen].sum() + self.others[1].sum())


def table(
    checkpoint: Checkpoint, layers: Collection[Layer], plan: Plan, target: Any, predictor: Predictor, task: Task = "causal-lm", *,
    allowed: Allowed | None = None, pins: Collection[str] | None = None, alike: bool = False, safe: bool = True,
    scene: Scene | None = None,
) -> Table:  # fmt: skip
    """Options of every layer the user does not hold. Without `allowed`, those of the plan's own quantizer with the pruning the plan asks
    for, and none; with it, whatever was sensed and is allowed. `pins` are the layers held, by default those with a choice of their own.
    `safe` keeps the extreme option from layers whose price was not measured, and a floor under the first, the last and the early down
    projections of deep networks (2.4 of the design: such layers break in ways no sum over layers foretells)."""
    layers = tuple(layers)
    base, asked = resolve(plan, layers), resolve(rounding(plan), layers)
    held = frozenset(n for n, c in plan.layers.items() if _says(c)) if pins is None else frozenset(pins)
    shared: dict[Same, Setting] = {}
    options: dict[str, dict[Same, Setting]] = {}
    notes: dict[str, str] = {}
    low = _floors(layers) if safe else {}
    for x in layers:
        if base[x.name].protected or x.name in held or x.name not in predictor.sensitivity.layers:
            notes[x.name] = base[x.name].protected or (HELD if x.name in held else "not sensed yet")
            continue
        ways = (mixable(target, s) for s in _ways(x, asked[x.name], predictor, allowed) if not _refused(checkpoint, x, s, target))
        found = {k: shared.setdefault(k, s) for s in ways if s is not None for k in [same(s)]}
        bound = _least(x, found.values(), predictor, low) if safe else 0
        if bound:
            notes[x.name] = low.get(x.name, "its price was not measured")
        options[x.name] = {k: s for k, s in found.items() if s.bits >= bound}
    members = [g for g in _groups(layers, options, base, alike) if g]
    given = {"allowed": allowed, "pins": pins, "alike": alike, "safe": safe, "scene": scene}
    return _weighed(checkpoint, layers, plan, target, predictor, task, members, options, base, notes, given)


def relaxed(t: Table) -> Table:
    """The same without floors."""
    return table(t.checkpoint, t.layers, t.plan, t.target, t.predictor, t.task, **{**t.asked, "safe": False})


def _weighed(
    checkpoint: Checkpoint, layers: tuple[Layer, ...], plan: Plan, target: Any, predictor: Predictor, task: Task,
    members: list[tuple[int, ...]], options: Mapping[str, Mapping[Same, Setting]], base: Mapping[str, Setting], notes: Mapping[str, str],
    given: Mapping[str, Any],
) -> Table:  # fmt: skip
    """The table with every option's bytes and value."""
    ways = [[s for k, s in options[layers[g[0]].name].items() if all(k in options[layers[i].name] for i in g)] for g in members]
    free = {layers[i].name for g in members for i in g}
    fixed = {x.name: base[x.name] for x in layers if x.name not in free}
    start = np.concatenate(([0], np.cumsum([len(w) for w in ways]))).astype(np.int64)
    stored = np.zeros((int(start[-1]), max((len(g) for g in members), default=1)))
    for r in range(max(map(len, ways), default=0)):
        settings = dict(fixed)
        for g, w in zip(members, ways):
            settings |= {layers[i].name: w[min(r, len(w) - 1)] for i in g}
        weighed = each(checkpoint, layers, settings, target)
        for j, (g, w) in enumerate(zip(members, ways)):
            if r < len(w):
                stored[start[j] + r, : len(g)] = [weighed[i] for i in g]
    values = [sum(predictor.values(layers[i].name, w) for i in g) for g, w in zip(members, ways)]
    return Table(
        checkpoint, layers, plan, target, predictor, task, tuple(members), tuple(s for w in ways for s in w), fixed, notes, stored,
        np.maximum(np.concatenate([np.zeros(0), *values]), 0.0), start, given,
    )  # fmt: skip


def rounding(plan: Plan) -> Plan:
    """The plan as if everything in it were quantized: it then says by which method, and with which knobs."""

    def bare(c: Choice) -> Choice:
        return replace(c, bits=None)

    return replace(
        plan, model=replace(plan.model, bits=4), groups={k: bare(c) for k, c in plan.groups.items()},
        layers={k: bare(c) for k, c in plan.layers.items()},
    )  # fmt: skip


def _says(choice: Choice) -> bool:
    """Whether a layer's own choice holds it; lifting the protection alone leaves it free."""
    return bool(replace(choice, protect=choice.protect or None))


def mixable(target: Any, s: Setting) -> Setting | None:
    """The setting, on a symmetric grid where the format holds other ones only alone; None where its method has no such grid."""
    mixes = getattr(target, "mixes", None)
    if mixes is None or not s.quantize or mixes(s):
        return s
    if "symmetric" not in {k.name for k in knobs(quantizers[s.quantize])}:
        return None
    return replace(s, quantize_knobs={**s.quantize_knobs, "symmetric": True})


def _ways(x: Layer, asked: Setting, predictor: Predictor, allowed: Allowed | None) -> Iterator[Setting]:
    """Settings of one layer: left at 16 bits, then the plan's quantizer at every width (between those that were sensed the predictor's
    curves say what it costs), or whatever was sensed where that method has no options."""
    sensed = [replace(o.setting, seed=asked.seed, origin={}) for o in predictor.sensitivity.layers[x.name].options]
    bare = replace(asked, quantize="", bits=16, quantize_knobs={}, origin={})
    own = [replace(asked, bits=b, origin={}) for b in BITS] if any(s.quantize == asked.quantize for s in sensed) else []
    if allowed is not None:
        plain = [Setting(seed=asked.seed), *(replace(s, prune="", amount=0.0, prune_knobs={}) for s in own)]
        yield from (s for s in (*plain, *sensed) if allowed(x, s))
        return
    yield bare
    rounded = [replace(bare, quantize=s.quantize, bits=s.bits, quantize_knobs=s.quantize_knobs) for s in sensed if s.quantize]
    # in groups of other sizes, where those were asked for
    yield from [*own, *(s for s in rounded if s.quantize == asked.quantize)] if own else rounded


def _refused(checkpoint: Checkpoint, x: Layer, s: Setting, target: Any) -> bool:
    """What the layer can't take, or the format would not store in fewer bytes."""
    return bool(s.quantize and (fits(x, s) or target.refuses(checkpoint, x, s))) or bool(s.prune and fits(x, replace(s, quantize="")))


def _least(x: Layer, found: Collection[Setting], predictor: Predictor, low: Mapping[str, str]) -> int:
    """Bits below which this layer does not go."""
    widths = sorted({s.bits for s in found if s.quantize})
    bound = FLOOR if x.name in low else 0
    if predictor.sensitivity.layers[x.name].how != "measured" and len(widths) > 1 and widths[0] < 4:
        bound = max(bound, widths[1])
    return bound if widths and widths[0] < bound else 0


def _floors(layers: tuple[Layer, ...]) -> dict[str, str]:
    """Layer.name -> why it has a floor."""
    blocks = {x.name: int(m.group(1)) for x in layers if (m := BLOCK.match(x.name))}
    last = max(blocks.values(), default=0)
    if last + 1 < DEEP:
        return {}
    ends = {0: f"first block, not below {FLOOR} bits", last: f"last block, not below {FLOOR} bits"}
    early = {n: f"early down projection, not below {FLOOR} bits" for n, b in blocks.items() if "down" in n and b < (last + 1) / EARLY}
    return {n: ends[b] for n, b in blocks.items() if b in ends} | early


def _groups(
    layers: tuple[Layer, ...], options: dict[str, dict[Same, Setting]], base: Mapping[str, Setting], alike: bool
) -> Iterator[tuple[int, ...]]:
    """Places of layers that get one setting; mates of a held layer are left with its setting alone."""
    together: dict[tuple[str, int], list[int]] = {}
    for i, x in enumerate(layers):
        head, _, role = x.name.rpartition(".")
        kind = next((k for k, roles in enumerate(FUSED) if role in roles), -1) if alike else -1
        together.setdefault((head, kind) if kind >= 0 else (x.name, -1), []).append(i)
    for places in together.values():
        free = [i for i in places if options.get(layers[i].name)]
        if mates := [base[layers[i].name] for i in places if i not in free] if len(places) > 1 else []:
            for i in free:
                options[layers[i].name] = {k: s for k, s in options[layers[i].name].items() if k == same(mates[0])}
            free = [i for i in free if options[layers[i].name]]
        if len(free) > 1 and not set.intersection(*({*options[layers[i].name]} for i in free)):
            yield from ((i,) for i in free)
        else:
            yield tuple(free)
