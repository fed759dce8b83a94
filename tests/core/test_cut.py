"""Cutting: what must go together goes together, what is left loads anywhere, and the rest makes up for what went."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageClassification, LlamaConfig, LlamaForCausalLM

from core.calibrate import blocks
from core.cut import Cut, cut, engine, obs, planned, planned_layers, widths
from core.cut.engine import State, with_data, without_data
from core.cut.plan import kept
from core.cut.stream import Walk
from core.data import Batches, default, load
from core.errors import BadPlan, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.formats.safetensors_write import header_bytes
from core.graph import graph
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.resources import root
from core.types import Checkpoint, Entry

from ..real import minilm, smollm2

SAMPLES = root() / "samples"
torch.set_num_threads(1)
CASES = [("digits-cnn", {"channels": 0.5}), ("fashion-vit", {"ffn": 0.5, "heads": 0.5}), ("sotu-lm", {"ffn": 0.5, "heads": 0.5})]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    found = {n: read(t) for n, t in checkpoint.tensors.items()}
    return {n: t.float() if t.is_floating_point() else t for n, t in found.items()}


def opened(name: str, limit: int | None = None) -> tuple[Checkpoint, Network, Batches, Batches]:
    """(checkpoint, network, data to calibrate on, other data to score on)"""
    checkpoint = open_checkpoint(SAMPLES / name)
    network, path = attach(checkpoint), default(checkpoint)
    assert path is not None
    found = load(path, network, limit or (2048 if name == "sotu-lm" else 400))
    half = len(found.items) // 2
    return (
        checkpoint,
        network,
        replace(found, items=found.items[:half]),
        replace(found, items=found.items[half:], nbytes=found.nbytes[half:]),
    )


@pytest.fixture
def llama(tmp_path: Path) -> Checkpoint:
    """A random Llama of six query heads on three key-value heads."""
    config = LlamaConfig(
        vocab_size=64, hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=3, head_dim=8
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    return open_checkpoint(tmp_path / "llama")


MAGNITUDE: dict[str, Any] = {"method": "magnitude", "compensate": False}


@pytest.mark.parametrize(("name", "shares"), CASES)
def test_the_cut_network_is_the_network_with_zeros_made_smaller(name: str, shares: dict[str, Any]) -> None:
    """Every group is complete: what is sliced away contributed exactly nothing once it was zero."""
    checkpoint, network, _, data = opened(name, 100)
    how = Cut(**shares, **MAGNITUDE)
    state = State(graph(checkpoint), how, kept(checkpoint, how), weights(checkpoint))
    without_data(state, {}, Job())
    slim = cut(checkpoint, how, None, None, Job())
    item = dict(data.items[0])
    with torch.inference_mode():
        zeroed, smaller = network.forward(state.weights, item), attach(slim).forward(weights(slim), item)
    torch.testing.assert_close(smaller, zeroed, rtol=1e-4, atol=2e-3 if name == "sotu-lm" else 1e-4)
    assert slim.parameters < checkpoint.parameters


@pytest.mark.parametrize(("name", "shares"), CASES)
def test_bytes_and_shapes_are_known_before_anything_is_computed(name: str, shares: dict[str, Any]) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    how = Cut(**shares, **MAGNITUDE)
    ahead = planned(checkpoint, how)
    slim = cut(checkpoint, how, None, None, Job())
    said, have = ({n: (t.shape, t.dtype, t.nbytes) for n, t in c.tensors.items()} for c in (ahead, slim))
    assert said == have
    assert ahead.config == slim.config
    found = planned_layers(ahead, layers(checkpoint))
    assert [(x.name, x.kind, x.group, x.protected, x.tensor.shape) for x in found] == [
        (x.name, x.kind, x.group, x.protected, x.tensor.shape) for x in layers(slim)
    ]
    assert slim.weights is not None
    entries = [Entry(n, t.dtype, t.shape) for n, t in ahead.tensors.items()]
    assert (slim.weights / "model.safetensors").stat().st_size == len(header_bytes(entries)) + ahead.nbytes


@pytest.mark.parametrize(("name", "auto"), [("digits-cnn", AutoModelForImageClassification), ("sotu-lm", AutoModelForCausalLM)])
def test_transformers_opens_a_cut_model_and_answers_alike(name: str, auto: Any) -> None:
    checkpoint, _, _, data = opened(name, 100)
    slim = cut(checkpoint, Cut(**dict(CASES)[name], **MAGNITUDE), None, None, Job())
    item = {k: v for k, v in data.items[0].items() if k != "labels"}
    model, told = auto.from_pretrained(slim.weights, dtype=torch.float32, output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    with torch.inference_mode():
        torch.testing.assert_close(attach(slim).forward(weights(slim), item), model.eval()(**item).logits, rtol=1e-4, atol=1e-4)


def test_heads_go_in_whole_key_value_groups(llama: Checkpoint) -> None:
    offered = widths(llama)["heads"]
    assert offered.allowed == (6, 4, 2)
    assert "2 heads share a key-value head" in offered.why
    slim = cut(llama, Cut(heads=0.33, ffn=0.25, **MAGNITUDE), None, None, Job())
    assert (slim.config["num_attention_heads"], slim.config["num_key_value_heads"], slim.config["head_dim"]) == (4, 2, 8)
    assert slim.tensors["model.layers.1.self_attn.k_proj.weight"].shape == (16, 48)
    ids = torch.arange(12)[None]
    theirs = LlamaForCausalLM.from_pretrained(slim.weights)
    item = {"input_ids": ids}
    ours = _bare(slim, item)
    torch.testing.assert_close(ours, theirs(ids).logits, rtol=1e-4, atol=1e-4)


def _bare(checkpoint: Checkpoint, item: dict[str, torch.Tensor]) -> torch.Tensor:
    """The skeleton of a folder without a tokenizer."""
    from core.networks.transformers_folder import _raw, matched, skeleton

    module = skeleton(checkpoint)
    return _raw(module, matched(module, checkpoint), "causal-lm")(weights(checkpoint), item)


@pytest.mark.parametrize(("name", "shares"), CASES[:2])
def test_second_order_choice_and_refit_lose_less_than_half_of_what_l2_groups_lose(name: str, shares: dict[str, Any]) -> None:
    """On images neither method saw: accuracy lost, against the grouped L2 norm that Torch-Pruning starts from."""
    checkpoint, network, calibration, held = opened(name, 600)
    lost = {}
    reference = Reference(network, weights(checkpoint), held)
    for method, how in (("ours", Cut(**shares)), ("L2", Cut(**shares, **MAGNITUDE))):
        slim = cut(checkpoint, how, network, calibration, Job())
        score = judge(reference, weights(slim), Job(), attach(slim))
        lost[method] = judge(reference, None, Job()).metrics["top1"].value - score.metrics["top1"].value
    assert lost["ours"] <= 0.5 * lost["L2"]
    assert lost["L2"] > 0.05


def test_a_language_model_loses_less_by_second_order_than_by_magnitude() -> None:
    checkpoint, network, calibration, held = opened("sotu-lm")
    reference, kl = Reference(network, weights(checkpoint), held), {}
    for method, how in (("obs", Cut(ffn=0.25)), ("magnitude", Cut(ffn=0.25, **MAGNITUDE))):
        slim = cut(checkpoint, how, network, calibration, Job())
        kl[method] = judge(reference, weights(slim), Job(), attach(slim)).metrics["kl"].value
    assert kl["obs"] < 0.6 * kl["magnitude"]


def test_the_block_whose_absence_costs_least_goes() -> None:
    """Measured beside every other choice."""
    checkpoint, network, calibration, _ = opened("sotu-lm", 1024)
    job = Job()
    slim = cut(checkpoint, Cut(blocks=1), network, calibration, job)
    assert slim.config["num_hidden_layers"] == 3
    assert not any(".layers.3." in n for n in slim.tensors)
    few = replace(calibration, items=calibration.items[:2])
    reference, kl = Reference(network, weights(checkpoint), few), {}
    for gone in range(4):
        stay = [i for i in range(4) if i != gone]
        found = {n: t for n, t in weights(checkpoint).items() if ".layers." not in n}
        for new, old in enumerate(stay):
            found |= {n.replace(f".{old}.", f".{new}."): t for n, t in weights(checkpoint).items() if f".layers.{old}." in n}
        kl[gone] = judge(reference, found, Job(), attach(slim)).metrics["kl"].value
    best = min(kl, key=lambda b: kl[b])
    assert job.notes == [f"Cut: blocks 4 → 3, without {best}"]
    first, was = (c.tensors[f"model.layers.{i}.mlp.down_proj.weight"] for c, i in ((slim, 0), (checkpoint, 0 if best else 1)))
    assert torch.equal(read(first), read(was))


def test_the_same_cut_is_made_once_and_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, network, calibration, _ = opened("fashion-vit", 100)
    first = cut(checkpoint, Cut(ffn=0.5), network, calibration, Job())
    assert first.weights is not None
    file = first.weights / "model.safetensors"
    stamp, raw = file.stat().st_mtime_ns, file.read_bytes()
    again = cut(checkpoint, Cut(ffn=0.5), network, calibration, Job())
    assert (again.weights, file.stat().st_mtime_ns) == (first.weights, stamp)
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "other"))
    anew = cut(checkpoint, Cut(ffn=0.5), network, calibration, Job())
    assert anew.weights is not None
    assert anew.weights != first.weights
    assert (anew.weights / "model.safetensors").read_bytes() == raw


def test_a_cancelled_cut_leaves_nothing(tmp_path: Path) -> None:
    checkpoint, network, calibration, _ = opened("fashion-vit", 100)
    job = Job(tell=lambda p: job.cancel() if p.phase == "Writing" and p.done > 3 else None)
    with pytest.raises(Cancelled):
        cut(checkpoint, Cut(ffn=0.5), network, calibration, job)
    assert not any((tmp_path / "cache" / "derived").iterdir())


REFUSALS = [
    ("digits-cnn", {"ffn": 0.5}, "no ffn to cut"), ("sotu-lm", {"channels": 0.5}, "no channels to cut"),
    ("sotu-lm", {"blocks": 4}, "at least one must be left"), ("digits-cnn", {"blocks": 1}, "blocks = 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shares", "why"), REFUSALS)
def test_what_cannot_be_cut_is_refused_by_name(name: str, shares: dict[str, Any], why: str) -> None:
    with pytest.raises(BadPlan, match=why):
        planned(open_checkpoint(SAMPLES / name), Cut(**shares))


def test_weights_without_a_config_say_why_they_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "bare.safetensors").write_bytes((SAMPLES / "digits-cnn" / "model.safetensors").read_bytes())
    bare = open_checkpoint(tmp_path / "bare.safetensors")
    assert widths(bare) == {}
    with pytest.raises(BadPlan, match="weights without a config can be pruned and quantized, not cut"):
        planned(bare, Cut(channels=0.5))


def test_a_cut_that_looks_at_data_says_what_it_misses() -> None:
    with pytest.raises(BadPlan, match="give data, or set method"):
        cut(open_checkpoint(SAMPLES / "sotu-lm"), Cut(ffn=0.5), None, None, Job())


def test_only_widths_that_load_are_offered() -> None:
    offered = widths(open_checkpoint(SAMPLES / "sotu-lm"))
    assert offered["ffn"].nearest(0.5) == 384
    assert all(n % 32 == 0 for n in offered["ffn"].allowed)
    assert 3 not in offered["heads"].allowed
    for n in offered["heads"].allowed:
        share = 1 - n / offered["heads"].size
        config = planned(open_checkpoint(SAMPLES / "sotu-lm"), Cut(heads=share)).config
        LlamaConfig(**{k: v for k, v in config.items() if k != "architectures"})  # raises when it can't be


def test_the_cut_is_told_beside_the_weights() -> None:
    checkpoint = open_checkpoint(SAMPLES / "digits-cnn")
    slim = cut(checkpoint, Cut(channels=0.5, **MAGNITUDE), None, None, Job())
    assert slim.weights is not None
    told = json.loads((slim.weights / "cut.json").read_text())
    assert all(len(told["kept"][d.name]) * 2 == d.size for d in graph(checkpoint).dimensions)


def test_with_data_every_reader_sees_the_inputs_it_will_have() -> None:
    """Watched in the finished network, the last layer meets what it was fitted to: the same refit comes out once more."""
    checkpoint, network, calibration, _ = opened("fashion-vit", 600)
    how = Cut(ffn=0.5)
    original, last = weights(checkpoint), "vit.encoder.layer.3.output.dense"
    state = State(graph(checkpoint), how, kept(checkpoint, how), dict(original))
    with_data(state, network, calibration, {}, Job())
    chain = blocks.chain(network, original.__getitem__, dict(calibration.items[0]), Job())
    assert chain is not None
    names = {0: {}, 1: {}, 2: {}, 3: {f"{last}.weight": "vit.encoder.layer.3.layernorm_after.weight"}}
    ((_, m),) = Walk(chain, network, calibration, Job()).along(original, state.weights, names)
    assert m.held is not None
    units = torch.tensor(state.kept[last])
    zeroed = torch.zeros_like(original[f"{last}.weight"]).index_copy(1, units, original[f"{last}.weight"][:, units]).double()
    again = obs.best(zeroed, m, units, how.damping, True, Job())
    torch.testing.assert_close(state.weights[f"{last}.weight"], again.float(), rtol=1e-3, atol=1e-5)
    assert obs.error(again, *m.held.second(True)) < obs.error(zeroed, *m.held.second(True))


def test_more_data_never_take_a_readers_own_pass_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted to inputs it will not have, a reader is worse the more data it was fitted to: pictures are thinned to what the work allows."""
    checkpoint, network, calibration, _ = opened("digits-cnn", 200)
    how = Cut(channels=0.7)
    state = State(graph(checkpoint), how, kept(checkpoint, how), weights(checkpoint))
    readers = [s.tensor for d in state.dimensions for s in d.used]
    work = 4.0 * engine.PLACES * sum(t.numel() for t in state.weights.values())
    monkeypatch.setattr(engine, "WORK", 60 * work * len(readers))
    monkeypatch.setattr(engine, "FEWEST", 20)
    few = engine.thinned(state, calibration, readers)
    assert len(engine.steps(state, calibration, readers)) < len(readers)
    assert engine.steps(state, few, readers) == [[n] for n in readers]
    assert sum(len(i["labels"]) for i in few.items) == 50
    assert engine.thinned(state, few, readers) is few
    with_data(state, network, calibration, {}, Job())
    alone = State(state.graph, how, state.shares, weights(checkpoint))
    with_data(alone, network, few, {}, Job())
    assert all(torch.equal(state.weights[n], alone.weights[n]) for n in readers)


def test_a_refit_is_pulled_back_to_the_old_weight_where_held_out_samples_say_so() -> None:
    """Fewer samples than inputs: exact on them, worse than no refit on others; what is held out sees it."""
    g = torch.Generator().manual_seed(0)
    w, keep = torch.randn(8, 48, generator=g, dtype=torch.float64), torch.arange(40)
    fit, held, truth = obs.Moments.empty(w), obs.Moments.empty(w), obs.Moments.empty(w)
    for m, n in ((fit, 44), (held, 40), (truth, 4000)):
        x = torch.randn(n, 48, generator=g, dtype=torch.float64)
        m.add(x, x @ w.T + torch.randn(n, 8, generator=g, dtype=torch.float64), Job())
    fit.held = held
    zeroed = w.clone()
    zeroed[:, 40:] = 0
    over = obs.refitted(zeroed, *fit.second(False), keep, 0.0001)
    best = obs.best(zeroed, fit, keep, 0.0001, False, Job())
    assert obs.error(over, *truth.second(False)) > obs.error(zeroed, *truth.second(False))
    assert obs.error(best, *truth.second(False)) < obs.error(zeroed, *truth.second(False)) + 0.1
    assert float(best[:, 40:].abs().max()) == 0


def test_tokens_count_by_the_stream_they_are_added_to() -> None:
    """One token a thousand times as large as the others has no more say than they."""
    x = torch.eye(4).repeat(8, 1)
    x[0] *= 1000
    m = obs.Moments.empty(torch.zeros(2, 4))
    m.add(x, x[:, :2], Job(), 1 / x.square().mean(1))
    torch.testing.assert_close(m.second(False)[0].diagonal() / m.second(False)[0].diagonal().mean(), torch.ones(4, dtype=torch.float64))


def test_by_taylor_a_language_model_loses_less_than_by_magnitude() -> None:
    """The choice alone, without a refit."""
    checkpoint, network, calibration, held = opened("sotu-lm")
    reference, kl = Reference(network, weights(checkpoint), held), {}
    for method in ("taylor", "magnitude"):
        slim = cut(checkpoint, Cut(ffn=0.25, method=method, compensate=False), network, calibration, Job())
        kl[method] = judge(reference, weights(slim), Job(), attach(slim)).metrics["kl"].value
    assert kl["taylor"] < kl["magnitude"]


@pytest.mark.real
def test_smollm2_cut_to_three_quarters_and_six_heads_loads_in_transformers() -> None:
    checkpoint = open_checkpoint(smollm2())
    slim = cut(checkpoint, Cut(ffn=0.25, heads=0.33, **MAGNITUDE), None, None, Job())
    assert (slim.config["intermediate_size"], slim.config["num_attention_heads"], slim.config["num_key_value_heads"]) == (1152, 6, 2)
    model = AutoModelForCausalLM.from_pretrained(slim.weights, dtype=torch.float32).eval()
    item = {"input_ids": torch.arange(24)[None]}
    with torch.inference_mode():
        torch.testing.assert_close(_bare(slim, item), model(**item).logits, rtol=1e-3, atol=1e-3)


@pytest.mark.real
def test_minilm_at_half_its_feed_forward_width_stays_nearer_by_second_order_than_by_magnitude() -> None:
    checkpoint = open_checkpoint(minilm())
    network = attach(checkpoint)
    found = load(SAMPLES / "sotu-lm" / "heldout.txt", network, 64)
    calibration, held = (replace(found, items=found.items[a::2]) for a in (0, 1))
    reference, near = Reference(network, weights(checkpoint), held), {}
    for method, how in (("obs", Cut(ffn=0.5)), ("magnitude", Cut(ffn=0.5, **MAGNITUDE))):
        slim = cut(checkpoint, how, network, calibration, Job())
        near[method] = judge(reference, weights(slim), Job(), attach(slim)).metrics["cosine"].value
    assert 1 - near["obs"] < 0.5 * (1 - near["magnitude"])
    with pytest.raises(BadPlan, match="fewer heads would be wider ones"):
        planned(checkpoint, Cut(heads=0.5))


@pytest.mark.real
def test_smollm2_without_a_quarter_of_its_feed_forward_channels_still_says_the_same() -> None:
    """Thirty layers after one another: each makes up for what went before it once, and the massive activations stay."""
    checkpoint = open_checkpoint(smollm2())
    network = attach(checkpoint)
    found = load(SAMPLES / "sotu-lm" / "heldout.txt", network, 1280)
    held, calibration = replace(found, items=found.items[:1], nbytes=found.nbytes[:1]), replace(found, items=found.items[1:])
    reference = Reference(network, weights(checkpoint), held)
    slim = cut(checkpoint, Cut(ffn=0.25), network, calibration, Job())
    assert judge(reference, weights(slim), Job(), attach(slim)).metrics["kl"].value < 1
