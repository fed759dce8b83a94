"""A fresh small student: the shape of a cut, weights drawn anew, taught by the original."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.cut import Cut, cut, small
from core.formats import open_checkpoint, read
from core.job import Job
from core.networks import attach
from core.recipe import Recipe
from core.resources import root
from core.run import run
from core.store import Store
from core.types import Choice, Plan

SAMPLES = root() / "samples"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["digits-cnn", "sotu-lm", "fashion-vit"])
def test_half_of_every_width_is_proposed_and_runs(name: str) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    proposed = small(checkpoint)
    assert proposed.pop("method") == "fresh"
    assert proposed
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    slim = cut(checkpoint, Cut(**proposed, method="fresh"), None, None, Job())
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is left as it was"
    assert slim.parameters < 0.7 * checkpoint.parameters
    attach(slim)
    for n, t in slim.tensors.items():
        assert bool(read(t).float().isfinite().all()), n


def test_the_same_student_is_drawn_again_and_nothing_of_the_original_is_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "digits-cnn")
    how = Cut(channels=0.5, method="fresh")
    first = {n: read(t).clone() for n, t in cut(checkpoint, how, None, None, Job()).tensors.items()}
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "other"))
    again = cut(checkpoint, how, None, None, Job())
    assert all(torch.equal(first[n], read(t)) for n, t in again.tensors.items())
    weight = "resnet.embedder.embedder.convolution.weight"
    old = read(checkpoint.tensors[weight]).flatten(1)
    new = first[weight].flatten(1)
    assert not any(torch.allclose(row, o, atol=1e-3) for row in new for o in old)


def test_a_fresh_student_is_distilled_and_exported(tmp_path: Path) -> None:
    plan = Plan(Choice("magnitude", 0.0, "rtn", 16), cuts={"channels": 0.5, "method": "fresh"}, recover="distil",
                recovery={"train": "all", "steps": 72, "batch": 4, "rate": 0.03})  # fmt: skip
    told = run(Recipe(SAMPLES / "digits-cnn", plan, limit=200, out=tmp_path / "out"), Job(), Store(tmp_path / "s")).report
    assert any("all weights drawn anew" in n for n in told.notes)
    assert told.variant.score.metrics["top1"].value > 0.5
    assert told.verdict.passed
