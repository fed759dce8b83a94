"""What stands between a network's blocks, taught beside its answers; a learned projector where student and teacher differ in width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BadPlan
from ..evaluate import Reference, answer, heard
from ..job import Job
from ..networks import Network
from .parts import Full, full

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .student import Student

RIDGE = 1e-4  # of the mean square, in the first fit of a projector


@dataclass(frozen=True)
class Hidden:
    """Pairs of blocks (student's, teacher's) and a projector for each pair: P (teacher's width, student's width), None where they agree."""

    student: Network
    teacher: Reference
    pairs: tuple[tuple[nn.Module, nn.Module], ...]
    projectors: tuple[Full | None, ...]

    @classmethod
    def between(cls, teacher: Reference, network: Network, learner: Student, item: dict[str, Tensor], how: Any, job: Job) -> Hidden:
        """The blocks of both networks paired by depth; each projector begins where least squares on `item` puts it. BadPlan says why there
        is nothing to compare."""
        import torch

        own, others = blocks(network), blocks(teacher.network)
        if not own or not others:
            raise BadPlan("Hidden states can't be taught: no chain of like blocks was found in the network; set distil.hidden = 0")
        pairs = tuple((b, others[round((k + 1) * len(others) / len(own)) - 1]) for k, b in enumerate(own))
        bare = cls(network, teacher, pairs, (None,) * len(pairs))
        with torch.no_grad():
            with bare.watching() as seen, heard(network, job):
                network.forward(learner.weights(), dict(item))
            found = list(zip(bare.of(seen, item), bare.taught(item, job)[1], strict=True))
        if any(len(a) != len(b) for a, b in found):
            raise BadPlan("Hidden states can't be taught: the teacher's have another length or picture size; set distil.hidden = 0")
        return cls(network, teacher, pairs, tuple(_fitted(a, b) if a.shape[1] != b.shape[1] else None for a, b in found))

    @property
    def params(self) -> list[Tensor]:
        return [p for f in self.projectors if f is not None for p in f.params]

    @contextmanager
    def watching(self) -> Iterator[dict[nn.Module, Tensor]]:
        """While it lasts, what the student's blocks give is caught."""
        with _caught([a for a, _ in self.pairs]) as seen:
            yield seen

    def of(self, seen: dict[nn.Module, Tensor], item: dict[str, Tensor]) -> list[Tensor]:
        """Rows (tokens or places, width) of each of the student's blocks."""
        return [_rows(seen[a], item) for a, _ in self.pairs]

    def taught(self, item: dict[str, Tensor], job: Job) -> tuple[Tensor, list[Tensor]]:
        """The teacher's answers, as `evaluate.answer` gives them, and the same rows of its blocks, of one pass."""
        import torch

        with torch.no_grad(), _caught([b for _, b in self.pairs]) as seen:
            told = answer(self.teacher.network, self.teacher.weights, dict(item), job).clone()  # out of inference mode
        return told, [_rows(seen[b], item).clone() for _, b in self.pairs]

    def loss(self, seen: dict[nn.Module, Tensor], item: dict[str, Tensor], taught: list[Tensor]) -> Tensor:
        """Mean over the blocks of ‖P h_s - h_t‖² / ‖h_t‖², each a mean over rows; 0 where the student stands where the teacher does."""
        import torch

        terms = []
        for s, t, p in zip(self.of(seen, item), taught, self.projectors, strict=True):
            s = s if p is None else s @ p().T
            terms.append(((s - t).square().sum(-1) / t.square().sum(-1).clamp(min=1e-12)).mean())
        return torch.stack(terms).mean()


def blocks(network: Network) -> list[nn.Module]:
    """The heaviest chain of like blocks: a transformer's layers, a convolutional network's stages."""
    from torch import nn

    if network.module is None:
        return []
    found = [m for m in network.module.modules() if isinstance(m, (nn.ModuleList, nn.Sequential)) and _alike(m)]
    return list(max(found, key=lambda m: sum(p.numel() for p in m.parameters())).children()) if found else []


def _alike(m: nn.Module) -> bool:
    inside = list(m.children())
    return len(inside) > 1 and len({type(c) for c in inside}) == 1 and all(any(True for _ in c.children()) for c in inside)


def _fitted(s: Tensor, t: Tensor) -> Full:
    """Least squares from the student's rows to the teacher's."""
    import torch

    a = s.double()
    gram = a.T @ a
    gram.diagonal().add_(RIDGE * float(gram.diagonal().mean()) or 1.0)
    start = torch.linalg.solve(gram, a.T @ t.double()).T.float().contiguous()
    return full(start, float(start.square().mean().sqrt()) or 1.0)


def _rows(out: Tensor, item: dict[str, Tensor]) -> Tensor:
    """Without padding; channels last."""
    out = out.movedim(1, -1) if out.ndim > 3 else out
    mask = item.get("attention_mask")
    return out[mask.bool()] if mask is not None and mask.shape == out.shape[:-1] else out.reshape(-1, out.shape[-1])


@contextmanager
def _caught(modules: list[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    seen: dict[nn.Module, Tensor] = {}

    def hear(m: nn.Module, _: Any, out: Any) -> None:
        seen[m] = out[0] if isinstance(out, tuple) else out

    handles = [m.register_forward_hook(hear) for m in dict.fromkeys(modules)]
    try:
        yield seen
    finally:
        for h in handles:
            h.remove()
