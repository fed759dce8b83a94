"""What a client of a real federation trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..data import Fed
from ..job import Job
from ..recover.clients import Client, dealt, holder


@dataclass(frozen=True)
class Holding:
    """A file or folder of its own, or its share of one that all of them have."""

    name: str
    path: Path
    limit: int | None = None
    part: tuple[int, int] = (1, 1)  # the k-th of n shares
    alpha: float = 0.0  # of the Dirichlet distribution the shares are drawn from; 0: even
    seed: int = 0

    def client(self, network: Fed, job: Job) -> Client:
        """The samples as pieces the network reads; BadData for what can't be learned from."""
        whole, (at, of) = holder(self.name, self.path, network, self.limit, job), self.part
        return whole if of == 1 else Client(self.name, dealt(whole.pieces, of, self.alpha, self.seed)[at - 1].pieces)
