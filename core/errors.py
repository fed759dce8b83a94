"""One tree of errors; each says what happened and what to do about it."""

from __future__ import annotations


class SlimError(Exception):
    """Root of every error a user may see; its text is one sentence with what to do."""


class BadFile(SlimError):
    """A file that cannot be read as what it claims to be."""


class BadPlan(SlimError):
    """A plan or recipe that asks for something impossible."""


class BadData(SlimError):
    """Evaluation or calibration data that cannot serve."""


class CannotRun(SlimError):
    """The network cannot be built or run (it may still be slimmed and exported)."""


class NotTrained(CannotRun):
    """A plan begins with a stage whose training was never carried out."""


class DoesNotFit(CannotRun):
    """A config and weights that contradict each other: what is exported of them would load nowhere either."""


class CannotWrite(SlimError):
    """An export that could not be written; nothing is left behind."""


class NotVerified(SlimError):
    """An export that was written, reopened and found different; it has been removed. `verdict`: every check (core.types.Verdict)."""

    def __init__(self, text: str, verdict: object = None) -> None:
        super().__init__(text)
        self.verdict = verdict


class Cancelled(SlimError):
    """The user (or a newer job) asked the running job to stop."""
