"""GGUF types that llama.cpp's own encoder writes for the studio: what it makes, that it runs, and that it is as quick as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import libgguf
import numpy as np
import pytest
import torch

from core import data
from core.compress import compress, fits
from core.errors import Cancelled
from core.export import export
from core.formats import open_checkpoint, targets
from core.ggml import LENT, fitting, has_zero, lent
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.quantize import quantizers
from core.quantize.ggml import TYPES
from core.store import Store
from core.types import BLOCK_BYTES, Choice, Plan, Seen, Setting
from core.verify_gguf import STRANGE
from tests.core.test_gguf import SOTU, seen, sent, slimmed, weight

torch.set_num_threads(1)
RUNS = tuple(t for t in LENT if t not in STRANGE)
FAMILY = {name: next((f, b) for f, types in TYPES.items() for b, t in types.items() if t == name) for name in LENT}


def theirs(w: torch.Tensor, dtype: str, importance: torch.Tensor | None = None) -> np.ndarray[Any, Any]:
    given = None if importance is None else importance.contiguous().numpy()
    return libgguf.quantize_rows(w.numpy(), gguf.GGMLQuantizationType[dtype], given)


@pytest.mark.parametrize("dtype", LENT)
def test_a_type_we_do_not_encode_holds_the_bytes_of_llama_cpps_encoder(dtype: str) -> None:
    family, bits = FAMILY[dtype]
    w, s = weight(4, 512), seen(512)
    assert s.hessian is not None
    q = quantizers["ggml"](bits=bits, family=family)(w, s)
    assert q.dtype == dtype
    assert np.array_equal(q.codes.numpy(), theirs(w, dtype, s.hessian.diagonal() / s.hessian.diagonal().mean()))
    assert np.array_equal(q.dense().numpy(), gguf.quants.dequantize(q.codes.numpy(), gguf.GGMLQuantizationType[dtype]))


@pytest.mark.parametrize("dtype", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q3_K"])
def test_llama_cpps_encoder_without_data_rounds_as_llama_cpp_does(dtype: str) -> None:
    family, bits = next((f, b) for f, types in TYPES.items() for b in range(2, 9) if types.get(b, "Q8_0") == dtype)
    w = weight(64)
    q = quantizers["ggml"](bits=bits, family=family, encoder="llama.cpp")(w, Seen())
    assert np.array_equal(q.codes.numpy(), theirs(w, dtype))


@pytest.mark.parametrize("dtype", LENT)
def test_no_weight_and_no_importance_ends_the_process(dtype: str) -> None:
    """ggml aborts on what overflows; whoever reaches the last line is alive."""
    w = weight(2, 256)
    for odd in (0 * w, w * 1e-30, w * 1e38, w * torch.tensor([[0.0], [1.0]])):
        for importance in (None, torch.zeros(256), torch.full((256,), 1e30), (torch.arange(256) % 7 == 0).float()):
            assert lent(odd, dtype, importance, Job()).shape == (2, 256 // BLOCK_BYTES[dtype][0] * BLOCK_BYTES[dtype][1])


@pytest.mark.parametrize("dtype", LENT)
def test_a_pruned_layer_keeps_its_zeros_or_is_refused_the_type(dtype: str) -> None:
    family, bits = FAMILY[dtype]
    w = torch.where(weight().abs() < 0.03, 0.0, weight())
    x = next(x for x in layers(open_checkpoint(SOTU)) if x.kind == "linear")
    why = fits(x, Setting("magnitude", 0.5, "ggml", bits, quantize_knobs={"family": family}))
    assert bool(why) == (not has_zero(dtype))
    if not why:
        assert (quantizers["ggml"](bits=bits, family=family)(w, seen(512)).dense()[w == 0] == 0).all()


def test_rows_that_a_type_does_not_divide_fall_back_as_in_llama_cpp() -> None:
    assert {fitting(t, 576) for t in ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")} == {"IQ4_NL"}
    assert {fitting(t, 576) for t in ("TQ1_0", "TQ2_0")} == {"Q4_0"}
    assert (fitting("NVFP4", 576), fitting("NVFP4", 96), fitting("MXFP4", 96)) == ("NVFP4", "MXFP4", "MXFP4")


def test_encoding_hears_a_cancel() -> None:
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        lent(weight(), "IQ2_XS", None, job)


def test_a_type_that_the_installed_runtime_does_not_know_is_read_again_and_the_verdict_says_that_it_was_not_run(tmp_path: Path) -> None:
    made, job = slimmed(SOTU, tmp_path, bits=2, knobs={"ggml.family": "TQ2_0"}), Job()
    network = attach(made.checkpoint)
    verdict = export(made, tmp_path / "out.gguf", targets["gguf"](), network, data.load(SOTU / "heldout.txt", network, 64), job)
    assert verdict.passed
    assert "doesn't know TQ2_0" in verdict.tool
    assert [c.name for c in verdict.checks] == ["tensors as written", "file size", "same weights"]


def test_a_model_of_all_types_that_we_do_not_encode_runs_in_llama_cpp(tmp_path: Path) -> None:
    """Each in a layer of its own: one file and one fresh process for all."""
    checkpoint = open_checkpoint(SOTU)
    linear = [x for x in layers(checkpoint) if x.kind == "linear"][: len(RUNS)]
    own = {x.name: Choice(bits=FAMILY[t][1], knobs={"ggml.family": FAMILY[t][0]}) for x, t in zip(linear, RUNS, strict=True)}
    plan = Plan(Choice("magnitude", 0.0, "ggml", 16), layers=own)
    made = compress(checkpoint, layers(checkpoint), plan, None, Store(tmp_path / "store"), Job())
    passed = sent(made, tmp_path / "out.gguf", 64)
    assert {"same weights", "same answers in llama.cpp"} <= set(passed)
    again = open_checkpoint(tmp_path / "out.gguf").tensors
    assert [again[x.tensor.name].dtype for x in linear] == list(RUNS)
