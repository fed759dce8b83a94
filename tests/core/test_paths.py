"""The whole path on real checkpoints out of packages: opened, slimmed by the bundled recipe, measured, exported, loaded again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.cli import main
from core.job import Job
from core.recipe import load
from core.resources import root
from core.run import Result, run
from tests.real import minilm, resemblyzer, smollm2

PROVED = {
    "names, types and shapes", "file size", "bytes as written", "untouched tensors", "opens in transformers", "same answers",
}  # fmt: skip
torch.set_num_threads(1)


def gone(recipe: str, source: Path, out: Path, limit: int) -> Result:
    """The recipe on its model, with less data."""
    return run(replace(load(root() / "recipes" / f"{recipe}.toml"), source=source, out=out, limit=limit), Job())


def proved(result: Result, out: Path) -> None:
    """What must hold of every export: verified, as large as said, 30 % zeros and 4 bits in each free linear layer."""
    report = result.report
    assert report.verdict is not None
    assert {c.name for c in report.verdict.checks if c.passed} >= PROVED
    assert "compressed-tensors" in report.verdict.tool
    assert report.variant.size.total == sum(f.stat().st_size for f in out.glob("*.safetensors*"))
    free = [x for x in result.compressed.layers if x.kind == "linear" and not x.protected]
    assert {x.name for x in free} == set(report.variant.outcomes)
    assert all(o.sparsity >= 0.299 and o.setting.bits == 4 for o in report.variant.outcomes.values())


@pytest.mark.real
def test_smollm2_goes_from_a_gguf_to_packed_weights_that_transformers_loads(tmp_path: Path) -> None:
    result = gone("smollm2-4bit", smollm2(), tmp_path / "out", 128)
    proved(result, tmp_path / "out")
    before, after = (v.score.metrics if v.score else {} for v in (result.report.original, result.report.variant))
    assert 15 < before["perplexity"].value < 40
    assert 0 < after["kl"].value < 5
    assert after["perplexity"].value > before["perplexity"].value
    assert len(result.report.variant.outcomes) == 210


@pytest.mark.real
def test_minilm_stays_close_to_itself_and_loads_packed(tmp_path: Path) -> None:
    result = gone("minilm-4bit", minilm(), tmp_path / "out", 48)
    proved(result, tmp_path / "out")
    assert result.report.variant.score is not None
    assert 0.7 < result.report.variant.score.metrics["cosine"].value < 0.9999
    assert result.report.variant.size.total < 0.65 * result.report.original.size.total


@pytest.mark.real
def test_a_full_pickle_from_a_package_is_refused_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copyfile(resemblyzer(), tmp_path / "pretrained.pt")
    code = main(["export", str(tmp_path / "pretrained.pt"), "--out", str(tmp_path / "out.safetensors"), "--amount", "0.3"])
    said = capsys.readouterr().err
    assert code == 2
    assert said.splitlines()[-1].startswith("slim: pretrained.pt: refused: it is no state dict")
    assert "save 'model_state' alone" in said
    assert [p.name for p in tmp_path.iterdir()] == ["pretrained.pt"]
