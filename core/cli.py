"""The engine without a window: open, run, compare, export, methods."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import (
    cached,
    commands_federated,
    commands_formats,
    commands_imatrix,
    commands_measure,
    commands_plan,
    commands_play,
    commands_sensitivity,
    environment,
)
from .cluster import cluster
from .cut import Cut
from .energy import ratio
from .errors import BadFile, BadPlan, Cancelled, SlimError
from .formats import open_checkpoint, read, targets
from .job import Job, Progress
from .layers import groups, layers
from .ledger import paid
from .legs import named
from .plans import TUNE, tuning
from .preflight import Preflight
from .prune import pruners
from .quantize import quantizers
from .recipe import ORDERS, Recipe, block, load
from .recover.methods import recoveries
from .registry import knobs
from .report import from_json
from .run import run
from .types import LEVELS, METRICS, Choice, Layer, Measured, Plan, Report

if TYPE_CHECKING:
    from .compare import Pair


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 a SlimError in one line, 130 cancelled."""
    environment.prepare()
    args = parser().parse_args(argv)
    job = Job(tell=show if sys.stderr.isatty() else phase, point=foreseen)
    try:
        args.do(args, job)
    except (KeyboardInterrupt, Cancelled):
        print("cancelled; every finished layer is kept", file=sys.stderr)
        return 130
    except SlimError as e:
        print(f"slim: {e}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="slim", description="Make neural networks smaller; the same engine as slim-studio.")
    sub = p.add_subparsers(required=True, metavar="COMMAND")
    o = _command(sub, "open", open_, "the layer tree of a checkpoint")
    o.add_argument("path", type=Path)
    o.add_argument("--layers", action="store_true", help="one line per layer instead of per group")
    o.add_argument("--stats", action="store_true", help="read the weights: range, mean, deviation, zeros, outliers")
    o.add_argument("--json", action="store_true")
    r = _command(sub, "run", run_, "carry out a recipe")
    _ran(r)
    c = _command(sub, "compare", compare, "two checkpoints, tensor by tensor and by their answers; or two report.json")
    c.add_argument("a", type=Path)
    c.add_argument("b", type=Path)
    c.add_argument("--data", type=Path, help="held-out samples; without it what lies beside A, or the bundled text")
    c.add_argument("--limit", type=int)
    c.add_argument("--json", action="store_true")
    e = _command(sub, "export", export, "slim and export in one line")
    _exported(e)
    for x in (r, e):
        x.add_argument("--calibrate", type=Path, metavar="FILE", help="calibration data; without it, what the evaluation leaves over")
        x.add_argument("--tokens", type=int, help="calibration tokens (or sentences, or images)")
        x.add_argument("--order", choices=ORDERS, help="what each layer is calibrated behind (see the README)")
        x.add_argument("--block", type=int, help="inputs that share one matrix of second moments (8192 at most): fewer, less memory")
    e.add_argument("--seed", type=int, default=0)
    commands_measure.options(_command(sub, "measure", commands_measure.measure, "how long one pass takes on this machine, and its joules"))
    commands_measure.place_options(_command(sub, "place", commands_measure.place, "where a model will live: device and grid"))
    said = "what an error of each layer costs, and what each method leaves of it"
    commands_sensitivity.options(_command(sub, "sensitivity", commands_sensitivity.sensitivity, said))
    commands_plan.options(_command(sub, "plan", commands_plan.plan, "what every size would cost, and the recipe that meets a goal"))
    commands_plan.guilty_options(_command(sub, "guilty", commands_plan.guilty, "the layers of a recipe that cost most"))
    commands_play.options(_command(sub, "play", commands_play.play, "the original and a variant side by side on your own input"))
    commands_play.worst_options(_command(sub, "worst", commands_play.worst, "the held-out samples on which the two differ most"))
    commands_formats.options(_command(sub, "formats", commands_formats.formats, "what every file format makes of a model and its plan"))
    commands_imatrix.options(_command(sub, "imatrix", commands_imatrix.imatrix, "what each layer's inputs matter, in llama.cpp's format"))
    commands_federated.options(_command(sub, "federated", commands_federated.server, commands_federated.ABOUT), tell)
    _command(sub, "methods", methods, "every method with its knobs")
    _cached(_command(sub, "cache", cache, "what is kept on disk to save work"))
    return p


def _ran(r: argparse.ArgumentParser) -> None:
    """The options of `slim run`."""
    r.add_argument("recipe", type=Path)
    r.add_argument("--out", type=Path)
    r.add_argument("--trust", action="store_true", help="run the recipe's own Python factory")
    r.add_argument("--ray", metavar="auto|ADDRESS", help="layers and evaluations as Ray tasks; auto: the cluster here, or a new one")


def _cached(k: argparse.ArgumentParser) -> None:
    k.add_argument("clear", nargs="?", choices=("clear",))
    k.add_argument("--only", choices=("layers", "statistics", "checkpoints"))
    k.add_argument("--cap", type=float, metavar="GB", help="from now on at most so much of the part named with --only")


def _exported(e: argparse.ArgumentParser) -> None:
    """The options of `slim export`: a plan of one line, its data and its format."""
    e.add_argument("path", type=Path)
    e.add_argument("--out", type=Path, required=True)
    e.add_argument("--prune", default="magnitude", choices=list(pruners))
    e.add_argument("--amount", type=float, default=0.0)
    e.add_argument("--quantize", default="rtn", choices=list(quantizers))
    e.add_argument("--bits", type=int, default=16)
    e.add_argument("--knob", action="append", default=[], metavar="METHOD.NAME=VALUE")
    e.add_argument("--cut", action="append", default=[], metavar="KIND=SHARE", help="ffn, heads or channels=0.5, blocks=2 ...")
    e.add_argument("--rotate", action="store_true", help="turn the residual stream before anything else (RMSNorm decoders)")
    e.add_argument("--tune", default="auto", choices=list(TUNE.values()), help="zero-byte tuning; knobs: --knob tune.steps=112")
    e.add_argument("--recover", default="", choices=["", *recoveries], help="train what is left; knobs: --knob distil.steps=400")
    e.add_argument("--train", type=Path, metavar="FILE", help="training data; without it, the calibration data")
    e.add_argument("--teacher", type=Path, metavar="MODEL", help="who distilling learns from; without it, the original")
    e.add_argument("--format", default="dense", choices=list(targets))
    e.add_argument("--data", type=Path)
    e.add_argument("--limit", type=int)


def _command(sub: Any, name: str, do: Any, about: str) -> argparse.ArgumentParser:
    p: argparse.ArgumentParser = sub.add_parser(name, help=about)
    p.set_defaults(do=do)
    return p


def show(p: Progress) -> None:
    """One line on the terminal, rewritten in place."""
    bar = "▓" * round(20 * p.share)
    left = f", {p.eta:.0f} s left" if p.eta is not None else ""
    end = "\n" if p.total and p.done == p.total else ""
    print(f"\r\x1b[K{p.phase} {bar:░<20} {p.done}/{p.total}{left} {p.detail}", end=end, file=sys.stderr, flush=True)


def phase(p: Progress) -> None:
    """For logs and pipes: a line when a phase begins."""
    if p.done == 0 and not p.detail:
        print(f"{p.phase} ({p.total})" if p.total else p.phase, file=sys.stderr, flush=True)


def foreseen(value: Any) -> None:
    """What the run will take, before it begins."""
    if isinstance(value, Preflight):
        print(f"this run {value.told}", file=sys.stderr, flush=True)


def cache(args: argparse.Namespace, job: Job) -> None:
    """Each part of the cache on a line; with `clear`, emptied; with a cap, kept under it from now on."""
    if args.cap is not None:
        if not args.only:
            raise BadPlan("--cap is for one part of the cache: name it, as in slim cache --only layers --cap 20")
        cached.set_cap(args.only, round(args.cap * 1e9))
    for s in cached.shelves():
        print(f"{s.name:12} {s.count:6} {s.what:34} {s.nbytes:16,} of {s.cap:,} bytes   {s.path}")
    if args.clear:
        print(f"cleared {cached.clear(args.only or ''):,} bytes")


def open_(args: argparse.Namespace, job: Job) -> None:
    """Headers only, unless figures are asked for; like layers of all blocks on one line."""
    checkpoint = open_checkpoint(args.path, job)
    found = layers(checkpoint)
    together = {x.name: [x] for x in found} if args.layers else groups(found)
    rows = [
        {
            "layers": name, "count": len(g), "kind": g[0].kind, "shape": list(g[0].tensor.shape), "dtype": g[0].tensor.dtype,
            "parameters": sum(x.tensor.parameters for x in g), "bytes": sum(x.tensor.nbytes for x in g), "protected": g[0].protected,
        }
        for name, g in together.items()
    ]  # fmt: skip
    stats = _stats(together.values(), job) if args.stats else []
    if args.json:
        print(json.dumps([r | s for r, s in zip(rows, stats or [{}] * len(rows), strict=True)]))
        return
    print(f"{checkpoint.path.name}: {checkpoint.format}, {checkpoint.parameters:,} parameters, {checkpoint.nbytes:,} bytes")
    for i, r in enumerate(rows):
        print(f"{r['count']:4} x {r['layers']:60} {r['kind']:10} {r['shape']!s:20} {r['dtype']:5} {r['parameters']:13,} {r['bytes']:14,}")
        print("".join(f"{k:>12} {_short(v):<10}" for k, v in stats[i].items()) if stats else "", end="\n" if stats else "")


def _stats(together: Iterable[list[Layer]], job: Job) -> list[dict[str, Any]]:
    """Figures per group, one tensor in memory at a time; a side without a value (all NaN, or empty) is null."""
    from .survey import joined, survey

    together = list(together)
    walked = job.track([x for g in together for x in g], "Reading weights")
    each = {x.name: survey(read(x.tensor), job) for x in walked}
    found = [joined(each[x.name] for x in g) for g in together]
    return [
        {
            "min": s.low if s.n else None, "max": s.high if s.n else None, "mean": s.mean, "std": s.std, "sparsity": s.sparsity,
            "outliers": s.outliers, "nonfinite": s.broken,
        }
        for s in found
    ]  # fmt: skip


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def run_(args: argparse.Namespace, job: Job) -> None:
    recipe = load(args.recipe)
    if recipe.factory and not args.trust:
        raise BadPlan(f"The recipe wants to run Python code ({recipe.factory}); look at it, and add --trust if you do")
    recipe = replace(_calibrated(recipe, args), out=args.out or recipe.out)
    with cluster(args.ray) if args.ray else nullcontext() as on:
        tell(run(recipe, job, on=on).report)


def export(args: argparse.Namespace, job: Job) -> None:
    given = dict(_knob(k) for k in args.knob)
    head = f"{args.format}."
    shape = {k.removeprefix(head): v for k, v in given.items() if k.startswith(head)}
    said = Choice(args.prune, args.amount, args.quantize, args.bits, {k: v for k, v in given.items() if not k.startswith(head)})
    steps, ways = (_taken(said.knobs, head) for head in ("tune", args.recover or "-"))
    said = replace(said, knobs={k: v for k, v in said.knobs.items() if k.partition(".")[0] not in ("tune", args.recover)})
    cuts = dict(_knob(c) for c in args.cut)
    plan = Plan(said, seed=args.seed, rotate=args.rotate, tune=tuning(args.tune), tuning=steps, cuts=cuts)
    plan = replace(plan, recover=args.recover, recovery=ways)
    recipe = Recipe(args.path, plan, args.data, args.limit, args.format, shape, args.out, train=args.train, teacher=args.teacher)
    tell(run(_calibrated(recipe, args), job).report)


def _taken(given: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The knobs of one method, without its name."""
    return {k.removeprefix(f"{method}."): v for k, v in given.items() if k.startswith(f"{method}.")}


def _calibrated(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says of calibration."""
    return replace(
        recipe, calibrate=args.calibrate or recipe.calibrate, tokens=args.tokens or recipe.tokens, order=args.order or recipe.order,
        block=recipe.block if args.block is None else block(args.block, "--block"),
    )  # fmt: skip


def _knob(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def tell(report: Report) -> None:
    """The report in a few lines; what is modelled says so."""
    a, b = report.original, report.variant
    print(f"size    {a.size.total:,} -> {b.size.total:,} bytes ({a.size.total / b.size.total:.2f}x), exact")
    for k, m in b.score.metrics.items() if b.score and a.score else ():
        print(_changed(k, a.score.metrics[k], m) if a.score else "")
    if (t := report.latency) is not None:
        spread = f"{t.ratio.value:.3g}x, {t.ratio.low:.3g} to {t.ratio.high:.3g}"
        print(f"time    {1e3 * t.before.value:.4g} -> {1e3 * t.after.value:.4g} ms for {t.what} ({spread}), measured here")
    for line in priced(report):
        print(line)
    for v in report.stages:
        figures = "  ".join(_brief(k, m) for k, m in v.score.metrics.items()) if v.score else ""
        print(f"stage   {named(v.plan):40} {v.size.total:14,} bytes  {figures}")
    if report.verdict:
        print(f"exported and verified by {report.verdict.tool}: {report.path}")
        for c in report.verdict.checks:
            print(f"  {c.name}: {c.detail}")
    for n in report.notes:
        print(n)


def _brief(key: str, m: Measured) -> str:
    return f"{METRICS[key][0]} {m.value:.4g} ± {m.error:.2g}"


def priced(report: Report) -> Iterator[str]:
    """Joules, grams, and what the slimming itself took."""
    a, b = report.original.energy, report.variant.energy
    if a and b:
        times, how = ratio(a, b), LEVELS.get(b.level, b.level)
        yield f"energy  {a.joules:.3g} -> {b.joules:.3g} J a {b.unit} ({b.low:.3g} to {b.high:.3g}), modelled ({how})"
        yield f"        {times.value:.3g} times less ({times.low:.3g} to {times.high:.3g}, 90 %) on {b.device or 'laptop'}"
    if (c := report.carbon) is not None:
        spread = f"{c.after.low:.3g} to {c.after.high:.3g}"
        yield f"carbon  {c.before.value:.3g} -> {c.after.value:.3g} g CO2e a million {c.unit}s ({spread}), modelled"
        yield f"        {c.how}"
    if report.spent is not None:
        yield f"spent   {paid(report.spent)}"


def compare(args: argparse.Namespace, job: Job) -> None:
    """Two reports by their figures; two checkpoints by bytes, by what became of every tensor, and by B's answers against A's."""
    if args.a.suffix == ".json" and args.b.suffix == ".json":
        for path in (args.a, args.b):
            print(path)
            tell(from_json(_text(path)))
        return
    from .compare import pairs, scores

    a, b = (open_checkpoint(x, job) for x in (args.a, args.b))
    found = pairs(a, b, job)
    if not args.json:
        for c in (a, b):
            print(f"{c.path}: {c.nbytes:,} bytes in {len(c.tensors)} tensors")
        for p in found:
            print(f"{p.name:70} {_apart(p)}")
    rows = [asdict(p) for p in found]  # what is printed already is used up
    scored = scores(a, b, args.data, args.limit, job)
    if args.json:
        said = ((m, scored[0].metrics[m], x) for m, x in scored[1].metrics.items()) if scored else ()
        score = {m: {"a": before.value, "b": after.value, "error": after.error} for m, before, after in said}
        print(json.dumps({"a": a.nbytes, "b": b.nbytes, "tensors": rows, "score": score, "notes": job.notes}))
        return
    for name, m in scored[1].metrics.items() if scored else ():
        print(_changed(name, scored[0].metrics[name], m) if scored else "")
    for n in job.notes:
        print(n)


def _changed(name: str, before: Measured, after: Measured) -> str:
    return f"{METRICS[name][0]:24} {before.value:.4g} -> {after.value:.4g} ± {after.error:.2g}, measured"


def _apart(p: Pair) -> str:
    if p.before is None or p.after is None:
        return f"only in {'A' if p.after is None else 'B'}"
    if p.error is None:
        return f"shapes differ: {list(p.shapes[0])} and {list(p.shapes[1])}"
    return f"error {p.error:9.3g}   zeros {p.zeros:6.1%}   {p.before:,} -> {p.after:,} bytes"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadFile(f"{path}: can't be read ({e}); check the path") from None


def methods(args: argparse.Namespace, job: Job) -> None:
    for title, registry in (("prune", pruners), ("quantize", quantizers), ("recover", recoveries), ("format", targets)):
        for name, method in registry.items():
            print(f"{title} {name}: {(method.__doc__ or '').strip()}")
            for k in knobs(method):
                print(f"    {name}.{k.name} = {k.default}  ({', '.join(map(str, k.choices)) or f'{k.low} to {k.high}'})")
    print(f"cut: {(Cut.__doc__ or '').strip()}")
    for k in knobs(Cut):
        print(f"    {k.name} = {k.default}  ({', '.join(map(str, k.choices)) or f'{k.low} to {k.high}'})")


if __name__ == "__main__":
    sys.exit(main())
