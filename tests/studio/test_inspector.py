"""The inspector and the comparison draw what the worker found in a real sample."""

from __future__ import annotations

import numpy as np

from studio.panels import panels
from studio.session import Session


def heaviest(session: Session) -> str:
    return max((x for x in session.snapshot.layers if x.prunable), key=lambda x: x.tensor.nbytes).name


def test_the_inspector_shows_the_selected_layer_before_and_after(digits: Session, qtbot: object) -> None:
    panel = panels["inspector"](digits)
    qtbot.addWidget(panel)
    digits.choose(amount=0.5)
    name = heaviest(digits)
    digits.select([name])
    digits.inspect(name)
    qtbot.waitUntil(lambda: digits.snapshot.inspection is not None, timeout=30_000)
    found = digits.snapshot.inspection
    panel.show(digits.snapshot)
    assert found.name == name
    assert found.before.stats.zeros < 0.01
    assert abs(found.after.stats.zeros - 0.5) < 0.01
    assert found.before.counts.sum() == found.after.counts.sum() == np.prod(found.shape)
    assert panel.image.image is not None


def test_a_comparison_has_a_row_for_every_layer(digits: Session, qtbot: object) -> None:
    digits.choose(amount=0.5)
    digits.evaluate()
    qtbot.waitUntil(lambda: len(digits.snapshot.variants) == 1, timeout=30_000)
    digits.compare((-1, 0))
    name = heaviest(digits)
    row = next(r for r in digits.snapshot.comparison if r.layer == name)
    assert row.before is None
    assert abs(row.after.sparsity - 0.5) < 0.01
    panel = panels["compare"](digits)
    qtbot.addWidget(panel)
    panel.show(digits.snapshot)
    assert panel.grab().toImage().size().width() > 0
