"""One worker thread, polled: it runs one job at a time and never touches Qt; the newest job under a key wins."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import Cancelled
from core.job import Job, Progress

POLL = 33  # ms


@dataclass
class Running:
    """A job from the window's side."""

    key: str
    title: str
    job: Job
    done: Callable[[Any], None] | None
    point: Callable[[Any], None] | None
    failed: Callable[[Exception], None] | None
    points: list[Any] = field(default_factory=list)
    future: Future[Any] | None = None


class Engine(QObject):
    """The one way heavy work leaves the window."""

    changed = Signal()
    failed = Signal(str, str)  # title, one sentence

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, "engine", initializer=_prepare)
        self._jobs: list[Running] = []
        self._closed = False
        self._timer = QTimer(self, interval=POLL)
        self._timer.timeout.connect(self.poll)

    def run(
        self, key: str, title: str, fn: Callable[..., Any], *args: Any,
        done: Callable[[Any], None] | None = None, point: Callable[[Any], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:  # fmt: skip
        """Run fn(*args, job) on the worker; the callbacks run on this thread."""
        if self._closed:
            return
        self.cancel(key)
        points: list[Any] = []
        r = Running(key, title, Job(point=points.append), done, point, failed, points)
        r.future = self._pool.submit(fn, *args, r.job)
        self._jobs.append(r)
        self._timer.start()
        self.changed.emit()

    def cancel(self, key: str) -> None:
        for r in self._jobs:
            if r.key == key:
                r.job.cancel()

    def jobs(self) -> list[tuple[str, str, Progress]]:
        """(key, title, progress) of what runs or waits."""
        return [(r.key, r.title, r.job.progress) for r in self._jobs if not r.job.cancelled]

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def poll(self) -> None:
        """Deliver what the worker left since the last look."""
        for r in list(self._jobs):
            while r.points:
                value = r.points.pop(0)
                if r.point and not r.job.cancelled:
                    r.point(value)
            if r.future and r.future.done():
                self._jobs.remove(r)
                self._finish(r, r.future)
        if not self._jobs:
            self._timer.stop()
        self.changed.emit()

    def _finish(self, r: Running, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is None and not r.job.cancelled:
            if r.done:
                r.done(future.result())
        elif isinstance(error, Exception) and not isinstance(error, Cancelled) and not r.job.cancelled:
            if r.failed:
                r.failed(error)
            self.failed.emit(r.title, str(error) or type(error).__name__)

    def close(self) -> None:
        self._closed = True
        for r in self._jobs:
            r.job.cancel()
        self._timer.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._jobs.clear()


def _prepare() -> None:
    """On the worker: leave one core to the window, and be nice."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
