"""Federated fine-tuning: clients train on data that never leave them, a server joins what they send. Who they are is the crowd's: simulated
here one after another, or real processes elsewhere (core/federation)."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from ..errors import BadData, CannotRun
from ..job import Job
from ..lessons import Round
from ..store import Store
from .clients import dealt, epsilon, noised
from .fit import Course, Learned, Lessons
from .local import Answer, Crowd, Fitted, Here, Local
from .norms import pooled
from .student import Student
from .update import unpacked

if TYPE_CHECKING:
    from torch import Tensor

MOMENTUM, SECOND, TAU = 0.9, 0.99, 1e-3  # of FedAvgM and FedAdam (Reddi et al. 2021)


class Federation:
    """Rounds of local training and averaging over a student's parameters, floats all of them: masks and grids are the server's, codes and
    scales are never averaged (each client's change of the latent weights is, then everything is masked and rounded anew)."""

    def __init__(self, student: Student, lessons: Lessons, how: Any, seed: int, store: Store, at: str) -> None:
        self.student, self.lessons, self.how, self.seed = student, lessons, how, seed
        self.local = Local(student, lessons, how, seed)
        self.server = [p.detach().clone() for p in self.local.state]
        self.store, self.at, self.round = store, at, 0
        self.first: list[Tensor] = []  # the server's moments
        self.second: list[Tensor] = []

    def run(self, job: Job) -> Learned:
        """All rounds; the student is left in the best round's state."""
        how, lessons = self.how, self.lessons
        self.crowd: Crowd = lessons.pieces.crowd or Here(dealt(lessons.of(lessons.trained), how.clients, how.alpha, self.seed, how.spread))
        self.before = self.after = lessons.checked(self.student, how, job)
        self.best, self.empty = self.server, set[str]()
        self._resume()
        learned = self.crowd.meet(lambda: self._rounds(job), self.local, job)
        if how.noise:
            job.note(f"Differential privacy of each client: ε = {epsilon(how.noise, how.rounds):.3g} at δ = 1e-05, all rounds together")
        return learned

    def _rounds(self, job: Job) -> Learned:
        job.point(Course(self.at, self.round, self.before))
        for n in job.track(range(self.round + 1, self.how.rounds + 1), "Federated rounds"):
            told = self._round(n, job)
            held = self.lessons.checked(self.student, self.how, job)
            if held < self.after:
                self.after, self.best = held, self.server
            job.point(Round(n, self.how.rounds, told.losses, held, self.before, told.sent, told.absent))
            self.round = n
            self._save()
        if self.local.own:
            self._own(job)
        self.local.put(self.best)
        return Learned(self.before, self.after)

    def _own(self, job: Job) -> None:
        """What each client's batch norms are worth to it, once all rounds are over."""
        found: list[Fitted] = []
        for name, said in self.crowd.over(self.server, job):
            if isinstance(said, Fitted):
                found.append(said)
            else:
                job.note(f"After the last round {name} {said}")
        if not found:
            return
        count = sum(x.samples for x in found)
        own, shared = sum(x.samples * x.own for x in found) / count, sum(x.samples * x.shared for x in found) / count
        job.note(
            f"Batch norms stayed with the clients, the result has the server's: loss on the clients' samples {own:.4g} with their own, "
            f"{shared:.4g} with the server's, measured"
        )

    def _round(self, n: int, job: Job) -> Told:
        """Every chosen client from the server's state; what is broken is named and left out."""
        told = Told()
        for name, answer in self.crowd.answers(self._chosen(n, job), self.server, n, job):
            change, why = self._heard(answer)
            if change is None:
                told.absent[name] = why
                job.note(f"Round {n}: {name} {why} and was left out")
                continue
            assert isinstance(answer, Answer)
            told.changes.append((answer.samples if self.how.weighted and not self.how.noise else 1, change))
            told.losses[name], told.sent[name] = answer.loss, len(answer.message)
        if told.changes:
            self._stepped(joined(told.changes, self.how.trim), len(told.changes), n)
        self.local.put(self.server)
        return told

    def _chosen(self, n: int, job: Job) -> list[str]:
        """Who takes part, drawn from those with samples, by name."""
        members = self.crowd.members(job)
        empty = {name for name, samples in members.items() if not samples} - self.empty
        if empty:
            self.empty |= empty
            job.note(f"{', '.join(sorted(empty))} hold no samples and change nothing")
        found = sorted(name for name, samples in members.items() if samples)
        if not found:
            raise CannotRun(f"No client with samples is left in round {n}; the rounds before are kept: start the same again, with clients")
        chosen = random.Random(f"{self.seed}:{n}").sample(found, max(1, round(self.how.participation * len(found))))
        return sorted(chosen)

    def _heard(self, answer: Answer | str) -> tuple[list[Tensor] | None, str]:
        """The change in an answer, or why there is none."""
        if isinstance(answer, str):
            return None, answer
        if answer.samples < 1:
            return None, "sent a change without samples"
        try:
            return unpacked(answer.message, self.server, self.how.update, len(self.local.moments)), ""
        except BadData as e:
            return None, str(e)

    def _stepped(self, mean: list[Tensor], count: int, n: int) -> None:
        """What is trained takes the server's step, what batch norms counted is pooled."""
        free = len(self.local.params)
        counted = pooled(self.server[free:], mean[free:])
        self.server = [*self._joined(self.server[:free], mean[:free], count, n), *counted]

    def _joined(self, server: list[Tensor], mean: list[Tensor], count: int, n: int) -> list[Tensor]:
        """The server's own step: the mean itself (FedAvg), with momentum (FedAvgM) or scaled by its running square (FedAdam)."""
        import torch

        if self.how.noise:
            g = torch.Generator().manual_seed(random.Random(f"{self.seed}:noise:{n}").getrandbits(31))
            mean = noised(mean, self.how.noise * self.how.limit / count, g)
        if self.how.server == "fedavg":
            return [s + m for s, m in zip(server, mean, strict=True)]
        first = self.first or [torch.zeros_like(m) for m in mean]
        if self.how.server == "fedavgm":
            self.first = [MOMENTUM * f + m for f, m in zip(first, mean, strict=True)]
            return [s + f for s, f in zip(server, self.first, strict=True)]
        second = self.second or [torch.full_like(m, TAU**2) for m in mean]
        self.first = [MOMENTUM * f + (1 - MOMENTUM) * m for f, m in zip(first, mean, strict=True)]
        self.second = [SECOND * v + (1 - SECOND) * m * m for v, m in zip(second, mean, strict=True)]
        rate = self.how.server_rate
        return [s + rate * f / (v.sqrt() + TAU) for s, f, v in zip(server, self.first, self.second, strict=True)]

    def _save(self) -> None:
        """All a later run needs to go on after this round as if it had never stopped."""
        lists = {"server": self.server, "best": self.best, "first": self.first, "second": self.second}
        lists |= self.crowd.owed()
        tensors = {f"{i}.{name}": t.clone() for name, found in lists.items() for i, t in enumerate(found)}
        self.store.keep(self.at, tensors, {"round": str(self.round), "after": repr(self.after)})

    def _resume(self) -> None:
        """Take up an interrupted run after its last whole round."""
        found = self.store.find(self.at)
        if found is None:
            return
        lists: dict[str, list[Tensor]] = {}
        for key in sorted(found[0], key=lambda n: int(n.partition(".")[0])):
            lists.setdefault(key.partition(".")[2], []).append(found[0][key].clone())
        self.server, self.best = lists["server"], lists["best"]
        self.first, self.second = lists.get("first", []), lists.get("second", [])
        if isinstance(self.crowd, Here):
            self.crowd.owing(lists)
        self.round, self.after = int(found[1]["round"]), float(found[1]["after"])
        self.local.put(self.server)


class Told:
    """What one round heard."""

    def __init__(self) -> None:
        self.changes: list[tuple[int, list[Tensor]]] = []  # (weight, change)
        self.losses: dict[str, float] = {}
        self.sent: dict[str, int] = {}  # bytes
        self.absent: dict[str, str] = {}  # client -> why it was left out
def joined(changes: list[tuple[int, list[Tensor]]], trim: float) -> list[Tensor]:
    """Σ (n_k / n) Δ_k over those who took part (McMahan et al. 2017); with `trim` that share of the extremes on either side of every number
    is left out first, whatever the weights (Yin et al. 2018). Sums are in float64, so that the order of the clients changes nothing."""
    import torch

    weight = torch.tensor([float(n) for n, _ in changes], dtype=torch.float64)
    weight = weight / weight.sum()
    drop = math.floor(trim * len(changes))
    out = []
    for parts in zip(*(c for _, c in changes), strict=True):
        stack = torch.stack([p.double() for p in parts])
        if drop:
            mean = stack.sort(0).values[drop : len(changes) - drop].mean(0)
        else:
            mean = (stack * weight.view(-1, *[1] * (stack.ndim - 1))).sum(0)
        out.append(mean.float())
    return out
