"""A federation that runs elsewhere, watched: its ledger is read again whenever it grows, and drawn as any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from core.errors import BadFile
from core.lessons import carried, lesson

from . import numbers
from .late import Late
from .learning import Curves
from .session import Session
from .snapshot import Training
from .words import said

if TYPE_CHECKING:
    from core.federation import rounds
    from core.federation.rounds import Ledger
else:
    rounds = Late("core.federation.rounds")  # brings the engine: not before the first paint

LOOK = 500  # ms between two looks at the file


class Watching(QDialog):
    """Curves of every client and of the server's own check; open beside the window for as long as one likes."""

    def __init__(self, session: Session, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path, self._seen = path, (-1, -1)
        self.ledger: Ledger | None = None
        self.curves, self.told = Curves(session), QLabel()
        self.told.setWordWrap(True)
        self.told.setTextFormat(Qt.TextFormat.PlainText)
        self.setWindowTitle(self.tr("Federation {name}").format(name=path.name.removesuffix(".rounds.jsonl")))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        column = QVBoxLayout(self)
        column.addWidget(self.told)
        column.addWidget(self.curves, 1)
        self.resize(760, 460)
        self._timer = QTimer(self, interval=LOOK)
        self._timer.timeout.connect(self.look)
        self.look()
        self._timer.start()

    def look(self) -> None:
        """Read what is new."""
        try:
            stat = self.path.stat()
            if (stat.st_mtime_ns, stat.st_size) == self._seen:
                return
            self._seen, self.ledger = (stat.st_mtime_ns, stat.st_size), rounds.read(self.path)
        except (BadFile, OSError) as e:
            self.told.setText(said(str(e)))
            return
        self.curves.draw(self._training(self.ledger))
        self.told.setText(self._said(self.ledger))
        if self.ledger.after is not None:
            self._timer.stop()

    def _training(self, ledger: Ledger) -> Training:
        state: Any = "running" if ledger.after is None else "kept"
        lessons = tuple(map(lesson, ledger.rounds))
        return Training((self.path,), state, lessons, before=ledger.before, after=ledger.after)

    def _said(self, ledger: Ledger) -> str:
        """How far, who is there, what it sends, how it went."""
        if not ledger.rounds:
            return said(ledger.why) or self.tr("No round has ended yet; clients may still be on their way.")
        last = ledger.rounds[-1]
        parts = [self.tr("Round {n} of {m}").format(n=last.round, m=last.rounds)]
        parts.append(self.tr("{n} clients heard").format(n=len(last.losses)))
        loss = self.tr("loss on the server's data {before} → {after} (measured)")
        best = min(r.held for r in ledger.rounds) if ledger.after is None else ledger.after
        parts.append(loss.format(before=numbers.significant(last.before), after=numbers.significant(best)))
        sent = sum(last.sent.values())
        joules = numbers.si(carried(sent)[0], "J")
        parts.append(self.tr("{n} sent a round, {energy} to carry (modelled)").format(n=numbers.size(sent), energy=joules))
        parts += [self.tr("round {n} without {name}: {why}").format(n=r.round, name=c, why=said(w)) for r, c, w in _absences(ledger)]
        parts += [said(ledger.why)] if ledger.why else []
        parts += [self.tr("over")] if ledger.after is not None else []
        return "  ·  ".join(parts)


def _absences(ledger: Ledger) -> list[tuple[Any, str, str]]:
    """The latest (round, client, why) of those left out."""
    return [(r, name, why) for r in ledger.rounds for name, why in r.absent.items()][-3:]
