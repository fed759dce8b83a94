"""A quiet, offline, windowless machine for every test, and a session that is closed afterwards."""

from __future__ import annotations

import os
import tempfile

import platformdirs

for _name, _value in {
    "QT_QPA_PLATFORM": "offscreen", "GOMP_SPINCOUNT": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "DO_NOT_TRACK": "1", "ORT_DISABLE_TELEMETRY": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
}.items():  # fmt: skip
    os.environ.setdefault(_name, _value)
# what is fetched once is kept where the user keeps such things; everything else a test caches is thrown away
os.environ.setdefault("SLIM_REAL", os.environ.get("SLIM_CACHE") or platformdirs.user_cache_dir("slim-studio"))
OWN = tempfile.mkdtemp(prefix="slim-test-")
os.environ["SLIM_CACHE"] = OWN

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

NUMBERS = count()
SAMPLES = Path(__file__).resolve().parents[1] / "resources" / "samples"


# files of tests that take longest, by processor seconds: they begin first, as a file stays in one process and the last one runs alone
LONG = (
    "test_cut", "test_contract", "test_pricing", "test_export", "test_onnx", "test_prompt_to_file", "test_pt2", "test_contract_real",
    "test_train", "test_sensitivity", "test_gguf_networks", "test_paths", "test_aim", "test_cli", "test_tune", "test_recovery",
    "test_stages", "test_whole", "test_sound", "test_federated", "test_deployment", "test_cluster", "test_real_layer", "test_preflight",
    "test_install",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda x: LONG.index(x.path.stem) if x.path.stem in LONG else len(LONG))


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's settings; its own lie apart from `tmp_path`, as Qt writes them when it likes."""
    monkeypatch.setenv("SLIM_SETTINGS", str(Path(OWN) / "settings" / f"{next(NUMBERS)}.ini"))


@pytest.fixture
def session(qapp: object) -> Iterator[object]:
    """An empty session with a worker of its own."""
    from studio.engine import Engine
    from studio.session import Session

    engine = Engine()
    yield Session(engine)
    engine.close()


@pytest.fixture
def digits(session: object, qtbot: object) -> object:
    """A session with the digit CNN open and its original scored on 200 images."""
    session.open(SAMPLES / "digits-cnn")  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: session.snapshot.original is not None, timeout=120_000)  # type: ignore[attr-defined]
    return session
