"""`slim formats`: what every file format would make of a model, or of a recipe's plan of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from .errors import CannotRun
from .formats import open_checkpoint
from .job import Job
from .layers import layers
from .networks import task_of
from .offers import Offer, offers, plain
from .recipe import load
from .types import Checkpoint, Plan, Task


def options(p: argparse.ArgumentParser) -> None:
    """What `slim formats` understands."""
    p.add_argument("path", type=Path)
    p.add_argument("recipe", type=Path, nargs="?", help="its plan; without it, the model as it is")
    p.add_argument("--json", action="store_true")


def formats(args: argparse.Namespace, job: Job) -> None:
    """One format a paragraph: exact bytes, modelled speed, what is lost, or why it can't be had."""
    recipe = load(args.recipe) if args.recipe else None
    checkpoint = replace(open_checkpoint(args.path, job), factory=recipe.factory if recipe else "")
    found = offers(checkpoint, layers(checkpoint), recipe.plan if recipe else Plan(), _task(checkpoint))
    if args.json:
        print(json.dumps([plain(o) for o in found], ensure_ascii=False))
        return
    for o in found:
        print(f"{o.key:7} {o.title}; runs in {o.runs_in}")
        for line in lines(o):
            print(f"        {line}")


def lines(o: Offer) -> list[str]:
    """What there is to say of one format."""
    if o.why:
        return [f"can't: {o.why}"]
    out = [f"{o.nbytes:,} bytes, {'before its graph is traced' if o.pending else 'exact'}"]
    if o.speed is not None:
        by = "from this machine's self-test" if o.tested else "as a laptop"
        out.append(f"{1 / o.speed.seconds:.3g} {o.speed.unit}s/s, modelled {by}")
    return out + [f"{n} layers stored dense: {why}" for why, n in (o.dense or {}).items()]


def _task(checkpoint: Checkpoint) -> Task:
    """What the model is for, from its headers alone."""
    try:
        return task_of(checkpoint)
    except CannotRun:
        return "other"
