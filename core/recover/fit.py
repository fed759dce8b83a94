"""The training loop: warm-up and cosine, clipping, the best state kept, bad gradients survived, an interrupted run taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..data import Batches
from ..errors import Cancelled
from ..evaluate import Reference, answer, heard
from ..job import Job
from ..lessons import Lesson
from ..networks import Network
from ..store import Store
from .answers import Answers, Top
from .gradual import EVERY, GROWN
from .hidden import Hidden
from .losses import mixed
from .norms import batchwise, restated
from .precision import running
from .student import Student
from .tune import HELD, shuffled
from .views import drawn, varied, wanted

if TYPE_CHECKING:
    from torch import Tensor

CHECKS = 8  # times the pieces kept apart are looked at during a run
TOGETHER = 8  # pieces of images in one pass
SMALL, MANY = 1 << 20, 32  # as many, as long as their pixels are no more than that: a pass of a few small ones is all overhead
RECOUNTED = 128  # pieces batch norms are counted over before a check
SAVED = 30.0  # seconds between two states on disk: a crash loses no more than that


@dataclass(frozen=True)
class Lessons:
    """What is trained on: the pieces, the teacher's answers to them (None where none are asked for), and what runs the student."""

    network: Network
    pieces: Batches
    teacher: Reference | None
    hidden: Hidden | None = None

    @property
    def held(self) -> list[int]:
        """Every eighth piece is never trained on; all of them where only clients with data of their own train."""
        return list(range(0, len(self.pieces.items), 1 if self.pieces.crowd else HELD))

    @property
    def trained(self) -> list[int]:
        return sorted({*range(len(self.pieces.items))} - {*self.held})

    def of(self, chosen: list[int]) -> Batches:
        """Some of the pieces."""
        return replace(self.pieces, items=tuple(self.pieces.items[i] for i in chosen))

    def taught(self, pieces: Batches) -> Reference | None:
        """The teacher of other pieces."""
        if isinstance(self.teacher, Answers):
            return self.teacher.like(pieces)
        return Reference(self.teacher.network, self.teacher.weights, pieces) if self.teacher is not None else None

    def checked(self, student: Student, how: Any, job: Job, weights: Mapping[str, Tensor] | None = None) -> float:
        """The loss on the pieces kept apart, as the model would be stored now (or with these weights); infinite where it is no number.
        Hidden states are a way to better answers, so answers alone count."""
        import torch

        with torch.no_grad(), heard(self.network, job):
            weights = dict(weights) if weights is not None else student.weights()
            answers = replace(self, hidden=None)
            found = [len(part) * float(answers.loss(weights, part, how, job)[0]) for part in self.together(self.held)]
        mean = sum(found) / len(self.held)
        return mean if math.isfinite(mean) else math.inf

    def together(self, chosen: list[int]) -> list[list[int]]:
        """Which of these pieces run in one pass: images of one shape, a few pieces at a time; texts each alone."""
        if self.pieces.kind != "images":
            return [[i] for i in chosen]
        runs: list[list[int]] = []
        for i in chosen:
            if runs and len(runs[-1]) < self._most(i) and self._shape(i) == self._shape(runs[-1][0]):
                runs[-1].append(i)
            else:
                runs.append([i])
        return runs

    def _most(self, i: int) -> int:
        size = sum(t.numel() for t in self.pieces.items[i].values())
        return min(MANY, max(TOGETHER, SMALL // size))

    def joined(self, chosen: list[int]) -> dict[str, Tensor]:
        """Pieces that run in one pass."""
        import torch

        items = [self.pieces.items[i] for i in chosen]
        return items[0] if len(items) == 1 else {k: torch.cat([x[k] for x in items]) for k in items[0]}

    def _shape(self, i: int) -> list[tuple[int, ...]]:
        return [tuple(t.shape[1:]) for t in self.pieces.items[i].values()]

    def loss(
        self, weights: dict[str, Tensor], which: int | list[int], how: Any, job: Job, seen_as: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """The mean over the rows of one piece, or of some that run together, and its terms; `seen_as` what training has made of them, which
        the teacher then answers, too."""
        chosen, task = [which] if isinstance(which, int) else which, self.network.task
        item = self.joined(chosen) if seen_as is None else seen_as
        watching: Any = self.hidden.watching() if self.hidden is not None else nullcontext({})
        with watching as seen, self._normed(how), running(getattr(how, "precision", "float32")):
            out = self.network.forward(weights, dict(item)).float()
        rows = out[0, :-1] if task == "causal-lm" else out
        if self.hidden is None:
            target = self._targets(chosen, job) if seen_as is None else self._answered(seen_as, job)
            return mixed(task, target, rows, item, how.share, how.temperature)
        told, states = self.hidden.taught(item, job)  # one pass of the teacher gives both
        kept = seen_as is None and bool(getattr(self.teacher, "top", 0))
        total, terms = mixed(task, self._targets(chosen, job) if kept else told, rows, item, how.share, how.temperature)
        apart = self.hidden.loss(seen, item, states)
        return total + how.hidden * apart, terms | {"hidden": float(apart.detach())}

    def _targets(self, chosen: list[int], job: Job) -> Tensor | Top | None:
        """The teacher's answers to pieces that run together."""
        import torch

        found = [self._target(i, job) for i in chosen]
        if len(found) == 1:
            return found[0]
        kept = [t for t in found if isinstance(t, Top)]
        if kept:
            return Top(torch.cat([t.values for t in kept]), torch.cat([t.places for t in kept]))
        whole = [t for t in found if isinstance(t, torch.Tensor)]
        return torch.cat(whole) if whole else None

    def _normed(self, how: Any) -> AbstractContextManager[None]:
        """Batch norms normalise a training pass by its own statistics where that is asked for; a check's never."""
        import torch

        return batchwise(self.network) if torch.is_grad_enabled() and getattr(how, "statistics", "") == "batch" else nullcontext()

    def recount(self, student: Student, job: Job) -> None:
        """Batch norms counted anew behind the weights as they are."""
        import torch

        items = [self.pieces.items[i] for i in self.trained[:RECOUNTED]]
        with torch.no_grad():
            student.count(restated(self.network, student.weights(), items, job))

    def _answered(self, item: dict[str, Tensor], job: Job) -> Tensor | None:
        """The teacher's answers to pictures as they were never before."""
        return answer(self.teacher.network, self.teacher.weights, item, job).clone() if self.teacher is not None else None

    def _target(self, i: int, job: Job) -> Tensor | Top | None:
        if isinstance(self.teacher, Answers):
            return self.teacher.target(i, job)
        return self.teacher.answer(i, job).clone() if self.teacher is not None else None  # out of inference mode


@dataclass(frozen=True, slots=True)
class Course:
    """A training that begins: where its state is kept in the store, the steps it has behind it, and the loss before its first one."""

    at: str
    step: int
    before: float


@dataclass(frozen=True)
class Learned:
    """How training ended: the loss on pieces it never saw, before and at its best."""

    before: float
    after: float
    stopped: str = ""  # why it ended early


class Fit:
    """One run of the loop over a student; `at` is its key in the store, where its state is kept while it runs."""

    def __init__(self, student: Student, lessons: Lessons, how: Any, seed: int, store: Store, at: str) -> None:
        self.student, self.lessons, self.how, self.store, self.at = student, lessons, how, store, at
        self.params = [*student.params(), *(lessons.hidden.params if lessons.hidden is not None else ())]
        self.state = [*self.params, *student.masks, *student.counted]  # all that changes
        self.order = shuffled(lessons.trained, how.steps * how.batch, seed)
        self.seed, self.rate, self.halved, self.step = seed, how.rate, False, 0
        self.before = self.after = math.inf
        self.best = self._copy()
        self._optimizer()

    def run(self, job: Job) -> Learned:
        """Train to the end; the student is left in its best state. Cancelled: the state is kept, and the next run goes on from it."""
        if not self._resumed():
            self.before = self.after = self.lessons.checked(self.student, self.how, job, self.student.before)
        elif self._due:
            self._look(job)  # it may have been stopped in the middle of this very look
        job.point(Course(self.at, self.step, self.before))
        stopped, saved = "", time.monotonic()
        try:
            for _ in job.track(range(self.step, self.how.steps), "Training"):
                if not self._stepped(job):
                    if self.halved:
                        stopped = f"stopped at step {self.step} of {self.how.steps}: the loss was no number twice; the best state is kept"
                        break
                    self._slower(job)
                if time.monotonic() - saved > SAVED:
                    self._save()
                    saved = time.monotonic()
        except Cancelled:
            self._save()
            raise
        self._put(self.best)
        return Learned(self.before, self.after, stopped)

    @property
    def _grown(self) -> float:
        """How far the schedule of zeros has come; 1 = all are there."""
        return min(1.0, self.step / (GROWN * self.how.steps)) if self.student.growing else 1.0

    def _stepped(self, job: Job) -> bool:
        """One step of the optimizer; False when a loss or a gradient is not finite."""
        import torch

        if self.student.growing and self.step % max(1, self.how.steps // EVERY) == 0:
            self.student.grow(self._grown)
        pieces = self.order[self.step * self.how.batch : (self.step + 1) * self.how.batch]
        terms, chance = dict[str, float](), drawn(self.seed, self.step)
        for part in self.lessons.together(pieces):
            share = len(part) / len(pieces)
            seen_as = varied(self.lessons.joined(part), self.how, chance) if wanted(self.how) else None
            with heard(self.lessons.network, job), interruptible(self.lessons.network, job):
                loss, found = self.lessons.loss(self.student.weights(), part, self.how, job, seen_as)
                (loss * share).backward()
            terms = {k: terms.get(k, 0.0) + v * share for k, v in found.items()}
        size = torch.nn.utils.clip_grad_norm_(self.params, self.how.clip)
        if not all(map(math.isfinite, (*terms.values(), float(size)))):
            self.adam.zero_grad()
            return False
        for group in self.adam.param_groups:
            group["lr"] = self.rate * self._share()
        self.adam.step()
        self.adam.zero_grad()
        self.step += 1
        self._tell(terms, job)
        return True

    def _tell(self, terms: dict[str, float], job: Job) -> None:
        """A point for the chart, with the check on pieces kept apart when it is due."""
        held = self._look(job) if self._due else None
        job.point(Lesson(self.step, self.how.steps, terms, self.rate * self._share(), held, self.before))
        job.detail(", ".join(f"{k} {v:.3g}" for k, v in terms.items()))

    @property
    def _due(self) -> bool:
        return self.step % max(1, self.how.steps // CHECKS) == 0 or self.step == self.how.steps

    def _look(self, job: Job) -> float:
        """The loss on the pieces kept apart; the best state is kept."""
        if self._grown == 1:
            self.student.grow(1.0)
        if getattr(self.how, "statistics", "") == "batch":
            self.lessons.recount(self.student, job)
        held = self.lessons.checked(self.student, self.how, job)
        if held < self.after and self._grown == 1:
            self.after, self.best = held, self._copy()
        return held

    def _share(self) -> float:
        """Of the rate: up in a line, then down along a cosine to a tenth."""
        warm = self.how.warmup * self.how.steps
        if self.step < warm:
            return (self.step + 1) / (warm + 1)
        return 0.55 + 0.45 * math.cos(math.pi * (self.step - warm) / max(1.0, self.how.steps - warm))

    def _slower(self, job: Job) -> None:
        job.note(f"Training met a loss that is not a number at step {self.step}: it goes on from its best state at half the rate")
        self.halved, self.rate, self.step = True, self.rate / 2, self.step + 1
        self._put(self.best)
        self._optimizer()

    def _optimizer(self) -> None:
        import torch

        self.adam = torch.optim.AdamW(self.params, lr=self.rate, weight_decay=self.how.decay)

    def _copy(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.state]

    def _put(self, values: list[Tensor]) -> None:
        import torch

        with torch.no_grad():
            for p, v in zip(self.state, values, strict=True):
                p.copy_(v)

    def _save(self) -> None:
        """Everything the loop needs to go on as if it had never stopped."""
        moments = self.adam.state_dict()["state"]
        tensors = {f"value{i}": p.detach() for i, p in enumerate(self.state)}
        tensors |= {f"best{i}": b for i, b in enumerate(self.best)}
        tensors |= {f"{k}{i}": t for i, m in moments.items() for k, t in m.items()}
        said = {"step": self.step, "rate": self.rate, "halved": int(self.halved), "before": self.before, "after": self.after}
        self.store.keep(self.at, tensors, {k: repr(v) for k, v in said.items()})

    def _resumed(self) -> bool:
        """Whether an interrupted run was found and taken up."""
        found = self.store.find(self.at)
        if found is None or len(self.state) != sum(k.startswith("value") for k in found[0]):
            return False
        tensors, said = found
        self._put([tensors[f"value{i}"] for i in range(len(self.state))])
        self.best = [tensors[f"best{i}"].clone() for i in range(len(self.state))]
        self.step, self.halved = int(said["step"]), said["halved"] == "1"
        self.rate, self.before, self.after = float(said["rate"]), float(said["before"]), float(said["after"])
        self._optimizer()
        state = self.adam.state_dict()
        names = ("step", "exp_avg", "exp_avg_sq")
        state["state"] = {
            i: {k: tensors[f"{k}{i}"].clone() for k in names} for i in range(len(self.params)) if f"exp_avg{i}" in tensors
        }  # fmt: skip
        self.adam.load_state_dict(state)
        return True


@contextmanager
def interruptible(network: Network, job: Job) -> Iterator[None]:
    """While gradients flow back through the network, every module's output asks the job whether to stop."""
    import torch

    def listening(_m: Any, _i: Any, out: Any) -> None:
        if isinstance(out, torch.Tensor) and out.requires_grad:
            out.register_hook(lambda _: job.check())

    modules = list(network.module.modules()) if network.module is not None else []
    handles = [m.register_forward_hook(listening) for m in modules]
    try:
        yield
    finally:
        for h in handles:
            h.remove()
