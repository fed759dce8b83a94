"""A derived checkpoint is written once, found again by what made it, and never left half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.derived import derive
from core.errors import Cancelled
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.types import Checkpoint, Entry


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))
    save_file({"a.weight": torch.arange(6.0).view(2, 3)}, tmp_path / "x.safetensors")
    return open_checkpoint(tmp_path / "x.safetensors")


def test_it_is_made_once_and_opened_as_any_checkpoint(source: Checkpoint) -> None:
    made: list[str] = []

    def tensors(layer: str) -> dict[str, torch.Tensor]:
        made.append(layer)
        return {"a.weight": 2 * read(source.tensors["a.weight"])}

    entries = [Entry("a.weight", "F32", (2, 3), "a")]
    found = [derive(source, {"times": 2}, entries, tensors, Job(), config={"x": 1}) for _ in range(2)]
    assert made == ["a"]
    assert found[0] == found[1]
    assert found[0].path == source.path
    assert found[0].config == {"x": 1}
    assert torch.equal(read(layers(found[0])[0].tensor), 2 * torch.arange(6.0).view(2, 3))
    assert found[0].weights is not None
    assert open_checkpoint(found[0].weights).tensors == found[0].tensors
    assert derive(source, {"times": 3}, entries, tensors, Job()).weights != found[0].weights


def test_a_cancel_leaves_nothing_behind(source: Checkpoint, tmp_path: Path) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        derive(source, {}, [Entry("a.weight", "F32", (2, 3), "a")], lambda _: {"a.weight": torch.zeros(2, 3)}, job)
    assert not list((tmp_path / "cache" / "derived").iterdir())
