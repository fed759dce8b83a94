"""From a goal to a plan, and from a bad plan to its guilty layers: both by really running the network, headless."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from . import compress
from .cut import fitting
from .errors import BadPlan
from .guilty import Guilt, guilty, loss
from .job import Job
from .plans import MODEL, edit, resolve
from .predict import Predictor
from .recipe import Recipe
from .search import Table, best, budget, table
from .search.refine import refine
from .search.table import mixable, rounding
from .sensed import Estimate, Front, Sensitivity
from .stage import Stage, calibration, data_of, staged, weights
from .store import Store
from .types import Calibration, Plan, Score, Setting
from .use import use

CURRENCY = {"kl": "KL", "1-cosine": "1 - cosine"}


@dataclass(frozen=True)
class Aimed:
    """What a goal came to."""

    recipe: Recipe  # with the plan that meets the goal, and without the goal
    table: Table  # the options of every layer: the whole front
    front: Front | None  # None: there was no goal
    original: Score | None  # None: the network can't run


def aim(recipe: Recipe, job: Job, store: Store | None = None) -> Aimed:
    """Sense the layers and search for the recipe's goal, without carrying it out; without a goal only the table of options."""
    return aimed(staged(recipe, job, store), job)


def aimed(s: Stage, job: Job) -> Aimed:
    """The layers sensed, and the plan that meets the goal; what was sensed stays in the layer store. OutOfReach where none meets it."""
    from . import evaluate

    recipe, plan = s.recipe, _even(fitting(s.recipe.plan, s.layers), s.target, job)
    seen, own = _seen(s, plan, job), s.own(job)
    found = sensed(s, plan, seen, own, job)
    alike, scene = recipe.goal.alike if recipe.goal else False, use(recipe.energy).scene
    t = table(s.slim, s.layers, plan, s.target, Predictor.of(found), s.net.task if s.net else "other", alike=alike, scene=scene)
    original = evaluate.judge(s.reference, None, job) if s.reference else None
    if recipe.goal is None:
        return Aimed(recipe, t, None, original)
    goal = recipe.goal
    if goal.size != "":
        goal = replace(goal, size=budget(goal.size, s.opened))
    front = best(t, goal, original)
    if goal.refine:
        front = _refined(s, t, front, seen, own, job)
    job.point(front)
    job.note(f"Searched for {recipe.goal.told}: {front.size.total:,} bytes, foretold {foretold(front.estimate, found)}")
    return Aimed(replace(recipe, plan=front.plan, goal=None), t, front, original)


def _even(plan: Plan, target: Any, job: Job) -> Plan:
    """The plan on symmetric grids where the format can't mix others: its options are then sensed as they will be stored."""
    m = plan.model
    head = f"{m.quantize}."
    knobs = {k.removeprefix(head): v for k, v in m.knobs.items() if k.startswith(head)}
    asked = Setting(quantize=m.quantize or "", bits=4, quantize_knobs=knobs)
    wanted = mixable(target, asked)
    if wanted is None or wanted is asked:
        return plan
    job.note(f"Planned on symmetric grids: {type(target).title} holds layers of different bits only so")
    return edit(plan, MODEL, knobs={f"{asked.quantize}.symmetric": True})


def sensed(s: Stage, plan: Plan, seen: Calibration | None, own: Any, job: Job) -> Sensitivity:
    """The sensitivity pass over what the plan may change; a note where prices had to be guessed."""
    from .sensitivity import sense

    settings = resolve(rounding(plan), s.layers).values()
    methods = {x.quantize for x in settings} | {x.prune for x in settings}  # the plan's own: no other is searched among
    groups = s.recipe.goal.groups if s.recipe.goal else ()
    found = sense(s.net, s.slim, s.layers, plan, seen, own, job, s.store, methods - {""}, groups=groups)
    if not found.done:
        job.note("What an error of each layer costs could not be measured here and was guessed from its kind and place")
    return found


def foretold(e: Estimate, found: Sensitivity) -> str:
    return f"{CURRENCY[found.currency]} {e.value:.3g} ({e.low:.3g} to {e.high:.3g}, 90 %)"


def verified(front: Front, t: Table, score: Score | None) -> str:
    """What was foretold beside what was measured."""
    told = f"Foretold {foretold(front.estimate, t.predictor.sensitivity)}"
    if score is None:
        return f"{told}; not measured, as the network can't run"
    m = loss(score)
    return f"{told}; measured {m.value:.3g} ± {m.error:.2g}"


def accuse(recipe: Recipe, job: Job, store: Store | None = None) -> Guilt:
    """Which layers of the recipe's plan cost most, found by running it with parts of it restored; BadPlan where it can't run."""
    from . import evaluate

    s = staged(recipe, job, store)
    own = s.own(job)
    if own is None:
        raise BadPlan("Guilty layers are found by running the network on data; open a folder with config.json and give data to score on")
    plan = fitting(recipe.plan, s.layers)
    done = compress.compress(s.slim, s.layers, plan, calibration(recipe, s.net, s.layers, s.slim, job), s.store, job)
    slim = weights(done, own)

    def score(tried: Plan) -> Score:
        settings = resolve(tried, s.layers)
        kept = {x.tensor.name: own.weights[x.tensor.name] for x in s.layers if settings[x.name].idle}
        return evaluate.judge(own, {**slim, **kept}, job)

    return guilty(s.layers, plan, score, job, suspicion={n: o.error for n, o in done.outcomes.items()})


def _seen(s: Stage, plan: Plan, job: Job) -> Calibration | None:
    """Second moments of all layers the pass speaks of; nothing is computed before one is asked for."""
    from .calibrate import kept, observe
    from .sensitivity import sensible

    if s.net is None:
        return None
    order: Any = s.recipe.order
    needs = {"inputs"} | compress.needs(rounding(plan), s.layers)
    return observe(s.net, s.slim, data_of(s.recipe, s.net, s.slim, job), sensible(s.layers, plan), needs, job, order, kept.default())


def _refined(s: Stage, t: Table, front: Front, seen: Calibration | None, own: Any, job: Job) -> Front:
    """The plan after local search on the held part of the calibration data: never on what it will be scored on."""
    from . import evaluate
    from .sensitivity.shares import Share, shares

    if own is None or s.net is None or s.recipe.goal is None:
        job.note("The plan was not refined, as the network does not run here")
        return front
    judge = evaluate.Reference(s.net, own.weights, data_of(s.recipe, s.net, s.slim, job).held)

    def slim(plan: Plan) -> dict[str, Any]:
        return weights(compress.compress(s.slim, s.layers, plan, seen, s.store, job), own)

    def losses(plan: Plan) -> list[float]:
        return evaluate.losses(judge, slim(plan), job)

    def dealt(plan: Plan) -> dict[str, Share]:
        return shares(judge, slim(plan), s.layers, job)

    found = refine(t, front, losses, job, s.recipe.goal.refine, shares=dealt)
    job.note(
        f"Refined by {len(found.evaluations)} real evaluations: {found.accepted} changes kept, "
        f"{found.before.value:.3g} -> {found.loss.value:.3g} on calibration data (difference {found.won.value:.2g} ± {found.won.error:.2g})"
    )
    return found.front
