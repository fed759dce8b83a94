"""Exports are written whole or not at all, and a fresh process says what is in them."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core import data
from core.compress import Compressed, compress
from core.errors import Cancelled, CannotWrite
from core.export import _write, export, save, settings_of
from core.formats import open_checkpoint, targets
from core.formats.safetensors_file import header
from core.job import Job, Progress
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, Scope, edit
from core.registry import make
from core.resources import root
from core.size import size
from core.store import Store
from core.types import Plan
from core.verify import verify

SAMPLES = root() / "samples"


def slimmed(name: str, tmp: Path, **changes: Any) -> Compressed:
    checkpoint = open_checkpoint(SAMPLES / name)
    plan = edit(Plan(), MODEL, **changes)
    return compress(checkpoint, layers(checkpoint), plan, None, Store(tmp / "store"), Job())


def sent(made: Compressed, path: Path, target: str) -> dict[str, str]:
    network = attach(made.checkpoint)
    held = next(f for f in (made.checkpoint.path / n for n in ("heldout.txt", "heldout.npz")) if f.exists())
    verdict = export(made, path, targets[target](), network, data.load(held, network, 64), Job())
    return {c.name: c.detail for c in verdict.checks if c.passed}


def on_disk(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.glob("*.safetensors*"))


def test_packed_language_model_is_small_and_keeps_its_codes(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=4, knobs={"rtn.symmetric": False, "rtn.group_size": 64})
    save(made, tmp_path / "out", targets["packed"](), Job())
    found = header(tmp_path / "out" / "model.safetensors")
    assert found["model.layers.0.mlp.up_proj.weight_packed"].shape == (768, 32)
    assert found["model.layers.0.mlp.up_proj.weight_zero_point"].shape == (96, 4)
    assert on_disk(tmp_path / "out") < 0.5 * (SAMPLES / "sotu-lm" / "model.safetensors").stat().st_size


def test_asymmetric_weights_are_loaded_packed_too(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=4, knobs={"rtn.symmetric": False, "rtn.group_size": 64})
    assert {"opens in transformers", "same answers"} <= sent(made, tmp_path / "out", "packed").keys()


def test_a_vits_linears_are_packed_under_the_names_transformers_gives_them(tmp_path: Path) -> None:
    made = slimmed("fashion-vit", tmp_path, bits=4, knobs={"rtn.group_size": 32})
    passed = sent(made, tmp_path / "out", "packed")
    assert {"opens in transformers", "same answers"} <= passed.keys()
    stored = header(tmp_path / "out" / "model.safetensors")
    assert sum(n.endswith("weight_packed") for n in stored) == 24
    config = json.loads((tmp_path / "out" / "config.json").read_text())["quantization_config"]
    assert "vit.layers.0.attention.q_proj" in config["config_groups"]["group_0"]["targets"]
    assert on_disk(tmp_path / "out") < 0.25 * (SAMPLES / "fashion-vit" / "model.safetensors").stat().st_size


def test_every_number_of_bits_from_2_to_8_is_packed_and_answers_alike(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "sotu-lm")
    found = layers(checkpoint)
    linear = [x.name for x in found if x.kind == "linear"]
    plan = edit(Plan(), MODEL, bits=8, knobs={"rtn.group_size": 32})
    for bits in range(2, 8):
        plan = edit(plan, Scope("layers", tuple(linear[bits::7])), bits=bits)
    made = compress(checkpoint, found, plan, None, Store(tmp_path / "store"), Job())
    assert {"opens in transformers", "same answers"} <= sent(made, tmp_path / "out", "packed").keys()
    stored = header(tmp_path / "out" / "model.safetensors")
    assert {32 * stored[f"{n}.weight_packed"].shape[1] // checkpoint.tensors[f"{n}.weight"].shape[1] for n in linear} == set(range(2, 9))
    assert on_disk(tmp_path / "out") == size(checkpoint, made.layers, settings_of(made), targets["packed"]()).total


def test_packed_says_why_a_convolution_stays_dense(tmp_path: Path) -> None:
    made = slimmed("digits-cnn", tmp_path, bits=4, knobs={"rtn.granularity": "channel"})
    conv = next(x for x in made.layers if x.kind == "conv" and made.settings[x.name].quantize)
    assert targets["packed"]().refuses(made.checkpoint, conv, made.settings[conv.name])


def test_a_flipped_scale_bit_is_caught(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=4)
    folder = tmp_path / "aside"
    folder.mkdir()
    written = _write(made, folder, tmp_path / "out", targets["packed"](), Job())
    assert verify(folder, written, made, targets["packed"](), None, None, Job()).passed
    scale = header(folder / written.files[0])["model.layers.1.mlp.up_proj.weight_scale"]
    with (folder / written.files[0]).open("r+b") as f:
        f.seek(scale.offset + 8)
        byte = f.read(1)[0]
        f.seek(scale.offset + 8)
        f.write(bytes([byte ^ 1]))
    verdict = verify(folder, written, made, targets["packed"](), None, None, Job())
    assert [c.name for c in verdict.checks if not c.passed] == ["bytes as written"]


def test_a_wrong_scale_is_caught_by_the_answers_alone(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=4)
    target, folder = targets["packed"](), tmp_path / "aside"
    folder.mkdir()
    written = _write(made, folder, tmp_path / "out", target, Job())
    scale = header(folder / written.files[0])["model.layers.1.mlp.up_proj.weight_scale"]
    with (folder / written.files[0]).open("r+b") as f:
        f.seek(scale.offset)
        f.write(bytes(scale.nbytes))
    network = attach(made.checkpoint)
    blind = replace(written, checksums=_now(folder / written.files[0]))
    verdict = verify(folder, blind, made, target, network, data.load(SAMPLES / "sotu-lm" / "heldout.txt", network, 64), Job())
    assert [c.name for c in verdict.checks if not c.passed] == ["same answers"]


def _now(file: Path) -> dict[str, int]:
    from core.formats import read
    from core.verify import checksum

    return {n: checksum(read(t)) for n, t in header(file).items()}


def test_a_file_that_may_not_grow_leaves_nothing_behind(tmp_path: Path) -> None:
    made = slimmed("digits-cnn", tmp_path, amount=0.5)
    (tmp_path / "there").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(CannotWrite, match="nothing was left behind"):
            save(made, tmp_path / "there" / "out", targets["dense"](), Job())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not any((tmp_path / "there").iterdir())


def test_a_file_in_the_place_of_the_parent_folder_is_a_sentence(tmp_path: Path) -> None:
    made = slimmed("digits-cnn", tmp_path, amount=0.5)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CannotWrite):
        save(made, tmp_path / "file" / "out", targets["dense"](), Job())
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_of_the_user_and_the_source_are_never_replaced(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES / "digits-cnn", tmp_path / "mine")
    made = slimmed("digits-cnn", tmp_path, amount=0.5)
    for place in (tmp_path / "mine", SAMPLES / "digits-cnn", SAMPLES / "digits-cnn" / "inside"):
        with pytest.raises(CannotWrite):
            save(made, place, targets["dense"](), Job())
    save(made, tmp_path / "out", targets["dense"](), Job())
    save(made, tmp_path / "out", targets["dense"](), Job())
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(CannotWrite, match=r"diary\.txt"):
        save(made, tmp_path / "out", targets["dense"](), Job())


def _third(p: Progress, job: Job) -> None:
    if p.done == 3:
        job.cancel()


def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    made = slimmed("digits-cnn", tmp_path, amount=0.5)
    job = Job(tell=lambda p: _third(p, job))
    with pytest.raises(Cancelled):
        save(made, tmp_path / "out", targets["dense"](), job)
    assert {p.name for p in tmp_path.iterdir()} == {"store"}


def test_a_file_without_a_config_stays_one_file(tmp_path: Path) -> None:
    bare = tmp_path / "in.safetensors"
    shutil.copyfile(SAMPLES / "fashion-vit" / "model.safetensors", bare)
    checkpoint = open_checkpoint(bare)
    made = compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, amount=0.5), None, Store(tmp_path / "store"), Job())
    verdict = export(made, tmp_path / "out.safetensors", targets["dense"](dtype="F16"), None, None, Job())
    assert verdict.passed
    assert {t.dtype for t in header(tmp_path / "out.safetensors").values()} == {"F16"}
    with pytest.raises(CannotWrite, match="dense"):
        save(made, tmp_path / "packed", targets["packed"](), Job())


def test_a_value_beyond_half_precision_is_refused_by_name(tmp_path: Path) -> None:
    bare = tmp_path / "in.safetensors"
    save_file({"up.weight": torch.full((4, 4), 1e5), "down.weight": torch.ones(4, 4)}, bare)
    checkpoint = open_checkpoint(bare)
    made = compress(checkpoint, layers(checkpoint), Plan(), None, Store(tmp_path / "store"), Job())
    with pytest.raises(CannotWrite, match="up holds values"):
        save(made, tmp_path / "out.safetensors", targets["dense"](dtype="F16"), Job())
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("target", ["dense", "packed"])
def test_an_export_over_the_limit_is_split_and_its_size_still_exact(target: str, tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=4)
    how = make(targets[target], {"shard_gb": 0.001})
    held = SAMPLES / "sotu-lm" / "heldout.txt"
    network = attach(made.checkpoint)
    verdict = export(made, tmp_path / "out", how, network, data.load(held, network, 64), Job())
    assert {"shards and index", "opens in transformers", "same answers"} <= {c.name for c in verdict.checks if c.passed}
    files = sorted(p.name for p in (tmp_path / "out").glob("*.safetensors"))
    assert files == [f"model-{i + 1:05}-of-{len(files):05}.safetensors" for i in range(len(files))]
    assert len(files) > 1
    assert on_disk(tmp_path / "out") == size(made.checkpoint, made.layers, settings_of(made), how).total
    again = open_checkpoint(tmp_path / "out")
    assert again.nbytes == sum(e.nbytes for e in how.entries(made.checkpoint, made.layers, settings_of(made)))
    for file in files:
        held_there = header(tmp_path / "out" / file)
        assert sum(t.nbytes for t in held_there.values()) <= 1e6 or len({n.split(".weight")[0] for n in held_there}) == 1


def test_a_split_export_replaces_a_whole_one_and_back(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path)
    for gb in (0.001, 5.0, 0.001):
        save(made, tmp_path / "out", make(targets["dense"], {"shard_gb": gb}), Job())
        assert (tmp_path / "out" / "model.safetensors").exists() == (gb == 5.0)
        assert len(open_checkpoint(tmp_path / "out").tensors) == len(made.layers)


def test_a_tensor_that_is_not_where_the_index_says_is_caught(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path)
    folder, how = tmp_path / "aside", make(targets["dense"], {"shard_gb": 0.001})
    folder.mkdir()
    written = _write(made, folder, tmp_path / "out", how, Job())
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace(written.files[0], written.files[1], 1))
    bad = [c.name for c in verify(folder, written, made, how, None, None, Job()).checks if not c.passed]
    assert "shards and index" in bad


def test_a_split_model_is_slimmed_like_a_whole_one(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path)
    save(made, tmp_path / "parts", make(targets["dense"], {"shard_gb": 0.001}), Job())
    parts = open_checkpoint(tmp_path / "parts")
    plan = edit(Plan(), MODEL, bits=4, amount=0.3)
    found = [compress(c, layers(c), plan, None, Store(tmp_path / c.path.name), Job()) for c in (made.checkpoint, parts)]
    whole, split = (f.weights(Job()) for f in found)
    assert whole.keys() == split.keys()
    assert all(torch.equal(whole[n], split[n]) for n in whole)
