"""The walk with methods that look at data: statistics only for what the store lacks, gradients, layers that met nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.calibrate import gradients, observe
from core.compress import needs
from core.data import Batches, default, load
from core.data.calibration import Calibrating, calibrating
from core.errors import BadPlan, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.plans import MODEL, Scope, edit
from core.store import Store
from core.types import Calibration, Checkpoint, Plan, Seen

from .test_compress import done, opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "layers")


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


@pytest.mark.parametrize("order", ["parallel", "sequential", "corrected"])
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
