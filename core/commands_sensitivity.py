"""`slim sensitivity`: every layer with what an error in it costs and what each method leaves of it, dearest first."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

from .errors import Cancelled, CannotWrite
from .job import Job
from .recipe import Recipe, load
from .sensed import Sensed, Sensitivity
from .types import Choice, Plan, Setting


def options(p: argparse.ArgumentParser) -> None:
    p.add_argument("path", type=Path)
    p.add_argument("--recipe", type=Path, help="its plan says which methods and knobs, its [calibrate] and [evaluate] on what data")
    p.add_argument("--data", type=Path, help="held-out samples; without it what lies beside the model, or the bundled text")
    p.add_argument("--calibrate", type=Path, metavar="FILE", help="calibration data; without it, what the evaluation leaves over")
    p.add_argument("--tokens", type=int, help="calibration tokens (or sentences, or images)")
    p.add_argument("--json", type=Path, metavar="FILE", help="everything that was sensed")
    p.add_argument("--csv", type=Path, metavar="FILE", help="one row per option")


def sensitivity(args: argparse.Namespace, job: Job) -> None:
    """The pass; when it is cancelled the table of what is known so far, then the cancel goes on its way."""
    from .sensing import opened

    last: list[Sensitivity] = []
    passing = Job(tell=job._report, point=lambda s: last.__setitem__(slice(None), [s]))
    try:
        last[:] = [opened(recipe(args), passing).sense(passing)]
    except (KeyboardInterrupt, Cancelled):
        if last:
            told(last[0], args)
        raise
    told(last[0], args)


def recipe(args: argparse.Namespace) -> Recipe:
    """The recipe's, or `slim` in groups of 64 and magnitude; the command line has the last word on the data."""
    plan = Plan(Choice("magnitude", 0.0, "slim", 16, {"slim.group_size": 64}))
    base = load(args.recipe) if args.recipe else Recipe(args.path, plan, limit=None)
    return replace(
        base, source=args.path, data=args.data or base.data, calibrate=args.calibrate or base.calibrate, tokens=args.tokens or base.tokens
    )


def told(s: Sensitivity, args: argparse.Namespace) -> None:
    """The table on the terminal, and the files that were asked for."""
    rows = sorted(s.layers.values(), key=lambda x: -x.alpha * _third(x))
    unit = "nats" if s.currency == "kl" else "1 - cosine"
    print(f"{len(rows)} layers, {s.done} of them measured; price = {unit} per unit of relative output error")
    print(f"{'layer':60} {'price':>9} {'x/÷':>5} {'from':9} {'at 3 bits':>10}  relative output error")
    for x in rows:
        print(f"{x.layer:60} {x.alpha:9.4g} {exp(x.doubt):5.2f} {x.how:9} {x.alpha * _third(x):10.3g}  {_short(x)}")
    if args.json:
        _write(args.json, json.dumps(_plain(s), indent=1) + "\n")
    if args.csv:
        _write(args.csv, _csv(s))


def _third(x: Sensed) -> float:
    """The least error any option of 3 bits leaves; of half of the weights where there is none."""
    return min((o.error for o in x.options if o.setting.bits == 3), default=min((o.error for o in x.options), default=1.0))


def _short(x: Sensed) -> str:
    best: dict[str, float] = {}
    for o in x.options:
        name = _named(o.setting)
        if o.setting.bits in (2, 3, 4) or o.setting.amount == 0.5:
            best[name] = o.error
    return "  ".join(f"{n} {e:.3g}" for n, e in best.items()) if x.options else "none yet"


def _named(s: Setting) -> str:
    pattern = str(s.prune_knobs.get("pattern", ""))
    if s.quantize:
        return f"{s.quantize}{s.bits}"
    return f"{s.prune} {pattern}" if pattern and pattern != "unstructured" else f"{s.prune} {s.amount:.0%}"


def _plain(s: Sensitivity) -> dict[str, Any]:
    layers = [
        {
            "layer": x.layer, "price": x.alpha, "doubt": x.doubt, "how": x.how,
            "options": [
                {
                    "method": o.setting.quantize or o.setting.prune, "bits": o.setting.bits, "amount": o.setting.amount,
                    "knobs": {**o.setting.prune_knobs, **o.setting.quantize_knobs}, "family": o.family, "error": o.error, "plain": o.plain,
                }
                for o in x.options
            ],
        }
        for x in s.layers.values()
    ]  # fmt: skip
    return {"currency": s.currency, "ceiling": s.ceiling, "done": s.done, "total": s.total, "layers": layers}


def _csv(s: Sensitivity) -> str:
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["layer", "price", "doubt", "how", "option", "bits", "amount", "family", "error", "plain"])
    for x in s.layers.values():
        for o in x.options:
            place = [x.layer, x.alpha, x.doubt, x.how, _named(o.setting), o.setting.bits, o.setting.amount]
            table.writerow([*place, o.family, o.error, o.plain])
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as e:
        raise CannotWrite(f"{path} can't be written ({e.strerror}); choose another place") from None
    print(f"written: {path}", file=sys.stderr)
