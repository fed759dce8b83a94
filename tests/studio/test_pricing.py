"""Prices before they are paid: one pass over the layers, then every tick shows its prediction, and what is run teaches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from core.search import Goal
from studio import theme
from studio.charts import charts
from studio.engine import Engine
from studio.keeper import Keeper
from studio.layers.model import COST, LayersModel
from studio.panels.front import FrontPanel, bearable
from studio.panels.sensitivity import SensitivityPanel
from studio.pareto import ticks
from studio.session import Session
from studio.snapshot import Snapshot
from tests.studio.conftest import Opened, settled


def test_the_pass_ends_with_every_free_layer_measured(sensed: Session, opened: Opened) -> None:
    free = {x.name for x in sensed.snapshot.layers if x.prunable and not x.protected}
    found = sensed.snapshot.sensitivity
    assert found.complete
    assert free <= set(found.layers)
    assert all(v.how == "measured" and v.alpha > 0 and v.options for v in found.layers.values())
    assert [s.done for s in opened.seen] == sorted(s.done for s in opened.seen), "it only ever grows"


def test_every_tick_has_its_prediction_in_the_same_snapshot_as_its_size(sensed: Session) -> None:
    shots: list[Snapshot] = []
    sensed.changed.connect(shots.append)
    for bits in (8, 4, 2):
        sensed.choose(bits=bits, gesture=5)
    priced = [(s.size.total, s.estimate.value) for s in shots if s.estimate and s.score is None]
    assert len({size for size, _ in priced}) == 3
    costs = list(dict.fromkeys(cost for _, cost in priced))
    assert costs == sorted(costs), "fewer bits, a higher price"
    assert all(s.estimate.low <= s.estimate.value <= s.estimate.high for s in shots if s.estimate)


def test_the_untouched_model_and_a_cut_one_have_no_prediction(sensed: Session) -> None:
    assert sensed.snapshot.estimate is None
    assert sensed.pricing.priced(sensed.snapshot.plan, {}) == {"estimate": None}


def test_a_prediction_is_hollow_until_it_is_measured(sensed: Session, qtbot: QtBot) -> None:
    chart = charts["accuracy"](sensed)
    qtbot.addWidget(chart)
    sensed.choose(bits=3)
    chart.show(sensed.snapshot)
    (point,) = chart.hollow.points()
    value, low, high = sensed.pricing.human(sensed.snapshot.estimate, chart.choice.currentData())
    assert (point.pos().x(), point.pos().y()) == pytest.approx((sensed.snapshot.size.total / 1e6, value))
    assert point.brush().style() == Qt.BrushStyle.NoBrush
    assert (chart.band.opts["top"][0], chart.band.opts["bottom"][0]) == pytest.approx((high - value, value - low))
    assert chart.text.text().startswith("<i>predicted")
    assert "measured" not in chart.text.text()
    settled(sensed, qtbot)
    chart.show(sensed.snapshot)
    assert not len(chart.hollow.points())
    assert "measured on" in chart.text.text()
    assert [p.data() for p in chart.dots.points()] == [0]


def test_a_measured_plan_teaches_the_predictor_and_is_counted(sensed: Session, qtbot: QtBot) -> None:
    sensed.choose(bits=3)
    foretold = sensed.snapshot.estimate
    settled(sensed, qtbot)
    ((_, lesson),) = sensed.pricing.lessons
    assert lesson.foretold == (foretold.low, foretold.high)
    inside = foretold.low <= lesson.value <= foretold.high
    assert (sensed.snapshot.record.inside, sensed.snapshot.record.of) == (int(inside), 1)
    after, truth = sensed.snapshot.estimate, lesson.value
    assert abs(after.value - truth) <= abs(foretold.value - truth) + 1e-9, "told the truth about a plan, it no longer errs further on it"
    assert after.high / after.low < foretold.high / foretold.low, "and is surer of it"


def test_a_bar_is_a_layer_and_a_click_selects_it(sensed: Session, qtbot: QtBot) -> None:
    panel = SensitivityPanel(sensed)
    qtbot.addWidget(panel)
    panel.show(sensed.snapshot)
    layers = sensed.snapshot.sensitivity.layers
    heights = list(panel.bars.opts["height"])
    assert heights == sorted((v.alpha for v in layers.values()), reverse=True)
    panel.pick(0)
    worst = max(layers.values(), key=lambda v: v.alpha).layer
    assert sensed.snapshot.selection == (worst,)
    assert worst in panel.tip(0.0, 0.1)
    assert "measured" in panel.tip(0.0, 0.1)
    assert panel.tip(99.0, 0.1) == ""
    assert [r[0] for r in panel.table()[1:]] == list(layers)


def test_bars_by_type_hold_every_layer_once_and_bars_of_a_plan_what_it_is_predicted_to_cost(sensed: Session, qtbot: QtBot) -> None:
    panel = SensitivityPanel(sensed)
    qtbot.addWidget(panel)
    panel.order.setCurrentIndex(panel.order.findData("type"))
    panel.show(sensed.snapshot)
    assert sorted(n for b in panel.bars_ for n in b.layers) == sorted(sensed.snapshot.sensitivity.layers)
    panel.figure.setCurrentIndex(panel.figure.findData("plan"))
    sensed.choose(bits=2)
    panel.show(sensed.snapshot)
    whole = sum(sensed.pricing.predictor.contributions(sensed.snapshot.settings).values())
    assert sum(b.value for b in panel.bars_) == pytest.approx(whole)
    assert "predicted for the present plan" in panel.tip(0.0, 0.0)


def test_the_curve_falls_with_bits_and_the_point_lies_on_it(sensed: Session, qtbot: QtBot) -> None:
    panel = SensitivityPanel(sensed)
    qtbot.addWidget(panel)
    name = next(iter(sensed.snapshot.sensitivity.layers))
    sensed.choose(bits=4)
    sensed.select([name])
    panel.show(sensed.snapshot)
    xs, ys = panel.curve.points
    assert list(xs) == [2, 3, 4, 5, 6, 7, 8]
    assert list(ys) == sorted(ys, reverse=True)
    (point,) = panel.curve.now.points()
    assert (point.pos().x(), point.pos().y()) == pytest.approx((4, ys[2]))


def test_the_tree_has_a_column_of_costs_that_sorts_and_mutes_what_is_only_assumed(sensed: Session) -> None:
    model = LayersModel()
    model.show_snapshot(sensed.snapshot)
    layers = sensed.snapshot.sensitivity.layers
    for name, leaf in model.leaves.items():
        assert model.value(leaf, COST) == (pytest.approx(layers[name].alpha) if name in layers else None)
    assert model.value(model.root.children[0], COST) is not None or len(model.root.children) > 1
    model.sort(COST, Qt.SortOrder.DescendingOrder)
    top = [model.value(n, COST) or 0 for n in model.root.children]
    assert top == sorted(top, reverse=True)
    leaf = model.leaves[next(iter(layers))]
    assert model.data(model.at(leaf, COST), int(Qt.ItemDataRole.ForegroundRole)) is None


@pytest.fixture
def front(sensed: Session, qtbot: QtBot) -> FrontPanel:
    panel = FrontPanel(sensed)
    qtbot.addWidget(panel)
    panel.show(sensed.snapshot)
    return panel


def test_a_drag_along_the_front_sets_the_plan_at_every_step_and_is_one_undo_step(sensed: Session, front: FrontPanel) -> None:
    before, points = sensed.snapshot.plan, sensed.snapshot.fronts.points
    steps = sensed.undo_stack.count()
    sizes = []
    for f in points[5:15]:
        front.plot.slide(f.size.total / 1e6, 901)
        sizes.append(sensed.snapshot.size.total)
        assert sensed.snapshot.size.total <= f.size.total * 1.001
        assert sensed.snapshot.estimate is not None
    assert len(set(sizes)) > 3
    assert sensed.undo_stack.count() == steps + 1
    sensed.undo()
    assert sensed.snapshot.plan == before


def test_the_handle_lies_where_the_plan_is_and_is_hollow_while_it_is_predicted(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    front.plot.slide(sensed.snapshot.fronts.points[10].size.total / 1e6, 902)
    front.show(sensed.snapshot)
    (handle,) = front.plot.handle.points()
    assert handle.pos().x() == pytest.approx(sensed.snapshot.size.total / 1e6)
    assert handle.brush().color() == theme.colour("window")
    settled(sensed, qtbot)
    front.show(sensed.snapshot)
    (handle,) = front.plot.handle.points()
    assert handle.brush().color() == theme.colour("accent")
    assert ("variant", 0) in [p.data() for p in front.plot.measured.points()]


def test_the_mouse_drags_the_handle_and_lets_it_go(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    sensed.choose(bits=4)
    front.resize(640, 420)
    with qtbot.waitExposed(front):
        front.show()
    front.show(sensed.snapshot)
    front.plot.grab()
    before, steps, (at,) = sensed.snapshot.size.total, sensed.undo_stack.count(), front.plot.handle.points()
    where = [QPointF(x, at.pos().y()) for x in np.linspace(at.pos().x(), sensed.snapshot.fronts.points[0].size.total / 1e6, 6)]
    view, box = front.plot.viewport(), front.plot.getPlotItem().vb
    path = [front.plot.mapFromScene(box.mapViewToScene(p)) for p in where]
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=path[0])
    for p in path[1:]:
        qtbot.mouseMove(view, p)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=path[-1])
    assert sensed.snapshot.size.total < before
    assert sensed.undo_stack.count() == steps + 1
    sensed.undo()
    assert sensed.snapshot.size.total == before


def test_the_arrow_keys_walk_along_the_front(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    front.plot.slide(sensed.snapshot.fronts.points[10].size.total / 1e6, 903)
    before = sensed.snapshot.size.total
    qtbot.keyClick(front.plot, Qt.Key.Key_Right)
    assert sensed.snapshot.size.total > before
    qtbot.keyClick(front.plot, Qt.Key.Key_Left)
    qtbot.keyClick(front.plot, Qt.Key.Key_Left)
    assert sensed.snapshot.size.total < before


def test_the_front_of_a_plan_taken_from_it_is_the_same_front(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    front.plot.slide(sensed.snapshot.fronts.points[4].size.total / 1e6, 904)
    settled(sensed, qtbot)
    sizes = [f.size.total for f in sensed.snapshot.fronts.points]
    front.plot.slide(sensed.snapshot.fronts.points[20].size.total / 1e6, 905)
    settled(sensed, qtbot)
    again = [f.size.total for f in sensed.snapshot.fronts.points]
    # what was measured in between teaches the predictor, so a point of the hull may come or go; the front does not narrow
    assert abs(len(again) - len(sizes)) <= 3
    assert (again[0], again[len(again) // 2], again[-1]) == pytest.approx((sizes[0], sizes[len(sizes) // 2], sizes[-1]), rel=0.2)
    assert len(sensed.snapshot.fronts.points) == pytest.approx(len(sizes), abs=4)


def test_the_best_plan_under_a_budget_is_no_larger_and_undoable(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    before = sensed.snapshot.plan
    points = sensed.snapshot.fronts.points
    budget = (points[0].size.total + points[-1].size.total) // 2
    front.budget.setValue(budget / 1e6)
    front.solve.click()
    qtbot.waitUntil(lambda: sensed.snapshot.plan != before, timeout=120_000)
    assert 0.9 * front.plot.budget < sensed.snapshot.size.total <= front.plot.budget
    assert front.session.pricing.reasons()
    sensed.undo()
    assert sensed.snapshot.plan == before


def test_a_goal_that_is_out_of_reach_is_one_notice_and_changes_nothing(sensed: Session, qtbot: QtBot) -> None:
    before = sensed.snapshot.plan
    with qtbot.waitSignal(sensed.notice, timeout=120_000) as said:
        sensed.pricing.solve(Goal(size=100))
    assert said.args[0] == "error"
    assert "out of reach" in said.args[1]
    assert sensed.snapshot.plan == before


def test_the_sweet_spot_is_the_smallest_that_is_hardly_worse(sensed: Session, front: FrontPanel) -> None:
    score = sensed.snapshot.original.score
    assert front.plot.measure == "top1"
    front.worse.setValue(5)
    front.show(sensed.snapshot)
    limit = bearable(score, "top1", 0.05)
    assert limit == pytest.approx(score.metrics["top1"].value - 0.05)
    lows = [sensed.pricing.human(f.estimate, "top1")[1] for f in sensed.snapshot.fronts.points]
    assert front.sweet is next(f for f, low in zip(sensed.snapshot.fronts.points, lows) if low >= limit)
    front.take.click()
    assert sensed.snapshot.size.total == front.sweet.size.total


def test_uniform_plans_lie_beside_the_front_with_their_exact_bytes(sensed: Session, front: FrontPanel) -> None:
    uniform = sensed.snapshot.fronts.uniform
    assert [f.plan.model.bits for f in uniform] == [8, 6, 5, 4, 3, 2]
    assert [p.data() for p in front.plot.uniform.points()] == list(uniform)
    sensed.choose(bits=4)
    assert sensed.snapshot.size.total == next(f.size.total for f in uniform if f.plan.model.bits == 4)


def test_a_format_that_saves_nothing_and_a_cut_model_say_why_there_is_no_front(sensed: Session, front: FrontPanel, qtbot: QtBot) -> None:
    assert front.currentIndex() == 1
    for change, why in ((lambda: sensed.set_target("dense"), "same bytes"), (cut(sensed), "rotated")):
        before = sensed.snapshot.fronts
        change()
        qtbot.waitUntil(lambda before=before: sensed.snapshot.fronts is not before, timeout=120_000)
        front.show(sensed.snapshot)
        assert front.currentIndex() == 0
        assert why in front.empty.text()
    assert sensed.snapshot.estimate is None


def cut(session: Session) -> Callable[[], None]:
    """An edit that cuts half of each feed-forward layer out: another network."""
    return lambda: session.edit("cut", replace(session.snapshot.plan, cuts={"ffn": 0.5}))


def test_layers_that_are_held_stay_as_they_are_in_every_plan_of_the_front(sensed: Session, qtbot: QtBot) -> None:
    name = max(sensed.snapshot.sensitivity.layers.values(), key=lambda v: v.alpha).layer
    sensed.pricing.pin([name], True)
    held = sensed.snapshot.fronts
    qtbot.waitUntil(lambda: sensed.snapshot.fronts is not held, timeout=120_000)
    for f in sensed.snapshot.fronts.points[::8]:
        sensed.pricing.take(f)
        assert sensed.snapshot.settings[name].idle


def test_other_data_forgets_what_was_sensed(sensed: Session, qtbot: QtBot) -> None:
    sensed.set_data(sensed.snapshot.data, 64)
    s = sensed.snapshot
    assert (s.sensitivity, s.estimate, s.fronts, s.refined) == (None, None, None, ())
    qtbot.waitUntil(lambda: not sensed.engine.busy(), timeout=120_000)


def test_the_guilty_layer_is_named_and_one_click_gives_it_more_bits(sensed: Session, qtbot: QtBot) -> None:
    name = max(sensed.snapshot.sensitivity.layers.values(), key=lambda v: v.alpha).layer
    sensed.choose(bits=8)
    sensed.select([name])
    sensed.choose(bits=2)
    bad = sensed.snapshot.plan
    panel = SensitivityPanel(sensed)
    qtbot.addWidget(panel)
    sensed.pricing.accuse()
    qtbot.waitUntil(lambda: sensed.snapshot.guilt is not None, timeout=120_000)
    assert sensed.snapshot.guilt.suspects[0].layer == name
    panel.show(sensed.snapshot)
    assert name in panel.verdict.text()
    panel.relieve.click()
    assert sensed.snapshot.settings[name].bits > 2
    sensed.undo()
    assert sensed.snapshot.plan == bad


def test_what_was_sensed_and_learned_comes_back_with_the_session(sensed: Session, qtbot: QtBot) -> None:
    keeper = Keeper(sensed)
    sensed.choose(bits=3)
    settled(sensed, qtbot)
    before = sensed.snapshot
    keeper.close()
    sensed.changed.disconnect(keeper._changed)
    other = Session(Engine())
    again = Keeper(other)
    again.start()
    qtbot.waitUntil(lambda: other.snapshot.fronts is not None and not other.engine.busy(), timeout=120_000)
    assert other.snapshot.sensitivity == before.sensitivity
    assert other.snapshot.record == before.record
    assert other.snapshot.estimate == before.estimate
    again.close()
    other.engine.close()


@pytest.mark.parametrize(("low", "high"), [(20.0, 40.0), (35.8, 36.4), (1e-4, 5.0), (10.0, 3000.0)])
def test_a_logarithmic_scale_has_a_few_round_numbers(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    assert all(low <= t <= high for t in found)


