"""The playground's engine: both sides asked the same, the strip of KL, and the samples that suffer most."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer

from core import cli
from core.compress import compress
from core.errors import BadData, Cancelled
from core.evaluate import Reference, answer, compare, losses
from core.formats import open_checkpoint, read
from core.int8 import running
from core.job import Job
from core.layers import layers
from core.play import Ask, Dialogue, Side
from core.play.look import liken, look, opened
from core.play.talk import talk
from core.play.worst import PASSAGE, worst
from core.store import Store
from core.types import Choice, Plan
from tests.core.test_evaluate import SAMPLES, reference, shaken
from tests.real import minilm

PROMPT = "My fellow Americans, the state of our union is"


@pytest.fixture(scope="module")
def sotu() -> Reference:
    return reference("sotu-lm", 256)


@pytest.fixture(scope="module")
def both(sotu: Reference) -> tuple[Side, Side]:
    """The original and itself with noise of a fifth of each weight's deviation."""
    return Side(sotu.network, sotu.weights), Side(sotu.network, shaken(sotu))


def test_the_original_says_what_transformers_generates(both: tuple[Side, Side]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(SAMPLES / "sotu-lm")
    model = AutoModelForCausalLM.from_pretrained(SAMPLES / "sotu-lm", dtype=torch.float32)
    ids = tokenizer(PROMPT, return_tensors="pt")
    theirs = model.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :].tolist()
    said = talk(*both, Ask(PROMPT, tokens=16), Job())
    assert [t.id for t in said.before] == theirs
    assert "".join(t.text for t in said.before) == tokenizer.decode(theirs)


def test_without_a_cache_the_answers_and_the_strip_are_the_same(both: tuple[Side, Side]) -> None:
    assert both[0].network.step is not None
    with_cache = talk(*both, Ask(PROMPT, tokens=12), Job())
    bare = [replace(s, network=replace(s.network, step=None)) for s in both]
    without = talk(bare[0], bare[1], Ask(PROMPT, tokens=12), Job())
    assert (without.before, without.after) == (with_cache.before, with_cache.after)
    assert [n.kl for n in without.strip] == pytest.approx([n.kl for n in with_cache.strip], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_same_weights_say_the_same_at_any_temperature(both: tuple[Side, Side], temperature: float) -> None:
    said = talk(both[0], both[0], Ask(PROMPT, 10, temperature, 3), Job())
    assert said.apart == 0
    assert said.mean == pytest.approx(0, abs=1e-7)
    again = talk(both[0], both[0], Ask(PROMPT, 10, temperature, 3), Job())
    assert again == said
    other = talk(both[0], both[0], Ask(PROMPT, 10, temperature, 4), Job())
    assert (other.before == said.before) == (temperature == 0)


def test_tokens_that_only_one_of_them_says_are_marked(both: tuple[Side, Side]) -> None:
    said = talk(*both, Ask(PROMPT, tokens=24), Job())
    assert 0 < said.apart < 24
    same = [[t.id for t in side if t.same] for side in (said.before, said.after)]
    assert same[0] == same[1]


def test_both_columns_grow_together_and_then_the_strip(both: tuple[Side, Side]) -> None:
    seen: list[Dialogue] = []
    said = talk(*both, Ask(PROMPT, tokens=8), Job(point=seen.append))
    assert [len(d.before) for d in seen[:8]] == [len(d.after) for d in seen[:8]] == list(range(1, 9))
    assert not any(d.strip for d in seen[:8])
    assert not seen[-1].whole
    assert said.whole
    assert len(said.strip) == said.prompt + 8


def test_the_strip_is_the_kl_of_one_pass_over_prompt_and_answer(both: tuple[Side, Side]) -> None:
    said = talk(*both, Ask(PROMPT, tokens=8), Job())
    ids = [*both[0].network.tokenizer(PROMPT)["input_ids"], *(t.id for t in said.before)]
    item = {"input_ids": torch.tensor([ids])}
    a, b = (answer(s.network, s.weights, item, Job()) for s in both)
    assert [n.kl for n in said.strip] == pytest.approx(compare("causal-lm", a, b, item)["kl"].tolist(), rel=1e-3, abs=1e-5)
    first = a[said.prompt].exp().topk(3)
    assert [p for _, p in said.strip[said.prompt].before] == pytest.approx(first.values.tolist(), rel=1e-3)


def test_int8_activations_run_in_integers_where_keys_are_kept_too(sotu: Reference, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "sotu-lm")
    found = tuple(layers(checkpoint))
    plan = Plan(layers={x.name: Choice(quantize="int8dynamic", bits=8) for x in found if x.kind == "linear" and not x.protected})
    done = compress(checkpoint, found, plan, None, Store(tmp_path), Job())
    network, weights = running(done, sotu.network), done.weights(Job())
    ids = sotu.batches.items[0]["input_ids"][:, :12]
    with torch.inference_mode():
        whole = network.forward(weights, {"input_ids": ids})
        assert network.step is not None
        read, _ = network.step(weights, ids, None)
        plain = sotu.network.forward(weights, {"input_ids": ids})
    assert torch.allclose(read, whole, atol=1e-4)
    assert not torch.allclose(plain, whole, atol=1e-2)


def test_a_cancel_is_heard_between_two_tokens(both: tuple[Side, Side]) -> None:
    job = Job(point=lambda d: job.cancel() if len(d.before) == 3 else None)
    with pytest.raises(Cancelled):
        talk(*both, Ask(PROMPT, tokens=200), job)


@pytest.mark.parametrize(
    ("ask", "why"),
    [(Ask("  "), "write the beginning of a text"), (Ask(PROMPT, tokens=100_000), "ask for fewer")],
)
def test_a_prompt_that_cannot_be_answered_says_what_to_do(both: tuple[Side, Side], ask: Ask, why: str) -> None:
    with pytest.raises(BadData, match=why):
        talk(*both, ask, Job())


def test_a_prompt_that_is_too_long_keeps_its_end_and_says_so(both: tuple[Side, Side], monkeypatch: Any) -> None:
    monkeypatch.setattr("core.play.talk.LONGEST", 40)
    job = Job()
    said = talk(*both, Ask("We " * 100 + PROMPT, tokens=1), job)
    assert said.prompt + 1 == 40
    assert said.strip[said.prompt - 1].text == " is"
    assert "both were given its last 40" in job.notes[0]


def test_the_worst_passage_put_back_as_a_prompt_has_the_same_kl(sotu: Reference, both: tuple[Side, Side]) -> None:
    found = worst(sotu, both[1], Job())
    assert [s.loss for s in found] == sorted((s.loss for s in found), reverse=True)
    total = sum(s.loss * PASSAGE for s in found)  # 255 tokens in windows of 128 or 256: at most two passages end early
    assert total == pytest.approx(sum(losses(sotu, both[1].weights, Job())) / len(sotu.batches.items) * sotu.batches.n, rel=0.15)
    s = found[0]
    said = talk(*both, Ask(s.put[0], tokens=1), Job())
    tail = [n.kl for n in said.strip[: said.prompt]][-PASSAGE:]
    assert sum(tail) / PASSAGE == pytest.approx(s.loss, rel=1e-3)


def test_the_worst_pictures_are_those_that_lose_most() -> None:
    r = reference("digits-cnn", 100)
    after = Side(r.network, shaken(r))
    found = worst(r, after, Job(), 5)
    assert [s.loss for s in found] == pytest.approx(sorted(losses(r, after.weights, Job()), reverse=True)[:5], rel=1e-5)
    batch, row = found[0].where
    pixels = r.batches.items[batch]["pixel_values"][row]
    seen = look(Side(r.network, r.weights), after, pixels, "it", Job())
    assert seen.kl == pytest.approx(found[0].loss, rel=1e-4)
    assert seen.picture.shape == (*pixels.shape[1:], 1)
    p = r.network.forward(r.weights, {"pixel_values": pixels[None]}).softmax(-1)[0]
    assert [c.before for c in seen.classes[:5]] == pytest.approx(p.topk(5).values.tolist(), rel=1e-4)
    assert {c.label for c in seen.classes} >= {r.network.labels[i] for i in p.topk(5).indices.tolist()}


def test_a_picture_file_is_prepared_as_the_held_out_pictures_are(tmp_path: Path) -> None:
    r = reference("digits-cnn", 10)
    item = r.batches.items[0]
    pixels = item["pixel_values"][0]
    grey = ((pixels[0] * 0.3234 + 0.305) * 255).round().byte().numpy()
    Image.fromarray(grey).save(tmp_path / "digit.png")
    found = opened(tmp_path / "digit.png", r.network, SAMPLES / "digits-cnn" / "heldout.npz", item)
    assert torch.allclose(found, pixels, atol=0.02)
    Image.fromarray(grey).resize((64, 64)).convert("RGB").save(tmp_path / "large.png")
    assert opened(tmp_path / "large.png", r.network, SAMPLES / "digits-cnn" / "heldout.npz", item).shape == pixels.shape
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(BadData, match="can't be read as a picture"):
        opened(tmp_path / "no.png", r.network, None, item)


def test_a_network_is_only_asked_what_it_is_for(both: tuple[Side, Side]) -> None:
    with pytest.raises(BadData, match="embeds no sentences"):
        liken(*both, "a", "b", Job())
    with pytest.raises(BadData, match="can't look at pictures"):
        opened(Path("x.png"), both[0].network, None, None)


@pytest.mark.real
def test_minilm_holds_two_sentences_as_alike_as_transformers_does() -> None:
    from core.networks import attach

    checkpoint = open_checkpoint(minilm())
    network = attach(checkpoint)
    weights = {n: read(i).float() for n, i in checkpoint.tensors.items()}
    blurred = {n: w + 0.1 * w.std() * torch.randn(w.shape, generator=torch.Generator().manual_seed(0)) for n, w in weights.items()}
    alike = liken(Side(network, weights), Side(network, blurred), "A man plays a guitar.", "Someone plays an instrument.", Job())
    other = liken(Side(network, weights), Side(network, weights), "A man plays a guitar.", "The stock market fell.", Job())
    assert 1 > alike.before > 0.4 > other.before
    assert other.before == other.after
    assert alike.before != alike.after
    assert all(0.5 < c < 1 for c in alike.cosines)
    with pytest.raises(BadData, match="write both"):
        liken(Side(network, weights), Side(network, weights), "One", " ", Job())


def test_the_command_line_plays_a_recipe_and_names_the_worst_passages(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    recipe = tmp_path / "plan.toml"
    recipe.write_text(
        f'version = 1\n[model]\npath = "{SAMPLES / "sotu-lm"}"\n[plan]\nprune = "magnitude"\nquantize = "rtn"\nbits = 4\ntune = "off"\n'
        "[evaluate]\nlimit = 256\n"
    )
    assert cli.main(["play", str(SAMPLES / "sotu-lm"), str(recipe), "--prompt", PROMPT, "--tokens", "6", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["before"]) == len(said["after"]) == 6
    assert said["whole"]
    assert cli.main(["worst", str(SAMPLES / "sotu-lm"), str(recipe), "--most", "3"]) == 0
    rows = capsys.readouterr().out.strip().split("\n")
    assert len(rows) == 3
    assert float(rows[0].split()[0]) >= float(rows[2].split()[0])
    assert cli.main(["play", str(SAMPLES / "sotu-lm"), str(SAMPLES / "sotu-lm"), "--prompt", PROMPT, "--tokens", "4"]) == 0
    assert "0 of 4 tokens differ" in capsys.readouterr().out
