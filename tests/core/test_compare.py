"""`slim compare A B`: tensor by tensor, packed or not, and by B's answers on data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.cli import main
from core.compress import compress
from core.errors import BadFile
from core.export import save
from core.formats import open_checkpoint, targets
from core.formats.packed import names, unpacked
from core.job import Job
from core.layers import layers
from core.plans import MODEL, edit
from core.resources import root
from core.store import Store
from core.types import Plan

SAMPLES = root() / "samples"
torch.set_num_threads(1)


def exported(tmp: Path, name: str, target: str, **changes: Any) -> tuple[Path, dict[str, torch.Tensor]]:
    """An export and the weights it stands for."""
    checkpoint = open_checkpoint(SAMPLES / name)
    made = compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, **changes), None, Store(tmp / "store"), Job())
    return save(made, tmp / "out", targets[target](), Job()), made.weights(Job())


def compared(capsys: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    assert main(["compare", *map(str, args), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_a_packed_export_unpacks_to_the_weights_it_stands_for(tmp_path: Path, bits: int, symmetric: bool) -> None:
    out, weights = exported(tmp_path, "fashion-vit", "packed", bits=bits, knobs={"rtn.symmetric": symmetric})
    again = open_checkpoint(out)
    assert names(again).keys() == weights.keys()
    assert sum(len(parts) > 1 for parts in names(again).values()) == 24
    assert all(torch.equal(unpacked(again, n).float(), w) for n, w in weights.items())


def test_a_packed_model_is_compared_by_its_weights_and_its_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, weights = exported(tmp_path, "sotu-lm", "packed", bits=4, amount=0.3)
    found = compared(capsys, SAMPLES / "sotu-lm", out, "--limit", 128)
    down = next(r for r in found["tensors"] if r["name"] == "model.layers.1.mlp.down_proj.weight")
    w = load_file(SAMPLES / "sotu-lm" / "model.safetensors")[down["name"]].float()
    assert down["error"] == pytest.approx(float((w - weights[down["name"]]).square().sum() / w.square().sum()), rel=1e-4)
    assert down["zeros"] >= 0.3
    assert down["after"] < 0.3 * down["before"]
    assert 0 < found["score"]["kl"]["b"] < 1
    assert found["score"]["kl"]["error"] > 0
    assert found["score"]["perplexity"]["b"] > found["score"]["perplexity"]["a"]


def test_a_model_is_zero_apart_from_itself(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, SAMPLES / "digits-cnn", SAMPLES / "digits-cnn", "--limit", 50)
    assert {r["error"] for r in found["tensors"]} == {0.0}
    assert found["score"]["kl"]["b"] == 0
    assert found["score"]["agreement"]["b"] == 1


def test_weights_that_cannot_run_are_compared_without_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": torch.ones(2, 2), "b": torch.ones(3), "d": torch.ones(1)}, tmp_path / "one.safetensors")
    save_file({"a": torch.zeros(2, 2), "b": torch.ones(4), "c": torch.ones(1)}, tmp_path / "two.safetensors")
    assert main(["compare", str(tmp_path / "one.safetensors"), str(tmp_path / "two.safetensors")]) == 0
    told = capsys.readouterr().out
    assert "error         1   zeros 100.0%" in told
    assert "shapes differ: [3] and [4]" in told
    assert "only in B" in told
    assert "only in A" in told
    assert "Accuracy was not compared" in told


def test_two_tasks_are_not_scored_against_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(capsys, SAMPLES / "digits-cnn", SAMPLES / "sotu-lm", "--limit", 20)
    assert found["score"] == {}
    assert "different things" in found["notes"][0]


def test_a_packed_layer_without_its_scales_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = exported(tmp_path, "sotu-lm", "packed", bits=4)
    shutil.copytree(out, tmp_path / "broken")
    tensors = load_file(out / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight_scale"]
    save_file(tensors, tmp_path / "broken" / "model.safetensors")
    with pytest.raises(BadFile, match="weight_scale"):
        unpacked(open_checkpoint(tmp_path / "broken"), "model.layers.1.mlp.up_proj.weight")
    assert main(["compare", str(out), str(tmp_path / "broken")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("slim: ")
