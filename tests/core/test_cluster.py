"""A recipe on a cluster of two nodes gives what it gives without one, and what goes wrong there is one sentence here."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from core import cluster as module
from core import environment
from core.cli import main
from core.cluster import Cluster, cluster
from core.errors import BadPlan, Cancelled, CannotRun, SlimError
from core.job import Job
from core.recipe import Recipe, save
from core.report import from_json
from core.run import run
from core.store import Store
from core.types import Choice, Plan
from tests.conftest import SAMPLES

ABSENT = 'no Ray here: pip install "ray>=2.55,<3" to test the cluster'


def spin(started: str, job: Job) -> None:
    """As a task: work without end."""
    Path(started).touch()
    while True:
        job.check()


def touch(path: str, job: Job) -> str:
    Path(path).touch()
    return path


def die(counted: str, times: int, job: Job) -> int:
    """As a task: as if killed for memory, so many times."""
    path = Path(counted)
    deaths = len(path.read_bytes()) if path.exists() else 0
    if deaths < times:
        path.write_bytes(b"x" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return deaths


def refuse(job: Job) -> None:
    job.note("seen")
    raise BadPlan("Not like this; do it otherwise")


@pytest.fixture(scope="module")
def two() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each, each with workers and an object store of its own."""
    environment.prepare()
    pytest.importorskip("ray", reason=ABSENT)
    from ray.cluster_utils import Cluster as Nodes

    size = {"num_cpus": 1, "object_store_memory": 200 << 20, "include_dashboard": False}
    nodes = Nodes(initialize_head=True, head_node_args=size)
    nodes.add_node(num_cpus=1, object_store_memory=200 << 20)
    yield nodes.address
    nodes.shutdown()


@pytest.fixture(scope="module")
def on(two: str) -> Iterator[Cluster]:
    with cluster(two) as found:
        yield found


def kept(store: Store) -> dict[str, tuple[dict[str, str], dict[str, bytes]]]:
    """Every layer of a store: what was noted and the bytes of its tensors."""
    out = {}
    for path in store.root.rglob("*.safetensors"):
        with safe_open(path, "np") as f:
            out[path.name] = dict(f.metadata()), {k: f.get_tensor(k).tobytes() for k in f.keys()}  # noqa: SIM118
    return out


def test_without_ray_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(Recipe(SAMPLES / "digits-cnn"), tmp_path / "recipe.toml")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", str(tmp_path / "recipe.toml"), "--ray", "auto"]) == 2
    said = capsys.readouterr().err.strip()
    assert said == 'slim: Ray is not installed, so nothing can run on a cluster; install it with pip install "ray>=2.55,<3"'


def test_a_cluster_that_does_not_answer_is_one_sentence() -> None:
    pytest.importorskip("ray", reason=ABSENT)
    with pytest.raises(CannotRun, match=r"No Ray cluster answers at 127\.0\.0\.1:9;"), cluster("127.0.0.1:9"):
        pass
    with pytest.raises(CannotRun, match=r"No Ray cluster answers at nowhere; give HOST:PORT"), cluster("nowhere"):
        pass


def test_the_command_line_exports_the_same_bytes_and_scores_on_a_cluster(
    tmp_path: Path, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(Choice("gradient", 0.3, "slim", 4))
    save(Recipe(SAMPLES / "digits-cnn", plan, limit=200), tmp_path / "recipe.toml")
    monkeypatch.setenv("RAY_ADDRESS", two)  # what "auto" finds
    files, scores = [], []
    for name, more in (("here", []), ("there", ["--ray", "auto"])):
        monkeypatch.setenv("SLIM_CACHE", str(tmp_path / f"cache-{name}"))
        assert main(["run", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / name), *more]) == 0
        files.append({p.name: p.read_bytes() for p in (tmp_path / name).glob("*.safetensors")})
        report = from_json((tmp_path / name / "report.json").read_text(encoding="utf-8"))
        scores.append([v.score.metrics for v in (report.original, report.variant) if v.score])
    assert files[0]
    assert files[0] == files[1]
    assert scores[0]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("order", ["parallel", "corrected"])
def test_a_calibrated_language_model_gives_the_same_layers_and_scores_on_a_cluster(order: str, tmp_path: Path, on: Cluster) -> None:
    recipe = Recipe(SAMPLES / "sotu-lm", Plan(Choice("sparsegpt", 0.3, "gptq", 4)), limit=600, tokens=1024, order=order)
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    a, b = run(recipe, Job(), here).report, run(recipe, Job(), there, on).report
    assert on.slots == 2
    assert len(kept(here)) > 10
    assert kept(here) == kept(there)
    for x, y in ((a.original.score, b.original.score), (a.variant.score, b.variant.score)):
        assert x
        assert y
        assert (x.metrics, x.n, x.complete) == (y.metrics, y.n, True)


def test_a_cancel_stops_the_tasks_within_a_second(tmp_path: Path, on: Cluster) -> None:
    job, when = Job(), []
    started = [tmp_path / str(i) for i in range(2)]

    def calls() -> Iterator[tuple[str, tuple[str]]]:
        yield from ((p.name, (str(p),)) for p in started)
        while not all(p.exists() for p in started):
            time.sleep(0.01)
        when.append(time.monotonic())
        job.cancel()

    with pytest.raises(Cancelled):
        list(on.each(f"{__name__}:spin", calls(), job))
    assert time.monotonic() - when[0] < 1
    path = str(tmp_path / "after")  # both cores were spinning: that this one runs at all says that they were let go
    assert list(on.each(f"{__name__}:touch", [("after", (path,))], Job())) == [("after", path)]


def test_a_worker_that_dies_is_replaced_once_and_then_named(tmp_path: Path, on: Cluster) -> None:
    assert list(on.each(f"{__name__}:die", [("once", (str(tmp_path / "1"), 1))], Job())) == [("once", 1)]
    with pytest.raises(SlimError, match=r"lost twice-dead twice .* more memory"):
        list(on.each(f"{__name__}:die", [("twice-dead", (str(tmp_path / "2"), 2))], Job()))
    assert (tmp_path / "2").read_bytes() == b"xx"


def test_an_error_on_the_cluster_comes_back_as_itself(on: Cluster) -> None:
    with pytest.raises(BadPlan, match=r"^Not like this; do it otherwise$"):
        list(on.each(f"{__name__}:refuse", [("x", ())], Job()))
    with pytest.raises(SlimError, match=r"x failed on the cluster \(AttributeError"):
        list(on.each(f"{__name__}:missing", [("x", ())], Job()))


def test_another_version_on_a_machine_of_the_cluster_is_refused(on: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "code", lambda: "of an older engine")
    with pytest.raises(CannotRun, match="another version"):
        list(on.each(f"{__name__}:refuse", [("x", ())], Job()))
