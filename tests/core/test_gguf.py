"""GGUF exports hold the promised bytes and values, run in llama.cpp, and beat its own encoder; what can't be is said before."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import libgguf
import numpy as np
import pytest
import torch

from core import data, verify_gguf
from core.compress import Compressed, compress, fits
from core.errors import BadPlan, CannotWrite, NotVerified
from core.export import _write, export, save, settings_of
from core.formats import open_checkpoint, permuted, read, targets, unpermuted
from core.formats.gguf_header import parse
from core.ggml import FORMS, fitting, packed
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit, resolve
from core.quantize import quantizers
from core.resources import root
from core.size import size
from core.solve.blockscales import blocked
from core.solve.polish import loss
from core.store import Store
from core.stored import Blocks, whole
from core.types import BLOCK_BYTES, Choice, Plan, Seen, Setting
from core.verify import Written
from tests.core.test_readers import tiny_gguf
from tests.real import smollm2

torch.set_num_threads(1)
SOTU = root() / "samples" / "sotu-lm"
WAYS = {"source": {"bits": 16}, "Q8_0": {"bits": 8}, "Q4_0": {"bits": 4, "knobs": {"ggml.family": "Q_0"}}}


def slimmed(path: Path, tmp: Path, **changes: Any) -> Compressed:
    checkpoint = open_checkpoint(path)
    plan = edit(Plan(), MODEL, **{"quantize": "ggml", **changes})
    return compress(checkpoint, layers(checkpoint), plan, None, Store(tmp / "store"), Job())


def sent(made: Compressed, file: Path, limit: int = 256, **knobs: Any) -> dict[str, str]:
    """The checks that held."""
    network = attach(made.checkpoint)
    held = data.load(SOTU / "heldout.txt", network, limit)
    verdict = export(made, file, targets["gguf"](**knobs), network, held, Job())
    assert "llama.cpp" in verdict.tool
    return {c.name: c.detail for c in verdict.checks if c.passed}


def weight(rows: int = 16, width: int = 512, seed: int = 0) -> torch.Tensor:
    return 0.05 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_the_sizes_of_blocks_are_those_of_the_gguf_package() -> None:
    assert all(gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[k]] == v for k, v in BLOCK_BYTES.items())


@pytest.mark.parametrize("dtype", FORMS)
def test_every_level_scale_and_minimum_comes_back_out_of_the_packed_bytes(dtype: str) -> None:
    form, own = FORMS[dtype], torch.Generator().manual_seed(0)
    rows, blocks = 5, 3
    levels = torch.randint(form.low, form.top + 1, (rows, blocks * form.block), generator=own)
    d, dmin = (torch.randn(rows, blocks, generator=own).half() for _ in range(2))
    scales = torch.randint(form.least, form.most + 1, (rows, blocks * form.subs), generator=own)
    mins = torch.randint(0 if form.most > 1 else 1, form.most + 1, scales.shape, generator=own)
    found = Blocks(packed(dtype, levels, d, dmin, scales, mins), dtype, tuple(levels.shape)).dense()
    value = torch.tensor(form.table)[levels] if form.table else levels
    want = (d.float().repeat_interleave(form.subs, 1) * scales).repeat_interleave(form.sub, 1) * value
    if form.mins:
        want = want - (dmin.float().repeat_interleave(form.subs, 1) * mins).repeat_interleave(form.sub, 1)
    assert torch.equal(found, want)


@pytest.mark.parametrize("dtype", FORMS)
def test_a_plain_search_is_no_worse_than_llama_cpps_encoder(dtype: str) -> None:
    w, importance = weight(64), torch.rand(512, generator=torch.Generator().manual_seed(3)) ** 2 + 0.05
    grid = blocked(w, importance, dtype, Job())
    kind = gguf.GGMLQuantizationType[dtype]
    theirs = gguf.quants.dequantize(libgguf.quantize_rows(w.numpy(), kind, imatrix=importance.numpy()), kind)
    mine = Blocks(grid.packed(grid.direct(w)), dtype, tuple(w.shape)).dense()
    assert torch.allclose(mine, grid.decode(grid.direct(w)), atol=1e-6)
    error = [float((importance * (x - w).square()).sum()) for x in (mine, torch.from_numpy(theirs.copy()))]
    assert error[0] <= 1.005 * error[1]


def seen(width: int) -> Seen:
    own = torch.Generator().manual_seed(1)
    mix = torch.randn(width, width, generator=own) / width**0.5 * torch.exp(0.7 * torch.randn(width, generator=own))
    halves = (torch.randn(3000, width, generator=own) @ mix for _ in range(2))
    h, held = (x.T @ x / 3000 for x in halves)
    return Seen(hessian=h, held=held, samples=3000)


FAMILIES = [*(("K", b) for b in (2, 3, 4, 5, 6)), ("Q_0", 4), ("Q_1", 4), ("IQ4_NL", 4), ("IQ4_XS", 4)]


@pytest.mark.parametrize(("family", "bits"), FAMILIES)
def test_with_data_what_llama_cpps_encoder_leaves_falls_by_a_third_or_more(family: str, bits: int) -> None:
    w, s = weight(32, 256), seen(256)
    assert s.hessian is not None
    assert s.held is not None
    found = quantizers["ggml"](bits=bits, family=family)(w, s)
    kind = gguf.GGMLQuantizationType[found.dtype]
    theirs = gguf.quants.dequantize(libgguf.quantize_rows(w.numpy(), kind, imatrix=s.hessian.diagonal().contiguous().numpy()), kind)
    assert float(loss(w, found.dense(), s.held)) < 0.67 * float(loss(w, torch.from_numpy(theirs.copy()), s.held))


def test_rows_that_256_does_not_divide_get_llama_cpps_fallbacks_and_others_are_refused() -> None:
    fallen = {"Q2_K": "IQ4_NL", "Q3_K": "IQ4_NL", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
    assert {k: fitting(k, 576) for k in fallen} == fallen
    assert all(fitting(k, 768) == k for k in fallen)
    with pytest.raises(BadPlan, match="set its bits to 16"):
        quantizers["ggml"]()(weight(4, 100), Seen())


@pytest.mark.parametrize(("family", "bits"), [("Q_0", 4), ("Q_0", 5), ("K", 3), ("K", 6), ("K", 8)])
def test_pruned_weights_stay_zero_where_the_grid_has_a_zero(family: str, bits: int) -> None:
    w = torch.where(weight().abs() < 0.03, 0.0, weight())
    q = quantizers["ggml"](bits=bits, family=family)(w, seen(512))
    assert (q.dense()[w == 0] == 0).all()


def test_a_pruned_layer_is_refused_a_grid_without_a_zero() -> None:
    x = next(x for x in layers(open_checkpoint(SOTU)) if x.kind == "linear")
    assert "exact 0" in fits(x, Setting("magnitude", 0.5, "ggml", 4))
    assert not fits(x, Setting("magnitude", 0.5, "ggml", 4, quantize_knobs={"family": "Q_0"}))


@pytest.mark.parametrize("dtype", FORMS)
def test_a_rows_factor_changes_only_half_precision_scales(dtype: str) -> None:
    w = weight(4)
    q = Blocks((g := blocked(w, torch.ones(512), dtype, Job())).packed(g.direct(w)), dtype, (4, 512))
    rows = torch.tensor([1.0, 0.5, 2.0, 1.1])
    assert torch.allclose(q.scaled(rows).dense(), q.dense() * rows[:, None], rtol=2e-3, atol=2e-4)
    again = whole(*q.parts())
    assert isinstance(again, Blocks)
    assert torch.equal(again.dense(), q.dense())


@pytest.mark.parametrize("b", [256, 128, 48])
def test_a_wide_layer_is_solved_part_by_part_even_where_a_part_ends_within_a_block(b: int) -> None:
    w = weight(8, 768)
    grid = blocked(w, torch.ones(768), "Q4_K", Job())
    parts = [grid.part(slice(a, a + b)) for a in range(0, 768, b)]
    codes = grid.direct(w)
    assert torch.equal(torch.cat([p.direct(w[:, i * b : (i + 1) * b]) for i, p in enumerate(parts)], 1), codes)
    assert torch.equal(torch.cat([p.decode(codes[:, i * b : (i + 1) * b]) for i, p in enumerate(parts)], 1), grid.decode(codes))
    cuts = [(slice(i * b, (i + 1) * b), p) for i, p in enumerate(parts)]
    again = [p.refit(w[:, at], codes[:, at], torch.eye(b), torch.float16, Job()) for at, p in cuts]
    joined = grid.joined(again)
    assert torch.equal(joined.d, grid.d) == (b != 256)
    halves = seen(384)
    assert halves.hessian is not None
    assert halves.held is not None
    wide = replace(halves, hessian=halves.hessian.expand(2, -1, -1), held=halves.held.expand(2, -1, -1))
    assert wide.held is not None
    errors = [float(loss(w, quantizers["ggml"](bits=4)(w, s).dense(), wide.held)) for s in (wide, Seen())]
    assert errors[0] < 0.67 * errors[1]


def test_rows_are_permuted_as_they_are_unpermuted() -> None:
    rows = torch.arange(48).view(24, 2)
    assert torch.equal(unpermuted(permuted(rows, 3), 3), rows)
    assert not torch.equal(permuted(rows, 3), rows)


@pytest.mark.parametrize("way", WAYS)
def test_the_sample_language_model_runs_in_llama_cpp(way: str, tmp_path: Path) -> None:
    made = slimmed(SOTU, tmp_path, **WAYS[way])
    passed = sent(made, tmp_path / "out.gguf")
    assert set(passed) == {"tensors as written", "file size", "same weights", "same tokens in llama.cpp", "same answers in llama.cpp"}
    assert (tmp_path / "out.gguf").stat().st_size == size(made.checkpoint, made.layers, settings_of(made), targets["gguf"]()).total
    assert oct((tmp_path / "out.gguf").stat().st_mode)[-3:] == "644"


def test_smollm2_runs_in_llama_cpp_with_other_types_in_some_blocks_and_its_own_in_the_rest(tmp_path: Path) -> None:
    """All 30 blocks anew would take a minute: two are enough to meet every kind of layer in both types."""
    checkpoint = open_checkpoint(smollm2())
    plan = Plan(groups={
        "model.layers.0.*": Choice(quantize="ggml", bits=8),
        "model.layers.1.*": Choice(quantize="ggml", bits=4, knobs={"ggml.family": "Q_0"}),
        "model.layers.2.*": Choice(quantize="ggml", bits=4),
    })  # fmt: skip
    made = compress(checkpoint, layers(checkpoint), plan, None, Store(tmp_path / "store"), Job())
    passed = sent(made, tmp_path / "out.gguf", 64)
    assert {"same tokens in llama.cpp", "same answers in llama.cpp"} <= set(passed)
    again = open_checkpoint(tmp_path / "out.gguf")
    assert again.config == checkpoint.config
    types = {t.name: t.dtype for t in again.tensors.values()}
    assert [types[f"model.layers.{i}.mlp.up_proj.weight"] for i in range(4)] == ["Q8_0", "Q4_0", "Q5_0", "Q4_1"]
    assert types["model.layers.2.mlp.down_proj.weight"] == "Q4_K"
    assert "Q5_0 for Q4_K in 6 layers" in targets["gguf"]().detail(made.layers, settings_of(made))


def test_an_opened_gguf_is_written_again_with_the_same_blocks(tmp_path: Path) -> None:
    weights = tiny_gguf(tmp_path / "in.gguf")
    made = slimmed(tmp_path / "in.gguf", tmp_path)
    save(made, tmp_path / "out.gguf", targets["gguf"](), Job())
    before, after = (gguf.GGUFReader(tmp_path / f).tensors for f in ("in.gguf", "out.gguf"))
    assert {t.name: t.data.tobytes() for t in before} == {t.name: t.data.tobytes() for t in after}
    assert set(weights) == {t.name for t in after}
    old, new = (parse(tmp_path / f)[0] for f in ("in.gguf", "out.gguf"))
    assert {k: v for k, v in new.items() if k in old} == old


EXACT = [(4, True, "Q4_0"), (3, False, "Q4_0"), (4, False, "Q5_0"), (8, True, "Q8_0"), (8, False, "F16")]


@pytest.mark.parametrize(("bits", "symmetric", "dtype"), EXACT)
def test_even_grids_are_encoded_again_only_where_that_is_exact(bits: int, symmetric: bool, dtype: str, tmp_path: Path) -> None:
    made = slimmed(SOTU, tmp_path, quantize="rtn", bits=bits, knobs={"rtn.symmetric": symmetric, "rtn.group_size": 64})
    target, x = targets["gguf"](), next(x for x in made.layers if x.name.endswith("mlp.up_proj"))
    settings = settings_of(made)
    assert target.of(x, settings[x.name]) == dtype
    assert bool(target.refuses(made.checkpoint, x, settings[x.name])) == (dtype == "F16")
    save(made, tmp_path / "out.gguf", target, Job())
    again = read(open_checkpoint(tmp_path / "out.gguf").tensors[x.tensor.name])
    want = made.stored(x).dense(torch.float32)
    assert torch.equal(again.float(), want.half().float() if dtype == "F16" else want)


def test_groups_of_16_are_stored_dense_and_the_reason_says_what_to_choose() -> None:
    checkpoint = open_checkpoint(SOTU)
    x = next(x for x in layers(checkpoint) if x.kind == "linear")
    setting = Setting(quantize="rtn", bits=4, quantize_knobs={"group_size": 16})
    assert "choose the quantizer GGUF blocks" in targets["gguf"]().refuses(checkpoint, x, setting)
    assert targets["gguf"]().of(x, setting) == "F16"
    assert "choose the format GGUF" in targets["packed"]().refuses(checkpoint, x, Setting(quantize="ggml", bits=4))


def flawed(tmp: Path, **how: Any) -> tuple[Compressed, Written, Path]:
    made = slimmed(SOTU, tmp, **WAYS["Q4_0"])
    (tmp / "aside").mkdir()
    file = tmp / "aside" / "out.gguf"
    return made, _write(made, tmp / "aside", tmp / "out.gguf", targets["gguf"](), Job()), file


def scale_of(file: Path, name: str) -> tuple[int, int]:
    t = next(t for t in gguf.GGUFReader(file).tensors if t.name == name)
    return int(t.data_offset), int(t.n_bytes)


def judged(made: Compressed, written: Written, file: Path) -> list[str]:
    network = attach(made.checkpoint)
    held = data.load(SOTU / "heldout.txt", network, 256)
    verdict = verify_gguf.verify_gguf(file, written, made, settings_of(made), targets["gguf"](), network, held, Job())
    return [c.name for c in verdict.checks if not c.passed]


def test_one_flipped_bit_of_a_scale_is_caught(tmp_path: Path) -> None:
    made, written, file = flawed(tmp_path)
    assert judged(made, written, file) == []
    at, _ = scale_of(file, "blk.1.ffn_up.weight")
    with file.open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))
    assert judged(made, written, file) == ["tensors as written"]


def test_wrong_scales_are_caught_by_either_reader_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, written, file = flawed(tmp_path)
    at, n = scale_of(file, "blk.1.ffn_up.weight")
    raw = bytearray(file.read_bytes())
    for block in range(at, at + n, 18):
        raw[block + 1] ^= 0x80  # the sign of every scale of the layer
    file.write_bytes(raw)
    sums = {t.name: verify_gguf._crc(torch.from_numpy(np.array(t.data))) for t in gguf.GGUFReader(file).tensors}
    blind = replace(written, checksums=sums)
    assert judged(made, blind, file) == ["same weights"]
    monkeypatch.setattr(verify_gguf, "_filed", partial(_trusting, file))
    assert judged(made, blind, file) == ["same answers in llama.cpp"]


def _trusting(file: Path, found: Any, *_: Any) -> Any:
    """What the file holds, in the place of what it should: the first comparison finds nothing."""
    infos = open_checkpoint(file).tensors
    return ((x.tensor.name, read(infos[x.tensor.name]).float()) for x in found)


def test_an_export_that_differs_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = slimmed(SOTU, tmp_path, **WAYS["Q8_0"])
    monkeypatch.setattr(verify_gguf, "_filed", lambda found, *_: ((x.tensor.name, torch.zeros(1)) for x in found))
    with pytest.raises(NotVerified, match="same weights"):
        sent(made, tmp_path / "out.gguf")
    assert {p.name for p in tmp_path.iterdir()} == {"store"}


def test_without_llama_cpp_the_verdict_says_that_it_was_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_gguf, "RUNTIME", "no_such_runtime")
    made, job = slimmed(SOTU, tmp_path, bits=16), Job()
    network = attach(made.checkpoint)
    held = data.load(SOTU / "heldout.txt", network, 64)
    verdict = export(made, tmp_path / "out.gguf", targets["gguf"](), network, held, job)
    assert verdict.passed
    assert "not run" in verdict.tool
    assert [c.name for c in verdict.checks] == ["tensors as written", "file size", "same weights"]
    assert verify_gguf.MISSING in job.notes


@pytest.mark.parametrize("bits", [16, 8, 6, 5, 4, 3, 2])
def test_the_size_of_any_plan_is_the_length_of_the_file(bits: int, tmp_path: Path) -> None:
    made = slimmed(SOTU, tmp_path, bits=bits)
    save(made, tmp_path / "out.gguf", targets["gguf"](), Job())
    foreseen = size(made.checkpoint, made.layers, resolve(made.plan, made.layers), targets["gguf"]())
    assert foreseen.total == (tmp_path / "out.gguf").stat().st_size
    assert foreseen.layers == {t.name.removesuffix(".weight"): t.nbytes for t in open_checkpoint(tmp_path / "out.gguf").tensors.values()}


def refused(path: Path, tmp: Path, file: str = "out.gguf") -> str:
    with pytest.raises(CannotWrite) as found:
        save(slimmed(path, tmp, bits=16), tmp / file, targets["gguf"](), Job())
    assert not (tmp / file).exists()
    return str(found.value)


def test_what_gguf_cannot_hold_is_one_sentence(tmp_path: Path) -> None:
    assert "not resnet" in refused(root() / "samples" / "digits-cnn", tmp_path)
    folder = shutil.copytree(SOTU, tmp_path / "bare")
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refused(folder, tmp_path)
    odd = json.loads((SOTU / "tokenizer.json").read_text())
    odd["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(odd))
    assert "no name for this tokenizer" in refused(folder, tmp_path)
    shutil.copyfile(SOTU / "tokenizer.json", folder / "tokenizer.json")
    config = json.loads((SOTU / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0}
    (folder / "config.json").write_text(json.dumps(config))
    assert "rotary embedding is scaled" in refused(folder, tmp_path)
    assert "ends in .gguf" in refused(SOTU, tmp_path, "out")


def test_only_our_own_gguf_is_replaced(tmp_path: Path) -> None:
    made = slimmed(SOTU, tmp_path, bits=16)
    save(made, tmp_path / "out.gguf", targets["gguf"](), Job())
    save(made, tmp_path / "out.gguf", targets["gguf"](), Job())
    tiny_gguf(tmp_path / "theirs.gguf")
    before = (tmp_path / "theirs.gguf").read_bytes()
    with pytest.raises(CannotWrite, match="can't be replaced"):
        save(made, tmp_path / "theirs.gguf", targets["gguf"](), Job())
    assert (tmp_path / "theirs.gguf").read_bytes() == before


@pytest.mark.parametrize("dtype", sorted(BLOCK_BYTES))
def test_llama_cpps_own_blocks_are_read_as_the_gguf_package_decodes_them(dtype: str, tmp_path: Path) -> None:
    kind, own = gguf.GGMLQuantizationType[dtype], np.random.default_rng(0)
    raw = own.integers(0, 120, (2, 512 // BLOCK_BYTES[dtype][0] * BLOCK_BYTES[dtype][1]), np.uint8)  # for types whose encoder takes long
    if dtype in FORMS:
        raw = libgguf.quantize_rows(weight(2).numpy(), kind)
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "strange")
    writer.add_tensor("w", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    info = open_checkpoint(tmp_path / "a.gguf").tensors["w"]
    assert (info.shape, info.dtype, info.nbytes) == ((2, 512), dtype, raw.nbytes)
    assert np.array_equal(read(info).numpy(), gguf.quants.dequantize(raw, kind), equal_nan=True)
