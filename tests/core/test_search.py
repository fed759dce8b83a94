"""The budget solver: as good as trying everything, never over the budget, and it says why."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.energy import Scene, device
from core.errors import BadPlan
from core.formats import targets
from core.plans import MODEL, Scope, edit, resolve
from core.predict import Predictor
from core.registry import make
from core.search import Goal, OutOfReach, best, budget, front, near, points, solve
from core.search.compact import same
from core.search.knapsack import Knapsack, exact, sweep
from core.sensed import Front
from core.size import size
from core.types import Choice, Measured, Plan, Score
from tests.core.deals import PACKED, SLIM, WIDTHS, Case, sensed


@st.composite
def knapsacks(draw: st.DrawFn) -> Knapsack:
    counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    n = sum(counts)
    cost = draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))
    value = draw(st.lists(st.integers(0, 1000), min_size=n, max_size=n))
    return Knapsack(np.cumsum([0, *counts]), np.array(cost, float), np.array(value, float) / 7)


def every(k: Knapsack) -> np.ndarray:
    """(plans, 2) = cost and value of every plan there is."""
    return np.array([k.total(np.array(c)) for c in itertools.product(*(range(a, b) for a, b in itertools.pairwise(k.start)))])


@settings(max_examples=150, deadline=None)
@given(knapsacks(), st.floats(0, 1))
def test_the_exact_answer_is_as_good_as_trying_everything(k: Knapsack, where: float) -> None:
    plans, along = every(k), sweep(k)
    limit = along.cost[0] + where * (plans[:, 0].max() - along.cost[0])
    cost, value = k.total(exact(k, along, limit))
    assert cost <= limit
    assert value == pytest.approx(plans[plans[:, 0] <= limit][:, 1].min())


@settings(max_examples=60, deadline=None)
@given(knapsacks())
def test_the_sweep_is_the_lower_hull_of_all_plans(k: Knapsack) -> None:
    plans, along = every(k), sweep(k)
    assert (np.diff(along.cost) > 0).all()
    assert (np.diff(along.value) < 0).all()
    assert (np.diff(along.price) <= 1e-12).all()
    for step, price in enumerate(along.price):
        assert k.total(along.at(step)) == pytest.approx((along.cost[step], along.value[step]))
        # no plan at all lies under the line through two neighbouring points
        assert (plans[:, 1] + price * plans[:, 0]).min() == pytest.approx(along.value[step] + price * along.cost[step])


def test_a_thinned_programme_is_still_within_the_budget_and_near_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.search.knapsack.STATES", 32)
    rng = np.random.default_rng(1)
    cost = np.outer(rng.uniform(1e5, 3e6, 120), np.arange(2.0, 9.0)).round()
    value = np.outer(rng.lognormal(size=120), 4.0 ** -np.arange(2.0, 9.0)) * rng.lognormal(0, 0.1, (120, 7))
    k = Knapsack(np.arange(0, 841, 7), cost.ravel(), value.ravel())
    along = sweep(k)
    limit = float(along.cost[len(along.cost) // 3]) + 12345
    step = along.under(limit)
    spent, lost = k.total(exact(k, along, limit))
    bound = along.value[step] - along.price[step] * (limit - along.cost[step])
    assert spent <= limit
    assert bound * (1 - 1e-9) <= lost < along.value[step]


def test_five_hundred_layers_with_twenty_options_are_swept_in_milliseconds(tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=72, widths=WIDTHS, groups=(16, 32, 64), plan=SLIM)
    t = case.table(allowed=lambda x, s: True)
    assert len(t.ways) > 18 * 504
    k = t.knapsack
    took = []
    for _ in range(5):
        start = time.thread_time()
        sweep(k)
        took.append(time.thread_time() - start)
    assert min(took) < 0.05
    near(t, 2e7)
    took = []
    for nbytes in np.linspace(2e7, 5e7, 12):
        start = time.thread_time()
        near(t, float(nbytes))
        took.append(time.thread_time() - start)
    assert min(took) < 0.05


def test_the_front_falls_and_every_point_is_an_ordinary_plan_with_its_exact_bytes(tmp_path: Path) -> None:
    case = Case(tmp_path)
    found = front(case.checkpoint, case.layers, case.plan, PACKED, case.predictor)
    assert len(found) > 10
    for a, b in itertools.pairwise(found):
        assert a.size.total < b.size.total
        assert a.estimate.value > b.estimate.value
        assert a.shadow >= b.shadow > 0
    for f in found:
        assert size(case.checkpoint, case.layers, case.resolved(f), PACKED) == f.size
        assert f.estimate.low <= f.estimate.value <= f.estimate.high


@pytest.mark.parametrize("asked", ["0.3x", "35 %", 1_000_000])
def test_a_budget_is_kept_and_used_to_within_one_percent(asked: int | str, tmp_path: Path) -> None:
    case = Case(tmp_path)
    original = sum(t.nbytes for t in case.checkpoint.tensors.values())
    f = solve(case.checkpoint, case.layers, case.plan, PACKED, case.predictor, Goal(asked))
    limit = budget(asked, original)
    assert 0.99 * limit <= f.size.total <= limit


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_at_the_bytes_of_a_uniform_plan_less_is_foretold_to_be_lost(bits: int, tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=4)
    nbytes, uniform = case.uniform(bits)
    f = best(case.table(), Goal(nbytes))
    lost = case.predictor.estimate(case.resolved(f)).value
    assert f.size.total <= nbytes
    assert lost <= uniform * (1 + 1e-9)
    if bits > 2:
        assert lost < 0.95 * uniform


def test_an_impossible_budget_says_the_smallest_size_there_is(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table(safe=False)
    with pytest.raises(OutOfReach) as e:
        best(t, Goal(1000))
    least = best(t, Goal(size(case.checkpoint, case.layers, t.settings(t.sweep.first), PACKED).total))
    assert f"{least.size.total:,}" in str(e.value)
    with pytest.raises(OutOfReach):
        best(t, Goal(least.size.total - 1))


def test_a_format_that_saves_nothing_by_bits_says_so(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with pytest.raises(OutOfReach, match=r"dense files hold values.*choose another format"):
        solve(case.checkpoint, case.layers, case.plan, make(targets["dense"], {}), case.predictor, Goal("0.5x"))


def test_what_the_user_holds_stays_as_it_is(tmp_path: Path) -> None:
    held, mine = "model.layers.1.mlp.up_proj", Choice(bits=8, knobs={"slim.group_size": 64})
    case = Case(tmp_path, plan=replace(SLIM, layers={held: mine}))
    before = resolve(case.plan, case.layers)[held]
    for f in points(case.table(), 5):
        assert same(case.resolved(f)[held]) == same(before)
        assert "held by you" in f.reasons[held]
        assert case.resolved(f)["model.embed_tokens"].idle


def test_pins_given_by_name_hold_and_own_choices_then_do_not(tmp_path: Path) -> None:
    case = Case(tmp_path, plan=replace(SLIM, layers={"model.layers.1.mlp.up_proj": Choice(bits=8)}))
    free = "model.layers.1.mlp.up_proj"
    f = points(case.table(pins={"model.layers.0.mlp.up_proj"}), 5)[0]
    assert case.resolved(f)["model.layers.0.mlp.up_proj"].idle
    assert case.resolved(f)[free].bits == 2


def test_lifting_the_protection_of_a_layer_does_not_hold_it(tmp_path: Path) -> None:
    names = ("model.embed_tokens", "model.layers.1.mlp.up_proj")
    case = Case(tmp_path, plan=edit(SLIM, Scope("layers", names), protect=False))
    f = points(case.table(), 3)[0]
    assert case.resolved(f)[names[1]].bits == 2
    assert case.resolved(f)[names[0]].idle  # the format would store its codes dense: no option


def test_a_plan_of_the_solver_can_be_solved_again(tmp_path: Path) -> None:
    case = Case(tmp_path)
    nbytes = case.uniform(3)[0]
    first = best(case.table(), Goal(nbytes))
    case.plan = first.plan
    again = best(case.table(pins=()), Goal(nbytes))
    assert {n: same(s) for n, s in case.resolved(again).items()} == {n: same(s) for n, s in resolve(first.plan, case.layers).items()}


def test_pruning_the_plan_asks_for_is_kept(tmp_path: Path) -> None:
    case = Case(tmp_path, plan=edit(SLIM, MODEL, amount=0.3))
    for f in points(case.table(), 4):
        assert {s.amount for s in case.resolved(f).values() if not s.protected} == {0.3}


def test_a_layer_whose_price_was_not_measured_never_goes_to_the_extreme(tmp_path: Path) -> None:
    case = Case(tmp_path)
    name = "model.layers.1.mlp.gate_proj"
    s = case.predictor.sensitivity
    guessed = replace(s.layers[name], how="prior", alpha=1e-9)
    case.predictor = Predictor.of(replace(s, layers={**s.layers, name: guessed}))
    f = points(case.table(), 3)[0]
    assert case.resolved(f)[name].bits == 3
    assert "not measured" in f.reasons[name]
    assert case.resolved(f)["model.layers.1.mlp.up_proj"].bits == 2


def test_the_ends_of_a_deep_network_have_a_floor_that_only_a_budget_lifts(tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=9)
    f = points(case.table(), 3)[0]
    ends = [n for n, s in case.resolved(f).items() if n.startswith(("model.layers.0.", "model.layers.8.")) and not s.protected]
    assert {case.resolved(f)[n].bits for n in ends} == {3}
    assert case.resolved(f)["model.layers.4.mlp.up_proj"].bits == 2
    assert "first block" in f.reasons["model.layers.0.mlp.up_proj"]
    smaller = best(case.table(), Goal(f.size.total - 1))
    assert smaller.size.total < f.size.total


def test_layers_that_must_stay_alike_do(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table(alike=True)
    assert len(t.members) == 3 * 4
    for f in points(t, 7):
        for i in range(3):
            for roles in (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), ("mlp.gate_proj", "mlp.up_proj")):
                assert len({same(case.resolved(f)[f"model.layers.{i}.{r}"]) for r in roles}) == 1


def test_mates_of_a_held_layer_follow_it(tmp_path: Path) -> None:
    case = Case(tmp_path, plan=replace(SLIM, layers={"model.layers.0.self_attn.k_proj": Choice(bits=6)}))
    f = points(case.table(alike=True), 3)[0]
    assert {case.resolved(f)[f"model.layers.0.self_attn.{r}_proj"].bits for r in "qkv"} == {6}


def test_a_format_that_mixes_only_symmetric_grids_is_given_those(tmp_path: Path) -> None:
    case = Case(tmp_path, plan=Plan(Choice("magnitude", 0.0, "slim", 16, {"slim.group_size": 32, "slim.symmetric": False})))
    f = best(case.table(), Goal("0.4x"))
    found = case.resolved(f)
    assert len({s.bits for s in found.values() if s.quantize}) > 1
    assert all(s.quantize_knobs["symmetric"] for s in found.values() if s.quantize)
    assert PACKED.clash(case.checkpoint, case.layers, found) == ""
    skewed = resolve(edit(f.plan, MODEL, knobs={"slim.symmetric": False}), case.layers)
    assert "only when all their grids are symmetric" in PACKED.clash(case.checkpoint, case.layers, skewed)
    assert PACKED.clash(case.checkpoint, case.layers, resolve(edit(case.plan, MODEL, bits=3), case.layers)) == ""


def test_a_fragile_layer_keeps_its_bits(tmp_path: Path) -> None:
    case = Case(tmp_path, layers_1_mlp_down=20.0)
    f = best(case.table(), Goal(case.uniform(3)[0]))
    bits = {n: s.bits for n, s in case.resolved(f).items() if not s.protected}
    assert bits["model.layers.1.mlp.down_proj"] == max(bits.values()) >= 5


def test_every_choice_says_what_it_buys(tmp_path: Path) -> None:
    case = Case(tmp_path)
    f = best(case.table(), Goal(case.uniform(4)[0]))
    assert set(f.reasons) == {x.name for x in case.layers}
    for name, s in case.resolved(f).items():
        if s.protected:
            assert s.protected in f.reasons[name]
        elif s.bits > 2:
            assert f"kept at {s.bits} bits: " in f.reasons[name]
            assert " KL per " in f.reasons[name]


def test_a_reason_is_what_the_predictor_says(tmp_path: Path) -> None:
    case = Case(tmp_path)
    f = best(case.table(), Goal(case.uniform(4)[0]))
    chosen, name = case.resolved(f), "model.layers.1.mlp.down_proj"
    text = f.reasons[name]
    told, saved, unit = re.fullmatch(r"kept at \d bits: (\S+) KL per MB \((\S+) (kB|MB) less at \d bits\)", text).groups()
    saved = float(saved) * {"kB": 1e3, "MB": 1e6}[unit]
    steps = [replace(chosen[name], bits=b) for b in WIDTHS if b < chosen[name].bits]
    prices = [case.predictor.value(name, s) - case.predictor.value(name, chosen[name]) for s in steps]
    bytes_ = [f.size.total - size(case.checkpoint, case.layers, {**chosen, name: s}, PACKED).total for s in steps]
    assert any(1e6 * p / b == pytest.approx(float(told), rel=0.06) and b == pytest.approx(saved, rel=0.06) for p, b in zip(prices, bytes_))


def test_plans_read_well_what_most_share_is_said_once(tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=8)
    widest = points(case.table(), 9)[-1]
    assert not widest.plan.layers  # everything at full precision: said by the model alone
    case.predictor = Predictor.of(sensed(list(case.layers), mlp_down=5.0))
    f = best(case.table(safe=False), Goal(case.uniform(3)[0]))
    assert len(f.plan.layers) < len(case.layers) / 2


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_energy_and_time_budgets_are_kept(share: float, tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=4, width=1024)
    t = case.table()
    whole = points(t, 2)[-1].joules
    f = best(t, Goal(energy=share))
    assert f.joules <= share * whole * (1 + 1e-9)
    assert f.joules > 0.9 * share * whole
    better = best(t, Goal(energy=share * 1.3))
    assert better.estimate.value < f.estimate.value
    assert best(t, Goal(time=share)).size.total < points(t, 2)[-1].size.total
    with pytest.raises(OutOfReach, match="of the energy is out of reach"):
        best(t, Goal(energy=0.001))


def test_joules_and_seconds_are_those_of_the_device_asked_for(tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=4, width=1024)
    on = {k: case.table(scene=Scene(device(k))) for k in ("laptop", "h100")}
    whole = {k: points(t, 2)[-1].joules for k, t in on.items()}
    assert whole["h100"] != pytest.approx(whole["laptop"])
    for k, t in on.items():
        assert 0.5 * whole[k] < best(t, Goal(energy=0.7)).joules <= 0.7 * whole[k] * (1 + 1e-9)


def test_a_loss_bound_gives_the_smallest_plan_whose_whole_interval_keeps_it(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table()
    f = best(t, Goal(kl=0.05))
    assert f.estimate.high <= 0.05
    tighter = best(t, Goal(kl=0.02))
    assert tighter.size.total > f.size.total
    smaller = best(t, Goal(round(0.97 * f.size.total)))
    assert smaller.estimate.high > 0.05


def test_one_percent_worse_is_in_the_figure_people_read(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table()
    original = Score("causal-lm", {"perplexity": Measured(20.0), "kl": Measured(0.0)}, 100, "tokens", "x")
    from core.human import human

    f = best(t, Goal(worse=0.01), original)
    assert human(f.estimate, original, "perplexity")[2] <= 20.2
    assert human(best(t, Goal(round(0.95 * f.size.total))).estimate, original, "perplexity")[2] > 20.2
    with pytest.raises(BadPlan, match="needs the original measured first"):
        best(t, Goal(worse=0.01))


def test_the_weighing_is_at_its_least(tmp_path: Path) -> None:
    case = Case(tmp_path)
    t = case.table()
    whole, energy = sum(x.nbytes for x in case.checkpoint.tensors.values()), points(t, 2)[-1].joules

    def weighed(f: Front) -> float:
        return case.predictor.estimate(case.resolved(f)).value + 0.2 * f.size.total / whole + 0.1 * f.joules / energy

    found = best(t, Goal(weights=(1.0, 0.2, 0.1)))
    assert weighed(found) <= min(weighed(f) for f in points(t)) + 1e-9
    assert best(t, Goal(weights=(1.0, 2.0, 0.1))).size.total < found.size.total
    # the shadow price: a megabyte less costs about what the weights say it is worth
    assert found.shadow == pytest.approx(0.2 * 1e6 / whole, rel=0.5)


def test_optimised_plans_are_foretold_higher_and_wider_than_any_plan(tmp_path: Path) -> None:
    case = Case(tmp_path, blocks=6)
    f = best(case.table(), Goal(case.uniform(3)[0]))
    plain = case.predictor.estimate(case.resolved(f))
    assert f.estimate.value > plain.value
    assert f.estimate.high / plain.high >= 1.12


def test_the_winners_curse_is_about_what_a_world_with_noisy_prices_shows(tmp_path: Path) -> None:
    """Prices sensed with an error of 40 %: the plan that looks best is worse than it looks, by about what is foretold."""
    case = Case(tmp_path, blocks=12)
    nbytes, s = case.uniform(3)[0], case.predictor.sensitivity
    rng = np.random.default_rng(3)
    off, told = [], []
    for _ in range(8):
        noisy = {n: replace(x, alpha=x.alpha * float(np.exp(0.4 * rng.standard_normal())), doubt=0.4) for n, x in s.layers.items()}
        truth, case.predictor = Predictor.of(s), Predictor.of(replace(s, layers=noisy))
        f = best(case.table(safe=False), Goal(nbytes))
        chosen = case.resolved(f)
        believed = sum(case.predictor.contributions(chosen).values())
        off.append(sum(truth.contributions(chosen).values()) / believed / np.exp(-0.08) - 1)
        told.append(f.estimate.value / case.predictor.estimate(chosen).value - 1)
    assert np.mean(off) > 0.02
    assert np.mean(told) == pytest.approx(np.mean(off), abs=0.06)
