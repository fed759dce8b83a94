"""`slim open --stats`: the figures of numpy, streamed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.cli import main
from core.errors import Cancelled
from core.inspection import FAR, STEP
from core.job import Job
from core.resources import root
from core.survey import joined, survey

SAMPLES = root() / "samples"


def test_the_figures_are_numpys_across_pieces() -> None:
    w = torch.randn(STEP + 12_345, generator=torch.Generator().manual_seed(0)) * 0.02 + 5  # far from 0: sums of squares would cancel
    w[7], w[STEP + 3], w[100:200] = 9.0, -4.0, 0.0
    found, x = survey(w, Job()), w.double().numpy()
    assert (found.low, found.high, found.n) == (x.min(), x.max(), x.size)
    assert (found.mean, found.std) == (pytest.approx(x.mean(), rel=1e-12), pytest.approx(x.std(), rel=1e-9))
    assert found.sparsity == 100 / x.size
    assert found.outliers == int((np.abs(x - x.mean()) > FAR * x.std()).sum()) == 102


def test_tensors_joined_are_the_figures_of_all_their_values() -> None:
    g = torch.Generator().manual_seed(1)
    parts = [torch.randn(n, generator=g) * s + m for n, s, m in ((100, 1.0, 0.0), (1, 1.0, 3.0), (5000, 0.1, -2.0))]
    found, x = joined(survey(p, Job()) for p in parts), torch.cat(parts).double().numpy()
    assert (found.mean, found.std) == (pytest.approx(x.mean()), pytest.approx(x.std()))
    assert (found.low, found.high) == (x.min(), x.max())


def test_broken_and_empty_tensors_are_counted_not_averaged() -> None:
    found = survey(torch.tensor([1.0, math.nan, 3.0, math.inf]), Job())
    assert (found.n, found.broken, found.mean, found.high) == (2, 2, 2.0, 3.0)
    assert joined([survey(torch.empty(0), Job()), found]).mean == 2.0


def test_a_walk_over_the_weights_hears_a_cancel() -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        survey(torch.ones(4), job)


def test_open_tells_them_by_group_and_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", str(SAMPLES / "sotu-lm"), "--stats", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    down = next(r for r in rows if r["layers"] == "model.layers.*.mlp.down_proj")
    stored = load_file(SAMPLES / "sotu-lm" / "model.safetensors")
    x = torch.cat([t.flatten() for n, t in stored.items() if n.endswith("mlp.down_proj.weight")]).double()
    assert (down["min"], down["max"], down["std"]) == (float(x.min()), float(x.max()), pytest.approx(float(x.std(correction=0))))
    assert main(["open", str(SAMPLES / "sotu-lm"), "--stats", "--layers", "--json"]) == 0
    each = json.loads(capsys.readouterr().out)
    assert len(each) == len(stored) > len(rows)
    assert down["outliers"] == sum(r["outliers"] for r in each if r["layers"].endswith("mlp.down_proj"))


def test_nan_in_a_layer_is_told_as_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a.weight": torch.full((4, 4), math.nan)}, tmp_path / "m.safetensors")
    assert main(["open", str(tmp_path / "m.safetensors"), "--stats"]) == 0
    told = capsys.readouterr().out
    assert "nonfinite 16" in told
    assert "min -" in told
