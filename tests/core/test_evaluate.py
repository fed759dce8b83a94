"""Scores are the ones on the samples' cards, and every figure agrees with an independent computation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.data import default, load
from core.errors import BadData, Cancelled, CannotRun
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.job import Job
from core.networks import attach
from core.resources import root
from core.types import Score

SAMPLES = root() / "samples"
torch.set_num_threads(1)


def reference(name: str, limit: int | None = None) -> Reference:
    checkpoint = open_checkpoint(SAMPLES / name)
    network = attach(checkpoint)
    data = default(checkpoint)
    assert data is not None
    weights = {n: read(i).float() for n, i in checkpoint.tensors.items()}
    return Reference(network, weights, load(data, network, limit))


def shaken(r: Reference, amount: float = 0.2) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    return {n: w + amount * w.std() * torch.randn(w.shape, generator=g) if w.ndim > 1 else w for n, w in r.weights.items()}


@pytest.mark.parametrize("name", ["digits-cnn", "fashion-vit"])
def test_the_classifiers_score_what_their_cards_say(name: str) -> None:
    card = json.loads((SAMPLES / name / "sample.json").read_text(encoding="utf-8"))["score"]
    score = judge(reference(name), None, Job())
    assert score.n == card["n"]
    assert score.metrics["top1"].value == pytest.approx(card["value"], rel=1e-3)


def test_the_language_model_scores_what_its_card_says() -> None:
    card = json.loads((SAMPLES / "sotu-lm" / "sample.json").read_text(encoding="utf-8"))["score"]
    score = judge(reference("sotu-lm"), None, Job())
    assert score.n == card["n"]
    assert score.metrics["perplexity"].value == pytest.approx(card["value"], rel=1e-3)
    assert score.metrics["bits_per_byte"].value == pytest.approx(card["bits_per_byte"], rel=1e-3)


def test_kl_agreement_and_perplexity_agree_with_transformers() -> None:
    r = reference("sotu-lm", 256)
    other = shaken(r)
    score = judge(r, other, Job())
    folder = SAMPLES / "sotu-lm"
    ids = AutoTokenizer.from_pretrained(folder)((folder / "heldout.txt").read_text()[:4000], add_special_tokens=False, return_tensors="pt")[
        "input_ids"
    ][:, :256]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        before = model(ids).logits[0, :-1]
        model.load_state_dict(other, strict=False)
        model.tie_weights()
        after = model(ids).logits[0, :-1]
    p, q = before.log_softmax(-1), after.log_softmax(-1)
    kl = torch.nn.functional.kl_div(q, p, log_target=True, reduction="batchmean")
    assert score.metrics["kl"].value == pytest.approx(float(kl), rel=1e-4)
    assert score.metrics["perplexity"].value == pytest.approx(math.exp(torch.nn.functional.cross_entropy(after, ids[0, 1:])), rel=1e-4)
    assert score.metrics["agreement"].value == pytest.approx(float((p.argmax(-1) == q.argmax(-1)).float().mean()))


def test_the_error_of_top1_is_the_binomial_one() -> None:
    top1 = judge(reference("fashion-vit", 400), None, Job()).metrics["top1"]
    assert top1.error == pytest.approx(math.sqrt(top1.value * (1 - top1.value) / 399), rel=1e-6)


def test_partial_scores_stream_and_the_last_is_the_result() -> None:
    seen: list[Score] = []
    r = reference("sotu-lm", 1024)
    score = judge(r, shaken(r), Job(point=seen.append))
    assert [s.done for s in seen] == [1, 2, 3, 4]
    assert seen[-1] == score
    assert score.complete
    assert not seen[0].complete
    assert all(s.metrics["kl"].error > 0 for s in seen)


def test_a_cancel_is_heard_inside_a_window_and_leaves_no_hook() -> None:
    r = reference("sotu-lm", 1024)
    job = Job()
    assert r.network.module is not None
    last = list(r.network.module.modules())[-1]
    handle = last.register_forward_hook(lambda *_: job.cancel())
    with pytest.raises(Cancelled):
        judge(r, None, job)
    handle.remove()
    assert not any(m._forward_pre_hooks for m in r.network.module.modules())


def test_broken_weights_are_refused_not_scored() -> None:
    r = reference("digits-cnn", 50)
    broken = {n: w * math.nan if w.ndim == 4 else w for n, w in r.weights.items()}
    with pytest.raises(CannotRun, match="NaN"):
        judge(r, broken, Job())


def test_the_fingerprint_follows_bytes_and_limit() -> None:
    assert reference("sotu-lm", 512).batches.fingerprint == reference("sotu-lm", 512).batches.fingerprint
    assert reference("sotu-lm", 512).batches.fingerprint != reference("sotu-lm", 768).batches.fingerprint


CLASSIFIER = SimpleNamespace(task="image-classification", tokenizer=None, context=0, labels=("a", "b"))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"labels": np.zeros(2, np.int64)}, "no array 'images'"),
        ({"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.zeros(3, np.int64)}, "don't fit"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2, np.int64)}, "channels"),
        ({"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.array([0, 2])}, "2 classes"),
        ({"images": np.array([[{"a": 1}]], object), "labels": np.zeros(1, np.int64)}, "plain arrays"),
    ],
)
def test_arrays_that_cannot_serve_are_refused_in_one_sentence(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(BadData, match=says):
        load(tmp_path / "x.npz", CLASSIFIER)


@pytest.mark.parametrize(("text", "says"), [(b"  \n", "empty"), (b"a", "too short"), (b"\xff\xfe\x00", "UTF-8")])
def test_texts_that_cannot_serve_are_refused_in_one_sentence(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "x.txt").write_bytes(text)
    network = attach(open_checkpoint(SAMPLES / "sotu-lm"))
    with pytest.raises(BadData, match=says):
        load(tmp_path / "x.txt", network)


def test_data_of_the_wrong_kind_names_the_right_one() -> None:
    with pytest.raises(BadData, match=r"\.npz"):
        load(SAMPLES / "sotu-lm" / "heldout.txt", CLASSIFIER)
