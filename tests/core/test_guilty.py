"""Who is guilty: a planted fragile layer is found in about log2 n evaluations, on paper and in a real network."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from math import ceil, log2
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.compress import compress, original
from core.data import default, load
from core.errors import BadPlan, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint
from core.guilty import Guilt, guilty, restored
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, Scope, edit, resolve
from core.resources import root
from core.store import Store
from core.types import Checkpoint, Choice, Layer, Measured, Plan, Score, TensorInfo

torch.set_num_threads(1)
FRAGILE = "model.layers.2.mlp.down_proj"
THREE = edit(Plan(), MODEL, quantize="rtn", bits=3, knobs={"rtn.group_size": 32})


def linears(n: int) -> tuple[Layer, ...]:
    names = [f"blocks.{i}.linear" for i in range(n)]
    return tuple(Layer(x, TensorInfo(f"{x}.weight", (64, 64), "F32", 16384, Path("m")), "linear", "blocks.*.linear") for x in names)


def scored(value: float, error: float = 0.0) -> Score:
    return Score("causal-lm", {"kl": Measured(value, error)}, 100, "tokens", "x", 1, 1)


class World:
    """Layers that cost what they cost, up to a ceiling; counts its evaluations."""

    def __init__(self, costs: Mapping[str, float], found: tuple[Layer, ...], top: float = float("inf"), error: float = 0.0) -> None:
        self.costs, self.found, self.top, self.error = costs, found, top, error
        self.count = 0

    def __call__(self, plan: Plan) -> Score:
        self.count += 1
        raw = sum(self.costs.get(n, 0.001) for n, s in resolve(plan, self.found).items() if not s.idle)
        return scored(raw if self.top == float("inf") else self.top * (1 - np.exp(-raw / self.top)), self.error)


@pytest.mark.parametrize("at", [0, 17, 99, 199])
@pytest.mark.parametrize("n", [200, 257])
def test_one_guilty_layer_of_n_is_found_in_about_log2_n_evaluations(at: int, n: int) -> None:
    found = linears(n)
    world = World({f"blocks.{at}.linear": 2.0}, found)
    guilt = guilty(found, THREE, world, Job())
    assert [s.layer for s in guilt.suspects] == [f"blocks.{at}.linear"]
    assert guilt.suspects[0].share > 0.85
    assert not guilt.spread
    assert guilt.evaluations == world.count <= ceil(log2(n)) + 2


def test_two_guilty_layers_in_different_halves_are_both_found_even_when_the_loss_saturates() -> None:
    found = linears(64)
    world = World({"blocks.3.linear": 30.0, "blocks.50.linear": 25.0}, found, top=8.0)
    guilt = guilty(found, THREE, world, Job())
    assert {s.layer for s in guilt.suspects} == {"blocks.3.linear", "blocks.50.linear"}
    assert guilt.left.value < 0.1


def test_a_loss_that_is_spread_is_said_to_be() -> None:
    found = linears(64)
    guilt = guilty(found, THREE, World({x.name: 0.02 for x in found}, found), Job())
    assert guilt.spread
    assert "spread" in guilt.told
    assert all(s.share < 0.05 for s in guilt.suspects)


def test_a_loss_within_the_noise_accuses_nobody() -> None:
    found = linears(32)
    world = World({x.name: 1e-5 for x in found}, found, error=0.01)
    guilt = guilty(found, THREE, world, Job())
    assert guilt.suspects == ()
    assert guilt.plan == THREE
    assert world.count == 1


def test_a_suspicion_puts_the_likely_ones_into_one_half() -> None:
    found = linears(256)
    culprits = {"blocks.3.linear": 1.0, "blocks.100.linear": 0.9, "blocks.200.linear": 0.8}
    guilt = guilty(found, THREE, World(culprits, found), Job(), threshold=0.15, suspicion=culprits)
    assert [s.layer for s in guilt.suspects] == list(culprits)


def test_one_click_gives_the_guilty_more_bits_and_half_the_pruning() -> None:
    found = linears(16)
    plan = edit(THREE, MODEL, amount=0.5)
    guilt = guilty(found, plan, World({"blocks.5.linear": 2.0}, found), Job())
    before, after = resolve(plan, found), resolve(guilt.plan, found)
    assert (after["blocks.5.linear"].bits, after["blocks.5.linear"].amount) == (6, 0.25)
    assert all(after[n] == before[n] for n in before if n != "blocks.5.linear")


def test_a_method_that_has_only_two_bits_is_lifted_to_full_precision() -> None:
    found = linears(4)
    plan = edit(Plan(), MODEL, quantize="ternary", bits=2)
    guilt = guilty(found, plan, World({"blocks.1.linear": 2.0}, found), Job())
    assert resolve(guilt.plan, found)["blocks.1.linear"].bits == 16


def test_a_plan_that_does_nothing_has_no_guilty_layers() -> None:
    found = linears(4)
    with pytest.raises(BadPlan, match="leaves every layer as it is"):
        guilty(found, Plan(), World({}, found), Job())


def test_restoring_keeps_what_else_a_layer_says() -> None:
    own = Choice(bits=4, knobs={"rtn.group_size": 64})
    plan = replace(THREE, layers={"blocks.1.linear": own})
    assert restored(plan, ["blocks.1.linear"]).layers["blocks.1.linear"] == replace(own, protect=True)


def test_a_cancel_is_heard_between_evaluations() -> None:
    found, job = linears(64), Job()
    world = World({"blocks.5.linear": 2.0}, found)

    def evaluate(plan: Plan) -> Score:
        if world.count == 2:
            job.cancel()
        return world(plan)

    with pytest.raises(Cancelled):
        guilty(found, THREE, evaluate, job)
    assert world.count == 3


def planted(folder: Path) -> Path:
    """sotu-lm that answers as before, with outliers in one down projection: every eighth of its inputs comes 40 times smaller and is
    multiplied by 40, so that the other weights of each group fall between two steps."""
    to = folder / "planted"
    shutil.copytree(root() / "samples" / "sotu-lm", to)
    tensors = load_file(to / "model.safetensors")
    up = FRAGILE.replace("down_proj", "up_proj")
    tensors[f"{FRAGILE}.weight"][:, ::8] *= 40
    tensors[f"{up}.weight"][::8] /= 40
    save_file(tensors, to / "model.safetensors", {"format": "pt"})
    return to


class Real:
    """A real network with its planted layer, scored on a few hundred tokens."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = open_checkpoint(planted(folder))
        self.layers = tuple(layers(self.checkpoint))
        self.store, self.job = Store(folder / "layers"), Job()
        network = attach(self.checkpoint, self.job)
        weights = original(self.checkpoint, self.layers, self.store).weights(self.job)
        path = default(self.checkpoint)
        assert path is not None
        self.reference = Reference(network, weights, load(path, network, 512, self.job))

    def __call__(self, plan: Plan) -> Score:
        done = compress(self.checkpoint, self.layers, plan, None, self.store, self.job)
        return judge(self.reference, done.weights(self.job), self.job)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    return Real(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def guilt(real: Real) -> Guilt:
    return guilty(real.layers, THREE, real, Job())


def test_the_plant_leaves_the_answers_as_they_were(real: Real) -> None:
    assert real(Plan()).metrics["kl"].value == 0
    sample = open_checkpoint(root() / "samples" / "sotu-lm")
    path = default(sample)
    assert path is not None
    network = attach(sample)
    weights = original(sample, layers(sample), real.store).weights(Job())
    healthy = judge(Reference(network, weights, load(path, network, 512, Job())), None, Job())
    ours = judge(real.reference, None, Job())
    assert ours.metrics["perplexity"].value == pytest.approx(healthy.metrics["perplexity"].value, rel=0.01)


def test_a_planted_fragile_layer_of_a_real_network_is_found(real: Real, guilt: Guilt) -> None:
    busy = [x for x in real.layers if not resolve(THREE, real.layers)[x.name].idle]
    assert guilt.suspects[0].layer == FRAGILE
    assert guilt.suspects[0].share > 0.5
    assert guilt.evaluations <= ceil(log2(len(busy))) + 2
    assert not guilt.spread


def test_more_bits_for_the_guilty_help_a_real_network(real: Real, guilt: Guilt) -> None:
    relieved = real(guilt.plan).metrics["kl"].value
    assert relieved < 0.6 * guilt.loss.value
    innocent = edit(THREE, Scope("layers", ("model.layers.1.mlp.down_proj",)), bits=6)
    assert real(innocent).metrics["kl"].value > 0.9 * guilt.loss.value
