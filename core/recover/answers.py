"""A teacher's answers to the pieces of a training: whole while memory lasts, or its likeliest classes alone, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..data import Batches
from ..evaluate import Reference, answer
from ..job import Job
from ..networks import Network
from ..store import Store

if TYPE_CHECKING:
    from torch import Tensor

CODE = "1"  # raise it when what is kept changes
BYTES = 6  # of a kept class: a half-precision log-probability and its place


@dataclass(frozen=True)
class Top:
    """The k likeliest classes of each row: log-probabilities at the training's temperature (rows, k), float32, and their places (rows, k).

    All other classes together are one more: its probability is what the kept ones leave of 1, for teacher and student alike. KL over these
    k + 1 is never above that over all classes, and equal once k reaches all but one."""

    values: Tensor
    places: Tensor


class Answers(Reference):
    """A reference whose answers may be kept in the layer store, so that another epoch or another training need not run the teacher."""

    def __init__(self, network: Network, weights: Mapping[str, Tensor], batches: Batches, store: Store, how: Any, of: str = "") -> None:
        super().__init__(network, dict(weights), batches)
        self.store, self.how = store, how
        self.top = getattr(how, "top", 0) if network.task != "encoder" else 0
        self._of = of or (fingerprint(self.weights) if self.top else "")

    def like(self, batches: Batches) -> Answers:
        """The same teacher before other pieces."""
        return Answers(self.network, self.weights, batches, self.store, self.how, self._of)

    def target(self, index: int, job: Job) -> Tensor | Top:
        """What the student is taught on one piece."""
        if not self.top:
            return self.answer(index, job).clone()  # out of inference mode, so that the loss may keep it
        at = self._key(index)
        found = self.store.find(at)
        if found is None:
            found = self._answered(index, job), {}
            self.store.keep(at, found[0], {"kept": "answers"})
        values, places = found[0]["values"], found[0]["places"]
        return Top(values.float(), places.long() & 0xFFFF if places.dtype.itemsize == 2 else places.long())

    def _answered(self, index: int, job: Job) -> dict[str, Tensor]:
        """The likeliest classes at this temperature, in half precision; what they leave of 1 follows from what is stored."""
        import torch

        rows = answer(self.network, self.weights, self.batches.items[index], job)
        k = min(self.top, rows.shape[-1])
        values, places = torch.log_softmax(rows / self.how.temperature, -1).topk(k)
        small = rows.shape[-1] <= 1 << 16
        return {"values": values.half(), "places": places.to(torch.int32).to(torch.int16) if small else places.to(torch.int32)}

    def _key(self, index: int) -> str:
        seen = hashlib.sha256(f"{CODE}:{self._of}:{self.how.temperature}:{self.top}".encode())
        for name, t in sorted(self.batches.items[index].items()):
            if name != "labels":
                seen.update(t.contiguous().numpy().tobytes())
        return "answers" + seen.hexdigest()


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of a model's values: a tenth of a second for 100 million."""
    found = hashlib.sha256()
    for name, t in sorted(weights.items()):
        found.update(name.encode())
        found.update(t.contiguous().view(-1).numpy().data)
    return found.hexdigest()


def nbytes(rows: int, classes: int, top: int) -> int:
    """Bytes on disk of the answers to so many rows; 0 where nothing is kept."""
    return rows * min(top, classes) * (BYTES if classes > 1 << 16 else BYTES - 2) if top else 0
