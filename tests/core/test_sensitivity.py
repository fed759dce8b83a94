"""The sensitivity pass on bundled models: real errors and real prices, kept as they come, in the order that matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from statistics import median

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.cli import main
from core.compress import solved, weight_of
from core.errors import Cancelled
from core.formats.packed import PackedTarget
from core.job import Job
from core.plans import resolve
from core.predict import Predictor
from core.recipe import Recipe
from core.search import Goal, best, table
from core.sensed import Front, Sensitivity
from core.sensing import Opened, opened
from core.sensitivity import sense, sensible
from core.sensitivity.alpha import samples
from core.sensitivity.gradient import prices
from core.sensitivity.shares import leaned, shares
from core.size import size
from core.stage import weights
from core.store import Store
from core.types import Choice, Plan, Seen
from tests.conftest import SAMPLES

QUICK = ("rtn", "magnitude")
PLAN = Plan(Choice("magnitude", 0.0, "rtn", 16, {"rtn.group_size": 32}))


def begun(tmp_path: Path, model: Path, tokens: int) -> Opened:
    return opened(Recipe(model, PLAN, limit=512 if "lm" in model.name else 100, tokens=tokens), Job(), Store(tmp_path / "layers"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return begun(tmp_path_factory.mktemp("words"), SAMPLES / "sotu-lm", 2048)


def passed(o: Opened, job: Job | None = None, store: Store | None = None) -> Sensitivity:
    """The pass with the quick methods alone."""
    return sense(o.network, o.checkpoint, o.layers, o.plan, o.calibration, o.reference, job or Job(), store or o.store, QUICK)


def test_every_layer_the_plan_may_change_gets_its_errors_and_a_measured_price(words: Opened) -> None:
    s = passed(words)
    assert s.complete
    assert list(s.layers) == [x.name for x in sensible(words.layers, words.plan)]
    assert len(s.layers) == 28
    for x in s.layers.values():
        assert x.how == "measured"
        assert x.alpha > 0
        assert 0.1 < x.doubt < 1
        for few, more in ((2, 3), (3, 4), (4, 6)):
            errors = {o.setting.bits: o.error for o in x.options if o.setting.quantize == "rtn"}
            assert errors[few] > errors[more] > 0
        shares = [o.error for o in x.options if o.setting.prune == "magnitude"]
        assert shares == sorted(shares)


def test_an_error_on_a_sample_of_rows_is_that_of_the_whole_layer(words: Opened) -> None:
    s = passed(words)
    name = "model.layers.2.mlp.down_proj"
    layer = next(x for x in words.layers if x.name == name)
    w, held = weight_of(layer).float(), words.calibration.seen[name].held
    assert held is not None
    for o in s.layers[name].options:
        q = solved(layer, o.setting, w, Seen(), Job())[0].dense().float()
        whole = float(torch.trace((w - q) @ held @ (w - q).T) / torch.trace(w @ held @ w.T))
        assert o.error == pytest.approx(whole, rel=0.1)
        assert o.plain == pytest.approx(float((w - q).square().sum() / w.square().sum()), rel=0.1)


def test_what_is_sensed_foretells_what_is_measured(words: Opened) -> None:
    p = Predictor.of(passed(words))
    plans = [replace(PLAN, model=replace(PLAN.model, bits=3)), replace(PLAN, model=replace(PLAN.model, amount=0.4))]
    for plan in plans:
        measured = words.judged(plan, Job()).metrics["kl"].value
        settings = words.compressed(plan, Job()).settings
        e = p.estimate({n: s for n, s in settings.items() if n in p.sensitivity.layers})
        assert e.missing == 0
        assert e.value == pytest.approx(measured, rel=0.35)
        assert e.low <= measured <= e.high


def test_the_same_pass_again_computes_nothing_and_finds_the_same(words: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    first = passed(words)
    monkeypatch.setattr("core.sensitivity.options.Bench.option", _refused)
    monkeypatch.setattr("core.sensitivity.alpha.Probe.__init__", _refused)
    assert passed(words) == first


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("this was computed before")


def test_a_pass_grows_layer_by_layer_and_goes_on_where_it_was_cancelled(words: Opened, tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "other"), []

    def point(s: Sensitivity) -> None:
        heard.append(s)
        if s.done == 5:
            job.cancel()

    job = Job(point=point)
    with pytest.raises(Cancelled):
        passed(words, job, store)
    assert not heard[0].complete
    assert sum(bool(x.options) for x in heard[0].layers.values()) == 1
    assert all(x.how == "prior" for x in heard[0].layers.values())
    assert Predictor.of(heard[0]).estimate({}).value == 0
    assert heard[-1].done == 5
    again: list[Sensitivity] = []
    assert passed(words, Job(point=again.append), store) == passed(words)


def test_images_are_priced_without_blocks_and_a_held_layer_is_left_out(tmp_path: Path) -> None:
    o = begun(tmp_path, SAMPLES / "digits-cnn", 64)
    held = "resnet.encoder.stages.0.layers.0.layer.0.convolution"
    plan = replace(PLAN, layers={held: Choice(protect=True)})
    s = sense(o.network, o.checkpoint, o.layers, plan, o.calibration, o.reference, Job(), o.store, QUICK)
    assert s.complete
    assert s.currency == "kl"
    assert held not in s.layers
    assert len(s.layers) == 13


def test_without_a_network_or_data_a_pass_still_says_what_the_weights_say(words: Opened, tmp_path: Path) -> None:
    s = sense(None, words.checkpoint, words.layers, PLAN, None, None, Job(), Store(tmp_path), QUICK)
    assert s.done == 0
    assert all(x.how == "prior" and x.options and x.options[0].error == x.options[0].plain for x in s.layers.values())


def planted(model: Path, at: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """A copy of a model with one of its weights changed."""
    at.mkdir()
    for f in model.iterdir():
        if f.suffix != ".safetensors":
            (at / f.name).write_bytes(f.read_bytes())
    tensors = load_file(model / "model.safetensors")
    tensors[name] = change(tensors[name])
    save_file(tensors, at / "model.safetensors", {"format": "pt"})
    return at


def test_a_planted_fragile_layer_is_found_dearest(tmp_path: Path) -> None:
    """One weight of every group becomes eight times the largest of its row: what is left of the grid for the others is coarse."""
    name = "model.layers.2.self_attn.v_proj"

    def heavy(w: torch.Tensor) -> torch.Tensor:
        out = w.clone()
        out[:, ::32] = w[:, ::32].sign() * 8 * w.abs().amax(1, keepdim=True)
        return out

    o = begun(tmp_path, planted(SAMPLES / "sotu-lm", tmp_path / "fragile-lm", f"{name}.weight", heavy), 1024)
    s = passed(o)
    cost = {n: x.alpha * next(e.error for e in x.options if e.setting.bits == 3) for n, x in s.layers.items()}
    assert max(cost, key=cost.__getitem__) == name


def test_the_command_tells_layers_dearest_first_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "quick.toml"
    recipe.write_text('version = 1\n[model]\npath = "x"\n[plan]\nprune = "magnitude"\nquantize = "rtn"\n[calibrate]\ntokens = 32\n')
    said = ["sensitivity", str(SAMPLES / "fashion-vit"), "--recipe", str(recipe), "--json", str(tmp_path / "s.json")]
    assert main([*said, "--csv", str(tmp_path / "s.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = json.loads((tmp_path / "s.json").read_text())
    assert lines[0].startswith("24 layers, 24 of them measured")
    assert len(found["layers"]) == 24
    assert sum(len(x["options"]) for x in found["layers"]) + 1 == len((tmp_path / "s.csv").read_text().splitlines())


def test_one_backward_pass_ranks_layers_nearly_as_perturbing_each_of_them_does(words: Opened) -> None:
    modules = {n: m for n, m in words.calibration.seen.modules.items() if n in passed(words).layers}  # type: ignore[attr-defined]
    derived = prices(words.network, words.reference.weights, samples(words.network, words.data), modules, Job())
    measured = {n: x.alpha for n, x in passed(words).layers.items()}
    a, b = ([float(x) for x in torch.tensor([of[n] for n in measured]).log()] for of in (derived, measured))
    assert float(torch.corrcoef(torch.tensor([a, b]))[0, 1]) > 0.7
    assert abs(sum(a) - sum(b)) / len(a) < 1.0  # in the same unit, too


def test_where_only_some_layers_are_perturbed_the_others_follow_them(words: Opened) -> None:
    whole = passed(words)
    o = words
    some = sense(o.network, o.checkpoint, o.layers, o.plan, o.calibration, o.reference, Job(), o.store, QUICK, most=9)
    assert (some.done, some.total) == (9, 28)
    assert {x.how for x in some.layers.values()} == {"measured", "gradient"}
    plan = {n: next(e.setting for e in x.options if e.setting.bits == 3) for n, x in whole.layers.items()}
    assert Predictor.of(some).estimate(plan).value == pytest.approx(Predictor.of(whole).estimate(plan).value, rel=0.3)


def test_a_small_classifiers_answers_added_up_foretell_plans_far_better_than_prices_do(tmp_path: Path) -> None:
    """Its KL hangs on a few images, where the effects of layers add up in the logits and not in the loss."""
    o = opened(Recipe(SAMPLES / "digits-cnn", PLAN, limit=150, tokens=64), Job(), Store(tmp_path / "layers"))
    s = sense(o.network, o.checkpoint, o.layers, o.plan, o.calibration, o.reference, Job(), o.store, ("rtn",), answers=True)
    assert s.answers is not None
    assert s.answers.before.shape == (150, 10)
    plans = [replace(PLAN, layers={n: Choice(bits=2 + (k + i) % 3) for i, n in enumerate(s.layers)}) for k in range(3)]
    plans += [replace(PLAN, model=replace(PLAN.model, bits=b)) for b in (2, 3)]
    answered, priced = Predictor.of(s), Predictor.of(replace(s, answers=None))
    unpaired = Predictor.of(replace(s, answers=replace(s.answers, pairs={n: 0 * p for n, p in s.answers.pairs.items()})))
    off: dict[str, list[float]] = {"answers": [], "alone": [], "prices": []}
    inside: list[bool] = []
    for plan in plans:
        measured = o.judged(plan, Job()).metrics["kl"].value
        settings = {n: v for n, v in o.compressed(plan, Job()).settings.items() if n in s.layers}
        e = answered.estimate(settings)
        inside.append(e.low <= measured <= e.high)
        assert sum(answered.contributions(settings).values()) == pytest.approx(e.value)
        off["answers"].append(abs(log(e.value / measured)))
        off["alone"].append(abs(log(unpaired.estimate(settings).value / measured)))
        off["prices"].append(abs(log(priced.estimate(settings).value / measured)))
    assert sum(inside) >= 3
    assert median(off["answers"]) < 0.5 * median(off["alone"]), "layers do less together than the sum of what they do alone"
    assert median(off["answers"]) < 0.3
    assert median(off["answers"]) < 0.5 * median(off["prices"])


def test_what_was_run_of_a_classifiers_options_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    o = opened(Recipe(SAMPLES / "digits-cnn", PLAN, limit=64, tokens=16), Job(), Store(tmp_path / "layers"))
    few = [x for x in o.layers if "stages.0.layers.0.layer" in x.name]

    def run() -> Sensitivity:
        return sense(o.network, o.checkpoint, few, o.plan, o.calibration, o.reference, Job(), o.store, ("rtn",), answers=True)

    first = run().answers
    monkeypatch.setattr("core.sensitivity.replay.Replay.changed", _refused)
    again = run().answers
    assert first is not None
    assert again is not None
    assert [len(of) for of in first.pairs.values()] == [2, 2]
    assert all((first.moved[n][1] == again.moved[n][1]).all() for n in first.moved)
    assert all((first.pairs[n] == again.pairs[n]).all() for n in first.pairs)


def test_coarser_groups_leave_bytes_for_more_bits(words: Opened) -> None:
    o, target = words, PackedTarget()
    even = replace(PLAN, model=replace(PLAN.model, knobs={"rtn.group_size": 32, "rtn.symmetric": True}))
    limit = Goal(size(o.checkpoint, o.layers, resolve(replace(even, model=replace(even.model, bits=3)), o.layers), target).total)

    def searched(*groups: int) -> Front:
        s = sense(o.network, o.checkpoint, o.layers, even, o.calibration, o.reference, Job(), o.store, ("rtn",), groups=groups)
        return best(table(o.checkpoint, o.layers, even, target, Predictor.of(s), safe=False), limit)

    alone, more, rows = searched(), searched(128), searched(128, 0)
    assert 128 in {s.quantize_knobs["group_size"] for s in resolve(more.plan, o.layers).values() if s.quantize}
    assert more.size.total <= limit.size
    assert rows.estimate.value <= more.estimate.value < alone.estimate.value
    kl = [o.judged(replace(f.plan, tune=False), Job()).metrics["kl"].value for f in (alone, more)]
    assert kl[1] < 1.05 * kl[0]


def test_what_a_plan_loses_is_dealt_to_its_layers_to_the_last_bit_of_it(words: Opened) -> None:
    plan = replace(PLAN, model=replace(PLAN.model, bits=4), layers={"model.layers.0.mlp.down_proj": Choice(protect=True)})
    found = shares(words.reference, weights(words.compressed(plan, Job()), words.reference), words.layers, Job())
    busy = {n for n, s in resolve(plan, words.layers).items() if not s.idle}
    assert set(found) == busy
    lost = words.judged(plan, Job()).metrics["kl"].value
    assert sum(v for v, _ in found.values()) == pytest.approx(lost, rel=0.05)
    alone = {n: v for n, v in zip(passed(words).layers, Predictor.of(passed(words)).prices(resolve(plan, words.layers))) if n in busy}
    apart = [log(max(found[n][0], 1e-9) / v) for n, v in alone.items()]
    assert abs(median(apart)) < 0.3, "what a layer costs beside all others is much what it costs alone"


def test_prices_lean_towards_shares_by_how_sure_these_are(words: Opened) -> None:
    s = passed(words)
    settings = resolve(replace(PLAN, model=replace(PLAN.model, bits=3)), words.layers)
    told = dict(zip(s.layers, Predictor.of(s).prices(settings)))
    first, second, *rest = told
    dear = {n: (v * (2.0 if n in (first, second) else 1.0), 1e-6 * v if n != second else 100 * v) for n, v in told.items()}
    found = leaned(s, settings, dear).layers
    ratio = {n: found[n].alpha / s.layers[n].alpha for n in told}
    assert ratio[first] / ratio[rest[0]] == pytest.approx(2.0, rel=0.01)
    assert ratio[second] == pytest.approx(1.0, rel=0.01), "a share that says nothing changes nothing"
    assert found[first].doubt < 0.1 * s.layers[first].doubt
    assert found[second].doubt == pytest.approx(s.layers[second].doubt, rel=0.01)
