"""`python -m studio [PATH]` opens the studio; `--tour DIR` walks through it by itself and takes pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Parse the command line and start."""
    parser = argparse.ArgumentParser("slim-studio", description="Make neural networks smaller by hand and eye.")
    parser.add_argument("path", nargs="?", type=Path, help="model file or folder to open")
    parser.add_argument("--tour", type=Path, metavar="DIR", help="open a sample, slim, measure and export it, and save screenshots to DIR")
    parser.add_argument("--empty", action="store_true", help="start empty instead of with the last session")
    args = parser.parse_args()
    if args.tour:
        from .tour import tour

        return tour(args.tour)
    from .app import main as start

    return start(args.path, args.empty)


if __name__ == "__main__":
    sys.exit(main())
