"""Coverage: what each layer met, how the error falls with more samples, and where enough is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.calibrate import observe
from core.coverage import SHARES, Asked, Coverage, Dealt, Point, Reach, coverage
from core.errors import Cancelled
from core.formats import read
from core.job import Job
from core.layers import layers
from core.plans import MODEL, edit, resolve
from core.types import Calibration, Layer, Plan, Setting

from .test_calibrate import opened

torch.set_num_threads(1)
FOUR = edit(Plan(), MODEL, bits=3, quantize="slim", knobs={"slim.granularity": "channel"})


def asked(free: tuple[Layer, ...], name: str = "", plan: Plan = FOUR) -> Asked:
    return Asked(free, resolve(plan, free), name)


def covered(name: str, layer: str = "") -> tuple[Coverage, list[Any], Any, tuple[Layer, ...], Any]:
    checkpoint, network, data = opened(name)
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    heard: list[Any] = []
    found = coverage(network, checkpoint, data, asked(free, layer), Job(point=heard.append))
    return found, heard, (checkpoint, network), free, data


@pytest.mark.parametrize("name", ["sotu-lm", "fashion-vit", "digits-cnn"])
def test_every_layer_is_counted_and_the_error_falls_with_more_samples(name: str) -> None:
    found, heard, _, free, data = covered(name)
    assert isinstance(heard[0], Dealt), "which data it is, is known first"
    assert (found.dealt.solver, found.dealt.held) == (data.solver.n, data.held.n)
    assert sorted(r.name for r in found.reach) == sorted(x.name for x in free)
    assert not any(r.blind for r in found.reach)
    samples = [p.samples for p in found.points]
    assert samples == sorted(set(samples))
    assert 2 <= len(samples) <= len(SHARES)
    assert found.points[-1].error <= found.points[0].error
    assert 0 < found.points[-1].error < 1
    assert found.whole


def test_the_last_point_is_what_the_layer_itself_will_be_given() -> None:
    found, _, (checkpoint, network), free, data = covered("sotu-lm")
    name = found.points[0].name
    reach = next(r for r in found.reach if r.name == name)
    assert found.points[-1].samples == reach.samples
    x = next(y for y in free if y.name == name)
    seen = observe(network, checkpoint, data, free, {"inputs"}, Job()).seen[name]
    w = read(x.tensor).float()
    from core.compress import solved

    q, _ = solved(x, resolve(FOUR, free)[name], read(x.tensor), seen, Job())
    left = w - q.dense().float()
    error = torch.einsum("oi,ij,oj", left, seen.held, left) / torch.einsum("oi,ij,oj", w, seen.held, w)
    assert found.points[-1].error == pytest.approx(float(error), rel=1e-3)


def test_the_layer_that_is_asked_for_is_measured_wherever_it_stands() -> None:
    checkpoint, network, data = opened("sotu-lm")
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    name = [x.name for x in free if x.kind == "linear"][-1]
    found = coverage(network, checkpoint, data, replace(asked(free, name), reach=False), Job())
    assert {p.name for p in found.points} == {name}
    assert found.reach == ()


def test_a_plan_that_looks_at_no_data_is_measured_by_a_stand_in_that_says_so() -> None:
    checkpoint, network, data = opened("fashion-vit")
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    plan = edit(Plan(), MODEL, bits=4, quantize="rtn")
    found = coverage(network, checkpoint, data, replace(asked(free, "", plan), reach=False), Job())
    assert {p.setting.quantize for p in found.points} == {"slim"}


def test_a_layer_that_met_nothing_is_listed_and_one_with_few_samples_too() -> None:
    assert Reach("a", 64, 0).blind
    assert Reach("a", 64, 639).few
    assert not Reach("a", 64, 640).few
    checkpoint, network, data = opened("fashion-vit")
    table = next(x for x in layers(checkpoint) if x.prunable and x.kind not in ("linear", "conv", "head"))
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    found = coverage(network, checkpoint, data, replace(asked((*free, table)), name=free[0].name), Job())
    assert [r.name for r in found.reach if r.blind] == [table.name]


def test_enough_is_where_the_error_is_flat_and_nowhere_while_it_still_falls() -> None:
    def curve(*errors: float) -> Coverage:
        c = Coverage()
        for i, e in enumerate(errors):
            c = c.plus(Point("a", Setting(), 100 << i, e))
        return c

    assert curve(0.5, 0.3, 0.101, 0.1).enough == Point("a", Setting(), 400, 0.101)
    assert curve(0.5, 0.4, 0.3, 0.2).enough is None
    again = curve(0.5, 0.1).plus(Point("b", Setting(), 50, 0.4))
    assert [p.name for p in again.points] == ["b"], "another layer's curve takes the old one's place"


def test_a_cancel_is_heard() -> None:
    checkpoint, network, data = opened("sotu-lm")
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    job = Job(point=lambda found: job.cancel() if isinstance(found, Reach) else None)
    with pytest.raises(Cancelled):
        coverage(network, checkpoint, data, asked(free), job)


def test_coverage_needs_no_statistics_of_another_kind_than_the_walk() -> None:
    """What coverage keeps on disk is what compressing would have kept, to the last bit."""
    checkpoint, network, data = opened("sotu-lm")
    free = tuple(x for x in layers(checkpoint) if not x.protected)
    before: Calibration = observe(network, checkpoint, data, free, {"inputs"}, Job())
    name = free[0].name
    first = before.seen[name].hessian
    grown = before.seen.growing(name, (0.5, 1.0))  # type: ignore[attr-defined]
    assert len(grown) == 2
    assert torch.equal(grown[-1].hessian, first)
