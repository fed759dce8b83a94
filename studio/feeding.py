"""What the session knows of calibration: which data, how well it covers the layers, what a plan will take, and what is in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from core.plans import another

from .late import Late
from .snapshot import Feed, Snapshot, bare

if TYPE_CHECKING:
    from core.coverage import Coverage

    from . import cachework, work
else:
    cachework, work = Late("studio.cachework"), Late("studio.work")

SOON = 60  # ms after a change of the plan until its memory and time are predicted


class Feeding(QObject):
    """Asks the worker for coverage, predicts memory and time as the plan changes, and applies what is proposed."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session
        self._covering = ("", True)  # what coverage was last asked for
        self._soon = QTimer(self, interval=SOON, singleShot=True)
        self._soon.timeout.connect(self.foretell)

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    def choose(self, feed: Feed) -> None:
        """Other calibration data, more or less of it, or another order: the plan is measured again, coverage begins anew."""
        self.session.engine.cancel("coverage")
        self.session.pricing.forget()
        self.session._set(replace(self._shot, feed=feed, coverage=None, calibrated=""))
        self.session._take(self._shot.plan, self._shot.whole)

    def cover(self, name: str = "", reach: bool = True) -> None:
        """Measure what each layer meets and how the error of one falls with more samples; "" = the widest of the first block."""
        from core.coverage import Coverage  # brings the whole engine: not before the first paint

        s = self._shot
        if s.checkpoint is None or s.runnable:
            return
        self._covering = (name, reach)
        begun = Coverage() if reach or s.coverage is None else replace(s.coverage, whole=False)
        self.session._set(replace(s, coverage=begun))

        def grow(found: Any) -> None:
            if (now := self._shot.coverage) is not None:
                self.session._set(replace(self._shot, coverage=now.plus(found)))

        def done(_: Coverage) -> None:
            if (now := self._shot.coverage) is not None:
                self.session._set(replace(self._shot, coverage=replace(now, whole=True)))

        self.session.engine.run(
            "coverage", self.tr("Measuring the calibration"), work.cover, self.session._opened, s.plan, s.data, s.limit, name, reach,
            point=grow, done=done, failed=self.session._fail,
        )  # fmt: skip

    def aside(self) -> Callable[[], None]:
        """A measurement of the plan comes first: a running coverage stops, and what is returned lets it go on behind."""
        if not self.session.engine.busy("coverage"):
            return lambda: None
        self.session.engine.cancel("coverage")
        return lambda: self.cover(*self._covering)

    def clear_cache(self, name: str, done: Callable[[Any], None]) -> None:
        """Empty a part of the cache, behind what runs."""
        self._tidy(done, cachework.clear_cache, self.session._opened, name)

    def set_cap(self, name: str, nbytes: int, done: Callable[[Any], None]) -> None:
        """Another cap for a part of the cache."""
        self._tidy(done, cachework.set_cap, self.session._opened, name, nbytes)

    def _tidy(self, done: Callable[[Any], None], do: Callable[..., Any], *args: Any) -> None:
        self.session.engine.run("cache", self.tr("Tidying the cache"), do, *args, done=done, failed=self.session._fail)

    def soon(self) -> None:
        """The plan has changed: predict when the hand rests a moment."""
        self._soon.start()

    def foretell(self) -> None:
        """Memory and time of the plan in force, from sizes alone and this machine's known speed; None where nothing is to be done."""
        s = self._shot
        if s.checkpoint is None or s.size is None:
            return
        idle = self.session._idle()
        found = None if idle else work.foretold(self.session._opened, bare(s.plan), s.data is not None and not s.runnable)
        self.session._set(replace(self._shot, preflight=found))

    def apply(self) -> None:
        """Do what is proposed: calibrate on fewer tokens, or in smaller blocks."""
        if (found := self._shot.preflight) is not None and (found.tokens or found.block):
            feed = self._shot.feed
            self.session.set_calibration(replace(feed, tokens=found.tokens or feed.tokens, block=found.block or feed.block))

    def stored(self, name: str) -> bool | None:
        """Whether a layer's result under the plan in force lies in the layer store; None when that can't be told before measuring."""
        s, opened = self._shot, self.session._opened
        setting = s.settings.get(name)
        if opened is None or setting is None or setting.idle:
            return None
        if name in s.outcomes and s.outcomes[name].key:
            return opened.store.has(s.outcomes[name].key)
        x = next((x for x in s.layers if x.name == name), None)
        return None if x is None or s.cut or another(s.plan) else work.in_store(opened, x, setting, s.calibrated, s.feed.order)
