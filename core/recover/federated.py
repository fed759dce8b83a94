"""Federated fine-tuning, simulated: clients train one after another on data that never leave them, a server joins what they send."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from ..evaluate import heard
from ..job import Job
from ..lessons import Round
from ..store import Store
from .clients import Client, clipped, dealt, epsilon, noised, packed, rows
from .fit import Course, Learned, Lessons, interruptible
from .student import Student

if TYPE_CHECKING:
    from torch import Tensor

MOMENTUM, SECOND, TAU = 0.9, 0.99, 1e-3  # of FedAvgM and FedAdam (Reddi et al. 2021)


class Federation:
    """Rounds of local training and averaging over a student's parameters, floats all of them: masks and grids are the server's, codes and
    scales are never averaged (each client's change of the latent weights is, then everything is masked and rounded anew)."""

    def __init__(self, student: Student, lessons: Lessons, how: Any, seed: int, store: Store, at: str) -> None:
        self.student, self.lessons, self.how, self.seed = student, lessons, how, seed
        self.params = student.params()
        self.server = [p.detach().clone() for p in self.params]
        self.store, self.at, self.round = store, at, 0
        self.first: list[Tensor] = []  # the server's moments
        self.second: list[Tensor] = []
        self.taught: dict[str, Lessons] = {}  # client -> its pieces with the teacher's answers

    def run(self, job: Job) -> Learned:
        """All rounds; the student is left in the best round's state."""
        how, lessons = self.how, self.lessons
        clients = dealt(lessons.of(lessons.trained), how.clients, how.alpha, self.seed)
        empty = [c.name for c in clients if not c.samples]
        if empty:
            job.note(f"{', '.join(empty)} hold no samples and change nothing")
        self.before = self.after = lessons.checked(self.student, how, job)
        self.best = self.server
        self._resume(clients)
        job.point(Course(self.at, self.round, self.before))
        for n in job.track(range(self.round + 1, how.rounds + 1), "Federated rounds"):
            losses, sent = self._round(n, [c for c in clients if c.samples], job)
            held = lessons.checked(self.student, how, job)
            if held < self.after:
                self.after, self.best = held, self.server
            job.point(Round(n, how.rounds, losses, held, self.before, sent))
            self.round = n
            self._save(clients)
        self._put(self.best)
        if how.noise:
            job.note(f"Differential privacy of each client: ε = {epsilon(how.noise, how.rounds):.3g} at δ = 1e-05, all rounds together")
        return Learned(self.before, self.after)

    def _round(self, n: int, clients: list[Client], job: Job) -> tuple[dict[str, float], int]:
        """Every chosen client from the server's state; what is broken is named and left out."""
        own = random.Random(f"{self.seed}:{n}")
        chosen = sorted(own.sample(clients, max(1, round(self.how.participation * len(clients)))), key=lambda c: c.name)
        changes, sent, losses = [], 0, {}
        for c in chosen:
            self._put(self.server)
            losses[c.name] = self._local(c, n, job)
            change = [p.detach() - s for p, s in zip(self.params, self.server, strict=True)]
            if not all(bool(t.isfinite().all()) for t in change):
                job.note(f"Round {n}: {c.name} sent numbers that are not finite and was left out")
                continue
            if self.how.limit:
                change = clipped(change, self.how.limit)
            arrived, nbytes = packed(change, c, self.how.update)
            changes.append((c.samples if self.how.weighted and not self.how.noise else 1, arrived))
            sent += nbytes
        if changes:
            self._joined(joined(changes, self.how.trim), len(changes), n)
        self._put(self.server)
        return losses, sent

    def _local(self, c: Client, n: int, job: Job) -> float:
        """Epochs over the client's own pieces; the mean loss of the last one."""
        import torch

        how, anchor, mean = self.how, [p.detach().clone() for p in self.params], 0.0
        adam = how.local == "adam"
        step = torch.optim.Adam(self.params, lr=how.rate) if adam else torch.optim.SGD(self.params, lr=how.rate)
        for epoch in range(how.epochs):
            order = list(range(len(c.pieces.items)))
            random.Random(f"{self.seed}:{n}:{c.name}:{epoch}").shuffle(order)
            mean = 0.0
            for at in range(0, len(order), how.batch):
                part = order[at : at + how.batch]
                mean += self._backward(c, part, job) * sum(rows(c.pieces.items[i]) for i in part) / c.samples
                for p, a in zip(self.params, anchor) if how.prox else ():
                    p.grad = how.prox * (p.detach() - a) if p.grad is None else p.grad + how.prox * (p.detach() - a)
                step.step()
                step.zero_grad()
        return mean

    def _backward(self, c: Client, part: list[int], job: Job) -> float:
        """Gradients of the mean loss over the samples of these pieces."""
        count, total = sum(rows(c.pieces.items[i]) for i in part), 0.0
        own = self.taught.setdefault(c.name, Lessons(self.lessons.network, c.pieces, self.lessons.taught(c.pieces)))
        for i in part:
            with heard(own.network, job), interruptible(own.network, job):
                loss = own.loss(self.student.weights(), i, self.how, job)[0] * (rows(c.pieces.items[i]) / count)
                loss.backward()
            total += float(loss.detach())
        return total

    def _joined(self, mean: list[Tensor], count: int, n: int) -> None:
        """The server's own step: the mean itself (FedAvg), with momentum (FedAvgM) or scaled by its running square (FedAdam)."""
        import torch

        if self.how.noise:
            g = torch.Generator().manual_seed(random.Random(f"{self.seed}:noise:{n}").getrandbits(31))
            mean = noised(mean, self.how.noise * self.how.limit / count, g)
        if self.how.server == "fedavg":
            self.server = [s + m for s, m in zip(self.server, mean, strict=True)]
            return
        first = self.first or [torch.zeros_like(m) for m in mean]
        if self.how.server == "fedavgm":
            self.first = [MOMENTUM * f + m for f, m in zip(first, mean, strict=True)]
            self.server = [s + f for s, f in zip(self.server, self.first, strict=True)]
            return
        second = self.second or [torch.full_like(m, TAU**2) for m in mean]
        self.first = [MOMENTUM * f + (1 - MOMENTUM) * m for f, m in zip(first, mean, strict=True)]
        self.second = [SECOND * v + (1 - SECOND) * m * m for v, m in zip(second, mean, strict=True)]
        self.server = [
            s + self.how.server_rate * f / (v.sqrt() + TAU) for s, f, v in zip(self.server, self.first, self.second, strict=True)
        ]  # fmt: skip

    def _save(self, clients: list[Client]) -> None:
        """All a later run needs to go on after this round as if it had never stopped."""
        lists = {"server": self.server, "best": self.best, "first": self.first, "second": self.second}
        lists |= {f"kept{k}": c.kept for k, c in enumerate(clients)}
        tensors = {f"{name}.{i}": t.clone() for name, found in lists.items() for i, t in enumerate(found)}
        self.store.keep(self.at, tensors, {"round": str(self.round), "after": repr(self.after)})

    def _resume(self, clients: list[Client]) -> None:
        """Take up an interrupted run after its last whole round."""
        found = self.store.find(self.at)
        if found is None:
            return
        lists: dict[str, list[Tensor]] = {}
        for name in sorted(found[0], key=lambda n: (n.partition(".")[0], int(n.partition(".")[2]))):
            lists.setdefault(name.partition(".")[0], []).append(found[0][name].clone())
        self.server, self.best = lists["server"], lists["best"]
        self.first, self.second = lists.get("first", []), lists.get("second", [])
        for k, c in enumerate(clients):
            c.kept = lists.get(f"kept{k}", [])
        self.round, self.after = int(found[1]["round"]), float(found[1]["after"])
        self._put(self.server)

    def _put(self, values: list[Tensor]) -> None:
        import torch

        with torch.no_grad():
            for p, v in zip(self.params, values, strict=True):
                p.copy_(v)


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
