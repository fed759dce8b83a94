"""Jobs: what runs, how far it is, how long it takes, and how to stop it."""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QProgressBar, QToolButton, QVBoxLayout, QWidget

from .. import numbers, theme
from ..engine import JobView
from ..session import Session
from ..snapshot import Snapshot
from ..words import said
from . import panels


@panels("jobs")
class Jobs(QWidget):
    """The running job in one line; what came before it in the log below."""

    title = QT_TRANSLATE_NOOP("core", "Jobs")
    area = "bottom"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.name, self.detail = QLabel(), QLabel()
        self.bar = QProgressBar(textVisible=False)
        self.bar.setAccessibleName(self.tr("Progress"))
        self.cancel = QToolButton()
        self.cancel.setText(self.tr("Cancel"))
        self.cancel.setToolTip(self.tr("Stop this job; everything finished so far is kept"))
        self.fold = QToolButton()
        self.fold.setText(self.tr("Log"))
        self.fold.setCheckable(True)
        self.fold.setToolTip(self.tr("What the worker did, newest first; Help › Open the log has every detail"))
        self.log = QPlainTextEdit(readOnly=True)
        self.log.setAccessibleName(self.tr("Log of finished jobs"))
        self.log.setMinimumHeight(80)
        self._lay_out()
        self._key = ""
        self.cancel.clicked.connect(self._cancel)
        self.fold.toggled.connect(self._unfold)
        self._unfold(False)
        session.engine.changed.connect(self._draw)
        self._draw()

    def show(self, snapshot: Snapshot | None = None) -> None:
        """Jobs follow the engine, not the snapshot."""

    def _unfold(self, shown: bool) -> None:
        """One line until the log is asked for."""
        self.log.setVisible(shown)
        self.setMaximumHeight(16_777_215 if shown else 34)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setContentsMargins(8, 2, 8, 2)
        line.setSpacing(12)
        line.addWidget(self.name)
        line.addWidget(self.bar, 1)
        line.addWidget(self.detail, 1)
        line.addWidget(self.cancel)
        line.addWidget(self.fold)
        self.detail.setFont(theme.tabular(self.detail.font()))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(line)
        column.addWidget(self.log)

    def _draw(self) -> None:
        jobs = self.session.engine.jobs()
        now = next((j for j in jobs if j.state == "running"), None) or next((j for j in jobs if j.state == "waiting"), None)
        self._key = now.key if now else ""
        self.cancel.setEnabled(now is not None)
        self.bar.setVisible(now is not None)
        self.name.setText(now.title if now else self.tr("Nothing is running."))
        waiting = sum(j.state == "waiting" for j in jobs if j is not now)
        more = "  ·  " + self.tr("{n} waiting").format(n=waiting) if waiting else ""
        self.detail.setText(self._said(now) + more if now else "")
        if now:
            self.bar.setRange(0, 1000 if now.share else 0)
            self.bar.setValue(round(1000 * now.share))
        text = "\n".join(self._line(j) for j in jobs if j.state not in ("running", "waiting"))
        if text != self.log.toPlainText():
            self.log.setPlainText(text)

    def _said(self, job: JobView) -> str:
        parts = [said(job.phase), f"{100 * job.share:.0f} %" if job.share else "", said(job.detail)]
        if job.eta is not None and job.eta > 0.5:
            parts.append(self.tr("{time} left").format(time=numbers.duration(job.eta)))
        return "  ·  ".join(p for p in parts if p)

    def _line(self, job: JobView) -> str:
        states = {"done": self.tr("done"), "failed": self.tr("failed"), "cancelled": self.tr("cancelled")}
        told = [job.when, job.title, states.get(job.state, job.state), *([said(job.error)] if job.error else []), *map(said, job.notes)]
        return "  ·  ".join(told)

    def _cancel(self) -> None:
        self.session.engine.cancel(self._key)
