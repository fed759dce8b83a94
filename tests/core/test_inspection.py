"""What the inspector shows of one layer agrees with numpy, however large the layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import Cancelled
from core.formats import read
from core.inspection import BINS, SIDE, inspect
from core.job import Job
from core.layers import layers
from core.store import Store

from .test_compress import FOUR, done, made, opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "layers")


def test_an_inspection_agrees_with_numpy(store: Store) -> None:
    found = done(opened("sotu-lm"), FOUR, store)
    x = next(x for x in found.layers if x.name in found.outcomes)
    w, q = read(x.tensor).float().numpy(), found.stored(x).dense().float().numpy()
    seen = inspect(x, read(x.tensor), found.stored(x).dense(), Job())
    assert seen.after is not None
    for side, a in ((seen.before, w), (seen.after, q)):
        d = a.astype(np.float64)
        assert side.counts.sum() == a.size
        assert (side.stats.mean, side.stats.std) == (pytest.approx(d.mean(), abs=1e-9), pytest.approx(d.std(), rel=1e-6))
        assert side.stats.kurtosis == pytest.approx(((d - d.mean()) ** 4).mean() / d.var() ** 2, rel=1e-6)
        assert side.stats.zeros == pytest.approx((a == 0).mean())
        np.testing.assert_allclose(side.channels.absmax, np.abs(d).max(1))
        assert max(side.magnitude.shape) <= SIDE
    assert seen.error == pytest.approx(found.outcomes[x.name].error, rel=1e-4)
    assert seen.channel_errors is not None
    np.testing.assert_allclose(seen.channel_errors, ((w - q) ** 2).sum(1) / (w**2).sum(1), rtol=1e-3)
    assert len(seen.edges) == BINS + 1


def test_the_map_averages_blocks_and_outliers_are_found(tmp_path: Path) -> None:
    w = torch.zeros(1100, 700)
    w[1099, 699] = 5.0
    x = layers(made(tmp_path, **{"a.x": w}))[0]
    seen = inspect(x, w, None, Job())
    assert seen.before.magnitude.shape == (SIDE, SIDE)
    rows, columns = 1100 - 511 * 1100 // 512, 700 - 511 * 700 // 512
    assert seen.before.magnitude[-1, -1] == pytest.approx(5 / (rows * columns))
    assert seen.before.zeros[-1, -1] == pytest.approx(1 - 1 / (rows * columns))
    assert [(o.row, o.column, o.value) for o in seen.before.outliers] == [(1099, 699, 5.0)]
    assert (seen.after, seen.error) == (None, None)


def test_inspection_stops_when_asked(tmp_path: Path) -> None:
    job = Job()
    job.cancel()
    x = layers(made(tmp_path, **{"a.x": torch.ones(4, 4)}))[0]
    with pytest.raises(Cancelled):
        inspect(x, torch.ones(4, 4), None, job)
