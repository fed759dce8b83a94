"""One worker thread for everything slow; its mailboxes are read by the window 30 times a second."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import Cancelled, SlimError
from core.job import Job
from core.ledger import Bill, Took

State = Literal["waiting", "running", "done", "failed", "cancelled"]
TICK = 33  # ms between looks into the mailboxes
SWEEP = 30  # ticks between sweeps of young garbage
SWITCH = 0.001  # s a thread may keep Python to itself: with the usual 5 ms a slider's tick beside a busy worker took up to 33 ms, now 22
KEPT = 20  # finished jobs that stay listed
log = logging.getLogger("slim")


@dataclass(frozen=True)
class JobView:
    """A job as the Jobs panel shows it."""

    key: str
    title: str
    state: State
    phase: str = ""
    share: float = 0.0
    eta: float | None = None
    detail: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""
    when: str = ""  # the clock when it ended


@dataclass
class Task:
    """A job on its way through the worker; the worker writes `job` and `points`, the window reads them."""

    key: str
    title: str
    job: Job
    done: Callable[[Any], None] | None
    point: Callable[[Any], None] | None
    failed: Callable[[str], None] | None
    points: deque[Any] = field(default_factory=deque)
    started: threading.Event = field(default_factory=threading.Event)
    future: Future[Any] | None = None
    state: State = "waiting"
    error: str = ""
    when: str = ""
    took: Took = field(default_factory=Took)

    def view(self) -> JobView:
        p = self.job.progress
        return JobView(self.key, self.title, self.state, p.phase, p.share, p.eta, p.detail, tuple(self.job.notes), self.error, self.when)


def _calm() -> None:
    """The worker yields to the window: nice 5 for this thread alone, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


def _work(task: Task, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """The worker's one boundary: what is no SlimError is logged with its trace and becomes a sentence."""
    task.started.set()
    try:
        with Bill() as bill:
            try:
                task.job.check()
                return fn(*args, task.job)
            finally:
                task.took = bill.took()
    except SlimError:
        raise
    except Exception as e:
        log.exception("%s failed", task.title)
        raise SlimError(f"{task.title} stopped unexpectedly ({type(e).__name__}: {str(e)[:160]}); the log in Help has the details.") from e


class Engine(QObject):
    """Runs jobs one at a time; a newer job under the same key replaces the older."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, "slim-worker", _calm)
        self._live: list[Task] = []
        self._over: deque[JobView] = deque(maxlen=KEPT)
        self._timer = QTimer(self, interval=TICK)
        self._timer.timeout.connect(self._poll)
        self._ticks, self._closed = 0, False
        self.spent = Took()  # the work of the worker since a model was opened
        # cyclic garbage may hold QObjects, and destroying them on the worker's thread crashes: only this thread collects
        gc.disable()
        sys.setswitchinterval(SWITCH)

    def run(
        self, key: str, title: str, fn: Callable[..., Any], *args: Any,
        done: Callable[[Any], None] | None = None, point: Callable[[Any], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        """Call fn(*args, job) on the worker; `point`, `done` and `failed` are called back on this thread."""
        if self._closed:
            return
        self.cancel(key)
        points: deque[Any] = deque()
        task = Task(key, title, Job(point=points.append), done, point, failed, points)
        task.future = self._pool.submit(_work, task, fn, args)
        self._live.append(task)
        self._timer.start()
        self.changed.emit()

    def anew(self) -> None:
        """Count the work of the worker from here on."""
        self.spent = Took()

    def prepare(self, module: str) -> None:
        """Import on the worker, behind what it has to do already: a large library holds every thread for up to 0.4 s, so better soon."""
        if not self._closed:
            self._pool.submit(importlib.import_module, module)

    def cancel(self, key: str) -> None:
        """Ask the job under `key` to stop; one that has not begun never will. It says nothing more."""
        for task in self._live:
            if task.key == key and not task.job.cancelled:
                task.job.cancel()
                if task.future:
                    task.future.cancel()

    def cancel_all(self) -> None:
        """Ask every job to stop."""
        for task in list(self._live):
            self.cancel(task.key)

    def jobs(self) -> tuple[JobView, ...]:
        """Running and waiting jobs first, then the finished ones, newest first."""
        return tuple(t.view() for t in self._live if not t.job.cancelled) + tuple(self._over)

    def busy(self, key: str = "") -> bool:
        """Whether a job (under `key`) is waiting or running."""
        return any(not t.job.cancelled and (not key or t.key == key) for t in self._live)

    def close(self) -> None:
        """Stop everything and wait for the worker to hear it; later jobs are not taken."""
        self._closed = True
        self._timer.stop()
        for task in self._live:
            task.job.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._live.clear()
        gc.enable()
        gc.collect()

    def _poll(self) -> None:
        """Deliver points, progress and results on the window's thread."""
        for task in list(self._live):
            if task.state == "waiting" and task.started.is_set():
                task.state = "running"
            finished = task.future is not None and task.future.done()
            self._deliver(task)
            if finished:
                self._live.remove(task)
                self._finish(task)
        self._ticks += 1
        if not self._live or self._ticks % SWEEP == 0:
            gc.collect(1)
        if not self._live:
            self._timer.stop()
        self.changed.emit()

    def _deliver(self, task: Task) -> None:
        while task.points:
            value = task.points.popleft()
            if task.point and not task.job.cancelled:
                task.point(value)

    def _finish(self, task: Task) -> None:
        """Record how it ended and tell whoever waits; a cancelled job is silent."""
        assert task.future is not None
        self.spent += task.took
        task.when = time.strftime("%H:%M:%S")
        error = None if task.future.cancelled() else task.future.exception()
        if task.job.cancelled or isinstance(error, Cancelled):
            task.state = "cancelled"
        elif error is not None:
            task.state, task.error = "failed", str(error)
        else:
            task.state = "done"
        self._over.appendleft(task.view())
        if task.state == "failed" and task.failed:
            task.failed(task.error)
        elif task.state == "done" and task.done:
            task.done(task.future.result())
