"""What is trained of a tensor keeps its mask and its grid, has in training the value its file will have, and begins where it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.job import Job
from core.quantize import quantizers
from core.recover.losses import distilled, mixed
from core.recover.parts import Factors, Full, LowRank, Part, Plain, Scales, Table, full, grid, low_rank, offsets
from core.stored import Codebook, Dense, Quantized
from core.types import Seen

torch.set_num_threads(1)
ROWS, WIDTH = 12, 64


def own(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weight(pruned: bool = False) -> Tensor:
    w = torch.randn(ROWS, WIDTH, generator=own()) / 8
    return w * (torch.rand(ROWS, WIDTH, generator=own(1)) < 0.5) if pruned else w


def quantized(w: Tensor, bits: int, dtype: torch.dtype = torch.float16) -> Quantized:
    made: Quantized = quantizers["rtn"](bits=bits, group_size=32)(w, Seen(), dtype, Job())
    return made


def codebook() -> Codebook:
    made: Codebook = quantizers["codebook"](bits=2)(weight(), Seen(), torch.float16, Job())
    return made


def moved(part: Part, size: float = 0.3) -> Part:
    """After some steps in random directions."""
    g = own(2)
    with torch.no_grad():
        for p in part.params:
            p.add_(size * torch.randn(p.shape, generator=g))
    return part


PARTS: dict[str, Callable[[], Part]] = {
    "plain": lambda: Plain(full(weight(), 0.1), None, torch.float16),
    "pruned": lambda: Plain(full(weight(True), 0.1), (weight(True) != 0).float(), torch.float16),
    "lora": lambda: Plain(low_rank(weight(), 0.1, 4, own()), None, torch.float32),
    "rows of codes": lambda: Factors(Dense(weight(True)), weight(True), torch.zeros(ROWS, requires_grad=True)),
    "scales": lambda: Scales(quantized(weight(), 3), torch.zeros(ROWS, 2, requires_grad=True)),
    "codebook": lambda: Table(codebook(), (codebook().table != 0).float(), 0.1, torch.zeros(codebook().table.shape, requires_grad=True)),
    "grid": lambda: grid(quantized(weight(), 3), weight(), Full, False, 4, own()),
    "grid, pruned": lambda: grid(quantized(weight(True), 3), weight(), Full, True, 4, own()),
    "grid, lora": lambda: grid(quantized(weight(), 2, torch.bfloat16), weight(), LowRank, False, 4, own()),
}  # fmt: skip


@pytest.fixture(params=list(PARTS))
def made(request: pytest.FixtureRequest) -> Part:
    return PARTS[request.param]()


def test_training_begins_on_what_was_stored(made: Part, request: pytest.FixtureRequest) -> None:
    again = PARTS[request.node.callspec.params["made"]]()
    of = getattr(again, "of", None)
    start = of.dense().float() if of is not None else again.latent.start.to(again.dtype).float()  # type: ignore[attr-defined]
    assert torch.equal(made.value().detach(), start)


def test_the_value_in_training_is_what_its_file_decodes_to(made: Part) -> None:
    after = moved(made)
    if isinstance(made, Factors):  # a factor is rounded into the scales it multiplies
        assert torch.allclose(after.value().detach(), after.stored().dense().float(), atol=1e-6)
    else:
        assert torch.equal(after.value().detach(), after.stored().dense().float())


def test_every_parameter_hears_the_loss(made: Part) -> None:
    moved(made, 0.05).value().square().sum().backward()
    for p in made.params:
        assert p.grad is not None
        assert float(p.grad.abs().max()) > 0


def test_no_byte_is_added(made: Part) -> None:
    before = made.stored().nbytes
    assert moved(made).stored().nbytes == before


@pytest.mark.parametrize("name", ["pruned", "rows of codes", "grid, pruned"])
def test_zeros_stay_zeros_and_no_other_place_is_pruned(name: str) -> None:
    part = PARTS[name]()
    before = part.value().detach() == 0
    after = moved(part).stored().dense().float() == 0
    assert bool(after[before].all())


def test_codes_stay_within_those_in_use_so_that_ternary_stays_ternary() -> None:
    ternary: Quantized = quantizers["ternary"](group_size=32)(weight(), Seen(), torch.float16, Job())
    part = moved(grid(ternary, weight(), Full, False, 4, own()), 3.0)
    found = part.stored()
    assert isinstance(found, Quantized)
    assert set(found.codes.unique().tolist()) <= {1, 2, 3}
    assert not torch.equal(found.codes, ternary.codes)


def test_the_scale_learns_by_the_formula_of_lsq() -> None:
    of = quantized(weight(), 3, torch.float32)
    part = grid(of, weight(), Full, False, 4, own())
    moved(part, 0.2)
    pull = torch.randn(ROWS, WIDTH, generator=own(5))
    (part.value() * pull).sum().backward()
    x, s, z = part.latent().detach(), (of.scale * (1 + part.step.detach())).unsqueeze(-1), offsets(of)
    v = x.unflatten(1, (2, 32)) / s + z
    low, high = (float(c) for c in of.codes.aminmax())
    slope = torch.where((v >= low) & (v <= high), v.round() - v, v.clamp(low, high) - z)  # inside: q - w/s; outside: the limit
    expected = (slope * pull.unflatten(1, (2, 32))).sum(-1) * of.scale
    assert part.step.grad is not None
    assert torch.allclose(part.step.grad, expected, atol=1e-5)


def test_distance_to_oneself_is_nothing_and_pulls_nowhere() -> None:
    z = torch.randn(5, 7, generator=own()).requires_grad_()
    loss = distilled("causal-lm", torch.log_softmax(z.detach(), -1), z, 2.0).mean()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert z.grad is not None
    assert float(z.grad.abs().max()) < 1e-6


def test_the_pull_of_a_teacher_is_t_times_the_difference_of_softened_probabilities() -> None:
    t, rows = 3.0, 5
    teacher, z = torch.randn(rows, 7, generator=own()), torch.randn(rows, 7, generator=own(1)).requires_grad_()
    distilled("image-classification", torch.log_softmax(teacher, -1), z, t).mean().backward()
    expected = t * (torch.softmax(z.detach() / t, -1) - torch.softmax(teacher / t, -1)) / rows
    assert z.grad is not None
    assert torch.allclose(z.grad, expected, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_is_the_weighted_sum_of_its_terms(share: float) -> None:
    z, teacher = torch.randn(4, 9, generator=own()), torch.log_softmax(torch.randn(4, 9, generator=own(1)), -1)
    item = {"labels": torch.tensor([0, 3, 8, 2])}
    total, terms = mixed("image-classification", teacher, z, item, share, 2.0)
    assert set(terms) == {n for n, w in (("task", 1 - share), ("teacher", share)) if w}
    assert float(total) == pytest.approx((1 - share) * terms.get("task", 0) + share * terms.get("teacher", 0), rel=1e-6)
