"""GGUF block types as llama.cpp runs them, their codes and scales chosen by this studio's solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..ggml import FORMS, fitting
from ..job import Job
from ..registry import knob
from ..solve.blocked import Blocked
from ..solve.blockscales import blocked
from ..solve.rounding import blind, signal, solved
from ..stored import Blocks
from ..types import Seen
from . import quantizers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

TYPES = {
    "K": {2: "Q2_K", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K"},
    "Q_0": {2: "Q2_K", 3: "Q3_K", 4: "Q4_0", 5: "Q5_0", 6: "Q6_K"},
    "Q_1": {2: "Q2_K", 3: "Q3_K", 4: "Q4_1", 5: "Q5_1", 6: "Q6_K"},
    "IQ4_NL": {2: "Q2_K", 3: "Q3_K", 4: "IQ4_NL", 5: "Q5_0", 6: "Q6_K"},
    "IQ4_XS": {2: "Q2_K", 3: "Q3_K", 4: "IQ4_XS", 5: "Q5_K", 6: "Q6_K"},
}


@quantizers("ggml")
@dataclass(frozen=True, slots=True)
class Ggml:
    """The block types of GGUF: same file, same bytes and speed in llama.cpp, and a better model, because scales are searched in the type
    the file stores them in, weighted by what the layer meets, and codes are chosen by GPTQ and coordinate descent on that very grid.

    K: k-quants, where a row is a multiple of 256; elsewhere llama.cpp's fallbacks (Q4_K becomes Q5_0, Q3_K becomes IQ4_NL ...).
    Q_0 and Q_1: the plain types of 32 without and with a minimum. 7 and 8 bits are Q8_0. Without calibration data a plain search.
    """

    title: ClassVar[str] = "GGUF blocks (llama.cpp)"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    format: ClassVar[str] = "gguf"  # the one export that holds these codes
    bits: int = 4
    family: str = knob("K", choices=tuple(TYPES), label="Types")
    rounds: int = knob(3, 0, 6, 1, label="Polishing rounds")

    @property
    def asked(self) -> str:
        """The type where rows are long enough for it."""
        return TYPES[self.family].get(self.bits, "Q8_0")

    def wanted(self, width: int) -> str:
        """The type for rows of so many values; "" when no block divides them."""
        return fitting(self.asked, width)

    def groups(self, width: int) -> int:
        """Blocks in a row; a width that no block divides is refused."""
        found = self.wanted(width)
        if not found:
            raise BadPlan(f"GGUF's blocks of 32 don't divide its {width} inputs; set its bits to 16")
        return width // FORMS[found].block

    def keeping(self, width: int) -> None:
        """Refuses (BadPlan) to quantize what was pruned where 0 is no point of the grid."""
        found = self.wanted(width)
        if found and not FORMS[found].zero:
            raise BadPlan(f"{found} can't hold an exact 0, so pruned weights would come back; set its types to Q_0, or don't prune")

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Blocks:
        """w (out, in ...) -> blocks; their scales have GGUF's own type, whatever `dtype` says."""
        import torch

        job, rows = job or Job(), w.flatten(1).float()
        self.groups(rows.shape[1])
        found = self.wanted(rows.shape[1])
        h = signal(seen, rows.shape[1], job)
        if not FORMS[found].zero:  # 0 is no point of this grid, so there are no zeros to keep
            rows = torch.where(rows == 0, torch.finfo(torch.float32).tiny, rows)

        def fit(importance: Tensor) -> Blocked:
            return blocked(rows, importance, found, job)

        codes, grid = blind(rows, fit) if h is None else solved(rows, h, seen, fit, self.rounds, torch.float16, job)
        return Blocks(grid.packed(codes), found, tuple(w.shape))
