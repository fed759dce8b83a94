"""The contract of the formats with real networks: SmolLM2, MiniLM and EfficientNet-lite0 are written, run in a fresh process by the tool a
format is for, and answer alike. Packed weights of both that read text are in test_paths.py, SmolLM2 as GGUF in test_prompt_to_file.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import data
from core.compress import Compressed, compress
from core.data import Batches
from core.errors import CannotWrite
from core.export import export, settings_of
from core.formats import open_checkpoint, read, targets
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.plans import MODEL, edit
from core.resources import root
from core.size import size
from core.store import Store
from core.types import Checkpoint, Plan
from tests.core.programs import exported
from tests.real import efficientnet, minilm, smollm2

TEXT = root() / "samples" / "sotu-lm" / "heldout.txt"
FACTORY = """
import sys

def network():
    sys.path.insert(0, {folder!r})
    from efficientnet_lite_pytorch import EfficientNet
    return EfficientNet.from_name("efficientnet-lite0")
"""
torch.set_num_threads(1)


@dataclass(frozen=True)
class Real:
    """A network with a little data."""

    checkpoint: Checkpoint
    network: Network
    batches: Batches
    store: Store

    def slimmed(self, **plan: Any) -> Compressed:
        found = layers(self.checkpoint)
        return compress(self.checkpoint, found, edit(Plan(), MODEL, **plan), None, self.store, Job())

    def sent(self, made: Compressed, path: Path, target: Any) -> dict[str, str]:
        """Exported and verified; the size is the one shown, and nothing else is left."""
        verdict = export(made, path, target, self.network, self.batches, Job())
        files = [path] if path.is_file() else [f for g in ("*.safetensors*", "model.onnx*") for f in path.glob(g)]
        assert sum(f.stat().st_size for f in files) == size(made.checkpoint, made.layers, settings_of(made), target).total
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        return {"tool": verdict.tool, **{c.name: c.detail for c in verdict.checks if c.passed}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def lm(home: Path) -> Real:
    checkpoint = open_checkpoint(smollm2())
    network = attach(checkpoint)
    return Real(checkpoint, network, data.load(TEXT, network, 32), Store(home / "lm"))


@pytest.fixture(scope="module")
def encoder(home: Path) -> Real:
    checkpoint = open_checkpoint(minilm())
    network = attach(checkpoint)
    return Real(checkpoint, network, data.load(TEXT, network, 4), Store(home / "encoder"))


@pytest.fixture(scope="module")
def pictures(home: Path) -> Path:
    """Four soft patterns of the size it was trained on: no photographs come with the studio."""
    rough = torch.rand(4, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    soft = torch.nn.functional.interpolate(rough, (224, 224), mode="bicubic").clamp(0, 1)
    np.savez(home / "pictures.npz", images=(255 * soft).byte().numpy(), labels=np.arange(4))
    (home / "sample.json").write_text('{"normalise": {"scale": 1, "mean": 127, "std": 128}}')
    return home / "pictures.npz"


@pytest.fixture(scope="module")
def cnn(home: Path, pictures: Path) -> Real:
    weights, code = efficientnet()
    (home / "network.py").write_text(FACTORY.format(folder=str(code)))
    checkpoint = replace(open_checkpoint(weights), factory=f"{home / 'network.py'}:network")
    network = attach(checkpoint)
    return Real(checkpoint, network, data.load(pictures, network, 4), Store(home / "cnn"))


@pytest.fixture(scope="module")
def program(home: Path, pictures: Path, cnn: Real) -> Real:
    """The same network as its author would export it."""
    module = cnn.network.module
    assert module is not None
    weights = {n: cnn.checkpoint.tensors[t] for n, t in cnn.network.names.items()}
    module.load_state_dict({n: read(t).clone() for n, t in weights.items()}, strict=False)
    checkpoint = open_checkpoint(exported(module, (torch.zeros(1, 3, 224, 224),), home / "efficientnet.pt2"))
    network = attach(checkpoint)
    return Real(checkpoint, network, data.load(pictures, network, 4), Store(home / "program"))


@pytest.mark.real
@pytest.mark.whole
def test_smollm2_in_onnx_multiplies_by_4_bits(lm: Real, tmp_path: Path) -> None:
    made = lm.slimmed(bits=4, knobs={"rtn.group_size": 32, "rtn.symmetric": False})
    found = lm.sent(made, tmp_path / "out", targets["onnx"]())
    assert {"same network in float32", "same weights", "same answers", "speed"} <= found.keys()
    assert found["same weights"].startswith("210 layers")


@pytest.mark.real
@pytest.mark.whole
@pytest.mark.parametrize("target", ["dense", "pt2"])
def test_smollm2_is_answered_alike_by(target: str, lm: Real, tmp_path: Path) -> None:
    made, how = lm.slimmed(bits=4, knobs={"rtn.group_size": 32, "rtn.symmetric": False}), targets[target]()
    assert "same answers" in lm.sent(made, tmp_path / f"out{getattr(how, 'suffix', '')}", how)


@pytest.mark.real
@pytest.mark.parametrize("target", ["dense", pytest.param("pt2", marks=pytest.mark.whole), "gguf"])
def test_minilm_is_answered_alike_by(target: str, encoder: Real, tmp_path: Path) -> None:
    how = targets[target]()
    plan = {"bits": 8, "quantize": "ggml"} if target == "gguf" else {"bits": 8}
    found = encoder.sent(encoder.slimmed(**plan), tmp_path / f"out{getattr(how, 'suffix', '')}", how)
    assert any(n.startswith("same answers") for n in found) or "not installed" in found["tool"]


@pytest.mark.real
@pytest.mark.parametrize(("plan", "knobs"), [({"bits": 8, "quantize": "int8dynamic"}, {}), ({"bits": 4}, {"activations": "dynamic"})])
def test_minilm_runs_in_onnx_with_integers(plan: Any, knobs: Any, encoder: Real, tmp_path: Path) -> None:
    found = encoder.sent(encoder.slimmed(**plan), tmp_path / "out", targets["onnx"](**knobs))
    assert {"same network in float32", "same weights", "same answers"} <= found.keys()
    assert "activations are integers" in found["same answers"]


@pytest.mark.real
def test_efficientnet_runs_from_its_pth_file_and_its_authors_code_in_onnx(cnn: Real, tmp_path: Path) -> None:
    made = cnn.slimmed(bits=8, knobs={"rtn.granularity": "channel"})
    assert {"same network in float32", "same weights", "same answers"} <= cnn.sent(made, tmp_path / "out", targets["onnx"]()).keys()
    for key in ("packed", "gguf", "pt2"):
        with pytest.raises(CannotWrite):
            export(made, tmp_path / f"out.{key}", targets[key](), None, None, Job())


@pytest.mark.real
def test_efficientnet_as_a_program_is_slimmed_without_its_code(program: Real, tmp_path: Path) -> None:
    made = program.slimmed(bits=8, amount=0.2, knobs={"rtn.granularity": "channel"})
    assert "same answers" in program.sent(made, tmp_path / "out.pt2", targets["pt2"](dtype="F16"))
