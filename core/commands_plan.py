"""`slim plan`: the front of a model and the recipe that meets a goal; `slim guilty`: the layers of a recipe that cost most."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadPlan
from .formats import open_checkpoint, targets
from .job import Job
from .layers import layers
from .plans import resolve
from .recipe import Recipe, load, save
from .search.goal import Goal
from .types import METRICS, Choice, Plan, Setting

if TYPE_CHECKING:
    from .aim import Aimed
    from .sensed import Front

ROWS = 12
GROUPS = {"slim.group_size": 64}
GOALS = {"under": "size", "worse": "worse", "kl": "kl", "energy": "energy", "time": "time", "weights": "weights"}


def options(p: argparse.ArgumentParser) -> None:
    """What `slim plan` understands."""
    p.add_argument("path", type=Path, help="a model, or a recipe.toml whose methods, data and held layers are kept")
    aims = p.add_mutually_exclusive_group()
    aims.add_argument("--under", metavar="SIZE", help='the best plan within "60MB", 0.5x or a number of bytes')
    aims.add_argument("--worse", metavar="SHARE", help="the smallest plan at most so much worse (1%% or 0.01), with 90 %% certainty")
    aims.add_argument("--kl", type=float, metavar="NATS", help="the smallest plan that loses at most this")
    aims.add_argument("--energy", type=float, metavar="SHARE", help="the best plan within this share of the original's modelled joules")
    aims.add_argument("--time", type=float, metavar="SHARE", help="the same of its modelled seconds")
    aims.add_argument("--weights", metavar="A,B,C", help="the least A x loss + B x size/original + C x energy/original")
    p.add_argument("--alike", action="store_true", help="q, k and v, and gate and up, get one setting")
    p.add_argument("--refine", type=int, default=0, metavar="ROUNDS", help="then local search with real evaluations")
    p.add_argument("--groups", metavar="N,...", help="group sizes tried for every layer beside its own, such as 32,128; 0: a scale a row")
    p.add_argument("--quantize", metavar="METHOD", help="the method to plan for; when nothing is said, slim (ggml for gguf)")
    p.add_argument("--format", choices=list(targets))
    p.add_argument("--data", type=Path, help="held-out samples")
    p.add_argument("--limit", type=int)
    p.add_argument("--calibrate", type=Path, metavar="FILE")
    p.add_argument("--tokens", type=int, help="calibration tokens (or sentences, or images)")
    p.add_argument("-o", "--out", type=Path, metavar="RECIPE", help="write the plan as a recipe")
    p.add_argument("--why", action="store_true", help="every layer of the plan with the reason for its bits")
    p.add_argument("--json", action="store_true")


def plan(args: argparse.Namespace, job: Job) -> None:
    """The front as a table, and the plan that meets the goal."""
    from .aim import aim
    from .search import points

    recipe = _wanted(args)
    if args.out and not recipe.goal:
        raise BadPlan("A recipe is written for a goal; say --under, --worse, --kl, --energy, --time or --weights")
    found = aim(recipe, job)
    front = points(found.table, ROWS)
    if args.json:
        print(json.dumps({"front": [_row(found, f) for f in front], "plan": _row(found, found.front) if found.front else None}))
    else:
        _tell(found, front)
    for name, why in found.front.reasons.items() if found.front and args.why else ():
        print(f"  {name:60} {why}")
    if args.out:
        save(found.recipe, args.out)
    for n in () if args.json else job.notes:
        print(n)


def _wanted(args: argparse.Namespace) -> Recipe:
    """The recipe to plan for, from a model or from a recipe."""
    given = next(((GOALS[k], v) for k in GOALS if (v := getattr(args, k)) is not None), None)
    more = {"alike": args.alike, "refine": args.refine, "groups": _groups(args.groups)}
    goal = Goal(**{given[0]: _parsed(*given), **more}) if given else None
    if args.groups and not goal:
        raise BadPlan("Group sizes are searched among for a goal; say --under, --worse, --kl, --energy, --time or --weights")
    if args.path.suffix == ".toml":
        recipe = load(args.path)
        recipe = replace(recipe, goal=goal or recipe.goal)
    else:
        model = open_checkpoint(args.path)
        target = args.format or ("packed" if model.config else "pt2" if model.format == "pt2" else "dense")
        method = args.quantize or ("ggml" if target == "gguf" else "slim")
        plan = Plan(Choice("magnitude", 0.0, method, 16, GROUPS if method == "slim" else {}))
        recipe = Recipe(args.path.absolute(), plan, target=target, goal=goal)
    if args.quantize:
        recipe = replace(recipe, plan=replace(recipe.plan, model=replace(recipe.plan.model, quantize=args.quantize)))
    return replace(
        recipe, data=args.data or recipe.data, limit=args.limit or recipe.limit, calibrate=args.calibrate or recipe.calibrate,
        tokens=args.tokens or recipe.tokens, target=args.format or recipe.target,
        target_knobs=recipe.target_knobs if args.format in (None, recipe.target) else {},
    )  # fmt: skip


def _parsed(name: str, text: object) -> object:
    """A goal's value as the command line says it."""
    if name == "worse":
        share = str(text).strip()
        return _number("--worse", share.rstrip("% ")) / (100 if share.endswith("%") else 1)
    return tuple(_number("--weights", x) for x in str(text).split(",")) if name == "weights" else text


def _groups(text: str | None) -> tuple[int, ...]:
    found = tuple(int(_number("--groups", x)) for x in text.split(",")) if text else ()
    if any(n < 0 or n == 1 for n in found):
        raise BadPlan(f"--groups {text}: give sizes from 2 on, such as 32,128, or 0 for a scale a row")
    return found


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadPlan(f"{option}: {text!r} is no number") from None


def _tell(found: Aimed, front: tuple[Front, ...]) -> None:
    """Points of the front, predicted; then the plan."""
    metric = _metric(found)
    title = METRICS[metric][0] if metric else found.table.predictor.sensitivity.currency
    print(f"{'bytes':>15} {'bits':>5}  {'loss, predicted':36} {title + ', predicted' if metric else '':34} {'J':>9} {'per MB':>9}")
    for f in (*front, *((found.front,) if found.front else ())):
        row = _row(found, f)
        loss = f"{f.estimate.value:.3g} ({f.estimate.low:.3g} to {f.estimate.high:.3g})"
        value, low, high = row["figure"] or (0.0, 0.0, 0.0)
        shown = f"{value:.4g} ({low:.4g} to {high:.4g})" if row["figure"] else ""
        mark = "  <- the plan" if f is found.front else ""
        print(f"{f.size.total:15,} {row['bits']:5.2f}  {loss:36} {shown:34} {f.joules:9.3g} {f.shadow:9.2g}{mark}")


def _metric(found: Aimed) -> str:
    """The figure people read, where the original was measured."""
    shown = ("perplexity", "top1", "pitch", "cosine")
    return next((m for m in shown if found.original and m in found.original.metrics), "")


def _row(found: Aimed, f: Front) -> dict[str, Any]:
    """One point, for machines."""
    from .human import human

    metric = _metric(found)
    figure = human(f.estimate, found.original, metric) if found.original and metric else None
    settings = resolve(f.plan, found.table.layers)
    return {
        "bytes": f.size.total, "bits": _bits(found, settings), "loss": f.estimate.value, "low": f.estimate.low, "high": f.estimate.high,
        "metric": metric, "figure": figure, "joules": f.joules, "per_megabyte": f.shadow,
    }  # fmt: skip


def _bits(found: Aimed, settings: dict[str, Setting]) -> float:
    """Average bits of the layers that are planned, by weights; codes only."""
    free = [x for x in found.table.layers if x.name in found.table.free]
    return sum(settings[x.name].bits * x.tensor.parameters for x in free) / max(sum(x.tensor.parameters for x in free), 1)


def guilty_options(p: argparse.ArgumentParser) -> None:
    """What `slim guilty` understands."""
    p.add_argument("recipe", type=Path)
    p.add_argument("--limit", type=int, help="samples or tokens of each evaluation")
    p.add_argument("-o", "--out", type=Path, metavar="RECIPE", help="write the recipe with more bits for the guilty")


def guilty(args: argparse.Namespace, job: Job) -> None:
    """The layers that cost most, with their share."""
    from .aim import accuse

    recipe = load(args.recipe)
    found = accuse(replace(recipe, limit=args.limit or recipe.limit, goal=None), job)
    settings = resolve(found.plan, layers(open_checkpoint(recipe.source)))
    print(f"the plan costs {found.loss.value:.4g} ± {found.loss.error:.2g}, measured; {found.evaluations} evaluations")
    for s in found.suspects:
        more = settings[s.layer].bits if s.layer in settings else 0
        print(f"  {s.share:6.1%}  {s.layer:60} {f'give it {more} bits' if more else ''}")
    print(found.told)
    if args.out:
        save(replace(recipe, plan=found.plan), args.out)
    for n in job.notes:
        print(n)
