"""GGUF's grids as points for the solver: whole scales and minima within blocks that share a half-precision factor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING

from ..ggml import FORMS, Form, packed
from ..job import Job
from .grid import CHUNK, FAR, Nearest

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Blocked:
    """x = d * scale * level - dmin * min, level by level of one ggml type; a code is a level, or a place in its table."""

    dtype: str
    d: Tensor  # (out, blocks) float32, exact in float16
    dmin: Tensor  # (out, blocks) the same; 0 in types without minima
    scales: Tensor  # (out, subs) whole numbers
    mins: Tensor  # (out, subs) whole numbers
    form: Form

    @property
    def step(self) -> Tensor:
        """(out, subs) what one level is worth."""
        return self.d.repeat_interleave(self.form.subs, 1) * self.scales

    @property
    def base(self) -> Tensor:
        """(out, subs) the value of level 0."""
        return -self.dmin.repeat_interleave(self.form.subs, 1) * self.mins

    def nearest(self, order: Tensor) -> Nearest:
        group = order // self.form.sub
        step, base = self.step.T[group], self.base.T[group]
        inverse = inverted(step)

        def at(column: Tensor, j: int) -> tuple[Tensor, Tensor]:
            code = coded((column - base[j]).mul_(inverse[j]), self.form)
            return code, valued(code, self.form).mul(step[j]).add_(base[j])

        return at

    def zeros(self, order: Tensor) -> Tensor:
        group = order // self.form.sub
        return coded(-self.base.T[group] * inverted(self.step.T[group]), self.form)

    def decode(self, codes: Tensor) -> Tensor:
        x = valued(codes, self.form).unflatten(-1, (self.scales.shape[1], -1))
        return (x * self.step.unsqueeze(-1) + self.base.unsqueeze(-1)).flatten(-2)

    def direct(self, w: Tensor) -> Tensor:
        x = w.unflatten(-1, (self.scales.shape[1], -1)) - self.base.unsqueeze(-1)
        return coded(x.mul_(inverted(self.step).unsqueeze(-1)), self.form).flatten(-2)

    def refit(self, w: Tensor, codes: Tensor, h: Tensor, dtype: torch.dtype, job: Job) -> Blocked:
        """d and dmin of all blocks of a row at once, for these codes, whole scales and minima."""
        if self.form != FORMS[self.dtype]:
            return self  # a piece of blocks that other inputs share
        blocks = self.d.shape[1]
        basis = [valued(codes, self.form).unflatten(1, (self.scales.shape[1], -1)) * self.scales.unsqueeze(-1)]
        if self.form.mins:
            basis.append(-self.mins.unsqueeze(-1).expand_as(basis[0]))
        shape = (blocks, self.form.block)
        found = _fitted(w, [b.flatten(1).unflatten(1, shape) for b in basis], [self.d, self.dmin][: len(basis)], h, job)
        return replace(self, d=halved(found[0]), dmin=halved(found[1]) if self.form.mins else self.dmin)

    def part(self, at: slice) -> Blocked:
        block = gcd(self.form.block, at.stop - at.start)
        if block < self.form.block:
            return self._pieces(gcd(self.form.sub, block)).part(at)
        some, subs = (slice(at.start // n, at.stop // n) for n in (block, self.form.sub))
        return replace(self, d=self.d[:, some], dmin=self.dmin[:, some], scales=self.scales[:, subs], mins=self.mins[:, subs])

    def _pieces(self, size: int) -> Blocked:
        """The same points with every `size` inputs a block of their own."""
        many, of = self.form.sub // size, self.form.subs
        d, dmin = (t.repeat_interleave(of * many, 1) for t in (self.d, self.dmin))
        scales, mins = (t.repeat_interleave(many, 1) for t in (self.scales, self.mins))
        return Blocked(self.dtype, d, dmin, scales, mins, replace(self.form, block=size, sub=size))

    def joined(self, parts: list[Blocked]) -> Blocked:
        import torch

        if any(p.form != self.form for p in parts):
            return self
        d, dmin, scales, mins = (torch.cat([getattr(p, f) for p in parts], 1) for f in ("d", "dmin", "scales", "mins"))
        return replace(self, d=d, dmin=dmin, scales=scales, mins=mins)

    def packed(self, codes: Tensor) -> Tensor:
        """codes (out, in) -> the bytes of the rows."""
        import torch

        return packed(self.dtype, codes.to(torch.int16), self.d.half(), self.dmin.half(), self.scales, self.mins)


def coded(x: Tensor, form: Form) -> Tensor:
    """The nearest level to x, in units of a step; a place in the table where the type has one."""
    return _looked_up(x, form.table, True) if form.table else x.round_().clamp_(form.low, form.top)


def snapped(x: Tensor, form: Form) -> Tensor:
    """The value of the nearest level to x, both in steps."""
    return _looked_up(x, form.table, False) if form.table else x.round_().clamp_(form.low, form.top)


def valued(codes: Tensor, form: Form) -> Tensor:
    """What codes are worth, in steps."""
    return codes.new_tensor(form.table)[codes.long()] if form.table else codes


def _looked_up(x: Tensor, table: tuple[int, ...], places: bool) -> Tensor:
    """By half steps: the middle between two whole levels is a whole or a half (six times as fast as searching the table)."""
    halves = _halves(table, places)
    at = x.mul(2).sub_(2 * table[0] - 1).clamp_(0, len(halves) - 1).int()
    return halves.index_select(0, at.flatten()).view(x.shape)


@lru_cache(maxsize=8)
def _halves(table: tuple[int, ...], places: bool) -> Tensor:
    """For every half step from below the table's first value to above its last: the nearest value, or its place."""
    import torch

    values = torch.tensor(table, dtype=torch.float32)
    middle = torch.arange(2 * table[0] - 1, 2 * table[-1] + 2) / 2 + 0.25
    code = torch.bucketize(middle, (values[1:] + values[:-1]) / 2)
    return code.float() if places else values[code]


def inverted(step: Tensor) -> Tensor:
    """1 / step, 0 where the step is 0."""
    import torch

    return torch.where(step == 0, 0, 1 / step)


def halved(x: Tensor) -> Tensor:
    """Rounded to float16, in float32."""
    return x.clamp(-65504, 65504).half().float()


def _fitted(w: Tensor, basis: list[Tensor], old: list[Tensor], h: Tensor, job: Job) -> list[Tensor]:
    """Least squares tr((W - Q) H (W - Q)^T) over Q = sum of factor * basis, each (out, blocks, size); factors like `old` (out, blocks)."""
    import torch

    many, blocks, size = len(basis), basis[0].shape[1], basis[0].shape[2]
    b = torch.stack(basis, 2)  # (out, blocks, many, size)
    out = torch.stack(old, 2)
    step = max(1, CHUNK // max((blocks * many) ** 2, many * len(h)))
    for a in range(0, len(w), step):
        job.check()
        part = b[a : a + step]
        normal = part.new_empty(len(part), blocks, many, blocks, many)
        for g in range(blocks):
            reach = (part[:, g] @ h[g * size : (g + 1) * size]).unflatten(2, (blocks, size))  # (rows, many, blocks, size)
            for k in range(many):
                normal[:, g, k] = torch.einsum("rbs,rbms->rbm", reach[:, k], part)
        right = torch.einsum("rbs,rbms->rbm", (w[a : a + step] @ h).unflatten(1, (blocks, size)), part)
        out[a : a + step] = _solved(normal.flatten(3, 4).flatten(1, 2), right.flatten(1), out[a : a + step].flatten(1)).view_as(right)
    return list(out.unbind(2))


def _solved(normal: Tensor, right: Tensor, old: Tensor) -> Tensor:
    """As the even grid's: in float64 with a whiff of ridge; what has no codes off zero, or moves far, stays as it was."""
    import torch

    normal, right = normal.double(), right.double()
    diagonal = normal.diagonal(dim1=1, dim2=2)
    diagonal.mul_(1 + 1e-5).add_(diagonal.amax(1, keepdim=True).mul(1e-9).clamp(min=1e-30))
    found = torch.linalg.solve(normal, right).float()
    share = found / old
    return torch.where(found.isfinite() & (share > 1 / FAR) & (share < FAR), found, old)
