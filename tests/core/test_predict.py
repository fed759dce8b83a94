"""Prices of plans from hand-made sensitivities: right to the last digit where arithmetic says so, honest where it does not."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.curves import by_amount, by_bits, family, pchip
from core.errors import BadPlan
from core.predict import Predictor, human
from core.sensed import Estimate, Evaluation, Option, Record, Sensed, Sensitivity
from core.sensitivity.anchors import fitted
from core.types import Measured, Score, Setting

GROUP = {"group_size": 64}
AMOUNTS = (0.3, 0.5, 0.6, 0.7, 0.8)


def rounded(bits: int, method: str = "slim") -> Setting:
    return Setting(quantize=method, bits=bits, quantize_knobs=GROUP)


def pruned(amount: float, method: str = "wanda") -> Setting:
    return Setting(prune=method, amount=amount)


def options(factor: float = 1.0) -> tuple[Option, ...]:
    made = [Option(rounded(b), "obs", factor * 0.3 * 4.0**-b, 4.0**-b) for b in (2, 3, 4, 6, 8)]
    made += [Option(rounded(b, "rtn"), "round", factor * 4.0**-b, 4.0**-b) for b in (2, 3, 4, 6, 8)]
    return (*made, *(Option(pruned(a), "prune", factor * a**4, a**4) for a in AMOUNTS))


def network(n: int, seed: int = 0, doubt: float = 0.2, ceiling: float = float("inf")) -> Sensitivity:
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{i // 4}.{('self_attn.q_proj', 'self_attn.o_proj', 'mlp.up_proj', 'mlp.down_proj')[i % 4]}" for i in range(n)]
    layers = {x: Sensed(x, float(rng.lognormal(-2, 1)), doubt, "measured", options(float(rng.lognormal(0, 0.3)))) for x in names}
    return Sensitivity(layers, "hand-made", "kl", ceiling, n, n)


def mixed(s: Sensitivity, rng: np.random.Generator) -> dict[str, Setting]:
    """A random plan over methods, bits and amounts."""
    kinds = [
        lambda: rounded(int(rng.integers(2, 7))), lambda: rounded(int(rng.integers(3, 7)), "rtn"),
        lambda: pruned(float(rng.uniform(0.1, 0.7))), Setting,
    ]  # fmt: skip
    return {n: kinds[int(rng.integers(4))]() for n in s.layers}


def truth(s: Sensitivity, plan: Mapping[str, Setting], secret: Mapping[str, float], kinds: Mapping[str, float] | None = None) -> float:
    """What a world in which the price of every layer, and of every family of methods, is off by a secret factor would measure."""
    parts = Predictor.of(s).contributions(plan)
    return sum(x * secret[n] * (kinds or {}).get(family(plan[n]), 1.0) for n, x in parts.items())


def test_a_price_is_alpha_times_the_error_of_the_option() -> None:
    s = network(8)
    p = Predictor.of(s)
    for name, x in s.layers.items():
        for o in x.options:
            assert p.value(name, o.setting) == pytest.approx(x.alpha * o.error, rel=1e-6)
            assert p.speaks_for(name, o.setting)


def test_prices_of_layers_add_up_and_a_plan_that_does_nothing_is_free() -> None:
    s = network(8)
    p = Predictor.of(s)
    plan = {n: rounded(3) for n in s.layers}
    assert p.estimate(plan).value == pytest.approx(sum(x.alpha * x.options[1].error for x in s.layers.values()))
    assert p.estimate(plan).value == pytest.approx(sum(p.contributions(plan).values()))
    assert p.estimate({n: Setting() for n in s.layers}) == Estimate(0.0, 0.0, 0.0, 0)
    assert p.estimate({}) == Estimate(0.0, 0.0, 0.0, 0)


def test_bits_between_two_options_lie_on_a_straight_line_of_logarithms() -> None:
    out = by_bits(np.array([2.0, 4.0, 8.0]), np.array([[0.16, 0.04, 0.0004]]))[0]
    assert out[3] == pytest.approx(0.08)
    assert out[6] == pytest.approx(0.004)
    assert out[9] == pytest.approx(0.0001)  # beyond the last: a quarter per bit
    p = Predictor.of(network(4))
    assert p.value("model.layers.0.mlp.up_proj", Setting(quantize="slim", bits=16, quantize_knobs=GROUP)) == 0


def test_the_curve_over_amounts_is_monotone_and_goes_through_its_points_even_where_they_jump() -> None:
    xs = np.array(AMOUNTS)
    ys = np.array([[1e-4, 1e-4, 0.3, 0.31, 0.9], [0.01, 0.06, 0.12, 0.3, 0.5]])
    out = by_amount(xs, ys)
    assert (np.diff(out, axis=1) >= -1e-12).all()
    assert out[:, 0] == pytest.approx([0, 0])
    assert out[:, -1] == pytest.approx([1, 1])
    assert out[:, [60, 100, 120, 140, 160]] == pytest.approx(ys, rel=1e-6)


def test_the_interpolation_is_the_published_one() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(1)
    x, at = np.sort(rng.uniform(0, 1, 7)), np.linspace(0.2, 0.8, 50)
    y = rng.normal(size=(3, 7))
    at = at[(at >= x[0]) & (at <= x[-1])]
    assert pchip(x, y, at) == pytest.approx(interpolate.PchipInterpolator(x, y, axis=1)(at))


def test_a_layer_that_is_pruned_and_rounded_pays_for_both_but_zeros_are_not_rounded() -> None:
    p, name = Predictor.of(network(4)), "model.layers.0.mlp.up_proj"
    both = Setting("wanda", 0.5, "slim", 3, {}, GROUP)
    assert p.value(name, both) == pytest.approx(p.value(name, pruned(0.5)) + 0.5 * p.value(name, rounded(3)))


def test_what_no_option_speaks_for_is_counted_priced_and_doubted() -> None:
    s = network(8)
    p = Predictor.of(s)
    known, other = {n: rounded(3) for n in s.layers}, {n: Setting(quantize="hqq", bits=3, quantize_knobs=GROUP) for n in s.layers}
    a, b = p.estimate(known), p.estimate(other)
    assert (a.missing, b.missing) == (0, 8)
    rtn = p.estimate({n: rounded(3, "rtn") for n in s.layers})
    assert b.value == pytest.approx(rtn.value, rel=0.01)  # of its own family, not GPTQ's
    assert b.high / b.low > 1.3 * a.high / a.low
    alien = p.estimate({**known, "lm_head": rounded(3)})
    assert alien.missing == 1
    assert alien.value > a.value


def test_a_sensitivity_without_a_single_option_still_prices_by_the_textbook() -> None:
    bare = Sensitivity({f"layers.{i}.fc1": Sensed(f"layers.{i}.fc1", 1.0, 1.0, "prior") for i in range(4)}, "bare")
    p = Predictor.of(bare)
    prices = [p.estimate({n: rounded(b) for n in bare.layers}) for b in (8, 4, 3, 2)]
    assert all(a.value < b.value for a, b in pairwise(prices))
    assert all(e.missing == 4 and e.high > 2 * e.value > 4 * e.low for e in prices)


def test_a_price_never_reaches_further_than_the_ceiling() -> None:
    s = network(40, ceiling=2.0)
    plan = {n: pruned(0.9) for n in s.layers}
    whole = sum(Predictor.of(s).contributions(plan).values())
    e = Predictor.of(s).estimate(plan)
    assert whole > 2.0
    assert e.low <= e.value <= e.high < 2.0 + 1e-9
    small = {n: rounded(8) for n in s.layers}
    assert Predictor.of(s).estimate(small).value == pytest.approx(sum(Predictor.of(s).contributions(small).values()))


def test_the_curve_of_a_layer_passes_its_present_point() -> None:
    p, name = Predictor.of(network(4)), "model.layers.0.mlp.down_proj"
    xs, ys = p.curve(name, rounded(3), "bits")
    assert ys[list(xs).index(3)] == pytest.approx(p.value(name, rounded(3)))
    assert ys[-1] == 0
    xs, ys = p.curve(name, Setting(), "amount")
    assert ys[list(xs.round(3)).index(0.5)] == pytest.approx(p.value(name, pruned(0.5)))
    assert (np.diff(ys) >= 0).all()


def test_evaluations_teach_a_factor_that_all_prices_share() -> None:
    s, rng = network(60), np.random.default_rng(3)
    plans = [mixed(s, rng) for _ in range(20)]
    secret = dict.fromkeys(s.layers, 1.3)
    told = [Evaluation(x, truth(s, x, secret), 0.01 * truth(s, x, secret)) for x in plans]
    before, after = Predictor.of(s), Predictor.of(s, told[:8])

    def off(p: Predictor) -> float:
        return float(np.median([abs(p.estimate(e.settings).value / e.value - 1) for e in told[8:]]))

    assert off(before) > 0.2
    assert off(after) < 0.05
    widths = [np.mean([np.log(p.estimate(e.settings).high / p.estimate(e.settings).low) for e in told[8:]]) for p in (before, after)]
    assert widths[1] < 0.7 * widths[0]


def test_an_evaluated_plan_is_predicted_as_it_was_measured_and_its_neighbours_nearly() -> None:
    s, rng = network(60), np.random.default_rng(4)
    plan = mixed(s, rng)
    value = 1.25 * Predictor.of(s).estimate(plan).value
    p = Predictor.of(s, [Evaluation(plan, value, 0.02 * value)])
    again, width = p.estimate(plan), lambda e: np.log(e.high / e.low)
    assert again.value == pytest.approx(value, rel=0.08)
    far = p.estimate(mixed(s, rng))
    assert width(again) < 0.8 * width(far)  # the further from what was run, the less is known


def test_ninety_of_a_hundred_figures_fall_into_their_interval_in_a_world_as_uncertain_as_said() -> None:
    inside: dict[int, list[bool]] = {0: [], 8: [], 20: []}
    for seed in range(25):
        s, rng = network(60, seed, doubt=0.3), np.random.default_rng(100 + seed)
        common, kinds = rng.normal(0, 0.1), {f: float(np.exp(rng.normal(0, 0.12))) for f in ("obs", "round", "prune")}
        thirds = rng.normal(0, 0.2, (3, 2))
        secret = {n: float(np.exp(common + thirds[i // 20, i % 4 // 2] + rng.normal(0, 0.3))) for i, n in enumerate(s.layers)}
        plans = [mixed(s, rng) for _ in range(26)]
        values = [truth(s, x, secret, kinds) * float(np.exp(rng.normal(0, 0.11))) for x in plans]
        told = [Evaluation(x, v, 0.04 * v) for x, v in zip(plans, values)]
        for n in inside:
            p = Predictor.of(s, told[:n])
            found = [p.estimate(e.settings) for e in told[20:]]
            inside[n] += [e.low <= v <= e.high for e, v in zip(found, values[20:])]
    shares = {n: float(np.mean(v)) for n, v in inside.items()}
    assert all(0.85 <= share <= 0.98 for share in shares.values()), shares


def test_the_record_says_how_many_of_the_foretold_intervals_held() -> None:
    s = network(4)
    plan = {n: rounded(3) for n in s.layers}
    told = [Evaluation(plan, 0.3, 0.01, (0.2, 0.4)), Evaluation(plan, 0.5, 0.01, (0.2, 0.4)), Evaluation(plan, 0.3, 0.01)]
    assert Predictor.of(s, told).record == Record(1, 2)


def test_a_tick_over_five_hundred_layers_takes_under_a_millisecond() -> None:
    s, rng = network(500), np.random.default_rng(5)
    plans = [mixed(s, rng) for _ in range(30)]
    p = Predictor.of(s, [Evaluation(x, Predictor.of(s).estimate(x).value, 0.01) for x in plans[:20]])
    p.estimate(plans[0])
    shared = [rounded(b) for b in (2, 3, 4)]  # as a slider gives: layers of a group share one setting
    took = []
    for k in range(60):
        plan = {n: shared[(i + k) % 3] for i, n in enumerate(s.layers)}
        start = time.process_time()
        p.estimate(plan)
        took.append(time.process_time() - start)
    assert np.median(took) < 1e-3


def test_predicting_needs_no_torch() -> None:
    code = "import sys, core.predict; sys.exit('torch' in sys.modules or 'PySide6' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_methods_belong_to_families() -> None:
    assert [family(x) for x in (rounded(3), rounded(3, "hqq"), pruned(0.5), pruned(0.5, "sparsegpt"), rounded(8, "int8dynamic"))] == [
        "obs", "round", "prune", "obs", "activation"
    ]  # fmt: skip


def test_a_price_is_told_as_perplexity_accuracy_or_cosine() -> None:
    before = Score("causal-lm", {"perplexity": Measured(20.0), "bits_per_byte": Measured(1.0), "top1": Measured(0.9)}, 1, "tokens", "x")
    e = Estimate(0.4, 0.3, 0.5)
    value, low, high = human(e, before, "perplexity")
    assert low < value < high
    assert value == pytest.approx(20 * np.exp(0.98 * 0.4), rel=0.01)
    assert human(e, before, "kl") == (0.4, 0.3, 0.5)
    assert human(Estimate(0.05, 0.02, 0.1), before, "cosine") == pytest.approx((0.95, 0.9, 0.98))
    value, low, high = human(e, before, "bits_per_byte")
    assert value == pytest.approx(1 + 0.98 * 0.4 / np.log(20), rel=0.01)
    value, low, high = human(e, before, "top1")
    assert 0 < low < value < high <= 0.9
    assert human(Estimate(0.0, 0.0, 0.0), before, "top1")[0] == 0.9
    assert human(Estimate(0.445, 0.4, 0.5), before, "agreement")[0] == pytest.approx(0.711, abs=0.02)  # Llama-3-8B, Q2_K: measured there
    with pytest.raises(BadPlan, match="is no metric"):
        human(e, before, "beauty")


def test_measured_variants_teach_how_accuracy_follows_the_price() -> None:
    before = Score("image-classification", {"top1": Measured(0.95)}, 1, "images", "x")
    e = Estimate(0.2, 0.15, 0.25)
    naive, taught = human(e, before, "top1"), human(e, before, "top1", [(0.1, 0.94), (0.3, 0.93), (0.5, 0.92)])
    assert taught[0] > naive[0]
    assert taught[2] - taught[1] < naive[2] - naive[1]


def test_whole_plans_teach_that_the_loss_rises_steeper_than_the_sum() -> None:
    s, rng = network(16, doubt=0.3), np.random.default_rng(7)
    plans = [mixed(s, rng) for _ in range(60)]
    parts = [truth(s, x, dict.fromkeys(s.layers, 3.0)) for x in plans]
    told = [Evaluation(x, 0.1 * (k / 0.1) ** 2.25, 0.0) for x, k in zip(plans, parts)]
    found = fitted(s, told[:40])
    assert found.slope in (2.0, 2.25, 2.5)

    def off(of: Sensitivity) -> float:
        p = Predictor.of(of)
        return float(np.median([abs(np.log(p.estimate(e.settings).value / e.value)) for e in told[40:]]))

    assert off(found) < 0.25 < 1 < off(s)
    some = plans[50]
    assert sum(Predictor.of(found).contributions(some).values()) == pytest.approx(Predictor.of(found).estimate(some).value)


def test_a_family_that_costs_more_than_its_errors_say_is_priced_so() -> None:
    s = network(4)
    dear = replace(s, layers={n: replace(x, factors={"prune": 1.5}) for n, x in s.layers.items()})
    name = "model.layers.0.mlp.up_proj"
    assert Predictor.of(dear).value(name, pruned(0.5)) == pytest.approx(1.5 * Predictor.of(s).value(name, pruned(0.5)))
    assert Predictor.of(dear).value(name, rounded(3)) == pytest.approx(Predictor.of(s).value(name, rounded(3)))
