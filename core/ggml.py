"""The block types of ggml: which levels and scales each has, and how they are laid down in bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .job import Job
from .types import BLOCK_BYTES

if TYPE_CHECKING:
    from torch import Tensor

NONLINEAR = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)  # kvalues_iq4nl of ggml


@dataclass(frozen=True, slots=True)
class Form:
    """A value is d * scale * level, less dmin * min in types with minima; `sub` neighbours share a scale, `block` share d and dmin."""

    low: int  # lowest level (a place in `table` where there is one)
    top: int
    block: int = 32
    sub: int = 32
    least: int = 1  # whole scales from least to most; both 1 where the block has one scale only
    most: int = 1
    mins: bool = False
    table: tuple[int, ...] = ()

    @property
    def zero(self) -> bool:
        """Whether 0 is always one of its values."""
        return not self.mins and not self.table

    @property
    def subs(self) -> int:
        """Scales in a block."""
        return self.block // self.sub


FORMS = {
    "Q4_0": Form(-8, 7),
    "Q5_0": Form(-16, 15),
    "Q8_0": Form(-127, 127),
    "Q4_1": Form(0, 15, mins=True),
    "Q5_1": Form(0, 31, mins=True),
    "IQ4_NL": Form(0, 15, table=NONLINEAR),
    "Q2_K": Form(0, 3, 256, 16, 0, 15, mins=True),
    "Q3_K": Form(-4, 3, 256, 16, -32, 31),
    "Q4_K": Form(0, 15, 256, 32, 0, 63, mins=True),
    "Q5_K": Form(0, 31, 256, 32, 0, 63, mins=True),
    "Q6_K": Form(-32, 31, 256, 16, -128, 127),
    "IQ4_XS": Form(0, 15, 256, 32, -32, 31, table=NONLINEAR),
}
LENT = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4")  # libgguf encodes them
ZEROS = ("TQ1_0", "TQ2_0", "MXFP4", "NVFP4")  # of those: 0 is one of their values
FALLBACK = {
    "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "TQ1_0": "Q4_0", "TQ2_0": "Q4_0", "NVFP4": "MXFP4",
    **dict.fromkeys(("Q2_K", "Q3_K", "IQ4_XS", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"), "IQ4_NL"),
}  # fmt: skip  llama-quant.cpp
AT_ONCE, QUICK = 1 << 15, 1 << 17  # weights libgguf encodes between two looks at the job: up to 1.2 us each, bare rounding 7 ns
LEAST = 1e-6  # of the mean importance: an input that met nothing still counts for something
MOST = 65504.0  # what half precision scales reach


def fitting(dtype: str, width: int) -> str:
    """The type itself, or what llama.cpp takes for rows of `width` values that its blocks don't divide; "" when none does."""
    if width % BLOCK_BYTES[dtype][0]:
        dtype = FALLBACK.get(dtype, "")
    return "" if not dtype or width % BLOCK_BYTES[dtype][0] else dtype


def has_zero(dtype: str) -> bool:
    """Whether 0 is always one of its values."""
    return FORMS[dtype].zero if dtype in FORMS else dtype in ZEROS


def lent(rows: Tensor, dtype: str, importance: Tensor | None, job: Job) -> Tensor:
    """rows (out, in) float32 finite, importance (in,) -> the bytes of the rows by llama.cpp's own encoder (libgguf, byte-identical to
    ggml): plain types without importance are rounded to nearest."""
    import gguf
    import libgguf
    import torch

    kind = gguf.GGMLQuantizationType[dtype]
    if importance is None and libgguf.quantize_requires_imatrix(kind):
        importance = rows.square().mean(0)
    if importance is not None:  # by its mean and within limits: on overflow ggml ends the process
        importance = importance.div(float(importance.mean()) or 1.0).clamp(LEAST, 1 / LEAST).contiguous()
    weight = None if importance is None else importance.numpy()
    plain = weight is None and dtype in FORMS and FORMS[dtype].most == 1 and not FORMS[dtype].table
    step = max(1, (QUICK if plain else AT_ONCE) // rows.shape[1])
    block, size = BLOCK_BYTES[dtype]
    rows, out = rows.contiguous(), torch.empty((len(rows), rows.shape[1] // block * size), dtype=torch.uint8)
    for part, to in zip(rows.split(step), out.split(step)):
        job.check()
        low, high = part.aminmax()
        part = part if max(-float(low), float(high)) <= MOST else part.clamp(-MOST, MOST)
        libgguf.quantize_rows_into_raw(kind, part.numpy(), to.numpy(), len(part), rows.shape[1], weight)
    return out


def packed(dtype: str, levels: Tensor, d: Tensor, dmin: Tensor, scales: Tensor, mins: Tensor) -> Tensor:
    """levels (rows, width), d and dmin (rows, blocks) float16, scales and mins (rows, blocks * subs) -> (rows, bytes) uint8."""
    import torch

    form = FORMS[dtype]
    n = d.numel()
    q = (levels.reshape(n, form.block) - form.low).to(torch.uint8)
    halves = [_bytes(t.reshape(n, 1)) for t in (d, dmin)]
    s, m = (t.reshape(n, form.subs).to(torch.int16) for t in (scales, mins))
    parts = _LAYOUTS[dtype](q, *halves, s, m)
    return torch.cat(parts, 1).reshape(len(levels), -1)


def _bytes(t: Tensor) -> Tensor:
    import torch

    return t.contiguous().view(torch.uint8)


def _folded(q: Tensor, bits: int, stride: int) -> Tensor:
    """Codes (n, values) put together in bytes, `stride` bytes after one another; the first of them takes the lowest bits."""
    per = 8 // bits
    parts = (q & (2**bits - 1)).unflatten(1, (-1, per, stride))
    out = parts[:, :, 0].clone()
    for i in range(1, per):
        out |= parts[:, :, i] << (bits * i)
    return out.flatten(1)


def _q4_0(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, _folded(q, 4, 16)]


def _q4_1(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, _negated(dmin), _folded(q, 4, 16)]


def _negated(half: Tensor) -> Tensor:
    """The same half with its sign turned: here the minimum is added, elsewhere it is taken away."""
    out = half.clone()
    out[:, 1] ^= 0x80
    return out


def _fifth(q: Tensor) -> Tensor:
    """Bit 4 of 32 codes, in 4 bytes."""
    import torch

    bit = (q >> 4).unflatten(1, (4, 8)) << torch.arange(8, dtype=torch.uint8)
    return bit.sum(-1).to(torch.uint8)


def _q5_0(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, _fifth(q), _folded(q, 4, 16)]


def _q5_1(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, _negated(dmin), _fifth(q), _folded(q, 4, 16)]


def _q8_0(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    import torch

    return [d, (q.to(torch.int16) - 127).to(torch.int8).view(torch.uint8)]


def _q2_k(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    import torch

    return [(s | (m << 4)).to(torch.uint8), _folded(q, 2, 32), d, dmin]


def _q3_k(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    import torch

    u = (s + 32).to(torch.uint8)
    low = (u[:, :8] & 15) | ((u[:, 8:] & 15) << 4)
    return [_folded(q >> 2, 1, 32), _folded(q, 2, 32), low, _folded(u >> 4, 2, 4), d]


def _k_scales(s: Tensor, m: Tensor) -> Tensor:
    """Eight scales and eight minima of 6 bits in 12 bytes."""
    import torch

    s, m = s.to(torch.uint8), m.to(torch.uint8)
    ends = (s[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)
    return torch.cat([s[:, :4] | ((s[:, 4:] >> 4) << 6), m[:, :4] | ((m[:, 4:] >> 4) << 6), ends], 1)


def _q4_k(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, dmin, _k_scales(s, m), _folded(q, 4, 32)]


def _q5_k(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    return [d, dmin, _k_scales(s, m), _folded(q >> 4, 1, 32), _folded(q, 4, 32)]


def _q6_k(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    import torch

    return [_folded(q, 4, 64), _folded(q >> 4, 2, 32), s.to(torch.int8).view(torch.uint8), d]


def _iq4_xs(q: Tensor, d: Tensor, dmin: Tensor, s: Tensor, m: Tensor) -> list[Tensor]:
    import torch

    u = (s + 32).to(torch.uint8)
    low = (u[:, 0::2] & 15) | ((u[:, 1::2] & 15) << 4)
    return [d, _folded(u >> 4, 2, 1), low, _folded(q, 4, 16)]


_LAYOUTS: dict[str, Callable[..., list[Tensor]]] = {
    "Q4_0": _q4_0, "Q4_1": _q4_1, "Q5_0": _q5_0, "Q5_1": _q5_1, "Q8_0": _q8_0, "IQ4_NL": _q4_0, "Q2_K": _q2_k, "Q3_K": _q3_k,
    "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k, "IQ4_XS": _iq4_xs,
}  # fmt: skip
