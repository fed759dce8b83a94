"""What the session does for the playground: asks the worker and keeps the answers with the plan they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from .late import Late
from .snapshot import Snapshot

if TYPE_CHECKING:
    from core.play import Ask, Sample

    from . import playwork
else:
    playwork = Late("studio.playwork")


class Playing(QObject):
    """One question at a time, the newest wins; a running measurement of the plan comes first."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session
        self._next = 0  # which held-out picture comes next

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    @property
    def answering(self) -> bool:
        return self.session.engine.busy("play")

    @property
    def looking(self) -> bool:
        return self.session.engine.busy("worst")

    @property
    def alike(self) -> bool:
        """Whether the plan changes nothing yet, so that both are the original."""
        return self.session._idle()

    def talk(self, ask: Ask) -> None:
        """Both go on from a prompt."""
        self._play(self.tr("Asking both"), playwork.talk, ask)

    def look(self, file: Path) -> None:
        """Both look at the user's picture."""
        self._play(self.tr("Looking at {name}").format(name=file.name), playwork.look, file)

    def sample(self) -> None:
        """Both look at the next held-out picture."""
        where, self._next = (0, self._next), self._next + 1
        self._play(self.tr("Looking at a sample"), playwork.look_at, where)

    def hear(self, file: Path | None = None) -> None:
        """Both listen to the user's recording, or to the first of the held-out ones."""
        self._play(self.tr("Listening to {name}").format(name=file.name if file else self.tr("a sample")), playwork.hear, file)

    def liken(self, first: str, second: str) -> None:
        """Both compare two sentences."""
        self._play(self.tr("Comparing two sentences"), playwork.liken, first, second)

    def put(self, sample: Sample) -> None:
        """Put one of the worst samples into the playground, and ask."""
        self._tell(put=sample)
        if self._shot.task in ("image-classification", "audio-classification"):
            self._play(self.tr("Looking at a sample"), playwork.look_at, sample.where)
        elif self._shot.task == "encoder":
            self.liken(*sample.put)

    def find(self) -> None:
        """Look for the samples on which the two differ most."""
        self._run("worst", self.tr("Looking for the worst samples"), playwork.worst, "worst", "worst_of")

    def stop(self) -> None:
        """Neither asks nor looks any longer; what was said stays."""
        for key in ("play", "worst"):
            self.session.engine.cancel(key)
        self.session.engine.changed.emit()

    def _play(self, title: str, do: Callable[..., Any], *args: Any) -> None:
        self._run("play", title, do, "found", "of", *args)

    def _run(self, key: str, title: str, do: Callable[..., Any], field: str, of: str, *args: Any) -> None:
        s = self._shot
        if s.checkpoint is None or s.runnable:
            return
        basis, go_on = s.basis, self.session.training.aside()
        asked = playwork.Asked(self.session._opened, basis[0], s.data, s.limit)  # a plan that waits for its training plays without

        def show(found: Any) -> None:
            self._tell(**{field: found, of: basis})

        def point(found: Any) -> None:
            if type(found).__name__ in ("Dialogue", "Heard"):  # compressing and calibrating tell of themselves, too
                show(found)

        self.session.engine.run(key, title, do, asked, *args, done=show, point=point, failed=self.session._fail)
        go_on()

    def _tell(self, **said: Any) -> None:
        self.session._set(replace(self._shot, play=replace(self._shot.play, **said)))
