"""Federated averaging on unlike, unequal clients: weighted by samples, unweighted, and all data in one place, at equal bytes.

The bundled digit network, with four in five channels cut out, seven in ten of the remaining weights zero and the rest at 4 bits, reads no
digit any more. It learns from the 1347 digits its sample was trained on, dealt to ten clients by Dirichlet(0.3), and is scored on the 450
that nobody trains on. Twenty rounds of one local epoch each stand beside twenty epochs over all data, at the same rate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
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
SEEDS = (0, 1, 2)
ROUNDS, PIECES = 20, 74  # pieces of 16 pictures that are trained on
LOCAL = {"train": "all", "clients": 10, "alpha": 0.3, "rounds": ROUNDS, "epochs": 1, "rate": 0.004}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "centralised": ("finetune", {"train": "all", "steps": ROUNDS * PIECES, "rate": 0.004}),
    "FedAvg, weighted": ("federated", LOCAL),
    "FedAvg, unweighted": ("federated", {**LOCAL, "weighted": False}),
}


def digits() -> Path:
    """The training half of scikit-learn's digits as the sample's own script splits them, with the sample's card beside it."""
    import train_cnn
    import vision

    folder = cache_root() / "benchmarks" / "digits-train"
    if not (folder / "heldout.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        images, _, labels, _ = train_cnn.split()
        (folder / "sample.json").write_bytes((SOURCE / "sample.json").read_bytes())
        vision.save_held_out(folder, images, labels)
    return folder / "heldout.npz"


def one(recipe: Recipe, stage: str) -> Row:
    """One stage carried out and scored; of a federation also the loss on its check after each round, and the bytes its clients sent."""
    start, seen = time.process_time(), list[Round]()
    report = run(recipe, Job(point=lambda p: seen.append(p) if isinstance(p, Round) else None)).report
    a, b = report.original.score, report.variant.score
    assert a is not None
    assert b is not None
    row = {
        "case": "digits-cnn, 80% of channels cut, 70% zeros, 4 bits; 10 clients, Dirichlet 0.3", "stage": stage, "seed": recipe.plan.seed,
        "metric": "top1", "score": b.metrics["top1"].value, "dense": a.metrics["top1"].value, "bytes": report.variant.size.total,
        "cpu_s": round(time.process_time() - start, 1),
        "notes": [n for n in report.notes if "loss on data" in n],
    }  # fmt: skip
    row |= {"speedup": report.latency.ratio.value} if report.latency else {}
    return row | ({"held": [r.held for r in seen], "sent": sum(sum(r.sent.values()) for r in seen)} if seen else {})


def rows(quick: bool) -> Iterator[Row]:
    """What is left without training, then each stage over the seeds."""
    slim = Choice("magnitude", 0.7, "rtn", 4, {"rtn.granularity": "channel"})
    base = Recipe(SOURCE, Plan(slim, tune=False, cuts={"channels": 0.8}), train=digits())
    yield one(base, "slimmed")
    for seed in SEEDS[:1] if quick else SEEDS:
        for stage, (way, how) in STAGES.items():
            how = {**how, **({"rounds": 1} if way == "federated" else {"steps": 8})} if quick else how
            yield one(replace(base, plan=replace(base.plan, seed=seed, recover=way, recovery=how)), stage)
