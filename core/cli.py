"""The engine without a window: open, run, compare, export, methods."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import environment
from .errors import BadFile, BadPlan, Cancelled, SlimError
from .formats import open_checkpoint, read, targets
from .job import Job, Progress
from .layers import groups, layers
from .prune import pruners
from .quantize import quantizers
from .recipe import ORDERS, Recipe, load, run
from .registry import knobs
from .report import from_json
from .types import METRICS, Choice, Plan, Report, TensorInfo


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 a SlimError in one line, 130 cancelled."""
    environment.prepare()
    args = parser().parse_args(argv)
    job = Job(tell=show if sys.stderr.isatty() else phase)
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
    o.add_argument("--json", action="store_true")
    r = _command(sub, "run", run_, "carry out a recipe")
    r.add_argument("recipe", type=Path)
    r.add_argument("--out", type=Path)
    r.add_argument("--trust", action="store_true", help="run the recipe's own Python factory")
    c = _command(sub, "compare", compare, "two checkpoints, layer by layer")
    c.add_argument("a", type=Path)
    c.add_argument("b", type=Path)
    e = _command(sub, "export", export, "slim and export in one line")
    e.add_argument("path", type=Path)
    e.add_argument("--out", type=Path, required=True)
    e.add_argument("--prune", default="magnitude", choices=list(pruners))
    e.add_argument("--amount", type=float, default=0.0)
    e.add_argument("--quantize", default="rtn", choices=list(quantizers))
    e.add_argument("--bits", type=int, default=16)
    e.add_argument("--knob", action="append", default=[], metavar="METHOD.NAME=VALUE")
    e.add_argument("--format", default="dense", choices=list(targets))
    e.add_argument("--data", type=Path)
    e.add_argument("--limit", type=int)
    for x in (r, e):
        x.add_argument("--calibrate", type=Path, metavar="FILE", help="calibration data; without it, what the evaluation leaves over")
        x.add_argument("--tokens", type=int, help="calibration tokens (or sentences, or images)")
        x.add_argument("--order", choices=ORDERS, help="sequential: each block is calibrated behind the compressed blocks before it")
    e.add_argument("--seed", type=int, default=0)
    _command(sub, "methods", methods, "every method with its knobs")
    return p


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


def open_(args: argparse.Namespace, job: Job) -> None:
    """Headers only; like layers of all blocks on one line."""
    checkpoint = open_checkpoint(args.path, job)
    rows = [
        {
            "layers": name, "count": len(g), "kind": g[0].kind, "shape": list(g[0].tensor.shape), "dtype": g[0].tensor.dtype,
            "parameters": sum(x.tensor.parameters for x in g), "bytes": sum(x.tensor.nbytes for x in g), "protected": g[0].protected,
        }
        for name, g in groups(layers(checkpoint)).items()
    ]  # fmt: skip
    if args.json:
        print(json.dumps(rows))
        return
    print(f"{checkpoint.path.name}: {checkpoint.format}, {checkpoint.parameters:,} parameters, {checkpoint.nbytes:,} bytes")
    for r in rows:
        print(f"{r['count']:4} x {r['layers']:60} {r['kind']:10} {r['shape']!s:20} {r['dtype']:5} {r['parameters']:13,} {r['bytes']:14,}")


def run_(args: argparse.Namespace, job: Job) -> None:
    recipe = load(args.recipe)
    if recipe.factory and not args.trust:
        raise BadPlan(f"The recipe wants to run Python code ({recipe.factory}); look at it, and add --trust if you do")
    tell(run(replace(_calibrated(recipe, args), out=args.out or recipe.out), job).report)


def export(args: argparse.Namespace, job: Job) -> None:
    given = dict(_knob(k) for k in args.knob)
    plan = Plan(Choice(args.prune, args.amount, args.quantize, args.bits, given), seed=args.seed)
    tell(run(_calibrated(Recipe(args.path, plan, args.data, args.limit, args.format, {}, args.out), args), job).report)


def _calibrated(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """The recipe with what the command line says of calibration."""
    return replace(
        recipe, calibrate=args.calibrate or recipe.calibrate, tokens=args.tokens or recipe.tokens, order=args.order or recipe.order
    )


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
        print(f"{METRICS[k][0]:24} {a.score.metrics[k].value:.4g} -> {m.value:.4g} ± {m.error:.2g}, measured" if a.score else "")
    if a.energy and b.energy:
        spread = f"{b.energy.low:.3g} to {b.energy.high:.3g}"
        print(f"energy  {a.energy.joules:.3g} -> {b.energy.joules:.3g} J a {b.energy.unit} ({spread}), modelled")
    if report.verdict:
        print(f"exported and verified by {report.verdict.tool}: {report.path}")
        for c in report.verdict.checks:
            print(f"  {c.name}: {c.detail}")
    for n in report.notes:
        print(n)


def compare(args: argparse.Namespace, job: Job) -> None:
    """Two reports by their figures; two checkpoints by bytes and the relative squared difference of every tensor both have."""
    if args.a.suffix == ".json" and args.b.suffix == ".json":
        for path in (args.a, args.b):
            print(path)
            tell(from_json(_text(path)))
        return
    a, b = (x.tensors for x in (open_checkpoint(args.a, job), open_checkpoint(args.b, job)))
    for path, tensors in ((args.a, a), (args.b, b)):
        print(f"{path}: {sum(t.nbytes for t in tensors.values()):,} bytes in {len(tensors)} tensors")
    for name in job.track(sorted(a.keys() & b.keys()), "Comparing"):
        print(f"{name:70} {_apart(a[name], b[name])}")
    for name in sorted(a.keys() ^ b.keys()):
        print(f"{name:70} only in {args.a if name in a else args.b}")


def _apart(a: TensorInfo, b: TensorInfo) -> str:
    if a.shape != b.shape:
        return f"shapes differ: {list(a.shape)} and {list(b.shape)}"
    x, y = read(a).float(), read(b).float()
    error = float((x - y).square().sum() / x.square().sum().clamp(min=1e-30))
    return f"error {error:9.3g}   zeros {1 - float(y.count_nonzero()) / max(1, y.numel()):6.1%}   {a.nbytes:,} -> {b.nbytes:,} bytes"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadFile(f"{path}: can't be read ({e}); check the path") from None


def methods(args: argparse.Namespace, job: Job) -> None:
    for title, registry in (("prune", pruners), ("quantize", quantizers), ("format", targets)):
        for name, method in registry.items():
            print(f"{title} {name}: {(method.__doc__ or '').strip()}")
            for k in knobs(method):
                print(f"    {name}.{k.name} = {k.default}  ({', '.join(map(str, k.choices)) or f'{k.low} to {k.high}'})")


if __name__ == "__main__":
    sys.exit(main())
