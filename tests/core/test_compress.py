"""The walk over real models: what is not planned stays bit-identical, what was done is reused, what can't be done is refused by name."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.compress import Compressed, compress, fits
from core.errors import BadFile, BadPlan, Cancelled
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.plans import MODEL, Scope, edit
from core.resources import root
from core.store import Store
from core.stored import Dense, Quantized
from core.types import Calibration, Checkpoint, Plan, Setting

SAMPLES = root() / "samples"
torch.set_num_threads(1)
SAMPLE = pytest.mark.parametrize("name", ["digits-cnn", "sotu-lm"])
FOUR = edit(Plan(), MODEL, bits=4, amount=0.3, knobs={"rtn.group_size": 32})


def opened(name: str) -> Checkpoint:
    return open_checkpoint(SAMPLES / name)


def done(checkpoint: Checkpoint, plan: Plan, store: Store, job: Job | None = None, calibration: Calibration | None = None) -> Compressed:
    return compress(checkpoint, layers(checkpoint), plan, calibration, store, job or Job())


def made(path: Path, **tensors: torch.Tensor) -> Checkpoint:
    save_file({f"{n}.weight": t for n, t in tensors.items()}, path / "m.safetensors")
    return open_checkpoint(path / "m.safetensors")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "layers")


@SAMPLE
def test_layers_the_plan_leaves_alone_are_bit_identical(name: str, store: Store) -> None:
    found = done(opened(name), FOUR, store)
    idle = [x for x in found.layers if x.name not in found.outcomes]
    assert idle
    assert found.outcomes
    assert all(found.settings[x.name].idle for x in idle)
    for x in idle:
        left = found.stored(x)
        assert isinstance(left, Dense)
        assert left.tensor.numpy(force=True).tobytes() == read(x.tensor).numpy(force=True).tobytes()


@SAMPLE
def test_what_an_outcome_says_is_what_is_stored(name: str, store: Store) -> None:
    found = done(opened(name), FOUR, store)
    for x in found.layers:
        if (o := found.outcomes.get(x.name)) is None:
            continue
        q, w = found.stored(x), read(x.tensor).float()
        assert isinstance(q, Quantized)
        assert o.error == pytest.approx(float((w - q.dense().float()).square().sum() / w.square().sum()), rel=1e-4)
        assert o.sparsity == pytest.approx(q.sparsity)
        assert o.sparsity >= round(0.3 * w.numel()) / w.numel() - 1e-9


@SAMPLE
def test_a_second_run_takes_every_layer_out_of_the_store(name: str, store: Store) -> None:
    first, again = (done(opened(name), FOUR, store) for _ in range(2))
    assert not any(o.reused for o in first.outcomes.values())
    assert all(o.reused for o in again.outcomes.values())
    assert store.stats()[0] == len(first.outcomes)
    one, two = first.weights(Job()), again.weights(Job())
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert {n: o.error for n, o in first.outcomes.items()} == {n: o.error for n, o in again.outcomes.items()}


@SAMPLE
def test_editing_one_layer_compresses_that_one_again(name: str, store: Store) -> None:
    before = done(opened(name), FOUR, store)
    chosen = list(before.outcomes)[1]
    after = done(opened(name), edit(FOUR, Scope("layers", (chosen,)), bits=6), store)
    assert [n for n, o in after.outcomes.items() if not o.reused] == [chosen]
    assert after.outcomes[chosen].error < before.outcomes[chosen].error


def test_a_cancelled_walk_keeps_its_layers_for_the_next(store: Store) -> None:
    job = Job(point=lambda p: job.cancel() if p[0].endswith("layers.1.mlp.down_proj") else None)
    with pytest.raises(Cancelled):
        done(opened("sotu-lm"), FOUR, store, job)
    kept = store.stats()[0]
    found = done(opened("sotu-lm"), FOUR, store)
    assert 0 < kept < len(found.outcomes)
    assert sum(o.reused for o in found.outcomes.values()) == kept


def test_points_stream_in_the_order_of_the_outcomes(store: Store) -> None:
    seen: list[Any] = []
    found = done(opened("digits-cnn"), FOUR, store, Job(point=seen.append))
    assert seen == list(found.outcomes.items())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_tensor_is_refused_by_name(tmp_path: Path, store: Store, bad: float) -> None:
    w = torch.randn(8, 64)
    broken = w.clone()
    broken[3, 7] = bad
    with pytest.raises(BadFile, match=r"b\.second holds NaN"):
        done(made(tmp_path, **{"a.first": w, "b.second": broken}), FOUR, store)


def test_a_broken_tensor_that_is_left_alone_is_no_obstacle(tmp_path: Path, store: Store) -> None:
    checkpoint = made(tmp_path, **{"a.first": torch.randn(8, 64), "b.second": torch.full((8, 64), math.nan)})
    found = done(checkpoint, edit(FOUR, Scope("layers", ("b.second",)), bits=16, amount=0.0), store)
    assert list(found.outcomes) == ["a.first"]


def test_an_empty_tensor_is_refused_by_name(tmp_path: Path, store: Store) -> None:
    with pytest.raises(BadFile, match=r"a\.none is empty"):
        done(made(tmp_path, **{"a.none": torch.empty(0, 64)}), FOUR, store)


def test_a_file_that_changed_is_compressed_anew(tmp_path: Path, store: Store) -> None:
    done(made(tmp_path, **{"a.x": torch.randn(8, 64)}), FOUR, store)
    w = torch.randn(16, 64)
    found = done(made(tmp_path, **{"a.x": w}), FOUR, store)
    assert not found.outcomes["a.x"].reused
    assert found.weights(Job())["a.x.weight"].shape == w.shape


@pytest.mark.parametrize("amount", [0.1, 0.5, 0.9])
def test_a_global_amount_is_exact_in_total_and_uneven_in_layers(store: Store, amount: float) -> None:
    found = done(opened("digits-cnn"), edit(Plan(), MODEL, amount=amount, knobs={"magnitude.scope": "global"}), store)
    mine = [x for x in found.layers if x.name in found.outcomes]
    zeros = {x.name: int((found.stored(x).dense() == 0).sum()) for x in mine}
    assert sum(zeros.values()) == round(amount * sum(x.tensor.parameters for x in mine))
    assert max(o.sparsity for o in found.outcomes.values()) - min(o.sparsity for o in found.outcomes.values()) > 0.02
    assert all(o.setting.amount == pytest.approx(o.sparsity, abs=1e-9) for o in found.outcomes.values())


def test_a_global_threshold_keeps_larger_weights_than_it_drops(store: Store) -> None:
    found = done(opened("digits-cnn"), edit(Plan(), MODEL, amount=0.5, knobs={"magnitude.scope": "global"}), store)
    gone, kept = [], []
    for x in found.layers:
        if x.name in found.outcomes:
            zero = found.stored(x).dense() == 0
            gone.append(float(read(x.tensor).abs()[zero].max()))
            kept.append(float(read(x.tensor).abs()[~zero].min()))
    assert max(gone) <= min(kept) * 1.004  # one bucket


def test_a_group_that_does_not_divide_names_the_layer_and_the_way_out(store: Store) -> None:
    with pytest.raises(BadPlan, match=r"layer\.0\.convolution: groups of 128 don't divide its 288 inputs; choose another group size"):
        done(opened("digits-cnn"), edit(Plan(), MODEL, bits=4, knobs={"rtn.group_size": 128}), store, Job())


@pytest.mark.parametrize("name", ["digits-cnn", "fashion-vit", "sotu-lm"])
def test_the_default_knobs_fit_every_free_layer_of_the_samples(name: str) -> None:
    free = [x for x in layers(opened(name)) if x.prunable and not x.protected]
    assert [why for x in free if (why := fits(x, Setting(quantize="rtn", bits=4)))] == []


def test_the_window_hears_the_same_reason_without_reading_the_file() -> None:
    shortcut = next(x for x in layers(opened("digits-cnn")) if x.name.endswith("shortcut.convolution"))
    assert "128" in fits(shortcut, Setting(quantize="rtn", bits=4, quantize_knobs={"group_size": 128}))
    assert not fits(shortcut, Setting(quantize="rtn", bits=4, quantize_knobs={"granularity": "channel"}))


def test_one_layer_can_be_compressed_under_a_plan_that_speaks_of_others(store: Store) -> None:
    checkpoint = opened("sotu-lm")
    free = [x for x in layers(checkpoint) if not x.protected]
    plan = edit(FOUR, Scope("layers", (free[0].name,)), bits=8)
    assert list(compress(checkpoint, (free[1],), plan, None, store, Job()).outcomes) == [free[1].name]


def test_a_plan_for_another_model_is_refused_by_name(store: Store) -> None:
    with pytest.raises(BadPlan, match=r"model\.layers\.99"):
        done(opened("sotu-lm"), edit(Plan(), Scope("layers", ("model.layers.99.q",)), bits=4), store)


def test_random_pruning_follows_the_seed_and_differs_by_layer(store: Store) -> None:
    plan = edit(Plan(), MODEL, prune="random", amount=0.5)
    one, again, other = (
        done(opened("digits-cnn"), p, Store(store.root / str(i))) for i, p in enumerate((plan, plan, replace(plan, seed=1)))
    )
    alike = [x for x in one.layers if x.name in one.outcomes and x.tensor.shape == (32, 32, 3, 3)]
    assert all(torch.equal(one.stored(x).dense(), again.stored(x).dense()) for x in alike)
    assert not torch.equal(one.stored(alike[0]).dense() == 0, other.stored(alike[0]).dense() == 0)
    assert not torch.equal(one.stored(alike[0]).dense() == 0, one.stored(alike[1]).dense() == 0)


def test_a_scale_is_kept_in_the_type_of_the_file(store: Store) -> None:
    found = done(opened("sotu-lm"), FOUR, store)
    x = next(x for x in found.layers if x.name in found.outcomes)
    q = found.stored(x)
    assert isinstance(q, Quantized)
    assert (x.tensor.dtype, q.scale.dtype) == ("F16", torch.float16)


def test_the_store_drops_what_was_not_used_longest(tmp_path: Path) -> None:
    store = Store(tmp_path, 10_000)
    for i in range(8):
        store.put(f"k{i:063}", Dense(torch.zeros(500)))
        if i:
            assert store.get(f"k{0:063}") is not None  # used again and again
    assert store.stats()[1] <= store.cap
    assert store.get(f"k{1:063}") is None
    assert store.get(f"k{7:063}") is not None


def test_a_cut_off_file_in_the_store_counts_as_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("k" * 64, Dense(torch.zeros(500)))
    path = next(tmp_path.glob("*/*"))
    path.write_bytes(path.read_bytes()[:700])
    assert store.get("k" * 64) is None
