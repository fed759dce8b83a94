"""What the session knows of prices before they are paid: sensitivity, prediction, the front, and what quiet time measures for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from core.plans import another, resolve
from core.sensed import Estimate, Evaluation, Front
from core.types import CLASSIFIERS, Measured, Plan, Score, Setting, Variant

from .late import Late
from .scene import scene
from .snapshot import Fronts, Snapshot, bare

if TYPE_CHECKING:
    from core.guilty import Guilt
    from core.predict import Predictor
    from core.search import Goal, Table

    from . import pricework, work
else:
    pricework, work = Late("studio.pricework"), Late("studio.work")

SOON = 150  # ms after a change of methods or format until the front is drawn anew
QUIET = 4000  # ms without work or edits until quiet time is used
APART = 0.02  # relative sizes nearer than this teach the same
WIDE = 1.3  # high / low of an interval that is worth an evaluation
MOST = 12  # evaluations quiet time is used for under the same methods, data and format


class Pricing(QObject):
    """Predicts at every tick; senses, learns and searches on the worker."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session = session
        self.predictor: Predictor | None = None
        self.table: Table | None = None
        self.accused: Plan | None = None  # whose layers were found guilty
        self.lessons: list[tuple[Plan, Evaluation]] = []  # every plan that was really run on this data
        self.aims: tuple[Front, ...] = ()  # what the user looks for, a budget's optimum or the sweet spot: measured first in quiet time
        self.quiet: Callable[[], bool] = lambda: False  # whether quiet time may be used now; the application knows about switch and battery
        self._base: Plan | None = None  # what the front in force was searched for
        self._taken: Front | None = None  # the point of the front that was put in force last
        self._whole: Score | None = None  # the first complete score of the running measurement: before any tuning
        self._methods: tuple[Any, ...] = ()
        self._spent, self._refining = 0, False
        self._searched: Plan | None = None  # near which quiet time has looked for a better one
        self._answered = False  # whether what every option does to the answers is known, or not wanted
        self._soon = QTimer(self, interval=SOON, singleShot=True)
        self._soon.timeout.connect(self.draw)
        self._rest = QTimer(self, interval=QUIET, singleShot=True)
        self._rest.timeout.connect(self.refine)
        session.engine.changed.connect(self._ended)

    @property
    def _shot(self) -> Snapshot:
        return self.session.snapshot

    def _set(self, **changes: Any) -> None:
        self.session._set(replace(self._shot, **changes))

    def forget(self) -> None:
        """Another model or other data: nothing is known of it."""
        for key in ("sensitivity", "front", "refine", "guilty", "solve"):
            self.session.engine.cancel(key)
        self._soon.stop()
        self._rest.stop()
        self.predictor, self.lessons, self.aims, self._methods, self._spent = None, [], (), (), 0
        self._answered, self._refining = False, False
        self._taken, self._whole, self._base, self.table, self.accused = None, None, None, None, None
        self._searched = None
        self._set(sensitivity=None, estimate=None, record=None, fronts=None, refined=(), guilt=None, pins=frozenset())

    # --- predicting

    def priced(self, plan: Plan, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """What a plan makes of the snapshot at once: its estimate; of another network, such as what a stage was trained to, nothing was
        sensed."""
        foreign = self.predictor is None or another(plan) or all(s.idle for s in settings.values())
        return {"estimate": None if foreign or self.predictor is None else self.predictor.estimate(settings)}

    def tuned(self, s: Snapshot) -> bool:
        """Whether the plan in force will be tuned when it is measured: what is predicted is its price before that."""
        from core.recover.tune import LOW_BITS, MUCH, too_large

        busy = [x for x in s.settings.values() if not x.idle]
        if s.plan.tune is not None:
            return s.plan.tune and bool(busy)
        return any(x.bits <= LOW_BITS or x.amount >= MUCH for x in busy) and not too_large(s.layers)

    def edited(self) -> None:
        """The plan has changed: quiet time is over, and other methods have another front."""
        self._hush()
        self._rest.start()
        if self.predictor is not None and self._asked() != self._methods:
            self._soon.start()

    def human(self, estimate: Estimate, metric: str) -> tuple[float, float, float]:
        """(value, low, high) of a prediction in a metric of the original's score."""
        from core.human import human

        s = self._shot
        if s.original is None or s.original.score is None:
            return estimate.value, estimate.low, estimate.high
        scores = [v.score.metrics for v in s.variants if v.score and metric in v.score.metrics]
        past = [(m["kl"].value, m[metric].value) for m in scores if "kl" in m]
        return human(estimate, s.original.score, metric, past)

    @property
    def base(self) -> Plan:
        """Whose methods the front is searched with: the plan in force; where that came from a front, what it was searched for. The front
        stays that of the opened model, whatever stages come before the plan."""
        plan = self._shot.plan
        return self._base if self._base and self._taken is not None and self._taken.plan == plan else replace(plan, before=None)

    def _asked(self) -> tuple[Any, ...]:
        """What a front depends on beside the predictor; how many bits the plan has now is not part of it."""
        s, plan = self._shot, self.base
        said = [{k: replace(c, bits=None) for k, c in x.items()} for x in ({"": plan.model}, plan.groups, plan.layers)]
        return *({k: c for k, c in x.items() if c} for x in said), plan.rotate, dict(plan.cuts), s.target, s.pins, scene()

    # --- sensing

    def sense(self) -> None:
        """Measure what an error of each layer costs; what is finished is kept, so stopping loses nothing."""
        s = self._shot
        if s.checkpoint is None or s.runnable or s.data is None:
            return
        self.session.engine.run(
            "sensitivity", self.tr("Sensing the layers"), pricework.sense, self.session._opened, self._ask(), s.data, s.limit, False,
            point=self._priced, done=self._sensed, failed=self.session._fail,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop sensing; what was sensed stays in use."""
        self.session.engine.cancel("sensitivity")
        self._soon.start()

    @property
    def sensing(self) -> bool:
        """Whether the pass runs or waits."""
        return bool(self.session.engine.busy("sensitivity"))

    def aside(self) -> Callable[[], None]:
        """A measurement of the plan comes first: the pass stops, and what is returned lets it go on behind."""
        self._whole = None
        self._hush()
        if not self.sensing:
            return lambda: None
        self.stop()
        return self.sense

    def _sensed(self, found: pricework.Priced) -> None:
        self._answered = False
        self._priced(found)
        if self._asked() != self._methods:
            self.draw()

    def _ask(self) -> pricework.Asked:
        s = self._shot
        self._base, asked = self.base, self._asked()
        if asked != self._methods:
            self._methods, self._spent = asked, 0
        return pricework.Asked(self._base, s.target, s.task or "other", s.pins, self.lessons)

    def _priced(self, found: pricework.Priced) -> None:
        self.predictor, self.table = found.predictor, found.table
        told = self.priced(self._shot.plan, self._shot.settings)
        self._set(sensitivity=found.sensitivity, fronts=found.fronts, record=found.predictor.record, **told)

    # --- learning

    def heard(self, point: Any) -> None:
        """A point of the running measurement: its first complete score is the plan's before any tuning."""
        if isinstance(point, Score) and point.complete and self._whole is None:
            self._whole = point

    def anew(self) -> None:
        """Another measurement begins."""
        self._whole = None

    def learn(self, variant: Variant) -> None:
        """A plan that was really run teaches the predictor, on the worker."""
        score, self._whole = self._whole or (None if variant.plan.recover else variant.score), None
        if score is not None:
            self._learn(variant.plan, score)

    def _learn(self, plan: Plan, score: Score) -> None:
        settings = resolve(plan, self._shot.layers)
        cost, told = currency(score), self.priced(plan, settings)["estimate"]
        same = another(plan) or any(e.settings == settings for _, e in self.lessons)
        if cost is None or same or all(s.idle for s in settings.values()):
            return
        self.lessons.append((plan, Evaluation(settings, cost.value, cost.error, (told.low, told.high) if told else None)))
        self.draw()

    def resume(self, lessons: Iterable[tuple[Plan, Measured, tuple[float, float] | None]], sensed: bool) -> None:
        """What was learned before; the pass itself comes out of the layer store again."""
        layers = self._shot.layers
        self.lessons = [(p, Evaluation(resolve(p, layers), m.value, m.error, foretold)) for p, m, foretold in lessons]
        if sensed:
            self.sense()

    def draw(self) -> None:
        """Learn from what was measured and draw the front anew, on the worker; a running pass does so by itself."""
        s = self._shot
        if s.sensitivity is None or s.checkpoint is None or self.sensing:
            return
        self.session.engine.run(
            "front", self.tr("Predicting the front"), pricework.price, self.session._opened, s.sensitivity, self._ask(),
            done=self._priced, failed=self.session._fail,
        )  # fmt: skip

    # --- choosing

    def take(self, front: Front, gesture: int | None = None) -> None:
        """Put a point of the front in force; the steps of one drag are one undo step."""
        s = self._shot.plan
        plan = replace(front.plan, seed=s.seed, tune=s.tune, tuning=s.tuning, recover=s.recover, recovery=s.recovery)
        plan = replace(plan, before=s.before, name=s.name)
        self._taken = replace(front, plan=plan)
        self.session.edit(self.tr("Front: {n} MB").format(n=f"{front.size.total / 1e6:.3g}"), plan, gesture)

    def reasons(self) -> Mapping[str, str]:
        """Why the point of the front that is in force holds each layer as it does; {} where the plan is another one."""
        return self._taken.reasons if self._taken is not None and self._taken.plan == self._shot.plan else {}

    def slide(self, nbytes: float, gesture: int | None = None) -> None:
        """The point of the front just under so many bytes."""
        if self.table is not None and self._shot.fronts and self._shot.fronts.points:
            from core.search import near

            self.take(near(self.table, nbytes), gesture)

    def solve(self, goal: Goal) -> None:
        """The plan that meets a goal, exactly solved on the worker: one undo step."""
        score = self._shot.original.score if self._shot.original else None
        if self.table is not None:
            self.session.engine.run(
                "solve", self.tr("Solving for the goal"), pricework.solve, self.table, goal, score,
                done=self.take, failed=self.session._fail,
            )

    def pin(self, names: Iterable[str], held: bool) -> None:
        """Hold layers as they are in every search, or let them go."""
        pins = self._shot.pins | set(names) if held else self._shot.pins - set(names)
        if pins != self._shot.pins:
            self._set(pins=frozenset(pins))
            self._soon.start()

    # --- quiet time

    def _ended(self) -> None:
        """The engine has changed: quiet begins when it has nothing to do."""
        self._heed()
        if self.session.engine.busy():
            self._rest.stop()
        elif self._shot.fronts is not None and not self._rest.isActive():
            self._rest.start()

    def _heed(self) -> None:
        """Who stops quiet work by hand wants none of it."""
        if self._refining and not self.session.engine.busy("refine"):
            self._refining, self._spent, self._answered, self._searched = False, MOST, True, self._shot.plan

    def refine(self) -> None:
        """Measure the plan that teaches most, if nothing else is to be done and quiet time may be used."""
        self._heed()
        s = self._shot
        if self.session.engine.busy() or s.runnable or s.data is None or not self.quiet():
            return
        if self._spent >= MOST or (pick := self.most_telling()) is None:
            if not self._search():
                self._answer()
            return
        self._spent, self._refining = self._spent + 1, True
        plan, basis = replace(bare(pick.plan), tune=False), (s.data, s.limit, s.feed)

        def done(variant: Variant) -> None:
            self._refining = False
            if basis == (self._shot.data, self._shot.limit, self._shot.feed):
                self._set(refined=(*self._shot.refined, replace(variant, plan=pick.plan)))
                self._whole = None  # of a measurement that was stopped
                self.learn(variant)

        self.session.engine.run(
            "refine", self.tr("Quietly measuring a plan of the front"), work.preview, self.session._opened, plan, s.target, s.task,
            s.data, s.limit, done=done, failed=lambda why: None,
        )  # fmt: skip

    def _search(self) -> bool:
        """Whether a local search has begun: for plans as small as the one in force that lose less, where that came from the front."""
        s, taken, table = self._shot, self._taken, self.table
        if taken is None or table is None or taken.plan != s.plan or s.plan == self._searched or another(s.plan):
            return False

        def done(better: pricework.Better) -> None:
            self._refining, self._searched, found = False, taken.plan, better.found
            if better.variant is not None:
                self._set(refined=(*self._shot.refined, replace(better.variant, plan=found.front.plan)))
                self._whole = None
                self.learn(better.variant)
                told = self.tr("Quiet time found a plan of the same size that loses {less} less on calibration data: a dot in the front")
                self.session.notice.emit("info", told.format(less=f"{-found.won.value / found.before.value:.1%}"))

        def failed(why: object) -> None:
            self._refining, self._searched = False, taken.plan

        self._refining = True
        self.session.engine.run(
            "refine", self.tr("Quietly looking for a better plan of the same size"), pricework.search, self.session._opened, table, taken,
            self._ask(), s.data, s.limit, done=done, failed=failed,
        )  # fmt: skip
        return True

    def _answer(self) -> None:
        """When no plan teaches more: what every option does to a classifier's answers, where the network is small enough for it. An edit
        stops it; what is finished is kept."""
        s = self._shot
        if self._answered or s.sensitivity is None or s.task not in CLASSIFIERS:
            return

        def done(found: pricework.Priced) -> None:
            self._refining, self._answered = False, True
            self._priced(found)

        self._refining = True
        self.session.engine.run(
            "refine", self.tr("Quietly running every option of every layer"), pricework.sense, self.session._opened, self._ask(), s.data,
            s.limit, True, done=done, failed=lambda why: self._heed(),
        )  # fmt: skip

    def most_telling(self) -> Front | None:
        """What the user aims at, then the widest interval near the front; None where nothing would teach anything new."""
        s = self._shot
        known = [v.size.total for v in (*s.variants, *s.refined)]
        apart = [f for f in (*self.aims, *_widest(s.fronts)) if all(abs(f.size.total / n - 1) > APART for n in known)]
        return next(iter(apart), None)

    def known(self, plan: Plan) -> Variant | None:
        """This very plan, when quiet time has measured it; what would be tuned was measured without, and is another model."""
        found = next((v for v in self._shot.refined if v.plan == plan), None)
        if found is None:
            return None
        from core.recover.tune import wanted

        return None if plan.recover or wanted(plan, self._shot.layers) else found

    def _hush(self) -> None:
        """What quiet time does stops at once."""
        self._refining = False
        self.session.engine.cancel("refine")

    # --- who is guilty

    def accuse(self) -> None:
        """Find the layers that cost the plan in force most, by really running it without some of them."""
        s = self._shot
        if s.checkpoint is None or s.runnable or s.data is None:
            return
        self.session.engine.run(
            "guilty", self.tr("Looking for the guilty layers"), pricework.accuse, self.session._opened, s.plan, s.target, s.task or "other",
            s.data, s.limit, self.predictor.contributions(s.settings) if self.predictor else {},
            point=lambda told: self._learn(*told), done=lambda guilt: self._found(s.plan, guilt), failed=self.session._fail,
        )  # fmt: skip

    def _found(self, plan: Plan, guilt: Guilt) -> None:
        self.accused = plan
        self._set(guilt=guilt)
        self.session.notice.emit("info" if guilt.suspects else "warning", guilt.told)

    def relieve(self) -> None:
        """Give the guilty layers more bits and prune them half as much: one undo step."""
        if (guilt := self._shot.guilt) is not None and self.accused == self._shot.plan:
            self.session.edit(self.tr("More bits for the guilty"), guilt.plan)


def _widest(fronts: Fronts | None) -> list[Front]:
    """The points of the front whose intervals are wide, the widest first."""
    found = [(f.estimate.high / max(f.estimate.low, 1e-9), f) for f in (fronts.points if fronts else ()) if f.estimate.value > 0]
    return [f for wide, f in sorted(found, key=lambda x: -x[0]) if wide > WIDE]


def currency(score: Score) -> Measured | None:
    """What a sensitivity is counted in: KL, or for an encoder 1 - cosine."""
    if (kl := score.metrics.get("kl")) is not None:
        return kl
    near = score.metrics.get("cosine")
    return Measured(1 - near.value, near.error) if near else None
