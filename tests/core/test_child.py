"""A child process answers, is followed, dies and is cancelled without taking the parent along."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from core.child import run
from core.errors import BadData, Cancelled, SlimError
from core.job import Job, Progress


def add(a: int, b: int, job: Job) -> int:
    print("a library that prints must not disturb the answer")
    for _ in job.track(range(3), "Adding"):
        pass
    job.note("added")
    return a + b


def refuse(job: Job) -> None:
    raise BadData("The data is of no use; choose another file")


def stumble(job: Job) -> None:
    raise KeyError("surprise")


def die(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def environment(job: Job) -> dict[str, str]:
    return dict(os.environ)


def hang(job: Job) -> None:
    job.detail(str(os.getpid()))
    threading.Event().wait()


def test_a_child_answers_and_its_progress_and_notes_reach_the_job() -> None:
    heard: list[Progress] = []
    job = Job(tell=heard.append)
    assert run("tests.core.test_child:add", {"a": 2, "b": 40}, job) == 42
    assert [(p.phase, p.done, p.total) for p in heard] == [("Adding", n, 3) for n in range(4)]
    assert job.notes == ["added"]


def test_an_error_of_ours_comes_back_as_the_same_class() -> None:
    with pytest.raises(BadData, match="choose another file"):
        run("tests.core.test_child:refuse", {})


def test_any_other_error_is_named_in_one_sentence() -> None:
    with pytest.raises(SlimError, match="KeyError: 'surprise'"):
        run("tests.core.test_child:stumble", {})


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal 9")
def test_a_killed_child_is_reported_as_out_of_memory_perhaps() -> None:
    with pytest.raises(SlimError, match=r"signal 9: out of memory\?"):
        run("tests.core.test_child:die", {})


def test_the_child_stays_offline() -> None:
    found = run("tests.core.test_child:environment", {})
    assert found["HF_HUB_OFFLINE"] == "1"
    assert found["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.skipif(os.name == "nt", reason="asks the process table the POSIX way")
def test_cancelling_kills_the_child_at_once() -> None:
    told: list[tuple[int, float]] = []

    def tell(progress: Progress) -> None:
        told.append((int(progress.detail), time.monotonic()))
        job.cancel()

    job = Job(tell=tell)
    with pytest.raises(Cancelled):
        run("tests.core.test_child:hang", {}, job)
    pid, asked = told[0]
    assert time.monotonic() - asked < 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
