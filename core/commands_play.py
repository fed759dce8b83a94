"""`slim play`: original and variant on your own prompt, picture, recording or two sentences; `slim worst`: where they differ most."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadData, BadPlan
from .job import Job

if TYPE_CHECKING:
    from .evaluate import Reference
    from .play import Dialogue, Side

BLOCKS = "▁▂▃▄▅▆▇█"  # KL of a token: below 0.003 nats, then three steps a decade


def options(p: argparse.ArgumentParser) -> None:
    """What `slim play` understands."""
    _both(p)
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--prompt", metavar="TEXT", help="language models: both go on from it")
    what.add_argument("--image", type=Path, metavar="FILE", help="classifiers: the five likeliest classes of both")
    what.add_argument("--wav", type=Path, metavar="FILE", help="networks that hear: the pitch of both over time")
    what.add_argument("--pair", nargs=2, metavar=("A", "B"), help="sentence encoders: how alike both hold two sentences")
    p.add_argument("--tokens", type=int, default=48, help="of the answer, at most")
    p.add_argument("--temperature", type=float, default=0.0, help="0: always the likeliest token")
    p.add_argument("--seed", type=int, default=0, help="of the noise, which is the same for both")


def worst_options(p: argparse.ArgumentParser) -> None:
    """What `slim worst` understands."""
    _both(p)
    p.add_argument("--most", type=int, default=20, help="so many samples")


def _both(p: argparse.ArgumentParser) -> None:
    p.add_argument("path", type=Path, help="the original")
    p.add_argument("variant", type=Path, help="a recipe.toml, whose plan is carried out, or another checkpoint, such as an export")
    p.add_argument("--data", type=Path, help="held-out samples; without it what lies beside the original, or the bundled text")
    p.add_argument("--limit", type=int)
    p.add_argument("--json", action="store_true")


def play(args: argparse.Namespace, job: Job) -> None:
    """Side by side, on what the command line gives."""
    from .play import Ask
    from .play.hear import hear, lines
    from .play.look import liken, look, opened
    from .play.talk import talk

    if not 0 <= args.temperature <= 5 or args.tokens < 1:
        raise BadPlan("The temperature is 0 to 5 and the answer has one token at least; give other numbers")
    before, after, reference, beside = _sides(args, job)
    if args.prompt is not None:
        said = talk(before, after, Ask(args.prompt, args.tokens, args.temperature, args.seed), job)
        _print(args, asdict(said), spoken(said))
    elif args.image is not None:
        item = reference.batches.items[0] if reference else None
        seen = look(before, after, opened(args.image, before.network, beside, item), args.image.name, job)
        rows = [f"{c.label:30} {c.before:8.2%} {c.after:8.2%}" for c in seen.classes]
        found = {"classes": [asdict(c) for c in seen.classes], "kl": seen.kl}
        _print(args, found, [f"{'':30} {'original':>8} {'variant':>8}", *rows, f"KL {seen.kl:.4g} nats, measured"])
    elif args.wav is not None:
        told = hear(before, after, args.wav, job)
        _print(args, asdict(told), lines(told))
    else:
        alike = liken(before, after, args.pair[0], args.pair[1], job)
        _print(args, asdict(alike), [f"cosine {alike.before:.4f} -> {alike.after:.4f}, measured"])
    for n in job.notes:
        print(n, file=sys.stderr)


def spoken(said: Dialogue) -> list[str]:
    """Both answers, then the strip: a block a token, as high as its KL."""
    lines = ["--- original", "".join(t.text for t in said.before)]
    lines += ["--- variant", "".join(t.text for t in said.after)]
    lines.append(f"--- {said.apart} of {len(said.after)} tokens differ")
    lines.append("".join(_block(n.kl) for n in said.strip))
    dearest = sorted(said.strip[said.prompt :], key=lambda n: -n.kl)[:3]
    at = ", ".join(f"{n.text!r} {n.kl:.3g}" for n in dearest)
    lines.append(f"KL {said.mean or 0:.4g} nats a token of the original's answer, measured; most at {at}")
    return lines


def _block(kl: float) -> str:
    from math import log10

    return BLOCKS[0 if kl <= 0.003 else min(len(BLOCKS) - 1, int(3 * log10(kl / 0.003)))]


def worst(args: argparse.Namespace, job: Job) -> None:
    """One line a sample, dearest first."""
    from .play.worst import worst as look

    _, after, reference, _ = _sides(args, job)
    if reference is None:
        raise BadData("There are no held-out samples to look through; give --data")
    found = look(reference, after, job, args.most)
    rows = [{"loss": s.loss, "where": s.where, "text": s.text, "note": s.note} for s in found]
    _print(args, rows, [f"{s.loss:9.4g}  {s.note:24}  {s.text}" for s in found])


def _print(args: argparse.Namespace, found: Any, lines: list[str]) -> None:
    print(json.dumps(found, ensure_ascii=False) if args.json else "\n".join(lines))


def _sides(args: argparse.Namespace, job: Job) -> tuple[Side, Side, Reference | None, Path | None]:
    """Original and variant with what they are scored on, and where that lies."""
    return _planned(args, job) if args.variant.suffix == ".toml" else _beside(args, job)


def _planned(args: argparse.Namespace, job: Job) -> tuple[Side, Side, Reference | None, Path | None]:
    """The variant is what a recipe makes of the original; layers that are in the store cost nothing."""
    from . import compress
    from .cut import fitting
    from .data import default
    from .errors import CannotRun
    from .play import Side
    from .recipe import load
    from .run import ready
    from .stage import calibration, staged

    recipe = load(args.variant)
    if recipe.goal:
        raise BadPlan("This recipe has a goal and no plan yet; let slim plan -o write the plan that meets it, and give that")
    recipe = replace(recipe, source=args.path, data=args.data or recipe.data, limit=args.limit or recipe.limit, out=None)
    s = staged(recipe, job)
    if s.network is None or s.net is None:
        raise CannotRun(job.notes[-1])
    plan = fitting(recipe.plan, s.layers)
    done = compress.compress(s.slim, s.layers, plan, calibration(recipe, s.net, s.layers, s.slim, job), s.store, job)
    _, runs, weights = ready(s, done, job)
    own = s.reference.weights if s.reference else s.whole.weights(job)
    return Side(s.network, own), Side(runs, weights), s.reference, recipe.data or default(s.whole.checkpoint)


def _beside(args: argparse.Namespace, job: Job) -> tuple[Side, Side, Reference | None, Path | None]:
    """The variant is a checkpoint of its own."""
    from . import data
    from .compare import answering
    from .evaluate import Reference
    from .formats import open_checkpoint
    from .play import Side

    a, b = (open_checkpoint(p, job) for p in (args.path, args.variant))
    network, weights, theirs, own = answering(a, b, job)
    path = args.data or data.default(a)
    reference = Reference(network, weights, data.load(path, network, args.limit, job)) if path else None
    return Side(network, weights), Side(own or network, theirs), reference, path
