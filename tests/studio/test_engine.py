"""The worker delivers on the window's thread, replaces older jobs and is silent about cancelled ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from core.errors import BadFile
from core.job import Job
from studio.engine import Engine


@pytest.fixture
def engine(qapp: object) -> Iterator[Engine]:
    found = Engine()
    yield found
    found.close()


def count(n: int, job: Job) -> int:
    for i in job.track(range(n), "Counting"):
        job.point(i)
    return n


def wait_for(event: threading.Event, job: Job) -> str:
    while not event.wait(0.01):
        job.check()
    return "heard"


def test_points_and_result_arrive_in_order_on_the_windows_thread(engine: Engine, qtbot: QtBot) -> None:
    heard: list[object] = []
    threads = set()
    engine.run("a", "Counting", count, 100, point=heard.append, done=lambda n: (heard.append(n), threads.add(threading.current_thread())))
    qtbot.waitUntil(lambda: len(heard) == 101)
    assert heard == [*range(100), 100]
    assert threads == {threading.main_thread()}


def test_a_newer_job_under_the_same_key_replaces_the_older(engine: Engine, qtbot: QtBot) -> None:
    never, done = threading.Event(), []
    engine.run("a", "Old", wait_for, never, done=lambda _: done.append("old"), failed=done.append)
    engine.run("a", "New", count, 3, done=lambda _: done.append("new"), failed=done.append)
    qtbot.waitUntil(lambda: bool(done))
    assert done == ["new"]
    assert {j.title: j.state for j in engine.jobs()} == {"Old": "cancelled", "New": "done"}


def test_jobs_run_one_at_a_time(engine: Engine, qtbot: QtBot) -> None:
    first, done = threading.Event(), []
    engine.run("a", "First", wait_for, first, done=lambda _: done.append("first"))
    engine.run("b", "Second", count, 1, done=lambda _: done.append("second"))
    qtbot.waitUntil(lambda: [j.state for j in engine.jobs()] == ["running", "waiting"])
    first.set()
    qtbot.waitUntil(lambda: done == ["first", "second"])


def test_a_cancelled_job_says_nothing(engine: Engine, qtbot: QtBot) -> None:
    said: list[object] = []
    engine.run("a", "Long", wait_for, threading.Event(), done=said.append, failed=said.append)
    engine.cancel("a")
    qtbot.waitUntil(lambda: [j.state for j in engine.jobs()] == ["cancelled"])
    assert said == []
    assert not engine.busy()


def test_an_error_is_told_in_its_own_words(engine: Engine, qtbot: QtBot) -> None:
    def fail(job: Job) -> None:
        raise BadFile("model.pt is cut off; download it again")

    said: list[str] = []
    engine.run("a", "Opening", fail, failed=said.append)
    qtbot.waitUntil(lambda: bool(said))
    assert said == ["model.pt is cut off; download it again"]


def test_an_unexpected_error_becomes_a_sentence(engine: Engine, qtbot: QtBot) -> None:
    said: list[str] = []
    engine.run("a", "Dividing", lambda job: 1 / 0, failed=said.append)
    qtbot.waitUntil(lambda: bool(said))
    assert said[0].startswith("Dividing stopped unexpectedly (ZeroDivisionError")
