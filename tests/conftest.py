"""What every test stands on: a quiet environment, a cache of its own, a window without a screen."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["SLIM_CACHE"] = os.environ.get("SLIM_TEST_CACHE") or tempfile.mkdtemp(prefix="slim-test-")

from core import environment

environment.prepare()

from collections.abc import Iterator  # noqa: E402

import pytest  # noqa: E402

from core.resources import root  # noqa: E402
from studio.engine import Engine  # noqa: E402
from studio.session import Session  # noqa: E402


@pytest.fixture
def engine(qtbot: object) -> Iterator[Engine]:
    """A worker that must be idle when the test ends."""
    e = Engine()
    yield e
    e.close()


@pytest.fixture
def session(engine: Engine) -> Session:
    return Session(engine)


@pytest.fixture
def digits(session: Session, qtbot: object) -> Session:
    """The digit CNN, opened and measured."""
    session.open(root() / "samples" / "digits-cnn")
    qtbot.waitUntil(lambda: session.snapshot.original is not None and not session.engine.busy, timeout=60000)  # type: ignore[attr-defined]
    return session
