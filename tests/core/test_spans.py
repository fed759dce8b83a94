"""Wide layers: second moments in blocks on the diagonal, collected, kept, solved and scored as such."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.calibrate import observe
from core.calibrate.moments import Moments
from core.data import default
from core.data.calibration import calibrating
from core.formats import open_checkpoint
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.prune import pruners
from core.quantize import quantizers
from core.registry import make
from core.resources import root
from core.solve.polish import loss
from core.spans import MOST, each, span
from core.types import Seen

SAMPLE = root() / "samples" / "sotu-lm"


def moments(x: Tensor, blocks: int = 1) -> Tensor:
    h = x.T @ x / len(x)
    b = len(h) // blocks
    return h if blocks == 1 else torch.stack([h[a : a + b, a : a + b] for a in range(0, len(h), b)])


@pytest.fixture
def wide() -> tuple[Tensor, Seen, Seen]:
    """A layer of 256 inputs that correlate, with whole moments and with the same in four blocks."""
    own = torch.Generator().manual_seed(3)
    mix = (torch.randn(256, 256, generator=own) / 16 + torch.eye(256)) * torch.randn(256, generator=own).exp()  # some inputs are large
    x, y = (torch.randn(4000, 256, generator=own) @ mix for _ in range(2))
    w = torch.randn(48, 256, generator=own)
    return w, Seen(None, moments(x), moments(y), x.mean(0), 4000), Seen(None, moments(x, 4), moments(y, 4), x.mean(0), 4000)


def test_a_block_is_the_largest_part_that_keeps_groups_whole() -> None:
    assert [span(w) for w in (576, 4096, 8192, 11008, 14336, 18944, 28672)] == [576, 4096, 8192, 5504, 7168, 4736, 7168]
    assert [span(14336, most) for most in (7168, 4096, 2048, 1024)] == [7168, 3584, 2048, 1024]
    assert span(9216, 4096) == 3072
    assert span(8576) == 4288, "no multiple of 128 of a decent size divides it: one of 64 does"
    assert span(8191 * 2) == 8191
    assert span(16381) == 16381, "a prime stays whole"
    assert all(span(w, most) <= max(most, 16) for w in (4096, 4608, 14336) for most in (64, 500, 1000, 4000))


def test_moments_of_a_wide_layer_are_the_blocks_on_the_diagonal_of_the_whole() -> None:
    own = torch.Generator().manual_seed(0)
    net, x = nn.Linear(96, 8, bias=False), torch.randn(2, 300, 96, generator=own)
    found = {}
    for most in (MOST, 32):
        watching = Moments({"one": net}, most=most)
        for solver in (True, False):
            with watching.watching(None, solver, Job()), torch.no_grad():
                net(x)
        found[most] = watching.seen()["one"]
    for name in ("hessian", "held"):
        whole, apart = getattr(found[MOST], name), getattr(found[32], name)
        assert apart.shape == (3, 32, 32)
        for at, part in each(apart):
            torch.testing.assert_close(part, whole[at, at])
    torch.testing.assert_close(found[32].norms, found[MOST].norms)


@pytest.mark.parametrize("name", ["gptq", "slim", "awq", "codebook", "ternary"])
@pytest.mark.parametrize("granularity", ["group", "channel"])
def test_a_quantizer_that_knows_only_the_blocks_is_better_than_without_data_and_little_worse_than_with_all(
    wide: tuple[Tensor, Seen, Seen], name: str, granularity: str
) -> None:
    w, whole, apart = wide
    method = make(quantizers[name], {"granularity": granularity, "group_size": 32})
    method = replace(method, bits=2 if name == "ternary" else 3)
    assert whole.held is not None
    errors = [float(loss(w, method(w, s, torch.float16).dense().float(), whole.held)) for s in (Seen(), apart, whole)]
    assert errors[2] <= errors[1] * 1.02
    assert errors[1] < errors[0] * 0.98


@pytest.mark.parametrize("name", ["admm", "sparsegpt", "wanda"])
@pytest.mark.parametrize(("pattern", "amount"), [("unstructured", 0.37), ("2:4", 0.5)])
def test_a_pruner_that_knows_only_the_blocks_removes_exactly_as_much(
    wide: tuple[Tensor, Seen, Seen], name: str, pattern: str, amount: float
) -> None:
    w, whole, apart = wide
    method = replace(make(pruners[name], {"pattern": pattern}), amount=amount)
    assert whole.held is not None
    blind, found = method(w, Seen()), method(w, apart)
    assert int((found == 0).sum()) == round(amount * w.numel())
    assert float(loss(w, found, whole.held)) < float(loss(w, blind, whole.held)) * 0.98


def test_wanda_looks_at_the_diagonal_alone_and_so_gives_the_same(wide: tuple[Tensor, Seen, Seen]) -> None:
    w, whole, apart = wide
    method = replace(make(pruners["wanda"], {}), amount=0.5)
    assert torch.equal(method(w, whole), method(w, apart))


def test_moments_of_one_block_give_what_the_whole_gives(wide: tuple[Tensor, Seen, Seen]) -> None:
    """Blocks are solved as if they did not correlate; each is damped by its own mean, which is 1 here."""
    w, _, apart = wide
    assert apart.hessian is not None
    h = apart.hessian / apart.hessian.diagonal(dim1=1, dim2=2).mean(1).view(-1, 1, 1)
    method = replace(make(quantizers["gptq"], {"group_size": 32}), bits=3)
    one, two = (method(w, replace(apart, hessian=x, held=None), torch.float16) for x in (torch.block_diag(*h), h))
    assert float((one.codes == two.codes).float().mean()) > 0.98


def test_a_block_whose_inputs_never_fire_is_simply_rounded(wide: tuple[Tensor, Seen, Seen]) -> None:
    w, _, apart = wide
    assert apart.hessian is not None
    assert apart.held is not None
    h, held = apart.hessian.clone(), apart.held.clone()
    h[1], held[1] = 0, 0
    for name in ("gptq", "slim"):
        found = replace(make(quantizers[name], {"group_size": 32}), bits=3)(w, replace(apart, hessian=h, held=held), torch.float16).dense()
        assert bool(found.isfinite().all())
        assert float((found[:, 64:128] - w[:, 64:128]).square().mean() / w.square().mean()) < 0.1


def test_blocks_are_part_of_what_a_result_hangs_on_only_where_they_cut_something() -> None:
    checkpoint = open_checkpoint(SAMPLE)
    network = attach(checkpoint)

    def fingerprint(block: int | None) -> Any:
        data = calibrating(None, network, default(checkpoint), 256, 1024, block)
        found = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job())
        widest = max((x for x in layers(checkpoint) if x.kind == "linear"), key=lambda x: x.tensor.shape[1])
        return found.fingerprint, found.seen[widest.name].hessian

    (plain, h), (same, _), (other, parts) = (fingerprint(b) for b in (None, 4096, 128))
    assert plain == same != other
    assert h.ndim == 2
    assert parts.shape[1:] == (128, 128)
    torch.testing.assert_close(parts[1], h[128:256, 128:256])
