"""Free recovery: closed forms give back answers at equal bytes in seconds, only where unseen data say so; batch norms counted anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.compress import Compressed
from core.evaluate import Reference, judge
from core.job import Job
from core.lessons import Freed
from core.recover import free as closed
from core.recover import recovered
from core.recover.norms import restated
from core.recover.tune import cut
from core.stored import Quantized
from core.types import Choice, Plan

from .test_train import Pupil


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.7, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 400)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("sotu-lm", Choice("magnitude", 0.5, "rtn", 16), tmp_path_factory.mktemp("words"), 2048)


def freed(p: Pupil, job: Job) -> tuple[Compressed, dict[str, torch.Tensor]]:
    return closed.free(p.plain, p.network, p.running(p.plain), Reference(p.network, p.weights, p.seen), job)


def test_a_pruned_cnn_gets_nearly_all_its_answers_back_without_training(digits: Pupil) -> None:
    told: list[object] = []
    done, weights = freed(digits, Job(point=told.append))
    assert digits.score(digits.plain, "top1") < 0.5
    assert digits.score(done, "top1") > 0.98
    assert weights.keys() == digits.weights.keys()
    steps = next(x for x in told if isinstance(x, Freed)).steps
    assert steps[0][0] == closed.NORMS
    assert all(after < before for _, before, after in steps)


def test_codes_zeros_and_bytes_stay_and_the_store_gives_the_same_again(digits: Pupil) -> None:
    first, weights = freed(digits, Job())
    job = Job()
    again, same = freed(digits, job)
    assert all(torch.equal(weights[n], same[n]) for n in weights)
    assert any("Free recovery" in n for n in job.notes)
    for x in digits.layers:
        before, after = digits.plain.stored(x), first.stored(x)
        assert before.nbytes == after.nbytes
        assert torch.equal(after.dense(), again.stored(x).dense())
        if isinstance(before, Quantized):
            assert isinstance(after, Quantized)
            assert torch.equal(before.codes, after.codes)


def test_a_pruned_language_model_comes_nearer_too(words: Pupil) -> None:
    done, _ = freed(words, Job())
    assert words.score(done) < 0.92 * words.score(words.plain)


def test_what_does_not_help_is_left_out(words: Pupil) -> None:
    whole = replace(words.plain, plan=Plan(), settings={}, outcomes={})
    done, weights = closed.free(whole, words.network, dict(words.weights), Reference(words.network, words.weights, words.seen), Job())
    assert done.outcomes == {}
    assert all(torch.equal(weights[n], words.weights[n]) for n in weights)


def test_counting_anew_finds_the_statistics_of_the_data(digits: Pupil) -> None:
    items = list(cut(digits.seen))
    fresh = restated(digits.network, digits.weights, items, Job())
    first = min((n for n in fresh if n.endswith("running_mean")), key=lambda n: (not n.startswith("resnet.embedder"), n))
    given: list[torch.Tensor] = []
    module = digits.network.module.get_submodule("resnet.embedder.embedder.normalization")
    handle = module.register_forward_pre_hook(lambda _m, args: given.append(args[0].detach()))
    for item in items:
        digits.network.forward(digits.weights, item)
    handle.remove()
    x = torch.cat(given).movedim(1, -1).flatten(0, -2).double()
    torch.testing.assert_close(fresh[first].double(), x.mean(0), rtol=1e-4, atol=1e-4)
    var = fresh[first.replace("running_mean", "running_var")].double()
    torch.testing.assert_close(var, x.var(0), rtol=0.02, atol=1e-3)
    assert not module.training


@pytest.mark.parametrize(("plan", "first"), [
    (Plan(recover="distil"), True), (Plan(cuts={"channels": 0.5}), True), (Plan(Choice("magnitude", 0.5, "rtn", 4)), False),
    (Plan(recover="distil", tune=False), False),
])  # fmt: skip
def test_closed_forms_come_first_where_something_is_cut_out_or_trained(plan: Plan, first: bool) -> None:
    assert closed.wanted(plan) == first


def test_training_goes_on_from_what_was_free(digits: Pupil) -> None:
    plan = replace(digits.plain.plan, recover="distil", recovery={"train": "scales", "steps": 8}, tune=None)
    reference, job = Reference(digits.network, digits.weights, digits.fresh), Job()
    done, weights = recovered(
        replace(digits.plain, plan=plan), digits.network, digits.running(digits.plain), reference, lambda: digits.seen, job
    )  # fmt: skip
    assert job.notes[0].startswith("Free recovery")
    assert judge(reference, weights, Job()).metrics["top1"].value > 0.98
    assert done.outcomes.keys() > digits.plain.outcomes.keys()
