"""A network built from its config answers exactly as transformers' own loading does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification, AutoTokenizer

from core.errors import CannotRun
from core.formats import open_checkpoint, read
from core.networks import attach, runnable
from core.resources import root
from core.types import Checkpoint

from ..real import minilm

SAMPLES = root() / "samples"
torch.set_num_threads(1)


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: read(info).float() for name, info in checkpoint.tensors.items()}


def test_the_language_model_gives_transformers_logits() -> None:
    checkpoint = open_checkpoint(SAMPLES / "sotu-lm")
    ids = torch.arange(40)[None]
    ours = attach(checkpoint).forward(weights(checkpoint), {"input_ids": ids})
    theirs = AutoModelForCausalLM.from_pretrained(checkpoint.path, dtype=torch.float32)(ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "side"), [("digits-cnn", 8), ("fashion-vit", 28)])
def test_the_classifiers_give_transformers_logits(name: str, side: int) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    x = torch.randn(3, 1, side, side, generator=torch.Generator().manual_seed(0))
    ours = attach(checkpoint).forward(weights(checkpoint), {"pixel_values": x, "labels": torch.zeros(3)})
    theirs = AutoModelForImageClassification.from_pretrained(checkpoint.path).eval()(x).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.real
def test_minilm_embeds_as_transformers_does() -> None:
    checkpoint = open_checkpoint(minilm())
    fed = dict(
        AutoTokenizer.from_pretrained(checkpoint.path)(
            ["a short one", "and a rather longer sentence here"], padding=True, return_tensors="pt"
        )
    )
    ours = attach(checkpoint).forward(weights(checkpoint), fed)
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(checkpoint.path, dtype=torch.float32).eval()(**fed).last_hidden_state
    mask = fed["attention_mask"][..., None]
    theirs = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def changed(folder: Path, **changes: object) -> Checkpoint:
    """The digit reader with another config.json."""
    shutil.copytree(SAMPLES / "digits-cnn", folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return open_checkpoint(folder)


def test_a_config_that_does_not_fit_is_refused_by_the_first_misfit(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"embedder.*should be \[16, 1.* and is \[32, 1"):
        attach(changed(tmp_path / "m", embedding_size=16))


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="NobodysForImageClassification"):
        attach(changed(tmp_path / "m", architectures=["NobodysForImageClassification"]))


def test_code_that_came_with_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="never runs"):
        attach(changed(tmp_path / "m", auto_map={"AutoModel": "evil.Model"}))


def test_weights_alone_say_why_they_cannot_run() -> None:
    assert "config.json" in runnable(open_checkpoint(SAMPLES / "digits-cnn" / "model.safetensors").__class__(Path("w"), "safetensors", {}))


FACTORY = """
from transformers import AutoConfig, ResNetForImageClassification
def build():
    return ResNetForImageClassification(AutoConfig.from_pretrained({folder!r}))
"""


def test_a_factory_builds_the_users_own_network(tmp_path: Path) -> None:
    from dataclasses import replace

    file = tmp_path / "mine.py"
    file.write_text(FACTORY.format(folder=str(SAMPLES / "digits-cnn")))
    checkpoint = open_checkpoint(SAMPLES / "digits-cnn")
    x = torch.randn(2, 1, 8, 8)
    expected = attach(checkpoint).forward(weights(checkpoint), {"pixel_values": x})
    bare = replace(checkpoint, config={}, factory=f"{file}:build")
    torch.testing.assert_close(attach(bare).forward(weights(bare), {"pixel_values": x}), expected)


def test_a_factory_that_fails_is_one_sentence(tmp_path: Path) -> None:
    from dataclasses import replace

    file = tmp_path / "mine.py"
    file.write_text("def build():\n    return 1 / 0\n")
    bare = replace(open_checkpoint(SAMPLES / "digits-cnn"), config={}, factory=f"{file}:build")
    with pytest.raises(CannotRun, match="ZeroDivisionError"):
        attach(bare)
