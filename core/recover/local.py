"""What a client of a federation does in a round: a few epochs on its own pieces from the server's numbers, and the message of its change.

The simulation and a real client run this very code; what a client holds never leaves it, only the message does."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..data import Fed
from ..errors import BadData
from ..evaluate import heard
from ..job import Job
from ..types import Plan
from . import norms
from .clients import Client, clipped, holders, rows
from .fit import Learned, Lessons, interruptible
from .parts import Counted
from .student import Student
from .update import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back from a client after its epochs."""

    message: bytes  # see core/recover/update.py
    loss: float  # mean over its samples in the last epoch
    samples: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """The mean loss over a client's own samples."""

    own: float  # with its own batch norms
    shared: float  # with the server's
    samples: int


class Crowd(Protocol):
    """The clients of a federation, wherever they are."""

    @property
    def fingerprint(self) -> str:
        """What the result hangs on beside the plan and the server's data; "" when that is all."""

    def meet(self, work: Callable[[], Learned], local: Local, job: Job) -> Learned:
        """Bring them together, do the work, let them go."""

    def members(self, job: Job) -> dict[str, int]:
        """Name -> samples, of those who are there for the next round."""

    def answers(self, names: list[str], values: list[Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
        """Each one's answer in round `n` from these numbers, in this order; a text says why there is none."""

    def over(self, values: list[Tensor], job: Job) -> Iterator[tuple[str, Fitted | str]]:
        """The last round's numbers, for those whose batch norms are their own; how well each fares with them."""

    def owed(self) -> dict[str, list[Tensor]]:
        """What clients whose state is kept here take to the next round, as "kept/NAME" or "norms/NAME"."""


def fallen(n: int, rounds: int) -> float:
    """The share of the rate left in round n, on the cosine from 1 to 0.1 of training in one place: where clients differ, FedAvg at a rate
    that stays circles its goal at a distance (Li et al. 2020, arXiv:1907.02189)."""
    return 0.55 + 0.45 * math.cos(math.pi * (n - 1) / rounds)


class Local:
    """One student that any number of clients train in turn, so that a simulation takes the memory of one."""

    def __init__(self, student: Student, lessons: Lessons, how: Any, seed: int) -> None:
        self.student, self.lessons, self.how, self.seed = student, lessons, how, seed
        self.own = self._own() if how.norms == "local" else []
        self.home, own = [t.detach().clone() for t in self.own], set(map(id, self.own))
        self.params = [p for p in student.params() if id(p) not in own]
        self.norms, self.moments = self._norms() if how.norms == "weighted" else ([], [])
        self.taught: dict[str, Lessons] = {}  # client -> its pieces with the teacher's answers

    @property
    def state(self) -> list[Tensor]:
        """All that the server sends: what is trained, then what is counted."""
        return [*self.params, *self.moments]

    def _own(self) -> list[Tensor]:
        """All of the batch norms, which FedBN leaves to each client: gains, biases, means and variances."""
        of = norms.tensors(self.lessons.network, (*norms.STATISTICS, "weight", "bias"))
        parts = [p for n, p in self.student.parts.items() if self.student.tensors[n] in of]
        return [t for p in parts for t in ([p.values] if isinstance(p, Counted) else p.params)]

    def _norms(self) -> tuple[list[str], list[Tensor]]:
        """The batch norms' means and variances in turn: the tensors' names, and the student's own."""
        held = {self.student.tensors[n]: p.values for n, p in self.student.parts.items() if isinstance(p, Counted)}
        names = [t for m, v in norms.pairs(self.lessons.network) if m in held and v in held for t in (m, v)]
        return names, [held[t] for t in names]

    def put(self, values: list[Tensor], own: Sequence[Tensor] = ()) -> None:
        """The student at these numbers, with these batch norms or the server's."""
        import torch

        with torch.no_grad():
            for p, v in zip([*self.state, *self.own], [*values, *(own or self.home)], strict=True):
                p.copy_(v)

    def put_own(self, c: Client, values: list[Tensor], job: Job) -> None:
        """The student at these numbers, with the client's batch norms counted anew behind them."""
        self.put(values, c.norms)
        if self.own:
            self.student.count(self._restated(c, job))

    def fitted(self, c: Client, values: list[Tensor], job: Job) -> Fitted:
        """How well these numbers fit the client's samples; the student stays with the client's own batch norms."""
        self.put(values)
        shared = self._mean(c, job)
        self.put_own(c, values, job)
        return Fitted(self._mean(c, job), shared, c.samples)

    def _mean(self, c: Client, job: Job) -> float:
        """The loss over the client's samples."""
        import torch

        own, items = self._lessons(c), c.pieces.items
        with torch.no_grad(), heard(own.network, job):
            weights = self.student.weights()
            return sum(rows(x) * float(own.loss(weights, i, self.how, job)[0]) for i, x in enumerate(items)) / c.samples

    def answer(self, c: Client, values: list[Tensor], n: int, job: Job) -> Answer:
        """Train on the client's pieces from the server's numbers; the change, clipped and packed as the server asked."""
        self.put_own(c, values, job)
        loss = self._trained(c, n, job)
        if all(bool(t.isfinite().all()) for t in self.own):  # else those of the round before are still sound
            c.norms = [t.detach().clone() for t in self.own]
        free = len(self.params)
        change = [p.detach() - s for p, s in zip(self.params, values[:free], strict=True)]
        if self.how.limit:
            change = clipped(change, self.how.limit)
        message, c.kept = packed(change, c.kept, self.how.update, self._counted(c, values[free:], job))
        return Answer(message, loss, c.samples)

    def _counted(self, c: Client, was: list[Tensor], job: Job) -> list[Tensor]:
        """How the batch norms' statistics over the client's samples differ from the server's."""
        if not self.norms:
            return []
        found = self._restated(c, job)
        return norms.moved(was, [found.get(t, w) for t, w in zip(self.norms, was, strict=True)])

    def _restated(self, c: Client, job: Job) -> dict[str, Tensor]:
        """The batch norms' statistics over the client's samples; {} for a single one, which has no variance."""
        import torch

        with torch.no_grad():
            return norms.restated(self.lessons.network, self.student.weights(), c.pieces.items if c.samples > 1 else (), job)

    def _trained(self, c: Client, n: int, job: Job) -> float:
        """Epochs over the client's own pieces; the mean loss of the last one."""
        import torch

        how, anchor, mean = self.how, [p.detach().clone() for p in self.params], 0.0
        rate = how.rate * fallen(n, how.rounds) if how.falling else how.rate
        step = (torch.optim.Adam if how.local == "adam" else torch.optim.SGD)(self.student.params(), lr=rate)
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
        count, total, own = sum(rows(c.pieces.items[i]) for i in part), 0.0, self._lessons(c)
        for i in part:
            with heard(own.network, job), interruptible(own.network, job):
                loss = own.loss(self.student.weights(), i, self.how, job)[0] * (rows(c.pieces.items[i]) / count)
                loss.backward()
            total += float(loss.detach())
        return total

    def _lessons(self, c: Client) -> Lessons:
        """The client's pieces with the teacher's answers."""
        return self.taught.setdefault(c.name, Lessons(self.lessons.network, c.pieces, self.lessons.taught(c.pieces)))


def apart(plan: Plan) -> bool:
    """Whether the plan's clients have a folder each."""
    return plan.recover == "federated" and plan.recovery.get("partition") == "folders"


def crowd(path: Path | None, network: Fed, limit: int | None, job: Job) -> Here:
    """Simulated clients, each with what lies in its own folder (or file) of `path`."""
    if path is None:
        raise BadData("Clients with folders of their own: choose the folder they lie in as the training data")
    clients = holders(path, network, limit, job)
    told = ", ".join(f"{c.name} {c.samples:,}" for c in clients)
    job.note(f"Clients in {path.name} and their samples: {told}")
    data = [f"{c.name}:{c.pieces.fingerprint}:{c.samples}" for c in clients]
    return Here(clients, hashlib.sha256("\n".join(data).encode()).hexdigest())


class Here:
    """Simulated clients: one after another on this machine."""

    def __init__(self, clients: list[Client], fingerprint: str = "") -> None:
        self.clients, self.fingerprint = clients, fingerprint

    def meet(self, work: Callable[[], Learned], local: Local, job: Job) -> Learned:
        self.local = local
        return work()

    def members(self, job: Job) -> dict[str, int]:
        return {c.name: c.samples for c in self.clients}

    def answers(self, names: list[str], values: list[Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
        known = {c.name: c for c in self.clients}
        for name in names:
            yield name, self.local.answer(known[name], values, n, job)

    def over(self, values: list[Tensor], job: Job) -> Iterator[tuple[str, Fitted | str]]:
        for c in (c for c in self.clients if c.samples):
            yield c.name, self.local.fitted(c, values, job)

    def owed(self) -> dict[str, list[Tensor]]:
        return {f"{what}/{c.name}": x for c in self.clients for what, x in (("kept", c.kept), ("norms", c.norms))}

    def owing(self, owed: dict[str, list[Tensor]]) -> None:
        """Take up what an interrupted run kept."""
        for c in self.clients:
            c.kept, c.norms = owed.get(f"kept/{c.name}", []), owed.get(f"norms/{c.name}", [])
