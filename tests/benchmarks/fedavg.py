"""Federated averaging on unlike, unequal clients: weighted by samples, unweighted, and all data in one place, at equal bytes.

A network with four in five channels cut out, seven in ten of the remaining weights zero and the rest at 4 bits reads nothing any more. It
learns from data dealt to ten clients by Dirichlet(0.3) and is scored on pictures nobody trains on. Twenty rounds of one local epoch each
stand beside twenty epochs over all data, at the same rate. The bundled digits (scored on 450) are dealt as they fall, and to clients of
log-normal sizes (spread 2, as in FedProx's own benchmark); Fashion-MNIST the latter way, scored on its 10,000 test images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.job import Job
from core.lessons import Round
from core.recipe import Recipe
from core.resources import cache_root, root
from core.run import run
from core.types import Choice, Plan

Row = dict[str, Any]
SOURCE = root() / "samples" / "digits-cnn"
SEEDS = (0, 1, 2, 3, 4)
ROUNDS, RATE = 20, 0.004
SLIM = Choice("magnitude", 0.7, "rtn", 4, {"rtn.granularity": "channel"})
CUT = "80% of channels cut, 70% zeros, 4 bits; 10 clients, Dirichlet 0.3"
UNEQUAL = ", sizes log-normal 2"


@dataclass(frozen=True)
class Case:
    """A network, what its clients hold, and how unequal they are."""

    name: str
    source: Path
    train: Path
    lessons: int | None  # pictures, one in eight of them for the check
    pieces: int  # of 16 pictures that are trained on
    spread: float
    falling: bool  # the rate, as it does in one place

    def stages(self) -> dict[str, tuple[str, Row]]:
        local = {"train": "all", "clients": 10, "alpha": 0.3, "rounds": ROUNDS, "epochs": 1, "rate": RATE}
        local |= {"spread": self.spread, "falling": self.falling}
        return {
            "centralised": ("finetune", {"train": "all", "steps": ROUNDS * self.pieces, "rate": RATE}),
            "FedAvg, weighted": ("federated", local),
            "FedAvg, unweighted": ("federated", {**local, "weighted": False}),
        }


def digits(unequal: bool) -> Case:
    """The training half of scikit-learn's digits as the sample's own script splits them, with the sample's card beside it."""
    import train_cnn
    import vision

    folder = cache_root() / "benchmarks" / "digits-train"
    if not (folder / "heldout.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        images, _, labels, _ = train_cnn.split()
        (folder / "sample.json").write_bytes((SOURCE / "sample.json").read_bytes())
        vision.save_held_out(folder, images, labels)
    name = f"digits-cnn, {CUT}" + (UNEQUAL if unequal else "")
    return Case(name, SOURCE, folder / "heldout.npz", None, 74, 2.0 if unequal else 0.0, falling=unequal)


def fashion(folder: Path) -> Case:
    """2,560 of Fashion-MNIST's training images: 20 of 160 pieces are kept for the check."""
    return Case(f"fashion-cnn, {CUT}{UNEQUAL}", folder, folder / "lessons" / "heldout.npz", 2560, 140, 2.0, falling=True)


CASES: dict[str, Callable[[Path], Case]] = {
    "fedavg": fashion, "fedavg-digits": lambda _: digits(False), "fedavg-digits-unequal": lambda _: digits(True)
}  # fmt: skip


def one(recipe: Recipe, case: Case, stage: str) -> Row:
    """One stage carried out and scored; of a federation also the loss on its check after each round, and the bytes its clients sent."""
    start, seen = time.process_time(), list[Round]()
    report = run(recipe, Job(point=lambda p: seen.append(p) if isinstance(p, Round) else None)).report
    a, b = report.original.score, report.variant.score
    assert a is not None
    assert b is not None
    row = {
        "case": case.name, "stage": stage, "seed": recipe.plan.seed, "metric": "top1",
        "score": b.metrics["top1"].value, "dense": a.metrics["top1"].value, "bytes": report.variant.size.total,
        "cpu_s": round(time.process_time() - start, 1), "notes": [n for n in report.notes if "loss on data" in n or "no samples" in n],
    }  # fmt: skip
    row |= {"speedup": report.latency.ratio.value} if report.latency else {}
    return row | ({"held": [r.held for r in seen], "sent": sum(sum(r.sent.values()) for r in seen)} if seen else {})


def rows(case: Case, seeds: tuple[int, ...]) -> Iterator[Row]:
    """What is left without training (once), then each stage over the seeds: each deals the data anew."""
    base = Recipe(case.source, Plan(SLIM, tune=False, cuts={"channels": 0.8}), train=case.train, lessons=case.lessons)
    if 0 in seeds:
        yield one(base, case, "slimmed")
    for seed in seeds:
        for stage, (way, how) in case.stages().items():
            yield one(replace(base, plan=replace(base.plan, seed=seed, recover=way, recovery=how)), case, stage)
