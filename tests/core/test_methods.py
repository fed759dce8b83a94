"""Every registered method keeps the contract: exact sparsity, codes on the grid, zeros that stay zero, the same seed the same result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadPlan, Cancelled
from core.job import Job
from core.prune import pruners
from core.prune.keep import histogram, keep_top, spread
from core.quantize import quantizers
from core.quantize.grid import codes
from core.stored import Quantized
from core.types import Seen

torch.set_num_threads(1)
SHAPES = [(8, 128), (32, 64, 3, 3), (1, 128)]
TYPES = [torch.float32, torch.float16, torch.bfloat16]
BY_AMOUNT = sorted(set(pruners) - {"nm"})
UPDATING = {"sparsegpt", "admm"}  # with data, the weights that stay make up for those that go
GRIDS = [
    {"granularity": g, "symmetric": s, "grid": f, **({"group_size": 32} if g == "group" else {})}
    for g in ("group", "channel", "tensor") for s in (True, False) for f in ("minmax", "mse")
]  # fmt: skip


def weight(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return (0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def seen(w: torch.Tensor) -> Seen:
    found = weight(tuple(w.shape), seed=9).abs()
    return Seen(grads=found, samples=1, fisher=found.square())


def quantized(w: torch.Tensor, bits: int = 4, **knobs: Any) -> Quantized:
    return replace(quantizers["rtn"](**knobs), bits=bits)(w, Seen())


def half_step(q: Quantized) -> torch.Tensor:
    """s / 2 for every weight."""
    rows = q.codes.shape[1]
    return (q.scale.float() / 2).repeat_interleave(rows // q.scale.shape[1], 1).view(q.shape)


@pytest.mark.parametrize("method", BY_AMOUNT)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("amount", [0.0, 0.001, 0.3, 0.5, 0.95])
def test_exactly_the_asked_share_becomes_zero_and_the_rest_stays(method: str, shape: tuple[int, ...], amount: float) -> None:
    w = weight(shape)
    out = replace(pruners[method](), amount=amount)(w, seen(w))
    assert int((out == 0).sum()) == round(amount * w.numel())
    assert torch.equal(out[out != 0], w[out != 0])
    assert out.shape == w.shape
    assert out.dtype == w.dtype


@pytest.mark.parametrize("method", sorted(pruners))
def test_pruning_leaves_the_given_tensor_alone(method: str) -> None:
    w = weight((16, 64))
    replace(pruners[method](), amount=0.5)(w, seen(w))
    assert torch.equal(w, weight((16, 64)))


@given(values=st.lists(st.sampled_from([0.0, 1e-40, 0.5, 0.5000001, 1.0, 3e38]), min_size=1, max_size=60), amount=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_what_goes_is_what_a_stable_sort_puts_first(values: list[float], amount: float) -> None:
    score = torch.tensor(values)
    n = round(amount * len(values))
    kept = keep_top(torch.ones(len(values)), score, amount)
    assert set((kept == 0).nonzero().flatten().tolist()) == set(sorted(range(len(values)), key=lambda i: (score[i], i))[:n])


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8), amount=st.floats(0, 0.95), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_global_amount_is_shared_out_exactly_and_by_score(sizes: list[int], amount: float, seed: int) -> None:
    scores = [weight((n,), seed=seed + i).abs() * (i + 1) for i, n in enumerate(sizes)]
    shares = spread([histogram(s) for s in scores], amount)
    everything = torch.cat(scores)
    assert sum(shares) == round(amount * len(everything))
    assert all(0 <= k <= n for k, n in zip(shares, sizes))
    if k := sum(shares):
        threshold = float(everything.kthvalue(k).values)
        for share, s in zip(shares, scores):  # a bucket is 0.4 % wide: only scores that near may be counted differently
            assert int((s < threshold * 0.99).sum()) <= share <= int((s <= threshold * 1.01).sum())


def test_random_zeros_follow_the_seed() -> None:
    w = weight((16, 64))
    one, again, other = (replace(pruners["random"](), amount=0.5, seed=s)(w, Seen()) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("pattern", "n", "m"), [("2:4", 2, 4), ("1:4", 1, 4), ("4:8", 4, 8)])
def test_every_m_neighbours_keep_their_n_largest(pattern: str, n: int, m: int) -> None:
    w = weight((32, 64, 3, 3))
    out = pruners["nm"](pattern=pattern)(w, Seen()).flatten(1).unflatten(1, (-1, m))
    assert ((out != 0).sum(-1) == n).all()
    assert torch.equal(out.abs().topk(n).values, w.flatten(1).unflatten(1, (-1, m)).abs().topk(n).values)


def test_a_width_the_pattern_does_not_divide_is_refused() -> None:
    with pytest.raises(BadPlan, match="divisible by 4"):
        pruners["nm"]()(weight((4, 9)), Seen())


def test_gradient_pruning_without_gradients_is_refused() -> None:
    with pytest.raises(BadPlan, match="magnitude"):
        replace(pruners["gradient"](), amount=0.5)(weight((4, 8)), Seen())


@pytest.mark.parametrize("knobs", GRIDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_codes_lie_on_the_grid_and_decode_to_its_points(knobs: dict[str, Any], dtype: torch.dtype, bits: int) -> None:
    w = weight((32, 64, 3, 3), dtype)
    q = quantized(w, bits, **knobs)
    assert q.codes.dtype == torch.uint8
    assert int(q.codes.max()) < 2**bits
    assert q.scale.dtype == dtype
    zero = torch.tensor(2 ** (bits - 1)) if q.zero is None else q.zero.int()
    size = q.codes.shape[1] // q.scale.shape[1]
    spelled = zero if q.zero is None else zero.repeat_interleave(size, 1)
    points = (q.codes.int() - spelled).float() * q.scale.float().repeat_interleave(size, 1)
    assert torch.equal(q.dense(), points.view(w.shape).to(dtype))


@pytest.mark.parametrize("knobs", [g for g in GRIDS if g["grid"] == "minmax"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_weight_moves_further_than_half_a_step(knobs: dict[str, Any], bits: int) -> None:
    w = weight((32, 128))
    q = quantized(w, bits, **knobs)
    assert ((q.dense() - w).abs() <= half_step(q) * 1.001).all()


@pytest.mark.parametrize("knobs", GRIDS)
@pytest.mark.parametrize("dtype", TYPES)
def test_pruned_weights_stay_exactly_zero(knobs: dict[str, Any], dtype: torch.dtype) -> None:
    w = replace(pruners["magnitude"](), amount=0.5)(weight((16, 128), dtype) + 0.02, Seen())
    assert (quantized(w, 3, **knobs).dense()[w == 0] == 0).all()


@pytest.mark.parametrize("knobs", GRIDS)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_points_of_a_grid_round_to_themselves(knobs: dict[str, Any], bits: int) -> None:
    q = quantized(weight((16, 128)), bits, **knobs)
    x = q.dense().view(16, q.scale.shape[1], -1)
    zero = torch.full_like(q.scale, 2 ** (bits - 1)) if q.zero is None else q.zero.float()
    assert torch.equal(codes(x, q.scale[..., None], zero[..., None], bits).view(q.codes.shape), q.codes.float())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_quantizing_a_quantized_weight_changes_nothing(bits: int) -> None:
    """The asymmetric grid, both of whose ends are met; a symmetric one has a code more below zero than above, so a new fit may move it."""
    once = quantized(weight((16, 128)), bits, symmetric=False, group_size=32)
    twice = quantized(once.dense(), bits, symmetric=False, group_size=32)
    assert torch.equal(once.codes, twice.codes)
    assert torch.allclose(once.dense(), twice.dense(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("knobs", GRIDS)
def test_more_bits_mean_less_error(knobs: dict[str, Any]) -> None:
    w = weight((64, 128))
    errors = [float((quantized(w, b, **knobs).dense() - w).square().sum()) for b in (2, 3, 4, 5, 6, 7, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 100


@pytest.mark.parametrize("knobs", [g for g in GRIDS if g["grid"] == "mse"])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_searched_grid_is_never_worse_and_at_few_bits_better(knobs: dict[str, Any], bits: int) -> None:
    w = weight((32, 128))
    searched, plain = (float((quantized(w, bits, **{**knobs, "grid": g}).dense() - w).square().sum()) for g in ("mse", "minmax"))
    assert searched < plain


@pytest.mark.parametrize("knobs", GRIDS)
def test_a_weight_of_zeros_or_of_one_value_survives(knobs: dict[str, Any]) -> None:
    assert not quantized(torch.zeros(4, 64), 2, **knobs).dense().any()
    same = quantized(torch.full((4, 64), 0.25), 8, **knobs).dense()
    assert torch.allclose(same, torch.full((4, 64), 0.25), rtol=0.01)


def test_chunks_of_rows_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    w = weight((30, 64))
    whole = quantized(w, group_size=16)
    monkeypatch.setattr("core.quantize.rtn.STEP", 200)
    pieces = quantized(w, group_size=16)
    assert torch.equal(whole.codes, pieces.codes)
    assert torch.equal(whole.scale, pieces.scale)


def test_a_group_that_does_not_divide_the_width_is_refused() -> None:
    with pytest.raises(BadPlan, match="groups of 64 don't divide its 96 inputs"):
        quantized(weight((4, 96)), group_size=64)


def test_a_cancelled_job_stops_the_quantizer() -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        quantizers["rtn"]()(weight((4, 64)), Seen(), job=job)
