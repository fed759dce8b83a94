"""Teachers: another checkpoint of the same vocabulary or classes, answers kept on disk, hidden states with a projector."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import BadPlan
from core.evaluate import Reference, answer
from core.formats import open_checkpoint
from core.job import Job
from core.lessons import Lesson
from core.networks import attach
from core.recipe import Recipe, dumps, loads
from core.recover.answers import Answers, Top, nbytes
from core.recover.hidden import Hidden, blocks
from core.recover.losses import distilled, likeliest
from core.recover.methods import Distil
from core.recover.student import student
from core.recover.teacher import teacher
from core.recover.tune import cut
from core.run import run
from core.store import Store
from core.types import Choice, Plan

from .test_train import SAMPLES, Pupil


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("sotu-lm", Choice("magnitude", 0.0, "rtn", 3, {"rtn.group_size": 32}), tmp_path_factory.mktemp("words"), 2048)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.5, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 200)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample language model with another output: it says some words ten times as often."""
    folder = tmp_path_factory.mktemp("other") / "lm"
    shutil.copytree(SAMPLES / "sotu-lm", folder)
    tensors = load_file(folder / "model.safetensors")
    norm = tensors["model.norm.weight"]
    tensors["model.norm.weight"] = (norm.float() * torch.linspace(0.5, 1.5, len(norm))).to(norm.dtype)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def kl(p: Pupil, a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    item = p.fresh.items[0]
    x, y = (torch.log_softmax(p.network.forward(w, item)[0].float(), -1) for w in (a, b))
    return float((x.exp() * (x - y)).sum(-1).mean())


def test_another_model_teaches_and_its_pupil_comes_nearer_to_it(words: Pupil, other: Path, tmp_path: Path) -> None:
    how = {"train": "scales", "steps": 16, "rate": 0.015}
    low = Choice("magnitude", 0.0, "rtn", 3, {"rtn.group_size": 32})
    recipe = Recipe(SAMPLES / "sotu-lm", Plan(low, tune=False, recover="distil", recovery=how), limit=256, tokens=1024, teacher=other)
    result = run(recipe, Job(), Store(tmp_path))
    assert any(n == "Taught by lm, not by the original" for n in result.report.notes)
    taught = result.compressed.weights(Job())
    plain = run(replace(recipe, teacher=None), Job(), Store(tmp_path)).compressed.weights(Job())
    by = teacher(other, words.network, words.checkpoint, Job()).weights
    assert kl(words, by, taught) < 0.9 * kl(words, by, plain)
    assert loads(dumps(recipe)).teacher == other


def test_another_vocabulary_is_refused_before_any_work_and_the_difference_is_named(other: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(other, folder)
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = said["model"]["vocab"]
    a, b = (next(t for t, i in vocabulary.items() if i == n) for n in (300, 301))
    vocabulary[a], vocabulary[b] = 301, 300
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    recipe = Recipe(SAMPLES / "sotu-lm", Plan(recover="distil"), limit=256, teacher=folder)
    with pytest.raises(BadPlan, match="the model's number 300, is its number 301; a teacher must have the very same vocabulary"):
        run(recipe, Job(), Store(tmp_path / "s"))


def test_another_task_and_other_classes_are_refused(digits: Pupil, words: Pupil) -> None:
    with pytest.raises(BadPlan, match="can't teach this model: it is a network for image-classification"):
        teacher(SAMPLES / "digits-cnn", words.network, words.checkpoint, Job())
    with pytest.raises(BadPlan, match=r"class 0 is '.+' to it and 'zero' to the model"):
        teacher(SAMPLES / "fashion-vit", digits.network, digits.checkpoint, Job())


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_likeliest_classes_bound_the_whole_kl_and_reach_it(temperature: float) -> None:
    g = torch.Generator().manual_seed(0)
    t, s = torch.randn(7, 40, generator=g) * 3, torch.randn(7, 40, generator=g).requires_grad_()
    whole = distilled("causal-lm", torch.log_softmax(t, -1), s, temperature)
    last = torch.zeros(7)
    for k in (2, 8, 39, 40):
        values, places = torch.log_softmax(t / temperature, -1).topk(k)
        found = likeliest(Top(values, places), s, temperature)
        assert bool((found <= whole + 1e-5).all())
        assert bool((found >= last - 1e-5).all())
        last = found.detach()
    torch.testing.assert_close(last, whole.detach(), rtol=1e-5, atol=1e-5)
    values, places = torch.log_softmax(s.detach() / temperature, -1).topk(5)
    same = likeliest(Top(values, places), s, temperature)
    assert float(same.detach().abs().max()) < 1e-5
    (slope,) = torch.autograd.grad(same.sum(), s)
    assert float(slope.abs().max()) < 1e-5


def test_kept_answers_are_taken_from_disk_and_weigh_what_is_told(words: Pupil, tmp_path: Path) -> None:
    pieces = replace(words.seen, items=tuple(cut(words.seen))[:2], nbytes=())
    store = Store(tmp_path)
    first = Answers(words.network, words.weights, pieces, store, Distil(top=32))
    found = first.target(0, Job())
    assert isinstance(found, Top)
    exact = torch.log_softmax(words.network.forward(words.weights, pieces.items[0])[0, :-1].float(), -1).topk(32)
    assert torch.equal(found.places, exact.indices)
    torch.testing.assert_close(found.values, exact.values, rtol=1e-3, atol=1e-3)
    rows = pieces.items[0]["input_ids"].shape[1] - 1
    (file,) = tmp_path.glob("*/*.safetensors")
    told = nbytes(rows, 2048, 32)
    assert told == rows * 32 * 4
    assert told < file.stat().st_size < told + 1024
    broken = {n: w * torch.nan for n, w in words.weights.items()}
    again = Answers(words.network, words.weights, pieces, store, Distil(top=32))
    again.weights = broken  # it would refuse to answer
    assert torch.equal(again.target(0, Job()).values, found.values)


def test_training_on_kept_answers_helps_as_much(words: Pupil) -> None:
    whole = words.score(words.trained(train="scales", steps=16, rate=0.01))
    kept = words.score(words.trained(train="scales", steps=16, rate=0.01, top=128))
    assert kept < 0.87 * words.score(words.plain)
    assert abs(kept / whole - 1) < 0.05


def test_hidden_states_of_the_same_weights_are_no_distance_apart(words: Pupil) -> None:
    item = next(iter(cut(words.seen)))
    whole = replace(words.plain, plan=Plan(), settings={}, outcomes={})
    learner = student(whole, words.network, words.weights, Distil())
    found = Hidden.between(Reference(words.network, words.weights, words.seen), words.network, learner, item, Distil(), Job())
    assert found.projectors == (None,) * len(blocks(words.network))
    with found.watching() as seen:
        words.network.forward(learner.weights(), dict(item))
    told, states = found.taught(item, Job())
    assert torch.equal(told, answer(words.network, words.weights, item, Job()))
    assert float(found.loss(seen, item, states).detach()) < 1e-9


def test_hidden_states_of_another_width_are_met_by_a_projector_that_is_trained(digits: Pupil, tmp_path: Path) -> None:
    said: list[Lesson] = []
    plan = Plan(Choice("magnitude", 0.0, "rtn", 16), recover="distil", cuts={"channels": 0.5},
                recovery={"train": "all", "steps": 16, "hidden": 1.0, "rate": 0.01})  # fmt: skip
    result = run(Recipe(SAMPLES / "digits-cnn", plan, limit=100), Job(point=said.append), Store(tmp_path))
    terms = [x.terms for x in said if isinstance(x, Lesson)]
    assert all({"teacher", "hidden"} <= t.keys() for t in terms)
    assert sum(t["hidden"] for t in terms[-4:]) < sum(t["hidden"] for t in terms[:4])
    assert result.report.variant.score.metrics["top1"].value > 0.9
    slim = attach(open_checkpoint(SAMPLES / "digits-cnn"))
    assert len(blocks(slim)) == 3


def test_a_network_without_blocks_is_refused_with_the_knob_named(words: Pupil) -> None:
    bare = replace(words.network, module=None)
    reference = Reference(bare, words.weights, words.seen)
    learner = student(words.plain, words.network, words.weights, Distil())
    with pytest.raises(BadPlan, match=r"distil\.hidden = 0"):
        Hidden.between(reference, words.network, learner, words.seen.items[0], Distil(), Job())
