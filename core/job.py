"""A job is how long work reports progress, streams points and hears that it should stop; plain Python, silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from .errors import Cancelled

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands; `total` 0 means not known."""

    phase: str = ""
    done: int = 0
    total: int = 0
    started: float = field(default_factory=time.monotonic)
    detail: str = ""

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds left, from the second step on."""
        if self.done < 2 or not self.total:
            return None
        return (time.monotonic() - self.started) / self.done * (self.total - self.done)


class Job:
    """Passed last to every long call. `tell` hears each Progress, `point` each partial result; both must be quick."""

    def __init__(self, tell: Callable[[Progress], None] | None = None, point: Callable[[Any], None] | None = None) -> None:
        self.progress = Progress()
        self.notes: list[str] = []
        self._tell, self._point = tell, point
        self._stop = threading.Event()

    def cancel(self) -> None:
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def check(self) -> None:
        """Raise Cancelled if someone asked; call it at least every 50 ms of work."""
        if self._stop.is_set():
            raise Cancelled("Cancelled; everything finished so far is kept.")

    def track(self, items: Iterable[T], phase: str, total: int | None = None) -> Iterator[T]:
        """Walk `items`, reporting before the first and after each, and stopping between them when cancelled."""
        count = total if total is not None else len(items) if isinstance(items, Sized) else 0
        start = Progress(phase, 0, count)
        self._report(start)
        for done, item in enumerate(items, 1):
            self.check()
            yield item
            self._report(replace(start, done=done, detail=self.progress.detail if self.progress.phase == phase else ""))
        self.check()

    def detail(self, text: str) -> None:
        """A few words beside the progress bar ("window 5 of 8, 0.41 ± 0.02")."""
        self._report(replace(self.progress, detail=text))

    def note(self, text: str) -> None:
        """A line for the log and the report."""
        self.notes.append(text)

    def into(self, point: Callable[[Any], None]) -> Job:
        """The same work with another listener for its partial results: one progress, one stop."""
        inner = Job(self._report, point)
        inner._stop, inner.notes = self._stop, self.notes
        return inner

    def within(self, n: int, of: int, name: str = "") -> Job:
        """The same work as one stage of several: its phases say which."""
        inner = Job(lambda p: self._report(replace(p, phase=staged(n, of, name, p.phase))), self._point)
        inner._stop, inner.notes = self._stop, self.notes
        return inner

    def point(self, value: Any) -> None:
        """A partial result for whoever watches."""
        if self._point:
            self._point(value)

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        if self._tell:
            self._tell(progress)


def staged(n: int, of: int, name: str, phase: str) -> str:
    """A phase of one stage of several."""
    return f"{name} (stage {n} of {of}): {phase}" if name else f"Stage {n} of {of}: {phase}"
