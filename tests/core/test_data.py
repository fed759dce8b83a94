"""Held-out data comes as texts, tables, arrays or folders of them, and what cannot serve says so in one sentence."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.calibrate.gradients import collect
from core.data import load, serves
from core.data.pictures import labelled
from core.errors import BadData, Cancelled
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.resources import root

SAMPLES = root() / "samples"
PARTS = (SAMPLES / "sotu-lm" / "heldout.txt").read_text(encoding="utf-8")[:3000].split(". ")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def reader() -> Network:
    return attach(open_checkpoint(SAMPLES / "sotu-lm"))


def as_text(path: Path) -> Path:
    path.with_suffix(".txt").write_text("\n\n".join(PARTS), encoding="utf-8")
    return path.with_suffix(".txt")


def as_jsonl(path: Path) -> Path:
    rows = [json.dumps({"id": i, "Content": p}) for i, p in enumerate(PARTS)]
    path.with_suffix(".jsonl").write_text("\n".join([*rows[:1], "", json.dumps({"id": 0, "Content": None}), *rows[1:]]), encoding="utf-8")
    return path.with_suffix(".jsonl")


def as_csv(path: Path) -> Path:
    with path.with_suffix(".csv").open("w", encoding="utf-8-sig", newline="") as f:
        csv.writer(f).writerows([("id", "speech"), *enumerate(PARTS)])
    return path.with_suffix(".csv")


def as_folder(path: Path) -> Path:
    for i, p in enumerate(PARTS):
        at = path / str(i // 10) / f"{i:03}.txt"
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(p, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", [as_jsonl, as_csv, as_folder])
def test_a_table_or_folder_gives_the_tokens_of_the_same_text(kind: Callable[[Path], Path], reader: Network, tmp_path: Path) -> None:
    plain, other = load(as_text(tmp_path / "a"), reader, 400), load(kind(tmp_path / "b"), reader, 400)
    assert [i["input_ids"].tolist() for i in other.items] == [i["input_ids"].tolist() for i in plain.items]
    assert other.fingerprint == plain.fingerprint
    assert other.nbytes == plain.nbytes


def test_only_as_much_of_a_table_is_read_as_is_needed(reader: Network, tmp_path: Path) -> None:
    path = as_jsonl(tmp_path / "a")
    path.write_bytes(path.read_bytes() + b"\nthis is no JSON")
    assert load(path, reader, 16).n == 15
    with pytest.raises(BadData, match="no JSON"):
        load(path, reader, 4000)


TABLES = {
    "no words": (".csv", b"id,price\n1,2.5\n", "only id, price; name the right one 'text'"),
    "no strings": (".jsonl", b'{"id": 1, "score": 0.5}\n', "only id, score"),
    "a number where text was": (".jsonl", b'{"text": "a b c d"}\n{"text": 5}\n', "row 2 holds no text"),
    "a list": (".jsonl", b"[1]\n", "line 1 is no JSON object"),
    "broken JSON": (".jsonl", b'{"text": "a"\n', "line 1 is no JSON"),
    "jsonl not UTF-8": (".jsonl", b'{"text": "\xff"}\n', "not UTF-8"),
    "csv not UTF-8": (".csv", b"text\n\xff\xfe\n", "not UTF-8"),
    "txt not UTF-8": (".txt", b"fine so far \xff", "not UTF-8 text .byte 12"),
    "empty": (".jsonl", b"", "is empty"),
    "empty cells": (".csv", b"text\n \n", "is empty"),
    "only a header": (".csv", b"text\n", "is empty"),
    "too short": (".txt", b"a", "too short"),
    "another kind": (".npz", b"", "needs a text"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_serve_is_one_sentence(case: str, reader: Network, tmp_path: Path) -> None:
    suffix, raw, says = TABLES[case]
    (tmp_path / f"x{suffix}").write_bytes(raw)
    with pytest.raises(BadData, match=says):
        load(tmp_path / f"x{suffix}", reader)


def test_a_folder_without_texts_is_one_sentence(reader: Network, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no \.txt file"):
        load(tmp_path, reader)


def pictured(folder: Path, name: str, n: int) -> Path:
    """The first held-out images of a sample as PNG files by class, its sample.json beside them."""
    with np.load(SAMPLES / name / "heldout.npz") as stored:
        images, labels = stored["images"][:n], stored["labels"][:n]
    names = json.loads((SAMPLES / name / "config.json").read_text())["id2label"]
    shutil.copyfile(SAMPLES / name / "sample.json", folder / "sample.json")
    for i, (x, y) in enumerate(zip(images, labels)):
        at = folder / "pictures" / names[str(y)].replace("/", " ") / f"{i:04}.png"
        at.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[0].astype(np.uint8)).save(at)
    return folder / "pictures"


def test_a_folder_of_pictures_scores_as_the_array_file_does(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "fashion-vit")
    network = attach(checkpoint)
    weights = {n: read(i).float() for n, i in checkpoint.tensors.items()}
    found = load(pictured(tmp_path, "fashion-vit", 120), network)
    stored = load(SAMPLES / "fashion-vit" / "heldout.npz", network, 120)
    one, two = (judge(Reference(network, weights, b), None, Job()).metrics["top1"].value for b in (found, stored))
    assert found.n == 120
    assert one == pytest.approx(two)
    mine, theirs = (sorted(float(x) for i in b.items for x in i["pixel_values"].sum((1, 2, 3))) for b in (found, stored))
    assert mine == pytest.approx(theirs, rel=1e-5)


def test_pictures_nobody_named_are_the_same_pictures_without_labels(tmp_path: Path) -> None:
    """As an array file without labels, or as files beside each other: what needs no label is measured alike, and nothing else is."""
    checkpoint = open_checkpoint(SAMPLES / "fashion-vit")
    net = attach(checkpoint)
    weights = {n: read(i).float() for n, i in checkpoint.tensors.items()}
    with np.load(SAMPLES / "fashion-vit" / "heldout.npz") as stored:
        images, labels = stored["images"][:60], stored["labels"][:60]
    shutil.copyfile(SAMPLES / "fashion-vit" / "sample.json", tmp_path / "sample.json")
    np.savez(tmp_path / "bare.npz", images=images)
    np.savez(tmp_path / "named.npz", images=images, labels=labels)
    (tmp_path / "loose").mkdir()
    for i, x in enumerate(images):
        Image.fromarray(x[0].astype(np.uint8)).save(tmp_path / "loose" / f"{i:04}.png")
    assert serves(tmp_path / "loose")
    coarse = {n: w.bfloat16().float() for n, w in weights.items()}
    bare, loose, named = (load(tmp_path / p, net) for p in ("bare.npz", "loose", "named.npz"))
    scores = [judge(Reference(net, weights, b), coarse, Job()).metrics for b in (bare, loose, named)]
    assert [set(m) for m in scores] == [{"kl", "agreement"}, {"kl", "agreement"}, {"kl", "agreement", "top1"}]
    assert scores[0]["kl"] == scores[2]["kl"]
    assert scores[1]["kl"].value == pytest.approx(scores[2]["kl"].value, rel=1e-4)
    assert len({b.fingerprint for b in (bare, loose, named)}) == 3


def test_gradients_of_samples_without_labels_are_refused_in_one_sentence(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "digits-cnn")
    net = attach(checkpoint)
    with np.load(SAMPLES / "digits-cnn" / "heldout.npz") as stored:
        np.savez(tmp_path / "bare.npz", images=stored["images"][:8])
    weights = {n: read(i).float() for n, i in checkpoint.tensors.items()}
    with pytest.raises(BadData, match="these samples have none"):
        collect(net, weights, load(tmp_path / "bare.npz", net), layers(checkpoint), Job())


def test_a_small_limit_sees_every_class(tmp_path: Path) -> None:
    found = load(pictured(tmp_path, "fashion-vit", 120), attach(open_checkpoint(SAMPLES / "fashion-vit")), 10)
    assert sorted(found.items[0]["labels"].tolist()) == list(range(10))


def network(**said: Any) -> Any:
    return SimpleNamespace(task="image-classification", tokenizer=None, context=0, labels=("cat", "dog, hound"), pictures=said)


def drawn(folder: Path, size: tuple[int, int] = (40, 30), suffix: str = "jpg") -> Path:
    for name, colour in (("Cat", (255, 0, 0)), ("hound", (0, 0, 255))):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", size, colour).save(folder / name / f"a.{suffix}")
    return folder


def test_pictures_are_resized_cropped_and_normalised_as_the_preprocessor_says(tmp_path: Path) -> None:
    said = {
        "do_resize": True, "size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": {"height": 16, "width": 16},
        "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.25], "rescale_factor": 1 / 255,
    }  # fmt: skip
    found = load(drawn(tmp_path / "x", suffix="png"), network(**said)).items[0]
    assert found["pixel_values"].shape == (2, 3, 16, 16)
    assert found["labels"].tolist() == [0, 1]
    assert found["pixel_values"][:, :, 8, 8].tolist() == [[1, -1, -2], [-1, -1, 2]]


def test_the_preparation_is_the_one_of_transformers_own_processor(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=16, patch_size=8)
    ViTForImageClassification(config).save_pretrained(tmp_path / "m")
    processor = ViTImageProcessorPil(size={"height": 16, "width": 16}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])
    processor.save_pretrained(tmp_path / "m")
    noise = np.random.default_rng(0).integers(0, 256, (37, 29, 3), np.uint8)
    (tmp_path / "x" / "LABEL_1").mkdir(parents=True)
    (tmp_path / "x" / "LABEL_0").mkdir()
    for name in ("LABEL_0", "LABEL_1"):
        Image.fromarray(noise).save(tmp_path / "x" / name / "a.png")
    mine = load(tmp_path / "x", attach(open_checkpoint(tmp_path / "m"))).items[0]["pixel_values"][0]
    theirs = processor(Image.fromarray(noise), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: (p / "hound" / "a.jpg").write_bytes(b"\xff\xd8\xff"), r"hound/a\.jpg can't be read as a picture"),
        (lambda p: (p / "hound").rename(p / "horse"), r"'horse' is no class of this network.*\(cat, dog, hound …\)"),
        (lambda p: Image.new("RGB", (9, 9)).save(p / "Cat" / "b.png"), "differ in size"),
        (lambda p: [shutil.rmtree(p / n) for n in ("Cat", "hound")], "one folder per class"),
    ],
)
def test_pictures_that_cannot_serve_are_one_sentence(spoil: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    spoil(drawn(tmp_path / "x"))
    with pytest.raises(BadData, match=says):
        load(tmp_path / "x", network())


def test_reading_pictures_hears_a_cancel(tmp_path: Path) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        load(drawn(tmp_path / "x"), network(), None, job)


def test_folders_are_classes_by_name_by_number_and_by_synset() -> None:
    labels = ("tench, Tinca tinca", "crane", "crane, machine")
    assert labelled(Path("x"), ["Tinca_tinca", "machine", "1"], labels) == {"Tinca_tinca": 0, "machine": 2, "1": 1}
    assert labelled(Path("x"), ["n00000002", "n00000001", "n00000003"], labels)["n00000002"] == 1
    assert labelled(Path("x"), ["0", "1"], ("1", "0")) == {"0": 1, "1": 0}


def test_what_is_data_and_what_is_a_model_is_told_apart(tmp_path: Path) -> None:
    assert serves(SAMPLES / "sotu-lm" / "heldout.txt")
    assert serves(as_csv(tmp_path / "b"))
    assert serves(as_folder(tmp_path / "texts"))
    assert serves(drawn(tmp_path / "x"))
    assert not serves(SAMPLES / "sotu-lm")
    assert not serves(SAMPLES / "sotu-lm" / "model.safetensors")
