"""Federated averaging on unlike, unequal clients: weighted by samples, unweighted, and all data in one place, at equal bytes.

The bundled digit network with channels cut out learns from the 1347 digits its sample was trained on, dealt to ten clients by
Dirichlet(0.3); scored on the 450 that nobody trains on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.recipe import Recipe
from core.resources import cache_root, root
from core.types import Choice, Plan

Row = dict[str, Any]
One = Callable[[Recipe, str, str, str], Row]
SOURCE = root() / "samples" / "digits-cnn"
SEEDS = (0, 1, 2)
CLIENTS, ALPHA, ROUNDS, SHARE = 10, 0.3, 20, 0.8
LOCAL = {"train": "all", "clients": CLIENTS, "alpha": ALPHA, "rounds": ROUNDS, "epochs": 2, "rate": 0.004}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "centralised": ("finetune", {"train": "all", "steps": 424, "batch": 4, "rate": 0.01}),  # 20 epochs
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


def rows(one: One, quick: bool) -> Iterator[Row]:
    """Each stage over the seeds; `one` carries out a recipe and scores it."""
    name = f"{SOURCE.name}, {SHARE:.0%} of channels cut, {CLIENTS} clients, Dirichlet {ALPHA}"
    base = Recipe(SOURCE, Plan(Choice("magnitude", 0.0, "rtn", 16), tune=False, cuts={"channels": SHARE}), train=digits())
    yield one(base, name, "cut", "top1")
    for seed in SEEDS[:1] if quick else SEEDS:
        for stage, (way, how) in STAGES.items():
            how = how if not quick else {**how, **({"rounds": 1} if way == "federated" else {"steps": 8})}
            yield one(replace(base, plan=replace(base.plan, seed=seed, recover=way, recovery=how)), name, stage, "top1")
