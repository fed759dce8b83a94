"""Dynamic int8: weights of 8 bits per output channel, and at run time each token's activations as integers too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..job import Job
from ..stored import Quantized
from ..types import Seen
from . import quantizers

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@quantizers("int8dynamic")
@dataclass(frozen=True, slots=True)
class Int8Dynamic:
    """Linear layers in integers from end to end: weights int8 per output channel, activations scaled per token when the layer runs (Zafrir
    et al. 2019, Q8BERT; Yao et al. 2022, ZeroQuant). Measured here with the activations quantized; a file holds the weights alone."""

    title: ClassVar[str] = "Dynamic int8"
    needs: ClassVar[frozenset[str]] = frozenset()
    granularity: ClassVar[str] = "channel"
    symmetric: ClassVar[bool] = True
    group_size: ClassVar[int] = 0
    kinds: ClassVar[tuple[str, ...]] = ("linear", "head")
    bits: int = 8

    def groups(self, width: int) -> int:
        """One scale a row; only 8 bits have kernels."""
        if self.bits != 8:
            raise BadPlan(f"dynamic int8 has 8 bits, not {self.bits}; set bits to 8 or choose another quantizer")
        return 1

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Quantized:
        """w (out, in); codes -127 to 127 about 128, so that minus and plus reach equally far."""
        import torch

        self.groups(w.shape[1])
        (job or Job()).check()
        dtype = dtype or (w.dtype if w.dtype in (torch.float16, torch.bfloat16) else torch.float32)
        rows = w.flatten(1).float()
        scale = (rows.abs().amax(1, keepdim=True) / 127).clamp(torch.finfo(dtype).tiny, torch.finfo(dtype).max).to(dtype)
        codes = ((rows / scale.float()).round().clamp(-127, 127) + 128).to(torch.uint8)
        return Quantized(codes, scale, None, 8, rows.shape[1], tuple(w.shape), "channel")
