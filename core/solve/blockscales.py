"""Scales and minima of GGUF blocks with the least importance-weighted squared error, each in the type that the block stores it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ggml import FORMS, Form
from ..job import Job
from .blocked import Blocked, halved, inverted, snapped

if TYPE_CHECKING:
    from torch import Tensor

STEP = 1 << 17  # weights searched at once, so that all temporaries stay in the cache
TRIES = 12  # shares of the range, or shifts of the top level, tried for each scale
ROUNDS = 2  # of: whole scales one up or down, then the blocks' factors anew


def blocked(rows: Tensor, importance: Tensor, dtype: str, job: Job) -> Blocked:
    """rows (out, in), importance (in,) or (out, in) -> the grid. For every tried scale the codes are fixed and the scale solved for.

    As llama.cpp's make_qx_quants and make_qkx3_quants do; then, which they don't, the whole scales and minima of a block are searched
    among their neighbours by the error they really leave, and the block's factors solved for again.
    """
    import torch

    form = FORMS[dtype]
    step = max(1, STEP // rows.shape[1])
    found = []
    for i in range(0, len(rows), step):
        job.check()
        x = rows[i : i + step].unflatten(1, (-1, form.subs, form.sub))
        h = (importance if importance.ndim == 1 else importance[i : i + step]).unflatten(-1, (-1, form.subs, form.sub))
        found.append(_searched(x, h.expand_as(x), form, job))
    d, dmin, scales, mins = (torch.cat(t) for t in zip(*found))
    return Blocked(dtype, d, dmin, scales.flatten(1), mins.flatten(1), form)


def _searched(x: Tensor, h: Tensor, form: Form, job: Job) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, h (rows, blocks, subs, sub) -> d, dmin (rows, blocks), scales, mins (rows, blocks, subs)."""
    import torch

    one = torch.ones_like(x[..., 0])
    step, low = _affine(x, h, form, job) if form.mins else (_signed(x, h, form, job), 0 * one)
    if form.most == 1:
        return halved(step[..., 0]), halved(-low[..., 0]), one, one
    d, scales = _whole(step, form)
    dmin, mins = (halved((-low).amax(-1) / form.most), one) if form.mins else (0 * d, 0 * one)
    if form.mins:
        mins = (-low * inverted(dmin).unsqueeze(-1)).round_().clamp_(0, form.most)
    for _ in range(ROUNDS):
        job.check()
        scales, mins = _neighbours(x, h, d, dmin, scales, mins, form)
        d, dmin = _factors(x, h, d, dmin, scales, mins, form)
    return d, dmin, scales, mins


def _whole(step: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """Steps (..., subs) as a half-precision factor and whole scales; the largest takes the far end of the range."""
    at = step.abs().argmax(-1, keepdim=True)
    d = halved((step.gather(-1, at) / (form.least if form.least < 0 else form.most)).squeeze(-1))
    return d, (step * inverted(d).unsqueeze(-1)).round_().clamp_(form.least, form.most)


def _tries(form: Form) -> list[float]:
    """Shares of the range that are tried: the fewer levels, the more is clipped."""
    low = {4: 0.45, 8: 0.55, 16: 0.65, 32: 0.75, 64: 0.85}.get(form.top - form.low + 1, 0.96)
    high = 1.1 if low < 0.9 else 1.01
    return sorted({1.0, *(low + (high - low) * k / (TRIES - 1) for k in range(TRIES))})


def _signed(x: Tensor, h: Tensor, form: Form, job: Job) -> Tensor:
    """(..., subs) steps of types without minima; a negative step turns the range about, whose low end reaches further."""
    import torch

    end = x.gather(-1, x.abs().argmax(-1, keepdim=True))
    hx = h * x
    best, step = torch.full_like(end, -1.0), torch.zeros_like(end)
    far = form.table[0] if form.table else form.low
    for edge in (far, form.table[-1] if form.table else form.top)[: 2 if form.table or form.top < 4 else 1]:
        span = end / edge
        for share in _tries(form):
            level = snapped(x * inverted(span * share), form)
            hit, norm = (hx * level).sum(-1, keepdim=True), (level * level).mul_(h).sum(-1, keepdim=True)
            fit = hit * inverted(norm)
            gain = hit * fit
            better = gain > best
            best, step = torch.where(better, gain, best), torch.where(better, torch.where(norm > 0, fit, span), step)
    return step.squeeze(-1)


def _affine(x: Tensor, h: Tensor, form: Form, job: Job) -> tuple[Tensor, Tensor]:
    """(..., subs) step and value of level 0, at most 0 where minima are whole numbers of a positive factor."""
    import torch

    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    low = low.clamp(max=0) if form.most > 1 else low
    sw, sx = h.sum(-1, keepdim=True), (h * x).sum(-1, keepdim=True)
    best = torch.full_like(low, torch.inf)
    step, base = torch.zeros_like(low), low.clone()
    first, last = (-0.6, 1.4) if form.top < 4 else (-1.0, 1.2)
    for k in range(TRIES):
        level = ((x - low) * inverted(high - low).mul_(form.top + first + (last - first) * k / (TRIES - 1))).round_().clamp_(0, form.top)
        hl = h * level
        sl, sll, sxl = hl.sum(-1, keepdim=True), (hl * level).sum(-1, keepdim=True), (hl * x).sum(-1, keepdim=True)
        s, b = _line(sw, sx, sl, sll, sxl, form)
        error = s * (s * sll + 2 * (b * sl - sxl)) + b * (b * sw - 2 * sx)
        better = error < best
        best, step, base = torch.where(better, error, best), torch.where(better, s, step), torch.where(better, b, base)
    return step.squeeze(-1), base.squeeze(-1)


def _line(sw: Tensor, sx: Tensor, sl: Tensor, sll: Tensor, sxl: Tensor, form: Form) -> tuple[Tensor, Tensor]:
    """Weighted least squares of x on the levels: slope and intercept, the intercept at most 0 in types with whole minima."""
    import torch

    det = inverted(sw * sll - sl * sl)
    step, base = (sw * sxl - sx * sl) * det, (sll * sx - sl * sxl) * det
    through = (det == 0) | (base > 0) if form.most > 1 else det == 0
    flat = sxl * inverted(sll)
    step, base = torch.where(through, flat, step), torch.where(through, 0, base)
    return (step.clamp(min=0), base) if form.most > 1 else (step, base)


def _cost(x: Tensor, h: Tensor, step: Tensor, base: Tensor, form: Form) -> Tensor:
    """(..., subs) what is left when every weight takes its nearest level."""
    step, base = step.unsqueeze(-1), base.unsqueeze(-1)
    level = snapped((x - base).mul_(inverted(step)), form)
    return (level * step + (base - x)).square_().mul_(h).sum(-1)


def _neighbours(
    x: Tensor, h: Tensor, d: Tensor, dmin: Tensor, scales: Tensor, mins: Tensor, form: Form
) -> tuple[Tensor, Tensor]:
    """Each sub-block's whole scale and minimum moved by one where that leaves less."""
    import torch

    d, dmin = d.unsqueeze(-1), dmin.unsqueeze(-1)
    best = _cost(x, h, d * scales, -dmin * mins, form)
    out = scales, mins
    for i in (-1, 0, 1):
        for j in (-1, 0, 1) if form.mins else (0,):
            if not i and not j:
                continue
            s, m = (scales + i).clamp_(form.least, form.most), (mins + j).clamp_(0, form.most)
            cost = _cost(x, h, d * s, -dmin * m, form)
            better = cost < best
            best = torch.where(better, cost, best)
            out = torch.where(better, s, out[0]), torch.where(better, m, out[1])
    return out


def _factors(
    x: Tensor, h: Tensor, d: Tensor, dmin: Tensor, scales: Tensor, mins: Tensor, form: Form
) -> tuple[Tensor, Tensor]:
    """The blocks' factors that are best for the nearest codes, kept where what is left falls."""
    import torch

    step, base = d.unsqueeze(-1) * scales, -dmin.unsqueeze(-1) * mins
    level = snapped((x - base.unsqueeze(-1)).mul_(inverted(step).unsqueeze(-1)), form)
    a, b = (level * scales.unsqueeze(-1)).flatten(-2), -mins.unsqueeze(-1).expand_as(level).flatten(-2)
    y, w = x.flatten(-2), h.flatten(-2)
    wa = w * a
    saa, say = (wa * a).sum(-1), (wa * y).sum(-1)
    if form.mins:
        sab, sbb, sby = (wa * b).sum(-1), (w * b * b).sum(-1), (w * b * y).sum(-1)
        det = inverted(saa * sbb - sab * sab)
        new, low = (sbb * say - sab * sby) * det, (saa * sby - sab * say) * det
        sound = (det != 0) & (new > 0) & (low >= 0)
        new, low = halved(torch.where(sound, new, d)), halved(torch.where(sound, low, dmin))
    else:
        new, low = halved(torch.where(saa > 0, say * inverted(saa), d)), dmin
    old = _cost(x, h, step, base, form).sum(-1)
    now = _cost(x, h, new.unsqueeze(-1) * scales, -low.unsqueeze(-1) * mins, form).sum(-1)
    return torch.where(now < old, new, d), torch.where(now < old, low, dmin)


