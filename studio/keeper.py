"""Keeps the session on disk while one works, and brings it back at the next start."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from PySide6.QtCore import QLockFile, QObject, QTimer

from core.errors import SlimError

from . import kept
from .session import Session
from .snapshot import Snapshot

PAUSE = 400  # ms: a drag is kept once, not at each of its ticks
log = logging.getLogger("slim")


class Keeper(QObject):
    """Writes after every change that would be missed, on a thread of its own; a second studio beside the first keeps nothing."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._seen: tuple[Any, ...] = ()
        self._writer = kept.Writer()
        self._pool = ThreadPoolExecutor(1, "slim-keeper")
        self._last: Future[None] | None = None
        self._timer = QTimer(self, interval=PAUSE, singleShot=True)
        self._timer.timeout.connect(self._save)
        kept.folder().mkdir(parents=True, exist_ok=True)
        self._lock = QLockFile(str(kept.folder() / "lock"))
        self.alone = self._lock.tryLock(0)
        self._marker = kept.folder() / "opening"
        session.changed.connect(self._changed)

    def restore(self) -> None:
        """Open what was open last; what can't be is one notice, and the studio starts empty."""
        if not kept.exists():
            return
        try:
            found = kept.read()
        except SlimError as e:
            self.session.notice.emit("warning", str(e))
            return
        if not found.path.exists():
            text = self.tr("{path} is no longer there, so the studio starts empty; put it back and use File › Reopen the last session.")
            self.session.notice.emit("warning", text.format(path=found.path))
            return
        self._marker.touch()
        self.session.resume(found)

    def start(self) -> None:
        """Restore at the start of the studio, but not what brought it down the last time."""
        if not self.alone:
            return
        if self._marker.exists():
            self._marker.unlink()
            text = self.tr("The last start ended while it reopened the session; File › Reopen the last session tries again.")
            self.session.notice.emit("warning", text)
            return
        self.restore()

    def close(self) -> None:
        """Write what is not written yet and wait for it."""
        if self._timer.isActive():
            self._timer.stop()
            self._save()
        self._pool.shutdown(wait=True)
        self._lock.unlock()

    def _changed(self, s: Snapshot) -> None:
        score = s.original.score if s.original else None
        score = score if score and score.complete else None
        now = (s.checkpoint, s.plan, s.whole, s.variants, s.target, s.data, s.limit, s.selection, score, s.record)
        if len(now) == len(self._seen) and all(a is b for a, b in zip(now, self._seen)):
            return
        closed = bool(self._seen) and self._seen[0] is not None and s.checkpoint is None
        grown = len(self._seen) > 3 and len(s.variants) > len(self._seen[3])
        self._seen = now
        self._marker.unlink(missing_ok=True)
        if not self.alone:
            return
        if closed:
            self._timer.stop()
            self._do(_forget)
        elif grown:
            self._save()  # a measurement is what cost time
        elif s.checkpoint is not None and not self._timer.isActive():
            self._timer.start()

    def _save(self) -> None:
        s, bases = self.session.snapshot, self.session.bases()
        if s.checkpoint is not None:
            lessons = tuple(self.session.pricing.lessons)
            self._do(lambda: kept.write(self._writer.text(s, bases, lessons)))

    def _do(self, work: Any) -> None:
        self._last = self._pool.submit(_quietly, work)


def _quietly(work: Any) -> None:
    """A full disk must not stop the work; the log says so."""
    try:
        work()
    except OSError as e:
        log.warning("the session could not be kept: %s", e)


def _forget() -> None:
    kept.file().unlink(missing_ok=True)
