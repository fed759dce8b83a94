"""Statistics: what a block-by-block pass collects is what a plain forward with hooks on every layer would have seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from core.calibrate import Order, observe
from core.calibrate.moments import FLOOR, MANY, Moments, unfolded
from core.compress import compress
from core.data import Batches, default
from core.data.calibration import Calibrating, calibrating
from core.errors import BadData, Cancelled
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.plans import MODEL, edit
from core.resources import root
from core.store import Store
from core.types import Calibration, Checkpoint, Plan, Seen

torch.set_num_threads(1)
TOKENS = {"sotu-lm": 1024, "fashion-vit": 60, "digits-cnn": 60}


def opened(name: str) -> tuple[Checkpoint, Network, Calibrating]:
    checkpoint = open_checkpoint(root() / "samples" / name)
    network = attach(checkpoint)
    return checkpoint, network, calibrating(None, network, default(checkpoint), 100, TOKENS[name])


@pytest.fixture(scope="module", params=list(TOKENS))
def sample(request: pytest.FixtureRequest) -> tuple[Checkpoint, Network, Calibrating]:
    return opened(request.param)


def collected(checkpoint: Checkpoint, network: Network, data: Calibrating, order: Order = "parallel") -> Calibration:
    free = [x for x in layers(checkpoint) if not x.protected]
    return observe(network, checkpoint, data, free, {"inputs"}, Job(), order)


def inputs(
    checkpoint: Checkpoint, network: Network, items: tuple[dict[str, torch.Tensor], ...]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Layer -> (every input row, |Wx|^2 of each) in float64, by plain hooks on one whole forward per batch."""
    rows: dict[str, list[torch.Tensor]] = {}
    module, weights = network.module, {n: read(t) for n, t in checkpoint.tensors.items()}
    assert module is not None

    def hook(name: str, m: nn.Module) -> object:
        def heard(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            flat = args[0].flatten(0, -2) if isinstance(m, nn.Linear) else unfolded(m, args[0])
            rows.setdefault(name, []).append(flat.double())

        return m.register_forward_pre_hook(heard)

    by_tensor = {t: n for n, t in network.names.items()}
    names = {x.name: by_tensor[x.tensor.name].removesuffix(".weight") for x in layers(checkpoint) if not x.protected}
    handles = [hook(n, module.get_submodule(path)) for n, path in names.items()]
    with torch.no_grad():
        for item in items:
            network.forward(weights, item)
    for h in handles:
        h.remove()  # type: ignore[attr-defined]
    out = {}
    for x in layers(checkpoint):
        if x.name in rows:
            met = torch.cat(rows[x.name])
            out[x.name] = met, (met @ read(x.tensor).double().flatten(1).T).square().sum(1)
    return out


def weighted(x: torch.Tensor, energies: list[torch.Tensor], first: list[torch.Tensor]) -> torch.Tensor:
    """E[x xT] with every token counted by 1 / |Wx|^2, averaged over the layers that met it; `first` = the energies of the first batch."""
    weight = torch.stack([(f.mean() / e.clamp(min=FLOOR * f.mean())) for e, f in zip(energies, first)]).mean(0)
    return (x * weight.unsqueeze(1)).T @ x / weight.sum()


def test_second_moments_equal_those_of_a_plain_forward(sample: tuple[Checkpoint, Network, Calibrating]) -> None:
    checkpoint, network, data = sample
    plain = inputs(checkpoint, network, data.solver.items)
    start = inputs(checkpoint, network, data.solver.items[:1])
    there = collected(*sample).seen
    seen = {n: there[n] for n in plain}  # block by block: another block's question would collect anew
    alike = {n: [m for m in plain if seen[m].hessian is seen[n].hessian] for n in plain}
    convolutions = {x.name for x in layers(checkpoint) if x.kind == "conv"}
    assert plain
    for name, (x, _) in plain.items():
        found = seen[name]
        assert found.hessian is not None
        assert found.mean is not None
        assert found.samples == len(x)
        even = weighted(x, [plain[m][1] for m in alike[name]], [start[m][1] for m in alike[name]])
        want = x.T @ x / len(x) if name in convolutions else even
        torch.testing.assert_close(found.hessian.double(), want, rtol=2e-3, atol=2e-5)
        torch.testing.assert_close(found.mean.double(), x.mean(0), rtol=2e-3, atol=2e-5)


def test_scores_come_from_other_tokens_each_weighted_by_its_own_answer(sample: tuple[Checkpoint, Network, Calibrating]) -> None:
    checkpoint, network, data = sample
    solver, held = (inputs(checkpoint, network, part.items) for part in (data.solver, data.held))
    seen = collected(*sample).seen
    for name, (x, energy) in held.items():
        mean = solver[name][1].mean()
        scaled = x * (mean / energy.clamp(min=FLOOR * mean)).unsqueeze(1)
        found = seen[name].held
        assert found is not None
        torch.testing.assert_close(found.double(), scaled.T @ x / len(x), rtol=5e-3, atol=5e-5)


def test_of_a_long_held_out_batch_every_second_token_is_scored() -> None:
    x = torch.randn(MANY + 100, 8, generator=torch.Generator().manual_seed(0))
    linear = nn.Linear(8, 3, bias=False)
    watching = Moments({"one": linear})
    with torch.no_grad():
        for solver in (True, False):
            with watching.watching(None, solver, Job()):
                linear(x)
        energy = linear(x).double().square().sum(1)
    held = watching.seen()["one"].held
    assert held is not None
    some = (x.double() * (energy.mean() / energy.clamp(min=FLOOR * energy.mean())).sqrt().unsqueeze(1))[::2]
    torch.testing.assert_close(held.double(), some.T @ some / len(some), rtol=1e-4, atol=1e-5)


def test_layers_with_the_same_inputs_share_one_matrix() -> None:
    seen = collected(*opened("sotu-lm")).seen
    head = "model.layers.1."
    q, k, v, gate, up, down = (seen[head + n] for n in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"))  # noqa: E501
    assert q.hessian is k.hessian is v.hessian
    assert gate.hessian is up.hessian
    assert len({id(x.hessian) for x in (q, gate, down)}) == 3
    assert q.held is not k.held


def test_blocks_may_be_asked_for_in_any_order() -> None:
    sample = opened("sotu-lm")
    there, back = collected(*sample).seen, collected(*sample).seen
    names = [x.name for x in layers(sample[0]) if not x.protected]
    forward = {n: there[n].hessian for n in names}
    for n in reversed(names):
        assert torch.equal(back[n].hessian, forward[n])  # type: ignore[arg-type]


def test_sequential_statistics_come_from_the_compressed_prefix(tmp_path: Path) -> None:
    checkpoint, network, data = opened("sotu-lm")
    plan = edit(Plan(), MODEL, bits=3, knobs={"rtn.group_size": 32})
    done = compress(checkpoint, layers(checkpoint), plan, None, Store(tmp_path), Job())
    late = "model.layers.3.mlp.down_proj"
    parallel, sequential = (collected(checkpoint, network, data, order) for order in ("parallel", "sequential"))  # type: ignore[arg-type]
    changed = {x.tensor.name: x for x in done.layers if x.name in done.outcomes}
    behind = sequential.seen.under(Job(), lambda t: done.stored(changed[t]).dense() if t in changed else None)  # type: ignore[attr-defined]
    first = "model.layers.0.self_attn.q_proj"
    assert torch.equal(behind[first].hessian, parallel.seen[first].hessian)  # type: ignore[arg-type]
    slim = {t.name: done.stored(changed[t.name]).dense().float() if t.name in changed else read(t) for t in checkpoint.tensors.values()}
    rows: list[torch.Tensor] = []
    assert network.module is not None
    # block 3's own weights are the original's while its statistics are collected
    slim |= {t.name: read(t) for t in checkpoint.tensors.values() if t.name.startswith("model.layers.3.")}
    handle = network.module.get_submodule(late).register_forward_pre_hook(lambda _, a: rows.append(a[0].flatten(0, -2).double()))
    with torch.no_grad():
        for item in data.solver.items:
            network.forward(slim, item)
    handle.remove()
    energies = [(x @ read(changed[f"{late}.weight"].tensor).double().T).square().sum(1) for x in rows]
    want = weighted(torch.cat(rows), [torch.cat(energies)], energies[:1])
    torch.testing.assert_close(behind[late].hessian.double(), want, rtol=2e-3, atol=2e-4)  # type: ignore[union-attr]
    assert not torch.allclose(behind[late].hessian, parallel.seen[late].hessian, rtol=0.01)  # type: ignore[arg-type]


class Odd(nn.Module):
    """A network with all that is unusual: experts of which one is never chosen, a grouped convolution, an input written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding="same")
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.wide = nn.Conv2d(8, 8, 3, stride=2, padding=1, dilation=2)
        self.point = nn.Conv2d(8, 8, 1, stride=2)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(x)
        x += y  # the depthwise convolution's input, written in place after it was read
        z = self.wide(x)[:, :, :5, :5] + self.point(x)[:, :, :5, :5]
        t = z.mean((2, 3))
        chosen = (t[:, 0] > 0).long()
        out = torch.stack([self.experts[int(k)](row) for k, row in zip(chosen, t, strict=True)])
        return self.head(out)


@pytest.fixture
def odd(tmp_path: Path) -> tuple[Checkpoint, Network, Calibrating]:
    torch.manual_seed(0)
    net = Odd().eval().requires_grad_(False)
    save_file(net.state_dict(), tmp_path / "m.safetensors")
    checkpoint = open_checkpoint(tmp_path / "m.safetensors")
    names = {n: n for n in net.state_dict()}

    def forward(weights: dict[str, torch.Tensor], item: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(net, weights, (item["pixel_values"],))

    own = torch.Generator().manual_seed(0)
    items = tuple({"pixel_values": torch.randn(6, 1, 12, 12, generator=own), "labels": torch.zeros(6).long()} for _ in range(3))
    solve, held = (Batches("images", part, 6 * len(part), "images", "x", "f") for part in (items[:2], items[2:]))
    return checkpoint, Network("image-classification", forward, forward, module=net, names=names), Calibrating(solve, held, "")


def test_tokens_per_expert_are_counted_and_the_unchosen_one_has_no_signal(odd: tuple[Checkpoint, Network, Calibrating]) -> None:
    seen = observe(odd[1], odd[0], odd[2], layers(odd[0]), {"inputs"}, Job()).seen
    counts = [seen[f"experts.{i}"].samples for i in range(3)]
    assert sum(counts) == 12
    assert counts[2] == 0
    assert seen["experts.2"] == Seen()
    assert seen["depthwise"] == Seen()


def test_convolutions_unfold_as_their_weights_are_laid_out(odd: tuple[Checkpoint, Network, Calibrating]) -> None:
    """tr(W H WT) is the mean square of the convolution's own output without bias: true only if positions, kernel and channels agree."""
    checkpoint, network, data = odd
    seen = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job()).seen
    weights = {n: read(t) for n, t in checkpoint.tensors.items()}
    assert network.module is not None
    for name in ("stem", "wide", "point"):
        outs: list[torch.Tensor] = []
        module: nn.Conv2d = network.module.get_submodule(name)  # type: ignore[assignment]
        handle = module.register_forward_hook(lambda m, _, out, outs=outs: outs.append(out - m.bias.view(-1, 1, 1)))
        for item in data.solver.items:
            network.forward(weights, item)
        handle.remove()
        w, h = weights[f"{name}.weight"].flatten(1).double(), seen[name].hessian
        assert h is not None
        out = torch.cat(outs).double().transpose(0, 1).flatten(1)
        torch.testing.assert_close(w @ h.double() @ w.T, out @ out.T / out.shape[1], rtol=1e-3, atol=1e-5)


def test_solver_tokens_are_never_scored_tokens() -> None:
    from core.data import load

    checkpoint, network, _ = opened("sotu-lm")
    path = default(checkpoint)
    assert path is not None
    for limit in (None, 2048, 14_000):
        scored = torch.cat([i["input_ids"][0] for i in load(path, network, limit).items])
        data = calibrating(None, network, path, limit, 4096)
        text = path.read_bytes().decode()
        ids = network.tokenizer(text, add_special_tokens=False)["input_ids"]
        first = data.solver.items[0]["input_ids"][0].tolist()
        at = next(i for i in range(len(ids)) if ids[i : i + len(first)] == first)
        assert at >= len(scored)
        assert calibrating(path, network, path, limit, 4096).solver.fingerprint == data.solver.fingerprint


def test_a_text_shorter_than_a_window_is_cut_in_two_and_one_token_is_refused(tmp_path: Path) -> None:
    _, network, _ = opened("sotu-lm")
    short = tmp_path / "short.txt"
    short.write_text("The state of the union is strong and our people are at work.", encoding="utf-8")
    data = calibrating(short, network, None, None, None)
    assert data.solver.n > data.held.n >= 1
    assert "short.txt" in data.told
    short.write_text("a", encoding="utf-8")
    with pytest.raises(BadData, match=r"short\.txt"):
        calibrating(short, network, None, None, None)


def test_statistics_on_disk_are_the_same_to_the_last_bit_and_need_no_forward(tmp_path: Path) -> None:
    checkpoint, network, data = opened("sotu-lm")
    free = [x for x in layers(checkpoint) if not x.protected]
    plain = collected(checkpoint, network, data).seen
    first, again = (observe(network, checkpoint, data, free, {"inputs"}, Job(), store=Store(tmp_path)) for _ in range(2))
    phases: list[str] = []
    for x in free:
        assert torch.equal(first.seen[x.name].hessian, plain[x.name].hessian)  # type: ignore[arg-type]
    seen = again.seen.under(Job(tell=lambda p: phases.append(p.phase)))  # type: ignore[attr-defined]
    for x in free:
        for field in ("hessian", "held", "mean"):
            assert torch.equal(getattr(seen[x.name], field), getattr(plain[x.name], field))
        assert seen[x.name].samples == plain[x.name].samples
    assert phases == []
    head = "model.layers.1.self_attn."
    assert seen[head + "q_proj"].hessian is seen[head + "k_proj"].hessian


def test_statistics_larger_than_their_shelf_are_not_kept(tmp_path: Path) -> None:
    checkpoint, network, data = opened("sotu-lm")
    free = [x for x in layers(checkpoint) if not x.protected]
    seen = observe(network, checkpoint, data, free, {"inputs"}, Job(), store=Store(tmp_path, 1_000_000)).seen
    assert seen[free[0].name].hessian is not None
    assert Store(tmp_path).stats() == (0, 0)


def test_a_cancelled_pass_leaves_the_statistics_as_they_would_have_been() -> None:
    sample = opened("sotu-lm")
    plain, seen = collected(*sample).seen, collected(*sample).seen
    name = "model.layers.2.mlp.up_proj"
    job = Job(tell=lambda p: job.cancel() if p.phase.startswith("Running, block 2") and p.done == 2 else None)
    with pytest.raises(Cancelled):
        seen.under(job)[name]  # type: ignore[attr-defined]
    again = seen.under(Job())[name]  # type: ignore[attr-defined]
    assert torch.equal(again.hessian, plain[name].hessian)  # type: ignore[arg-type]


def test_another_plan_on_the_same_data_goes_on_where_the_last_one_was() -> None:
    checkpoint, network, data = opened("sotu-lm")
    found = {x.name: x for x in layers(checkpoint)}
    late, later = (found[f"model.layers.{i}.mlp.up_proj"] for i in (2, 3))
    one = observe(network, checkpoint, data, [late], {"inputs"}, Job())
    assert one.seen[late.name].samples
    phases: list[str] = []
    two = observe(network, checkpoint, data, [later], {"inputs"}, Job(tell=lambda p: phases.append(p.phase)), before=one)
    assert torch.equal(two.seen[later.name].hessian, collected(checkpoint, network, data).seen[later.name].hessian)  # type: ignore[arg-type]
    assert set(phases) == {"Statistics, block 4 of 4"}


def test_broken_activations_leave_a_layer_without_signal_instead_of_nan(odd: tuple[Checkpoint, Network, Calibrating]) -> None:
    checkpoint, network, data = odd
    broken = tuple({**i, "pixel_values": i["pixel_values"] * float("nan")} for i in data.solver.items)
    data = replace(data, solver=replace(data.solver, items=broken))
    assert observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job()).seen["stem"] == Seen()


def test_all_equal_activations_give_moments_of_rank_one(odd: tuple[Checkpoint, Network, Calibrating]) -> None:
    checkpoint, network, data = odd
    flat = tuple({**i, "pixel_values": torch.full_like(i["pixel_values"], 0.5)} for i in data.solver.items)
    data = replace(data, solver=replace(data.solver, items=flat))
    h = observe(network, checkpoint, data, layers(checkpoint), {"inputs"}, Job()).seen["point"].hessian
    assert h is not None
    assert bool(h.isfinite().all())
    assert torch.equal(h, h.T)
