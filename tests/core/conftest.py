"""Programs of torch.export that several files look at, exported once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder they lie in."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def cnn(programs: Path) -> Path:
    """The digit CNN with its data beside it; any batch."""
    import torch
    from torch.export import Dim

    from tests.core.programs import DIGITS, beside, digits, exported

    (programs / "cnn").mkdir()
    path = exported(digits(), (torch.zeros(2, 1, 32, 32),), programs / "cnn" / "digits.pt2", ({0: Dim("batch")},))
    return beside(path, DIGITS)


@pytest.fixture(scope="session")
def lm(programs: Path) -> Path:
    """A small language model with a tokenizer and a text beside it; any batch and length."""
    from tests.core.programs import small

    (programs / "lm").mkdir()
    return small(programs / "lm")
