"""The contract of every format with every bundled sample: it is written, run in a fresh process by the tool it is for, and read again here,
or it says why not. A new target is in this test the moment it is registered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from core import data
from core.compress import Compressed, compress
from core.errors import CannotWrite
from core.export import export, settings_of
from core.formats import open_checkpoint, read, targets
from core.formats.pt2_target import template_of
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit
from core.resources import root
from core.size import size
from core.store import Store
from core.types import Plan

SAMPLES = root() / "samples"
TOOLS = {"dense": "transformers", "packed": "transformers", "gguf": "gguf", "pt2": "torch.export"}  # what runs it
ELSEWHERE = {"onnx"}  # tests/core/test_onnx.py has every sample run by onnxruntime, under the plans its operators are for
CANNOT = {("gguf", "digits-cnn"), ("gguf", "fashion-vit"), ("gguf", "pitch-crepe")}  # llama.cpp runs language models
CANNOT |= {("packed", "pitch-crepe"), ("pt2", "pitch-crepe")}  # weights without a config.json that hear are dense or ONNX
PLANS: dict[str, dict[str, Any]] = {  # what packs: groups that divide a language model's rows, channels elsewhere
    "sotu-lm": {"bits": 4, "amount": 0.0, "knobs": {"rtn.group_size": 32}},
    "digits-cnn": {"bits": 8, "amount": 0.3, "knobs": {"rtn.granularity": "channel"}},
    "fashion-vit": {"bits": 4, "amount": 0.3, "knobs": {"rtn.granularity": "channel"}},
    "pitch-crepe": {"bits": 4, "amount": 0.3, "knobs": {"rtn.granularity": "channel"}},
}


@pytest.fixture(scope="module")
def slimmed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compressed]:
    """Every sample under its plan, compressed once."""
    out = {}
    for name, plan in PLANS.items():
        checkpoint = open_checkpoint(SAMPLES / name)
        store = Store(tmp_path_factory.mktemp(name) / "store")
        out[name] = compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, **plan), None, store, Job())
    return out


def held(path: Path) -> int:
    """Bytes of the weight files of an export, with their index."""
    files = [path] if path.is_file() else list(path.glob("*.safetensors*"))
    return sum(f.stat().st_size for f in files)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("target", sorted(set(targets) - ELSEWHERE))
def test_a_format_holds_a_sample_so_that_its_tool_answers_alike(
    target: str, name: str, slimmed: dict[str, Compressed], tmp_path: Path
) -> None:  # fmt: skip
    assert target in TOOLS, "say which tool runs the new format"
    made, how = slimmed[name], targets[target]()
    path = tmp_path / f"out{getattr(how, 'suffix', '')}"
    network = attach(made.checkpoint)
    batches = data.load(data.default(made.checkpoint), network, 64)
    if (target, name) in CANNOT:
        with pytest.raises(CannotWrite) as why:
            export(made, path, how, network, batches, Job())
        assert not hasattr(how, "unfit") or str(why.value) == how.unfit(made.checkpoint)
        assert not os.listdir(tmp_path)
        return
    verdict = export(made, path, how, network, batches, Job())
    assert verdict.passed
    assert TOOLS[target] in verdict.tool or (name == "pitch-crepe" and "safetensors" in verdict.tool)  # no library builds it
    assert {"file size", "untouched tensors"} & {c.name for c in verdict.checks}
    assert any(c.name.startswith("same answers") for c in verdict.checks) or target == "gguf", "llama.cpp may not be installed"
    assert held(path) == size(made.checkpoint, made.layers, settings_of(made), how).total
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert all(oct(f.stat().st_mode)[-3:] == "644" for f in (path, *path.glob("*")) if f.is_file())
    if target != "packed":
        _read_again(made, path)


def _read_again(made: Compressed, path: Path) -> None:
    """The studio reads the slimmed values out of its own export (a program names weights as its network does)."""
    again, values = open_checkpoint(path), made.weights(Job())
    template = template_of(made.checkpoint) if path.suffix == ".pt2" else None
    names = {t: again.tied.get(n, n) for n, t in template.names.items()} if template else {n: n for n in values}
    assert len(again.tensors) >= len(values)
    for name, t in values.items():
        assert torch.allclose(read(again.tensors[names[name]]).to(t.dtype), t, atol=2e-3), name
