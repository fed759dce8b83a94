"""GGUF block types as llama.cpp runs them, their codes and scales chosen by this studio's solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadPlan
from ..ggml import LENT, fitting, has_zero, lent
from ..job import Job
from ..registry import knob
from ..solve.blocked import Blocked
from ..solve.blockscales import blocked
from ..solve.rounding import blind, signal, solved
from ..spans import diagonal
from ..stored import Blocks
from ..types import BLOCK_BYTES, Seen
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
    "IQ_XXS": {2: "IQ2_XXS", 3: "IQ3_XXS", 4: "IQ4_XS", 5: "Q5_K", 6: "Q6_K"},
    "IQ_XS": {2: "IQ2_XS", 3: "IQ3_XXS", 4: "IQ4_XS", 5: "Q5_K", 6: "Q6_K"},
    "IQ_S": {2: "IQ2_S", 3: "IQ3_S", 4: "IQ4_XS", 5: "Q5_K", 6: "Q6_K"},
    "IQ1_S": {2: "IQ1_S", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K"},
    "IQ1_M": {2: "IQ1_M", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K"},
    "TQ1_0": {2: "TQ1_0", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K"},
    "TQ2_0": {2: "TQ2_0", 3: "Q3_K", 4: "Q4_K", 5: "Q5_K", 6: "Q6_K"},
    "MXFP4": {2: "Q2_K", 3: "Q3_K", 4: "MXFP4", 5: "Q5_K", 6: "Q6_K"},
    "NVFP4": {2: "Q2_K", 3: "Q3_K", 4: "NVFP4", 5: "Q5_K", 6: "Q6_K"},
}
OURS, THEIRS = "studio", "llama.cpp"


@quantizers("ggml")
@dataclass(frozen=True, slots=True)
class Ggml:
    """The block types of GGUF: same file, same bytes and speed in llama.cpp, and a better model, because scales are searched in the type
    the file stores them in, weighted by what the layer meets, and codes are chosen by GPTQ and coordinate descent on that very grid.

    K: k-quants, where a row is a multiple of 256; elsewhere llama.cpp's fallbacks (Q4_K becomes Q5_0, Q3_K becomes IQ4_NL ...).
    Q_0 and Q_1: the plain types of 32 without and with a minimum. 7 and 8 bits are Q8_0. Without calibration data a plain search.
    IQ_, TQ and FP4 types come from llama.cpp's own encoder (libgguf), with the importance of each input where there is data; IQ1_S, IQ1_M,
    TQ1_0 and TQ2_0 stand where 2 bits are asked for (1.56, 1.75, 1.69 and 2.06 bits). Encoder llama.cpp: that one for all types, quick.
    """

    title: ClassVar[str] = "GGUF blocks (llama.cpp)"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})
    format: ClassVar[str] = "gguf"  # the one export that holds these codes
    bits: int = 4
    family: str = knob("K", choices=tuple(TYPES), label="Types")
    encoder: str = knob(OURS, choices=(OURS, THEIRS), label="Encoder")
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
        return width // BLOCK_BYTES[found][0]

    def keeping(self, width: int) -> None:
        """Refuses (BadPlan) to quantize what was pruned where 0 is no point of the grid."""
        found = self.wanted(width)
        if found and not has_zero(found):
            raise BadPlan(f"{found} can't hold an exact 0, so pruned weights would come back; set its types to Q_0, or don't prune")

    def __call__(self, w: Tensor, seen: Seen, dtype: torch.dtype | None = None, job: Job | None = None) -> Blocks:
        """w (out, in ...) -> blocks; their scales have GGUF's own type, whatever `dtype` says."""
        import torch

        job, rows = job or Job(), w.flatten(1).float()
        self.groups(rows.shape[1])
        found = self.wanted(rows.shape[1])
        h = signal(seen, rows.shape[1], job)
        if found in LENT or self.encoder == THEIRS:
            return Blocks(lent(rows, found, None if h is None else diagonal(h), job), found, tuple(w.shape))
        if not has_zero(found):  # 0 is no point of this grid, so there are no zeros to keep
            rows = torch.where(rows == 0, torch.finfo(torch.float32).tiny, rows)

        def fit(importance: Tensor) -> Blocked:
            return blocked(rows, importance, found, job)

        codes, grid = blind(rows, fit) if h is None else solved(rows, h, seen, fit, self.rounds, torch.float16, job)
        return Blocks(grid.packed(codes), found, tuple(w.shape))
