"""The walk over real models: what is not planned stays bit-identical, what was done is reused, what can't be done is refused by name."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.calibrate import gradients, observe
from core.compress import Compressed, compress, fits, needs
from core.data import Batches, default, load
from core.data.calibration import Calibrating, calibrating
from core.errors import BadFile, BadPlan, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.inspection import BINS, SIDE, inspect
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.plans import MODEL, Scope, edit
from core.resources import root
from core.store import Store
from core.stored import Dense, Quantized
from core.types import Calibration, Checkpoint, Plan, Seen, Setting

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


@pytest.fixture(scope="module")
def digits() -> Reference:
    checkpoint = opened("digits-cnn")
    network, data = attach(checkpoint), default(checkpoint)
    assert data is not None
    return Reference(network, {n: read(i) for n, i in checkpoint.tensors.items()}, load(data, network, 200))


def test_gradients_agree_with_a_step_along_one_weight(digits: Reference) -> None:
    """|w * dL/dw| against a central difference in one weight, on a single batch."""
    checkpoint = opened("digits-cnn")
    x = next(x for x in layers(checkpoint) if not x.protected)
    one = replace(digits.batches, items=digits.batches.items[:1])
    grads = observe(digits.network, checkpoint, Calibrating(one, one, ""), [x], {"grads"}, Job()).seen[x.name].grads
    assert grads is not None
    at, step, sides = int(grads.argmax()), 1e-2, []
    for sign in (1, -1):
        w = digits.weights[x.tensor.name].clone()
        w.view(-1)[at] += sign * step
        logits = digits.network.forward({**digits.weights, x.tensor.name: w}, dict(one.items[0]))
        sides.append(float(torch.nn.functional.cross_entropy(logits.double(), one.items[0]["labels"])))
    slope = abs((sides[0] - sides[1]) / (2 * step) * float(digits.weights[x.tensor.name].view(-1)[at]))
    assert float(grads.view(-1)[at]) == pytest.approx(slope, rel=0.05)


def test_gradient_and_fisher_pruning_beat_random_on_real_digits(digits: Reference, store: Store) -> None:
    checkpoint, kl = opened("digits-cnn"), {}
    for method in ("gradient", "fisher", "random"):
        plan = edit(Plan(), MODEL, prune=method, amount=0.5)
        asked = needs(plan, layers(checkpoint))
        assert asked == {"gradient": {"grads"}, "fisher": {"fisher"}, "random": frozenset()}[method]
        data = Calibrating(digits.batches, digits.batches, "")
        seen = observe(digits.network, checkpoint, data, layers(checkpoint), asked, Job()) if asked else None
        weights = done(checkpoint, plan, store, None, seen).weights(Job())
        kl[method] = judge(digits, weights, Job()).metrics["kl"].value
    assert max(kl["gradient"], kl["fisher"]) < kl["random"] / 2


def test_gradients_of_other_data_are_another_layer(digits: Reference, store: Store) -> None:
    checkpoint = opened("digits-cnn")
    plan = edit(Plan(), MODEL, prune="gradient", amount=0.5)
    seen = observe(digits.network, checkpoint, Calibrating(digits.batches, digits.batches, ""), layers(checkpoint), {"grads"}, Job())
    done(checkpoint, plan, store, None, seen)
    assert all(o.reused for o in done(checkpoint, plan, store, None, seen).outcomes.values())
    other = done(checkpoint, plan, store, None, replace(seen, fingerprint="other"))
    assert not any(o.reused for o in other.outcomes.values())


def test_labels_an_encoder_does_not_have_are_not_made_up(digits: Reference) -> None:
    data = Calibrating(digits.batches, digits.batches, "")
    with pytest.raises(BadPlan, match="encoder"):
        observe(replace(digits.network, task="encoder"), opened("digits-cnn"), data, [], {"grads"}, Job())


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


def test_an_inspection_agrees_with_numpy(store: Store) -> None:
    found = done(opened("sotu-lm"), FOUR, store)
    x = next(x for x in found.layers if x.name in found.outcomes)
    w, q = read(x.tensor).float().numpy(), found.stored(x).dense().float().numpy()
    seen = inspect(x, read(x.tensor), found.stored(x).dense(), Job())
    assert seen.after is not None
    for side, a in ((seen.before, w), (seen.after, q)):
        d = a.astype(np.float64)
        assert side.counts.sum() == a.size
        assert (side.stats.mean, side.stats.std) == (pytest.approx(d.mean(), abs=1e-9), pytest.approx(d.std(), rel=1e-6))
        assert side.stats.kurtosis == pytest.approx(((d - d.mean()) ** 4).mean() / d.var() ** 2, rel=1e-6)
        assert side.stats.zeros == pytest.approx((a == 0).mean())
        np.testing.assert_allclose(side.channels.absmax, np.abs(d).max(1))
        assert max(side.magnitude.shape) <= SIDE
    assert seen.error == pytest.approx(found.outcomes[x.name].error, rel=1e-4)
    assert seen.channel_errors is not None
    np.testing.assert_allclose(seen.channel_errors, ((w - q) ** 2).sum(1) / (w**2).sum(1), rtol=1e-3)
    assert len(seen.edges) == BINS + 1


def test_the_map_averages_blocks_and_outliers_are_found(tmp_path: Path) -> None:
    w = torch.zeros(1100, 700)
    w[1099, 699] = 5.0
    x = layers(made(tmp_path, **{"a.x": w}))[0]
    seen = inspect(x, w, None, Job())
    assert seen.before.magnitude.shape == (SIDE, SIDE)
    rows, columns = 1100 - 511 * 1100 // 512, 700 - 511 * 700 // 512
    assert seen.before.magnitude[-1, -1] == pytest.approx(5 / (rows * columns))
    assert seen.before.zeros[-1, -1] == pytest.approx(1 - 1 / (rows * columns))
    assert [(o.row, o.column, o.value) for o in seen.before.outliers] == [(1099, 699, 5.0)]
    assert (seen.after, seen.error) == (None, None)


def test_inspection_stops_when_asked(tmp_path: Path) -> None:
    job = Job()
    job.cancel()
    x = layers(made(tmp_path, **{"a.x": torch.ones(4, 4)}))[0]
    with pytest.raises(Cancelled):
        inspect(x, torch.ones(4, 4), None, job)


def test_gradients_are_asked_for_before_the_walk(store: Store) -> None:
    with pytest.raises(BadPlan, match="magnitude"):
        done(opened("digits-cnn"), edit(Plan(), MODEL, prune="gradient", amount=0.5), store, None, Calibration({"x": Seen()}, "f"))


def calibrated(network: Network, checkpoint: Checkpoint, plan: Plan, data: Calibrating, order: Any = "parallel") -> Calibration:
    return observe(network, checkpoint, data, layers(checkpoint), needs(plan, layers(checkpoint)), Job(), order)


@pytest.fixture(scope="module")
def sotu() -> tuple[Network, Checkpoint, Calibrating]:
    checkpoint = opened("sotu-lm")
    network = attach(checkpoint)
    return network, checkpoint, calibrating(None, network, default(checkpoint), 256, 1024)


WANDA = edit(Plan(), MODEL, prune="wanda", amount=0.5)


def test_statistics_are_collected_for_the_one_layer_the_store_lacks(sotu: tuple[Network, Checkpoint, Calibrating], store: Store) -> None:
    network, checkpoint, data = sotu
    first = done(checkpoint, WANDA, store, None, calibrated(network, checkpoint, WANDA, data))
    phases: list[str] = []
    hearing = Job(tell=lambda p: phases.append(p.phase))
    again = done(checkpoint, WANDA, store, hearing, calibrated(network, checkpoint, WANDA, data))
    assert all(o.reused for o in again.outcomes.values())
    assert set(phases) == {"Compressing"}
    late = list(first.outcomes)[-1]
    plan = edit(WANDA, Scope("layers", (late,)), amount=0.6)
    phases.clear()
    edited = done(checkpoint, plan, store, hearing, calibrated(network, checkpoint, plan, data))
    assert [n for n, o in edited.outcomes.items() if not o.reused] == [late]
    assert sum(p.startswith("Statistics") for p in set(phases)) == 1


@pytest.mark.parametrize("order", ["parallel", "sequential"])
def test_an_interrupted_calibrated_walk_ends_like_one_that_was_not(
    sotu: tuple[Network, Checkpoint, Calibrating], store: Store, order: str
) -> None:
    """Also in sequential order, where a layer's statistics hang on the layers before it, some now out of the store."""
    network, checkpoint, data = sotu
    plan = edit(Plan(), MODEL, quantize="gptq", bits=3, knobs={"gptq.group_size": 32})
    some = Scope("layers", tuple(x.name for x in layers(checkpoint) if not x.protected and "layers.1." not in x.name))
    plan = edit(plan, some, bits=16)
    plan = edit(plan, Scope("layers", tuple(x.name for x in layers(checkpoint) if x.name.endswith("layers.2.mlp.down_proj"))), bits=3)
    job = Job(point=lambda p: job.cancel() if p[0].endswith("layers.1.mlp.up_proj") else None)
    with pytest.raises(Cancelled):
        done(checkpoint, plan, store, job, calibrated(network, checkpoint, plan, data, order))
    found = done(checkpoint, plan, store, None, calibrated(network, checkpoint, plan, data, order))
    whole = done(checkpoint, plan, Store(store.root / "whole"), None, calibrated(network, checkpoint, plan, data, order))
    assert 0 < sum(o.reused for o in found.outcomes.values()) < len(found.outcomes)
    assert {n: o.key for n, o in found.outcomes.items()} == {n: o.key for n, o in whole.outcomes.items()}
    one, two = found.weights(Job()), whole.weights(Job())
    assert all(torch.equal(one[n], two[n]) for n in one)


def test_sequential_order_is_another_result_under_another_key(sotu: tuple[Network, Checkpoint, Calibrating], store: Store) -> None:
    network, checkpoint, data = sotu
    parallel, sequential = (done(checkpoint, WANDA, store, None, calibrated(network, checkpoint, WANDA, data, o)) for o in ("parallel", "sequential"))  # noqa: E501
    first, last = (next(n for n in parallel.outcomes if f"layers.{i}.self_attn.o_proj" in n) for i in (0, 3))
    assert parallel.outcomes[last].key != sequential.outcomes[last].key
    x = {x.name: x for x in parallel.layers}
    assert torch.equal(parallel.stored(x[first]).dense(), sequential.stored(x[first]).dense())
    assert not torch.equal(parallel.stored(x[last]).dense(), sequential.stored(x[last]).dense())


def test_a_layer_without_signal_is_compressed_without_data_and_listed(tmp_path: Path, store: Store) -> None:
    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.never = torch.nn.Linear(64, 8), torch.nn.Linear(64, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x.flatten(1))

    net = Two().requires_grad_(False)
    save_file(net.state_dict(), tmp_path / "m.safetensors")
    checkpoint = open_checkpoint(tmp_path / "m.safetensors")

    def forward(weights: dict[str, torch.Tensor], item: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(net, weights, (item["pixel_values"],))

    network = Network("image-classification", forward, forward, module=net, names={n: n for n in net.state_dict()})
    item = {"pixel_values": torch.randn(50, 1, 8, 8), "labels": torch.zeros(50).long()}
    batches = Batches("images", (item,), 50, "images", "x", "f")
    job = Job()
    found = done(checkpoint, WANDA, store, job, calibrated(network, checkpoint, WANDA, Calibrating(batches, batches, "")))
    assert {n: o.blind for n, o in found.outcomes.items()} == {"never": True, "used": False}
    assert any("1 layers met no calibration data and were compressed without: never" in n for n in job.notes)
    w = read(checkpoint.tensors["never.weight"])
    kept = found.stored(next(x for x in found.layers if x.name == "never")).dense() != 0
    for row, mine in zip(w.abs(), kept, strict=True):  # Wanda compares within a row; without data by magnitude
        assert float(row[mine].min()) >= float(row[~mine].max())


def test_an_excluded_layer_of_a_calibrated_run_is_bit_identical(sotu: tuple[Network, Checkpoint, Calibrating], store: Store) -> None:
    network, checkpoint, data = sotu
    out = "model.layers.2.mlp.up_proj"
    plan = edit(WANDA, Scope("layers", (out,)), protect=True)
    found = done(checkpoint, plan, store, None, calibrated(network, checkpoint, plan, data))
    assert out not in found.outcomes
    x = next(x for x in found.layers if x.name == out)
    assert found.stored(x).dense().numpy().tobytes() == read(x.tensor).numpy().tobytes()


def test_a_tied_embedding_is_met_where_it_is_the_output_layer(sotu: tuple[Network, Checkpoint, Calibrating], store: Store) -> None:
    network, checkpoint, data = sotu
    name = "model.embed_tokens"
    assert checkpoint.tied == {"lm_head.weight": f"{name}.weight"}
    plan = edit(Plan(), Scope("layers", (name,)), prune="wanda", amount=0.3, protect=False)
    calibration = calibrated(network, checkpoint, plan, data)
    seen = calibration.seen[name]
    assert seen.samples == data.solver.n  # every token reaches the output layer, a window's last one too
    found = done(checkpoint, plan, store, None, calibration)
    assert list(found.outcomes) == [name]
    assert not found.outcomes[name].blind


def test_fisher_information_agrees_with_the_derivative_of_every_label_weighted_by_its_probability(digits: Reference) -> None:
    """On one image the expectation over drawn labels is a sum over the ten classes: the average of many draws must come near it."""
    checkpoint = opened("digits-cnn")
    head = next(x for x in layers(checkpoint) if x.kind == "head")
    item = {k: v[3:4] for k, v in digits.batches.items[0].items()}
    w = digits.weights[head.tensor.name].clone().requires_grad_()
    soft = {**digits.weights, head.tensor.name: w * 0.05}  # so that several labels are likely
    logits = digits.network.forward(soft, item)
    exact = torch.zeros_like(w)
    for label, p in enumerate(logits.detach().softmax(-1)[0]):
        (g,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, torch.tensor([label])), [w], retain_graph=True)
        exact += p * (g / 0.05).square()
    many = replace(digits.batches, items=tuple([item] * 400))
    plain = {**digits.weights, head.tensor.name: (w * 0.05).detach()}
    found = gradients.fisher(digits.network, plain, many, [head], 0, Job())[head.name]
    assert float((found - exact).norm() / exact.norm()) < 0.15
