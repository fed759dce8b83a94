"""How well plans are priced before they are run: unseen random plans, measured by the evaluator, against what was predicted of each.

Beside ours the scores of the field on the same plans in the same run, each with a line through the logarithms of the same evaluations.
SmolLM2 takes about half an hour of one core; --quick takes the bundled language model in its place and fewer plans.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core import environment

environment.prepare()

from core.job import Job
from core.plans import resolve
from core.predict import Predictor
from core.recipe import Recipe
from core.resources import cache_root, root
from core.sensed import Evaluation, Option, Sensitivity
from core.sensing import Opened, opened
from core.types import Choice, Plan, Setting
from tests.benchmarks.table import write

Row = dict[str, Any]
TAUGHT = 8  # evaluations
SPLITS = 20  # ways of choosing them among the plans
QUICK = ("rtn", "magnitude", "wanda")
Kind = tuple[str, str, tuple[float, ...]]


@dataclass(frozen=True)
class Case:
    """A model, how much of its data is used, and how far its plans go."""

    name: str
    path: Callable[[], Path]
    tokens: int
    limit: int | None
    bits: tuple[int, ...]
    amounts: tuple[float, ...]
    methods: tuple[str, ...] | None = None
    most: int | None = None  # layers perturbed
    first: int = 1000  # seed of the first plan; one after the other


def _smollm2() -> Path:
    from tests.real import smollm2

    return smollm2()


WORDS = ((2, 3, 4), (0.2, 0.3, 0.4, 0.5, 0.6))
CASES = {
    "smollm2": Case("smollm2", _smollm2, 8192, 2048, *WORDS, ("rtn", "slim", "magnitude", "wanda", "sparsegpt"), 105),
    "sotu-lm": Case("sotu-lm", lambda: root() / "samples" / "sotu-lm", 4096, 2048, *WORDS),
    "digits-cnn": Case("digits-cnn", lambda: root() / "samples" / "digits-cnn", 256, None, (2, 3), (0.4, 0.5, 0.6, 0.7)),
    "fashion-vit": Case("fashion-vit", lambda: root() / "samples" / "fashion-vit", 256, None, *WORDS),
}


def kinds(case: Case) -> dict[str, list[Kind]]:
    """What a random plan may be made of, by flavour: (pruned, rounded or both; by what; levels)."""
    bits, amounts = tuple(map(float, case.bits)), case.amounts
    more = (*bits[1:], bits[-1] + 1)
    slim, rtn, wanda = ("round", "slim", bits), ("round", "rtn", more), ("prune", "wanda", amounts)
    magnitude, sparsegpt = ("prune", "magnitude", amounts[:-1]), ("prune", "sparsegpt", amounts[1::2])
    found = {
        "slim": [slim], "rtn": [rtn], "slim+rtn": [slim, rtn], "wanda": [wanda], "magnitude": [magnitude], "sparsegpt": [sparsegpt],
        "all": [slim, rtn, wanda, magnitude, sparsegpt, ("none", "", (0.0,))], "joint": [("both", "", amounts[:3]), slim],
    }  # fmt: skip
    if case.methods is None:
        return found
    usable = {f: [k for k in of if k[1] in ("", *case.methods)] for f, of in found.items()}
    return {f: of for f, of in usable.items() if of}


def drawn(case: Case, names: list[str], base: Plan, seed: int) -> tuple[str, Plan]:
    """A plan with a method and a level of its own for every layer, leaning to one or the other end of the sliders."""
    rng = np.random.default_rng(seed)
    flavours = kinds(case)
    flavour = list(flavours)[seed % len(flavours)]
    lean = rng.dirichlet(np.ones(8))
    choices = {}
    for n in names:
        kind, method, levels = flavours[flavour][int(rng.integers(len(flavours[flavour])))]
        share = lean[: len(levels)] / lean[: len(levels)].sum()
        level = levels[int(rng.choice(len(levels), p=share))]
        if kind == "round":
            choices[n] = Choice(quantize=method, bits=int(level), amount=0.0)
        elif kind == "prune":
            choices[n] = Choice(prune=method, amount=level, bits=16)
        elif kind == "both":
            choices[n] = Choice(prune="wanda", amount=level, quantize="rtn", bits=case.bits[int(rng.integers(1, len(case.bits)))])
        else:
            choices[n] = Choice(amount=0.0, bits=16)
    return flavour, Plan(base.model, layers=choices)


@dataclass(frozen=True)
class Ran:
    """A plan that was run."""

    seed: int
    flavour: str
    settings: Mapping[str, Setting]
    value: float
    error: float


def ran(case: Case, o: Opened, s: Sensitivity, count: int) -> list[Ran]:
    """Every plan measured on the held-out data by the evaluator; kept in the cache under the sensitivity's fingerprint."""
    home = cache_root() / "prediction"
    home.mkdir(parents=True, exist_ok=True)
    out = []
    for seed in range(case.first, case.first + count):
        flavour, plan = drawn(case, list(s.layers), o.plan, seed)
        settings = {n: v for n, v in resolve(plan, o.layers).items() if n in s.layers}
        told = json.dumps([str(v) for v in settings.values()]) + o.calibration.fingerprint + str(case.limit)
        at = home / f"{case.name}-{hashlib.sha256(told.encode()).hexdigest()[:20]}.json"
        if not at.exists():
            metrics = o.judged(plan, Job()).metrics
            m = metrics["kl"] if "kl" in metrics else metrics["cosine"]
            at.write_text(json.dumps([m.value if "kl" in metrics else 1 - m.value, m.error]))
        value, error = json.loads(at.read_text())
        print(f"  seed {seed} {flavour:10} measured {value:.4f} ± {error:.4f}", flush=True)
        out.append(Ran(seed, flavour, settings, value, error))
    return out


Told = Callable[[list[Ran], list[Ran]], list[tuple[float, float, float]]]  # evaluations, plans -> (value, low, high) of each


def ours(s: Sensitivity) -> Told:
    def told(known: list[Ran], asked: list[Ran]) -> list[tuple[float, float, float]]:
        p = Predictor.of(s, [Evaluation(r.settings, r.value, r.error) for r in known])
        found = [p.estimate(r.settings) for r in asked]
        return [(e.value, e.low, e.high) for e in found]

    return told


def scored(score: Callable[[Mapping[str, Setting]], float]) -> Told:
    """A score as a prediction: a line through log KL against its logarithm at the evaluations (at one, a factor)."""

    def told(known: list[Ran], asked: list[Ran]) -> list[tuple[float, float, float]]:
        x = np.log([max(score(r.settings), 1e-12) for r in known])
        y = np.log([r.value for r in known])
        slope = float(np.cov(x, y)[0, 1] / max(float(x.var(ddof=1)), 1e-12))
        level = float(y.mean() - slope * x.mean())
        found = [float(np.exp(level + slope * np.log(max(score(r.settings), 1e-12)))) for r in asked]
        return [(v, v, v) for v in found]

    return told


def summed(s: Sensitivity, measure: Callable[[Option], float], weight: Mapping[str, float]) -> Callable[[Mapping[str, Setting]], float]:
    """Sum over layers of weight times what an option leaves; settings between options as our own curves have them."""
    layers = {
        n: replace(x, alpha=weight.get(n, 1.0), options=tuple(replace(o, error=measure(o)) for o in x.options)) for n, x in s.layers.items()
    }
    p = Predictor.of(replace(s, layers=layers, ceiling=float("inf"), answers=None))
    return lambda settings: sum(p.contributions(settings).values())


def table(case: Case, s: Sensitivity, gradient: Mapping[str, float], plans: list[Ran]) -> Iterator[Row]:
    """A row for every scheme and number of evaluations."""
    t2 = scored(summed(s, lambda o: o.plain, {}))
    output = scored(summed(s, lambda o: o.error, {}))
    derived = scored(summed(s, lambda o: o.error, gradient))
    schemes = [
        ("prices (ours)", True, 0, ours(s)), ("prices (ours)", True, TAUGHT, ours(s)), ("HIGGS t^2", False, TAUGHT, t2),
        ("output error, unweighted", False, TAUGHT, output), ("gradient (Fisher diagonal)", False, TAUGHT, derived),
    ]  # fmt: skip
    for name, own, n, told in schemes:
        off: list[float] = []
        held: list[bool] = []
        for split in range(SPLITS if n else 1):
            order = np.random.default_rng(split).permutation(len(plans))
            known, asked = [plans[i] for i in order[:n]], [plans[i] for i in order[n:]]
            for r, (value, low, high) in zip(asked, told(known, asked), strict=True):
                off.append(abs(value / r.value - 1))
                held.append(low <= r.value <= high)
        yield {
            "model": case.name, "scheme": name, "ours": own, "evaluations": n, "median_error": float(np.median(off)),
            "p90_error": float(np.quantile(off, 0.9)), "coverage": float(np.mean(held)) if own else None, "plans": len(plans),
            "seeds": [case.first, case.first + len(plans) - 1],
        }  # fmt: skip


def derived_prices(o: Opened, s: Sensitivity) -> dict[str, float]:
    """The field's gradient score needs no perturbation: one backward pass."""
    from core.calibrate import Statistics
    from core.sensitivity.alpha import samples
    from core.sensitivity.gradient import prices

    if not isinstance(o.calibration.seen, Statistics):
        return {}
    modules = {n: m for n, m in o.calibration.seen.modules.items() if n in s.layers}
    return prices(o.network, o.reference.weights, samples(o.network, o.data), modules, Job())


def run(case: Case, count: int) -> Iterator[Row]:
    """Sense, draw, measure, compare."""
    import torch

    torch.set_num_threads(1)
    plan = Plan(Choice("magnitude", 0.0, "slim", 16, {"slim.group_size": 64, "slim.rounds": 1} if case.name == "smollm2" else {}))
    start = time.process_time()
    o = opened(Recipe(case.path(), plan, limit=case.limit, tokens=case.tokens), Job())
    s = o.sense(Job(), case.methods, case.most, answers=True)
    took = time.process_time() - start
    print(
        f"{case.name}: {len(s.layers)} layers, {s.done} perturbed, {took:.0f} CPU seconds (what the cache held before costs none)",
        flush=True,
    )
    plans = ran(case, o, s, count)
    for row in table(case, s, derived_prices(o, s), plans):
        yield {**row, "cpu_s": took}


def shown(r: Row) -> str:
    held = "" if r["coverage"] is None else f"   90 % interval held {r['coverage']:.0%}"
    after = f"after {r['evaluations']} evaluations"
    return f"{r['model']:<12} {r['scheme']:<28} {after:<22} median {r['median_error']:6.1%}   p90 {r['p90_error']:6.1%}{held}"


def main() -> None:
    """Print a line for each scheme, and write the rows with --json (after each model, so that nothing is lost)."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--quick", action="store_true", help="bundled samples only: under a minute once they were sensed")
    said.add_argument("--json", type=Path)
    said.add_argument("--only", default="", metavar="MODEL,...")
    said.add_argument("--plans", type=int, help="random plans of each model")
    said.add_argument("--first", type=int, default=1000, metavar="SEED", help="of the first plan, the others follow")
    asked = said.parse_args()
    names = asked.only.split(",") if asked.only else ["sotu-lm", "digits-cnn"] if asked.quick else list(CASES)
    found: list[Row] = []
    for name in names:
        count = asked.plans if asked.plans is not None else 12 if asked.quick else 32
        case = replace(CASES[name], first=asked.first)
        case = replace(case, tokens=min(case.tokens, 2048), methods=QUICK) if asked.quick else case
        for row in run(case, count):
            found.append(row)
            print(shown(row), flush=True)
        if asked.json:
            write(asked.json, found, asked.quick)


if __name__ == "__main__":
    main()
