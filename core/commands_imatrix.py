"""`slim imatrix`: an importance matrix of a network's layers, for llama-quantize and every tool that reads llama.cpp's files."""

from __future__ import annotations

import argparse
from pathlib import Path

from .data import default
from .data.calibration import calibrating
from .errors import CannotWrite
from .formats import open_checkpoint
from .formats.gguf_metadata import named
from .formats.imatrix_file import SUFFIXES, save
from .job import Job


def options(p: argparse.ArgumentParser) -> None:
    p.add_argument("path", type=Path)
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .gguf or .imatrix; in .dat for the older form")
    p.add_argument("--calibrate", type=Path, metavar="FILE", help="the text; without it, what the evaluation leaves over")
    p.add_argument("--tokens", type=int)


def imatrix(args: argparse.Namespace, job: Job) -> None:
    from .calibrate.imatrix import collected
    from .networks import attach

    if args.out.suffix not in SUFFIXES:
        raise CannotWrite(f"{args.out.name}: an importance matrix ends in {', '.join(SUFFIXES)}; choose such a name")
    if args.out.exists() and args.out.resolve() == args.path.resolve():
        raise CannotWrite(f"{args.out.name}: the opened model lies there; choose another name")
    checkpoint = open_checkpoint(args.path, job)
    named(checkpoint)  # refused before any work
    network = attach(checkpoint, job)
    data = calibrating(args.calibrate, network, default(checkpoint), None, args.tokens)
    found = collected(network, checkpoint, data.whole, job)
    save(args.out, found, data.whole.source)
    print(f"{args.out}: {len(found.squares)} layers, {found.tokens:,} tokens of {data.whole.source}")
