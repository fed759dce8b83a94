"""What the session does about training: it starts by hand, streams its curve, can be paused, and ends as a variant or is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from core.lessons import Leg, Lesson, Round, lesson
from core.plans import legs, resolve
from core.types import Plan, Variant

from .late import Late
from .snapshot import Feed, Snapshot, Training, bare, partial

if TYPE_CHECKING:
    from . import kept, trainwork
else:
    trainwork = Late("studio.trainwork")

DRAW = 66  # ms: steps that come in meanwhile are drawn together
REMEMBERED = 20  # trainings of other plans
ENOUGH = 2  # steps after the first, after which their pace is known


@dataclass(frozen=True)
class Costs:
    """What a training takes beside its time; modelled."""

    joules: float
    grams: float  # CO2e
    grid: str  # where, and what it emits


class Trainer(QObject):
    """Trains the whole plan on the worker; another plan or other data pause it, and what was paused goes on where it stopped."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session
        self.pace: dict[tuple[Any, ...], float] = {}  # measured seconds of one step, by what decides them
        self._runs: list[Training] = []
        self._new: list[Lesson] = []
        self._sent = 0
        self._first: tuple[float, int] | None = None  # when the first step of this run came in, and which it was
        self._draw = QTimer(self, interval=DRAW, singleShot=True)
        self._draw.timeout.connect(self._drawn)
        session.engine.changed.connect(self._heed)

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    def _set(self, training: Training | None) -> None:
        self.session._set(replace(self._shot, training=training))

    # --- what a training is of

    def basis(self, plan: Plan) -> kept.Basis:
        """The data a measurement of a plan hangs on; other training data are another thing only to a plan that learns."""
        s = self._shot
        return (s.data, s.limit, s.feed if _learns(plan, s) else s.feed.calibrating)

    def _of(self, plan: Plan) -> tuple[Any, ...]:
        return (self._shot.checkpoint, plan, self.basis(plan))

    def closed(self) -> str:
        """Why the plan can't be trained ("" = it can)."""
        s = self._shot
        if s.checkpoint is None:
            return self.tr("Open a model first")
        if s.runnable or s.data is None:
            return s.runnable or self.tr("Training needs data to score the result on; choose some under Run.")
        if s.whole.before is not None:
            return ""
        if not s.plan.recover:
            return self.tr("Choose a way to train first")
        return self.tr("Nothing is compressed yet, so there is nothing to recover") if self.session._idle() else ""

    def choose(self, feed: Feed) -> None:
        """Other training data; calibration and what was sensed stay as they are."""
        opened = self.session._opened
        if opened is not None and feed != self._shot.feed:
            opened.feed = feed
            self.session._set(replace(self._shot, feed=feed))
            self.session._take(self._shot.plan, self._shot.whole)

    def teach(self, path: Path) -> None:
        """Another teacher, once it was found to speak of the same words or classes; else it is said why not, and nothing changes."""
        if self.session._opened is not None:
            self.session.engine.run(
                "teacher", self.tr("Looking at the teacher"), trainwork.meet, self.session._opened, path,
                done=lambda _: self.choose(replace(self._shot.feed, teacher=path)), failed=self.session._fail,
            )  # fmt: skip

    def follow(self, plan: Plan) -> dict[str, Any]:
        """A plan is put in force: the training of another one pauses, an earlier one of its own is shown again."""
        now, of = self._shot.training, self._of(plan)
        if now is not None and now.live and now.of != of:
            self.pause()
        if (now := self._shot.training) is not None:
            self._runs = [*(t for t in self._runs if t.of != now.of), now][-REMEMBERED:]
        return {"training": next((t for t in self._runs if t.of == of), None)}

    def untrained(self) -> bool:
        """Where only the plan in force without its training was measured, show that; whether there is such a measurement."""
        plan = self._shot.plan
        at = self.session._known(bare(plan)) if plan.recover and self.session._known(plan) < 0 else -1
        if at >= 0:
            v = self._shot.variants[at]
            self.session._set(replace(self._shot, score=v.score, outcomes=v.outcomes))
        return at >= 0

    # --- running

    def press(self) -> None:
        """Train, pause, or go on: what the one button does."""
        self.pause() if self._shot.training and self._shot.training.live else self.start()

    def start(self) -> None:
        """Train the whole plan, or go on with what was paused."""
        if not self.closed() and not (self._shot.training and self._shot.training.live):
            now = self._shot.training
            self._set(replace(now, state="waiting") if now and now.state == "paused" else self._fresh())
            self._run()

    def _fresh(self) -> Training:
        return Training(self._of(self._shot.whole), legs=len(tuple(legs(self._shot.whole))))

    def look(self) -> bool:
        """Where all but the training was measured, take its result from the layer store; none is begun. Whether that is so."""
        s, measured = self._shot, self.untrained()
        if not measured:
            return False
        self.session.engine.run(
            "preview", self.tr("Measuring the plan"), trainwork.train, self.session._opened, s.plan, s.target, s.task, s.data, s.limit,
            False, (), done=self.found, failed=self.session._fail,
        )  # fmt: skip
        return True

    def pause(self) -> None:
        """Stop and keep the state."""
        now = self._stopped()
        if now is not None:
            self._set(replace(now, state="paused") if now.step else None)

    def cancel(self) -> None:
        """Stop and forget: the next training begins anew."""
        now = self._stopped()
        if now is None:
            return
        self._runs = [t for t in self._runs if t.of != now.of]
        if now.at:
            self.session.engine.run("forget", self.tr("Forgetting the training"), trainwork.forget, self.session._opened, now.at)
        self._set(None)

    def aside(self) -> Callable[[], None]:
        """Something short comes first: the training stops, and what is returned lets it go on behind."""
        now = self._shot.training
        if now is None or not now.live:
            return lambda: None
        self.pause()
        return self.start

    def _run(self) -> None:
        s, self._first = self._shot, None
        title = self.tr("Running the stages") if s.whole.before else self.tr("Training the plan")
        known = tuple(v.plan for v in s.variants if self.session._known(v.plan) >= 0)
        self.session.pricing.anew()
        self.session.engine.run(
            "train", title, trainwork.train, self.session._opened, s.whole, s.target, s.task, s.data, s.limit,
            True, known, done=self._done, point=self.heard, failed=self._failed,
        )  # fmt: skip

    def _stopped(self) -> Training | None:
        self.session.engine.cancel("train")
        self._drawn()
        return self._shot.training

    def _heed(self) -> None:
        """Who stops it elsewhere (Escape, the list of jobs) has paused it."""
        now = self._shot.training
        if now is not None and now.live and not self.session.engine.busy("train"):
            self.pause()

    # --- hearing

    def heard(self, point: Any) -> None:
        """A point of a running training, or what is said of an earlier one."""
        from core.recover.fit import Course, Learned  # brings the whole engine: not before the first paint

        now = self._shot.training or self._fresh()
        if isinstance(point, Round):
            self._sent, point = sum(point.sent.values()), lesson(point)
        if isinstance(point, Lesson):
            self._new.append(point)
            self._timed(point.step)
            if not self._draw.isActive():
                self._draw.start()
        elif isinstance(point, Course):
            known = tuple(x for x in now.lessons if x.step <= point.step)
            self._set(replace(now, state="running", at=point.at, begun=point.step, before=point.before, lessons=known))
        elif isinstance(point, Leg):
            self._drawn()
            self._entered(self._shot.training or now, point)
        elif isinstance(point, Variant):
            self.session._keep(point)
        elif isinstance(point, Learned) and now.leg < now.legs:
            self._drawn()
            self._passed(point)
        elif isinstance(point, Learned):
            self._drawn()
            now = self._shot.training or now
            self._set(replace(now, before=point.before, after=point.after, early=bool(point.stopped), state=_ended(now, point)))
        elif self._shot.training is not None and now.leg == self.session.staging.at + 1:  # figures of another stage than the one shown
            self.session._set(partial(self._shot, point))

    def _entered(self, now: Training, leg: Leg) -> None:
        """Another stage has begun: its curve is a new one."""
        self._first = None
        now = now if leg.n == now.leg else Training(now.of)
        self._set(replace(now, state="running", leg=leg.n, legs=leg.of, name=leg.name))

    def _passed(self, learned: Any) -> None:
        """An earlier stage was trained; where that was no better, the next one begins with what compression left."""
        if not learned.after < learned.before:
            text = self.tr("The training of a stage was refused, as it was no better; the next stage begins with the stage untrained.")
            self.session.notice.emit("warning", text)

    def _drawn(self) -> None:
        """The steps that came in since the last drawing."""
        self._draw.stop()
        now, new, self._new = self._shot.training, tuple(self._new), []
        if new and now is not None:
            self._set(replace(now, lessons=now.lessons + new, sent=self._sent))

    def _timed(self, step: int) -> None:
        now = self._shot.training
        if self._first is None:
            self._first = (time.monotonic(), step)
        elif step - self._first[1] >= ENOUGH:
            plan = tuple(legs(self._shot.whole))[now.leg - 1 if now else -1]
            self.pace[self._kind(plan)] = (time.monotonic() - self._first[0]) / (step - self._first[1])

    def _done(self, variant: Variant | None) -> None:
        now = self._shot.training
        if now is None:
            return
        refused = variant is None or now.state == "refused"
        self._set(replace(now, state="refused" if refused else "kept"))
        if refused:
            text = self.tr("The training was refused: what it made is no better on data it did not see. The plan's model stays as it was.")
            self.session.notice.emit("warning", text)
        if variant is not None:
            self.session._keep(variant)

    def found(self, variant: Variant | None) -> None:
        """What was looked for in the store, or measured at rest; None: it waits for a training."""
        if variant is not None:
            self.session._keep(variant)

    def _failed(self, text: str) -> None:
        if (now := self._shot.training) is not None:
            self._set(replace(now, state="failed"))
        self.session._fail(text)

    # --- foretelling

    def costs(self, seconds: float) -> Costs:
        """What so many seconds of this machine take, modelled, and its emissions at the chosen grid."""
        from core.carbon import chosen, grams
        from core.energy.devices import HERE
        from core.ledger import Took, spent
        from core.types import Energy

        of, place = spent(Took(seconds)), chosen()
        energy = Energy(of.joules, of.low, of.high, {}, "", of.how, of.level, device=HERE)
        return Costs(of.joules, grams(energy, place, 1.0).value, place.told)

    def _kind(self, plan: Plan) -> tuple[Any, ...]:
        """What the seconds of a step depend on."""
        of = self._shot.checkpoint
        return (of.path if of else None, plan.recover, *(plan.recovery.get(k) for k in ("train", "batch", "share", "vary", "mirror")))

    def expected(self) -> tuple[float, bool] | None:
        """Seconds all trainings of the plan still take, and whether a step of their kinds was measured (else modelled by counted
        passes)."""
        s, now = self._shot, self._shot.training
        found: list[tuple[float, bool] | None] = []
        for n, plan in enumerate(legs(s.whole), 1):
            on = now is not None and now.state in ("running", "paused") and now.legs > 1
            if plan.recover and not (on and now is not None and n < now.leg) and (plan is s.whole or self.session._known(plan) < 0):
                done = now.step if now and now.state in ("running", "paused") and n == now.leg else 0
                found.append(self._seconds(plan, done))
        known = [x for x in found if x is not None]
        return (sum(x for x, _ in known), all(how for _, how in known)) if len(known) == len(found) else None

    def _seconds(self, plan: Plan, done: int) -> tuple[float, bool] | None:
        """Of one training."""
        from core.preflight import known_speed
        from core.recover import costs
        from core.recover.train import method

        s, how = self._shot, method(plan)
        left = length(how) - done
        if (pace := self.pace.get(self._kind(plan))) is not None:
            return left * pace, True
        score = s.original.score if s.original else None
        if score is None or not score.complete or not score.n or s.task is None or s.checkpoint is None:
            return None
        rows = costs.rows_of(s.task)
        forward = score.seconds / score.n * rows
        pieces = (s.feed.lessons or s.feed.tokens or costs.usual(s.task)) / rows
        step = costs.passes(s.checkpoint, s.layers, plan)
        if hasattr(how, "rounds"):
            return forward * costs.rounds(how, left, pieces, step), False
        handled = costs.HANDLED[how.train] * sum(x.tensor.parameters for x in s.layers if x.prunable) / known_speed()
        return costs.seconds(how, left, pieces, forward, handled, step, s.task, costs.room(s.checkpoint, s.task)), False


def length(how: Any) -> int:
    """Steps of a training, or rounds of a federation."""
    return int(how.rounds if hasattr(how, "rounds") else how.steps)


def _ended(now: Training, learned: Any) -> Any:
    """A result that is better is not a variant before it is scored."""
    return now.state if learned.after < learned.before else "refused"


def _learns(plan: Plan, s: Snapshot) -> bool:
    """Whether the plan's weights hang on the training data: it trains, or is tuned."""
    from core.recover.tune import LOW_BITS, MUCH

    if plan.recover or plan.before is not None or plan.tune is not None:
        return bool(plan.recover) or plan.before is not None or bool(plan.tune)
    return any(x.bits <= LOW_BITS or x.amount >= MUCH for x in resolve(plan, s.layers).values() if not x.idle)
