"""Cross-layer correction: each layer makes up for what the compressed layers before it did to its inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.calibrate import Statistics, observe
from core.compress import Compressed, compress
from core.data import default, load
from core.data.calibration import Calibrating, calibrating
from core.evaluate import Reference, judge
from core.formats import read
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.plans import MODEL, edit
from core.solve.correct import corrected
from core.store import Store
from core.types import Checkpoint, Plan, Seen

from .test_compress import opened

SLIM = edit(Plan(), MODEL, quantize="slim", bits=3, knobs={"slim.group_size": 32})


@pytest.fixture(scope="module")
def sotu() -> tuple[Network, Checkpoint, Calibrating]:
    checkpoint = opened("sotu-lm")
    network = attach(checkpoint)
    return network, checkpoint, calibrating(None, network, default(checkpoint), 1024, 4096)


@pytest.fixture(scope="module")
def done(sotu: tuple[Network, Checkpoint, Calibrating], tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    return made(sotu, "corrected", tmp_path_factory.mktemp("corrected"))


def made(sample: tuple[Network, Checkpoint, Calibrating], order: Any, root: Path) -> Compressed:
    network, checkpoint, data = sample
    free = [x for x in layers(checkpoint) if not x.protected]
    seen = observe(network, checkpoint, data, free, {"inputs"}, Job(), order)
    return compress(checkpoint, layers(checkpoint), SLIM, seen, Store(root), Job())


def moments(x: torch.Tensor, x0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.T @ x / len(x), (x0 - x).T @ x / len(x)


def drifted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Seen]:
    """A weight, its inputs on tokens of neither part as they were and as they are, and what was seen of the others."""
    own = torch.Generator().manual_seed(0)
    w, mix = torch.randn(24, 32, generator=own), torch.eye(32) + 0.1 * torch.randn(32, 32, generator=own)
    x0 = torch.randn(3000, 32, generator=own)
    x = x0 @ mix + 0.05 * torch.randn(3000, 32, generator=own)
    (h, drift), (held, apart) = (moments(x[part], x0[part]) for part in (slice(0, 1000), slice(1000, 2000)))
    return w, x0[2000:], x[2000:], Seen(hessian=h, held=held, samples=1000, drift=drift, held_drift=apart)


def test_a_corrected_weight_answers_on_its_new_inputs_what_it_answered_on_the_old() -> None:
    w, x0, x, seen = drifted()
    found = corrected(w, seen, Job())
    before, after = ((x0 @ w.T - x @ v.T).square().mean() for v in (w, found))
    assert after < 0.1 * before
    assert corrected(w.half(), seen, Job()).dtype == torch.float16


def test_a_correction_that_held_out_tokens_do_not_want_is_not_made() -> None:
    w, _, _, seen = drifted()
    assert corrected(w, Seen(hessian=seen.hessian, held=seen.held), Job()) is w, "no drift was noted"
    assert corrected(w, replace(seen, held_drift=None), Job()) is w, "nothing to choose by"
    assert seen.drift is not None
    assert corrected(w, replace(seen, drift=-seen.drift), Job()) is w, "the held-out tokens drifted the other way"


def test_layers_take_their_turns_in_the_order_of_their_inputs(sotu: tuple[Network, Checkpoint, Calibrating]) -> None:
    network, checkpoint, data = sotu
    seen = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job(), "corrected").seen
    assert isinstance(seen, Statistics)
    roles = {f"self_attn.{n}_proj": 0 for n in "qkv"} | {"self_attn.o_proj": 1, "mlp.gate_proj": 2, "mlp.up_proj": 2, "mlp.down_proj": 3}
    assert {r: seen.turn(f"model.layers.2.{r}") for r in roles} == {r: (2, n) for r, n in roles.items()}
    drift = seen["model.layers.0.self_attn.o_proj"].drift
    assert drift is not None
    assert not drift.any(), "nothing is compressed yet"


def test_what_a_layer_meets_is_noted_beside_what_the_original_met(sotu: tuple[Network, Checkpoint, Calibrating], done: Compressed) -> None:
    """The last layer's drift, against plain hooks on two whole networks: the original, and all but this layer compressed."""
    network, checkpoint, data = sotu
    late = next(x for x in done.layers if x.name == "model.layers.3.mlp.down_proj")
    seen = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job(), "corrected").seen
    changed = {x.tensor.name: x for x in done.layers if x.name in done.outcomes and x is not late}
    assert isinstance(seen, Statistics)
    found = seen.under(Job(), lambda t: done.stored(changed[t]).dense() if t in changed else None)[late.name]
    assert network.module is not None
    rows: list[torch.Tensor] = []
    handle = network.module.get_submodule(late.name).register_forward_pre_hook(lambda _, a: rows.append(a[0].flatten(0, -2).double()))
    source = {t.name: read(t).float() for t in checkpoint.tensors.values()}
    with torch.no_grad():
        for weights in (source, {**source, **{n: done.stored(x).dense().float() for n, x in changed.items()}}):
            for item in data.held.items:
                network.forward(weights, item)
    handle.remove()
    x0, x = torch.cat(rows[: len(rows) // 2]), torch.cat(rows[len(rows) // 2 :])
    assert found.held is not None
    assert found.held_drift is not None
    # both weigh tokens alike, so that the share of the inputs' second moments which the drift explains must agree with the plain one's
    plain, own = ((d * h).sum() / (h * h).sum() for h, d in (moments(x, x0), (found.held.double(), found.held_drift.double())))
    assert float(own) == pytest.approx(float(plain), rel=0.3, abs=2e-3)
    assert float(own) != 0


def test_corrected_layers_bring_a_model_nearer_to_the_original_than_sequential_ones(
    sotu: tuple[Network, Checkpoint, Calibrating], done: Compressed, tmp_path: Path
) -> None:
    """On text that neither part of the calibration has seen."""
    network, checkpoint, _ = sotu
    held = default(checkpoint)
    assert held is not None
    source = {t.name: read(t).float() for t in checkpoint.tensors.values()}
    reference = Reference(network, source, load(held, network, 1024))
    both = made(sotu, "sequential", tmp_path), done
    lost = [judge(reference, c.weights(Job()), Job()).metrics["kl"].value for c in both]
    assert lost[1] < 0.95 * lost[0]


def test_a_network_without_blocks_is_compressed_side_by_side_and_says_so(tmp_path: Path) -> None:
    checkpoint = opened("digits-cnn")
    network = attach(checkpoint)
    sample, job = (network, checkpoint, calibrating(None, network, default(checkpoint), 100, 60)), Job()
    data = sample[2]
    seen = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, job, "corrected")
    plan = edit(Plan(), MODEL, quantize="gptq", bits=4, knobs={"gptq.granularity": "channel"})
    found = compress(checkpoint, layers(checkpoint), plan, seen, Store(tmp_path / "one"), job)
    plain = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job())
    beside = compress(checkpoint, layers(checkpoint), plan, plain, Store(tmp_path / "two"), Job())
    one, two = found.weights(Job()), beside.weights(Job())
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert any("no chain of blocks" in note for note in job.notes)
