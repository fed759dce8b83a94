"""Run: measure, choose data, cancel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QT_TRANSLATE_NOOP
from PySide6.QtWidgets import QFileDialog

from core.cut import small
from core.data import SUFFIXES

from .. import settings
from ..snapshot import Snapshot
from . import action, opened, translate


def _measurable(s: Snapshot) -> str:
    return opened(s) or s.runnable


def _working(s: Snapshot) -> str:
    return "" if s.busy else translate("actions", "Nothing is running.")


@action(QT_TRANSLATE_NOOP("actions", "Evaluate"), "F5", "Run", icon="play", bar=True, why=_measurable)
def evaluate(window: Any) -> None:
    """Compress and score the current plan on the held-out data now"""
    if why := window.session.staging.waits():
        window.session.notice.emit("info", why)
    window.session.evaluate()


@action(QT_TRANSLATE_NOOP("actions", "Choose data…"), "Ctrl+D", "Run", icon="data", why=opened)
def data(window: Any) -> None:
    """Held-out samples to score on: .txt, .jsonl or .csv for language models, .npz with images (and labels) or .wav for classifiers"""
    masks = translate("actions", "Text, images or recordings ({suffixes})").format(suffixes=" ".join(f"*{s}" for s in SUFFIXES))
    path, _ = QFileDialog.getOpenFileName(window, translate("actions", "Held-out data"), "", masks)
    if path:
        window.session.set_data(Path(path), window.session.snapshot.limit)


@action(QT_TRANSLATE_NOOP("actions", "Choose data folder…"), "Ctrl+Shift+D", "Run", icon="data", why=opened)
def data_folder(window: Any) -> None:
    """Held-out samples in a folder: .txt files, recordings (.wav), or pictures, in one subfolder per class or without labels"""
    if path := QFileDialog.getExistingDirectory(window, translate("actions", "Held-out data")):
        window.session.set_data(Path(path), window.session.snapshot.limit)


def _sensible(s: Snapshot) -> str:
    return opened(s) or s.runnable or ("" if s.data else translate("actions", "Choose held-out data first, under Run."))


@action(QT_TRANSLATE_NOOP("actions", "Sense the layers"), "F6", "Run", why=_sensible)
def sense(window: Any) -> None:
    """Measure what an error of each layer costs; then every setting shows its predicted price at once"""
    window.session.pricing.sense()
    window.tabs.setCurrentWidget(window.parts["sensitivity"])


def _accusable(s: Snapshot) -> str:
    return _sensible(s) or ("" if any(not x.idle for x in s.settings.values()) else translate("actions", "The plan changes nothing yet."))


@action(QT_TRANSLATE_NOOP("actions", "Which layer is guilty?"), "Shift+F6", "Run", why=_accusable)
def guilty(window: Any) -> None:
    """Find the layers that cost the plan most, by running it without some of them: about log2 n evaluations"""
    window.session.pricing.accuse()
    window.tabs.setCurrentWidget(window.parts["sensitivity"])


def _trainable(s: Snapshot) -> str:
    trains = s.whole.recover or s.whole.before
    return _sensible(s) or ("" if trains else translate("actions", "Choose a way to train first, under Recovery."))


@action(QT_TRANSLATE_NOOP("actions", "Train or pause"), "F7", "Run", why=_trainable)
def train(window: Any) -> None:
    """Train the plan in its way, pause a running training, or go on with a paused one"""
    window.session.training.press()
    window.tabs.setCurrentWidget(window.parts["recovery"])


@action(QT_TRANSLATE_NOOP("actions", "Add stage"), "", "Run", why=opened)
def stage(window: Any) -> None:
    """Another stage after the one that is edited: it begins with what that one leaves, trained or not"""
    if why := window.session.staging.closed():
        window.session.notice.emit("info", why)
    window.session.staging.add()


def _before(s: Snapshot) -> str:
    return "" if s.plan.before else translate("actions", "No stage comes before the one that is edited.")


def _after(s: Snapshot) -> str:
    return "" if s.plan is not s.whole else translate("actions", "No stage comes after the one that is edited.")


@action(QT_TRANSLATE_NOOP("actions", "Edit the stage before"), "Alt+PgUp", "Run", why=_before)
def before(window: Any) -> None:
    """What all panels show and edit is the stage before this one; the plan stays as it is"""
    window.session.staging.choose(window.session.staging.at - 1)


@action(QT_TRANSLATE_NOOP("actions", "Edit the stage after"), "Alt+PgDown", "Run", why=_after)
def after(window: Any) -> None:
    """What all panels show and edit is the stage after this one; the plan stays as it is"""
    window.session.staging.choose(window.session.staging.at + 1)


def _small(s: Snapshot) -> str:
    return _sensible(s) or ("" if s.checkpoint and small(s.checkpoint) else translate("actions", "This network's widths can't be cut."))


@action(QT_TRANSLATE_NOOP("actions", "Propose a fresh small student"), "", "Run", why=_small)
def student(window: Any) -> None:
    """About half of every width, its weights drawn anew, to be distilled from the original (or another teacher): adjust it under Cut"""
    session = window.session
    plan = session.snapshot.plan
    how = {"train": "all", "steps": 2000, "rate": 0.01}
    session.edit(
        translate("actions", "Fresh small student"), replace(plan, cuts=small(session.snapshot.checkpoint), recover="distil", recovery=how)
    )
    window.tabs.setCurrentWidget(window.parts["recovery"])


@action(QT_TRANSLATE_NOOP("actions", "Watch a federation…"), "", "Run")
def watch(window: Any) -> None:
    """Follow the rounds of a federation whose server runs anywhere (slim federated server), from the ledger beside its result"""
    masks = translate("actions", "Ledger of a federation ({suffixes})").format(suffixes="*.rounds.jsonl")
    path, _ = QFileDialog.getOpenFileName(window, translate("actions", "Watch a federation"), "", masks)
    if path:
        from ..watching import Watching  # its curves are pyqtgraph's, which waits for the first paint

        Watching(window.session, Path(path), window).show()


@action(QT_TRANSLATE_NOOP("actions", "Refine predictions in quiet time"), "", "Run", on=settings.refines)
def refines(window: Any) -> None:
    """When nothing else runs and on mains power, measure the plans that teach the prediction most; any edit stops it at once"""
    settings.set_refines(not settings.refines())


@action(QT_TRANSLATE_NOOP("actions", "Playground"), "F8", "Run", why=_measurable)
def playground(window: Any) -> None:
    """Ask the original and the variant the same thing: a prompt, a picture or two sentences of your own"""
    window.tabs.setCurrentWidget(window.parts["playground"])


@action(QT_TRANSLATE_NOOP("actions", "Worst samples"), "Shift+F8", "Run", why=_sensible)
def worst(window: Any) -> None:
    """List the held-out samples on which the original and the variant differ most"""
    window.session.playing.find()
    window.tabs.setCurrentWidget(window.parts["playground"])


SPACE: Any = QT_TRANSLATE_NOOP("actions", "Space")


def _comparable(s: Snapshot) -> str:
    return opened(s) or ("" if s.current >= 0 else translate("actions", "Measure the plan first: let the sliders rest."))


@action(QT_TRANSLATE_NOOP("actions", "Compare with the original"), "", "Run", why=_comparable, keys=SPACE)
def compare(window: Any) -> None:
    """Put the measured plan and the original side by side, layer by layer"""
    window.compare()


@action(QT_TRANSLATE_NOOP("actions", "Cancel"), "Esc", "Run", icon="stop", why=_working)
def cancel(window: Any) -> None:
    """Stop the running work; everything finished so far is kept"""
    window.engine.cancel_all()
