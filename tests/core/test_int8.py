"""Dynamic int8 computes what its integers say, is what the evaluation measures, and refuses what it can't run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear

from core.compress import compress, fits, original
from core.data import default, load
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, targets
from core.int8 import Int8Linear, running
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.quantize.int8dynamic import Int8Dynamic
from core.resources import root
from core.size import size
from core.store import Store
from core.types import Choice, Plan, Seen, Setting

torch.set_num_threads(1)
G = torch.Generator().manual_seed(5)
PLAN = Plan(Choice(prune="magnitude", amount=0.0, quantize="int8dynamic", bits=8))


def test_the_kernel_computes_what_its_integers_say() -> None:
    """Inputs from 0 up need no zero point: each token is its largest value times whole 127ths."""
    x, w = torch.rand(9, 64, generator=G), torch.randn(48, 64, generator=G)
    q = Int8Dynamic()(w, Seen())
    found = Int8Linear.of((q.codes.short() - 128).char(), q.scale.flatten())(x)
    size = x.amax(1, keepdim=True).double()
    wanted = (x / size * 127).round() / 127 @ q.dense().double().T * size
    assert float((found - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())


def test_every_token_has_a_scale_of_its_own() -> None:
    x, w = torch.randn(2, 64, generator=G), torch.randn(48, 64, generator=G)
    q = Int8Dynamic()(w, Seen())
    layer = Int8Linear.of((q.codes.short() - 128).char(), q.scale.flatten())
    x[1] *= 1000
    exact = linear(x, q.dense())
    apart = (layer(x) - exact).norm(dim=1) / exact.norm(dim=1)
    assert float(apart.max()) < 0.02


def test_a_layer_sent_to_another_process_computes_the_same() -> None:
    layer = Int8Linear.of(torch.randint(-127, 128, (6, 16), generator=G).char(), torch.linspace(0.01, 0.06, 6))
    x = torch.randn(3, 16, generator=G)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), layer(x))


def test_a_row_s_largest_weight_is_kept_and_zeros_stay_zero() -> None:
    w = torch.randn(8, 32, generator=G)
    w[:, :4] = 0
    q = Int8Dynamic()(w, Seen()).dense()
    assert bool((q[:, :4] == 0).all())
    assert torch.allclose(q.abs().amax(1), w.abs().amax(1), rtol=1e-6)


def test_the_evaluation_runs_the_integers(tmp_path: Path) -> None:
    """The score with integer activations is not that of the rounded weights alone, and the score of neither is far off."""
    checkpoint = open_checkpoint(root() / "samples" / "sotu-lm")
    found, store, job = tuple(layers(checkpoint)), Store(tmp_path), Job()
    network, data = attach(checkpoint), default(checkpoint)
    assert data is not None
    reference = Reference(network, original(checkpoint, found, store).weights(job), load(data, network, 512))
    made = compress(checkpoint, found, PLAN, None, store, job)
    weights = made.weights(job)
    rounded = judge(reference, weights, job).metrics["kl"].value
    whole = judge(reference, weights, job, running(made, network)).metrics["kl"].value
    assert rounded < whole < 0.02


def test_other_bits_and_other_layers_are_refused_by_name() -> None:
    linear_, conv = (layers(open_checkpoint(root() / "samples" / s)) for s in ("sotu-lm", "digits-cnn"))
    assert "8 bits" in fits(next(x for x in linear_ if x.kind == "linear"), Setting(quantize="int8dynamic", bits=4))
    assert "linear" in fits(next(x for x in conv if x.kind == "conv"), Setting(quantize="int8dynamic", bits=8))


def test_the_packed_file_holds_its_weights_and_the_dense_one_says_what_it_loses() -> None:
    checkpoint = open_checkpoint(root() / "samples" / "sotu-lm")
    x = next(x for x in layers(checkpoint) if x.kind == "linear")
    setting = Setting(quantize="int8dynamic", bits=8)
    assert not targets["packed"]().refuses(checkpoint, x, setting)
    assert size(checkpoint, [x], {x.name: setting}, targets["packed"]()).total < 0.6 * x.tensor.nbytes + 1000
    assert targets["dense"]().refuses(checkpoint, x, setting)


@pytest.mark.parametrize("rows", [1, 7])
def test_a_bias_and_leading_dimensions_go_through(rows: int) -> None:
    x, w, b = torch.randn(2, rows, 16, generator=G), torch.randn(5, 16, generator=G), torch.randn(5, generator=G)
    q = Int8Dynamic()(w, Seen())
    found = Int8Linear.of((q.codes.short() - 128).char(), q.scale.flatten())(x, b)
    assert found.shape == (2, rows, 5)
    assert torch.allclose(found, linear(x, w, b), atol=0.15)
