"""Tuning brings a compressed model nearer to the original without a byte more, keeps codes and zeros, and is refused where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.cli import parser
from core.compress import Compressed, compress, original
from core.data import Batches, load
from core.errors import BadPlan, Cancelled
from core.evaluate import Reference
from core.formats import open_checkpoint, targets
from core.job import Job, Progress
from core.layers import layers
from core.networks import attach
from core.plans import resolve
from core.recipe import Recipe, dumps, loads
from core.recover import tune as recover
from core.recover.tune import apart, changed, cut, tune, wanted
from core.resources import root
from core.run import run
from core.size import size
from core.store import Store
from core.stored import Dense, Quantized
from core.types import Choice, Plan

torch.set_num_threads(1)
SAMPLES = root() / "samples"
LOW = Choice(prune="magnitude", amount=0.0, quantize="rtn", bits=2, knobs={"rtn.group_size": 32})
STEPS = {"steps": 16, "rate": 0.01}


class Tried:
    """A sample, compressed, with the data it is tuned on (the second half) and what it is checked on (the first)."""

    def __init__(self, name: str, plan: Plan, folder: Path, limit: int) -> None:
        self.checkpoint = open_checkpoint(SAMPLES / name)
        self.layers, self.store, self.job = tuple(layers(self.checkpoint)), Store(folder), Job()
        self.network = attach(self.checkpoint)
        self.weights = original(self.checkpoint, self.layers, self.store).weights(self.job)
        suffix = "npz" if self.network.task == "image-classification" else "txt"
        found = load(SAMPLES / name / f"heldout.{suffix}", self.network, limit)
        half = len(found.items) // 2
        self.fresh, self.seen = replace(found, items=found.items[:half]), replace(found, items=found.items[half:])
        self.slim = compress(self.checkpoint, self.layers, plan, None, self.store, self.job)

    def tuned(self, slim: Compressed | None = None, job: Job | None = None, seen: Batches | None = None) -> Compressed:
        slim = slim or self.slim
        teacher = Reference(self.network, self.weights, seen or self.seen)
        return tune(slim, self.network, self.running(slim), teacher, job or self.job)

    def running(self, slim: Compressed) -> dict[str, torch.Tensor]:
        return {**self.weights, **changed(slim)}

    def distance(self, slim: Compressed) -> float:
        teacher = Reference(self.network, self.weights, replace(self.fresh, items=tuple(cut(self.fresh))))
        return apart(self.network, self.running(slim), teacher, list(range(len(teacher.batches.items))), Job())


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tried, Compressed]:
    tried = Tried("sotu-lm", Plan(LOW, tuning=STEPS), tmp_path_factory.mktemp("store"), 6144)
    return tried, tried.tuned()


def test_a_language_model_of_2_bits_comes_nearer_on_text_it_was_not_tuned_on(text: tuple[Tried, Compressed]) -> None:
    tried, tuned = text
    assert tried.distance(tuned) < 0.85 * tried.distance(tried.slim)
    assert "Tuning was kept" in tried.job.notes[0]


def test_codes_stay_scales_and_gains_change_and_the_bytes_do_not(text: tuple[Tried, Compressed]) -> None:
    tried, tuned = text
    for x in tried.layers:
        before, after = tried.slim.stored(x), tuned.stored(x)
        assert before.nbytes == after.nbytes
        if isinstance(before, Quantized) and isinstance(after, Quantized):
            assert torch.equal(before.codes, after.codes)
            assert before.scale.dtype == after.scale.dtype
            assert not torch.equal(before.scale, after.scale)
        if x.kind == "norm":
            assert before.dense().dtype == after.dense().dtype
            assert not torch.equal(before.dense(), after.dense())
        if x.kind == "embedding":
            assert torch.equal(before.dense(), after.dense())
    target = targets["packed"]()
    sizes = [size(tried.checkpoint, tried.layers, resolve(c.plan, c.layers), target).total for c in (tried.slim, tuned)]
    assert sizes[0] == sizes[1]


def test_the_second_time_it_comes_out_of_the_store(text: tuple[Tried, Compressed]) -> None:
    tried, tuned = text
    phases: list[str] = []
    again = tried.tuned(job=Job(tell=lambda p: phases.append(p.phase)))
    assert {n: o.key for n, o in again.outcomes.items()} == {n: o.key for n, o in tuned.outcomes.items()}
    assert all(o.reused for n, o in again.outcomes.items() if o.key != getattr(tried.slim.outcomes.get(n), "key", ""))
    assert "Tuning" not in phases


def test_other_steps_or_other_data_are_another_result(text: tuple[Tried, Compressed]) -> None:
    tried, _ = text
    other = replace(tried.slim, plan=Plan(LOW, tuning={**STEPS, "steps": 24}))
    keys = [recover._base(tried.slim, tried.seen), recover._base(tried.slim, tried.fresh), recover._base(other, tried.seen)]
    assert len(set(keys)) == 3
    assert recover._base(tried.slim, tried.seen) == keys[0]


def test_the_same_plan_and_seed_give_the_same_bits(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        tried = Tried("sotu-lm", Plan(LOW, tuning={"steps": 8}), tmp_path / name, 2048)
        found = tried.tuned()
        made.append([found.stored(x).dense() for x in tried.layers])
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))


def test_pruned_weights_stay_zero_and_an_image_network_recovers(tmp_path: Path) -> None:
    plan = Plan(Choice(prune="magnitude", amount=0.75, quantize="rtn", bits=16), tuning={"steps": 40, "rate": 0.01})
    tried = Tried("digits-cnn", plan, tmp_path, 400)
    tuned = tried.tuned()
    assert tried.distance(tuned) < 0.8 * tried.distance(tried.slim)
    for name in tried.slim.outcomes:
        x = next(y for y in tried.layers if y.name == name)
        assert torch.equal(tried.slim.stored(x).dense() == 0, tuned.stored(x).dense() == 0)


def test_a_layer_the_user_excluded_stays_bit_identical(tmp_path: Path) -> None:
    kept = "model.layers.1.input_layernorm"
    plan = Plan(LOW, layers={kept: Choice(protect=True), "model.layers.0.mlp.up_proj": Choice(protect=True)}, tuning={"steps": 8})
    tried = Tried("sotu-lm", plan, tmp_path, 2048)
    tuned = tried.tuned()
    assert kept not in tuned.outcomes
    assert "model.layers.0.mlp.up_proj" not in tuned.outcomes
    assert "model.layers.0.input_layernorm" in tuned.outcomes


def test_a_result_that_is_no_better_is_refused_and_says_so(tmp_path: Path) -> None:
    """16 bits leave nothing to win: the compressed model is the original but for its zeros, of which there are none."""
    plan = Plan(Choice(prune="magnitude", amount=0.0, quantize="rtn", bits=8), tuning={"steps": 8, "rate": 0.02})
    tried = Tried("sotu-lm", plan, tmp_path, 2048)
    assert tried.tuned() is tried.slim
    assert "refused, as it was no better" in tried.job.notes[0]


def test_a_cancel_is_heard_inside_the_backward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the forward pass of the first step the job is cancelled: no weight moves any more, nothing is left in the network."""
    tried = Tried("sotu-lm", Plan(LOW, tuning={"steps": 8}), tmp_path, 2048)
    job, moved = Job(), list[int]()
    loss = recover.distance

    def cancelling(task: str, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        if after.requires_grad:
            job.cancel()
        return loss(task, before, after)

    monkeypatch.setattr(recover, "distance", cancelling)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_: moved.append(1))
    with pytest.raises(Cancelled):
        tried.tuned(job=job)
    assert not moved
    assert tried.network.module is not None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in tried.network.module.modules())


def test_too_little_data_leaves_it_out_with_a_note(tmp_path: Path) -> None:
    tried = Tried("sotu-lm", Plan(LOW), tmp_path, 1024)
    one = replace(tried.seen, items=({"input_ids": tried.seen.items[0]["input_ids"][:, :128]},))
    assert tried.tuned(seen=one) is tried.slim
    assert "too short" in tried.job.notes[0]


def test_it_is_on_by_itself_where_it_pays() -> None:
    found = tuple(layers(open_checkpoint(SAMPLES / "sotu-lm")))
    assert wanted(Plan(LOW), found)
    assert wanted(Plan(replace(LOW, bits=16, amount=0.5)), found)
    assert not wanted(Plan(replace(LOW, bits=4)), found)
    assert wanted(Plan(replace(LOW, bits=4), tune=True), found)
    assert not wanted(Plan(LOW, tune=False), found)
    assert not wanted(Plan(tune=True), found)
    big = tuple(replace(x, tensor=replace(x.tensor, shape=(1 << 20, 1 << 14))) for x in found)
    assert not wanted(Plan(LOW), big)


def test_a_recipe_says_it_and_reads_it_back() -> None:
    text = 'version = 1\n[model]\npath = "/m"\n[plan]\nrotate = true\ntune = "off"\n[plan.tuning]\nsteps = 112\n'
    found = loads(text)
    assert (found.plan.tune, found.plan.tuning, found.plan.rotate) == (False, {"steps": 112}, True)
    assert loads(dumps(found)) == found
    with pytest.raises(BadPlan, match="tune = 'maybe'"):
        loads(text.replace('"off"', '"maybe"'))
    with pytest.raises(BadPlan, match="rate"):
        loads(text.replace("steps = 112", "rate = 7.0"))
    assert parser().parse_args(["export", "x", "--out", "y", "--tune", "on", "--rotate"]).rotate


def test_a_run_tunes_rotates_and_exports_what_it_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The export is reopened and compared by a fresh process, so what is packed is the rotated and tuned model."""
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))
    plan = Plan(LOW, rotate=True, tuning={"steps": 16, "rate": 0.01})
    recipe = Recipe(SAMPLES / "sotu-lm", plan, None, 512, "packed", {}, tmp_path / "out", tokens=2048)
    on = run(recipe, Job(), Store(tmp_path / "s")).report
    off = run(replace(recipe, plan=replace(plan, tune=False), out=None), Job(), Store(tmp_path / "s")).report
    assert on.verdict is not None
    assert on.verdict.passed
    assert on.variant.score is not None
    assert off.variant.score is not None
    assert on.variant.score.metrics["kl"].value < off.variant.score.metrics["kl"].value
    assert on.variant.size.total == off.variant.size.total
    assert any("output layer can't share the embedding" in n for n in on.notes)


def test_row_factors_reach_dense_and_quantized_alike() -> None:
    w, f = torch.tensor([[1.0, 0.0], [2.0, -4.0]]).half(), torch.tensor([1.5, 0.5])
    assert torch.equal(Dense(w).scaled(f).tensor, torch.tensor([[1.5, 0.0], [1.0, -2.0]]).half())
    q = Quantized(torch.tensor([[3, 2]], dtype=torch.uint8), torch.tensor([[0.5]]).half(), None, 2, 2, (1, 2), "group")
    assert torch.equal(q.scaled(torch.tensor([2.0])).dense(), 2 * q.dense())


def test_progress_counts_the_steps(text: tuple[Tried, Compressed]) -> None:
    tried, _ = text
    seen: list[Progress] = []
    plan = replace(tried.slim.plan, tuning={"steps": 8})
    tried.tuned(replace(tried.slim, plan=plan), Job(tell=seen.append))
    assert max(p.total for p in seen if p.phase == "Tuning") == 8
    assert any("distance" in p.detail for p in seen)
