"""What a client of a real federation trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..data import Batches, Fed
from ..errors import BadPlan, CannotRun
from ..evaluate import Reference
from ..formats import open_checkpoint
from ..job import Job
from ..networks import attach
from ..recover.answers import fingerprint
from ..recover.clients import Client, dealt, holder
from ..recover.teacher import Teacher


@dataclass(frozen=True)
class Holding:
    """A file or folder of its own, or its share of one that all of them have."""

    name: str
    path: Path
    limit: int | None = None
    part: tuple[int, int] = (1, 1)  # the k-th of n shares
    alpha: float = 0.0  # of the Dirichlet distribution the shares are drawn from; 0: even
    seed: int = 0
    spread: float = 0.0  # of the shares' sizes, log-normal
    teacher: Path | None = None  # a copy of the model that a server's training follows
    keep: Path | None = None  # where its own model goes, of a federation that leaves batch norms to its clients

    def reference(self, of: str, pieces: Batches, job: Job) -> Reference | None:
        """The teacher before these pieces, where the server's training follows one: `of` is the fingerprint of its values. CannotRun where
        there is no copy of it here, BadPlan where it is another model."""
        if not of:
            return None
        if self.teacher is None:
            raise CannotRun("The server's training follows the original model (federated.share): give your own copy of it with --teacher")
        checkpoint = open_checkpoint(self.teacher, job)
        own = Teacher(checkpoint, attach(checkpoint, job))
        if fingerprint(own.weights) != of:
            raise BadPlan(f"{self.teacher.name} is not the model that the server's training follows; ask its owner for the very same files")
        return Reference(own.network, own.weights, pieces)

    def client(self, network: Fed, job: Job) -> Client:
        """The samples as pieces the network reads; BadData for what can't be learned from."""
        whole, (at, of) = holder(self.name, self.path, network, self.limit, job), self.part
        return whole if of == 1 else Client(self.name, dealt(whole.pieces, of, self.alpha, self.seed, self.spread)[at - 1].pieces)
