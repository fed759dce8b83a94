"""llama.cpp's importance matrices are read as calibration and written so that llama.cpp's own tools use them."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import gguf
import ik_llama_cpp
import libgguf
import numpy as np
import pytest
import torch

from core.calibrate.imatrix import calibration, collected
from core.cli import main
from core.compress import compress
from core.data.calibration import calibrating
from core.errors import BadFile, BadPlan
from core.export import save as save_model
from core.formats import open_checkpoint, read, targets
from core.formats.imatrix_file import Importance, is_imatrix, load, save
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.resources import root
from core.solve.polish import loss
from core.store import Store
from core.types import Choice, Plan
from tests.core.test_readers import tiny_gguf

torch.set_num_threads(1)
SOTU = root() / "samples" / "sotu-lm"
FORMS = ("m.gguf", "m.imatrix", "m.dat")


def written(tmp: Path, name: str = "m.imatrix", **odd: np.ndarray) -> Path:
    """Of the sample's layers: the first input of each matters ten thousand times as much as the others."""
    own = np.random.default_rng(0)
    squares = {}
    for x in layers(open_checkpoint(SOTU)):
        if x.kind == "linear":
            parts = x.name.split(".")
            stem = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
                    "up_proj": "ffn_up", "down_proj": "ffn_down"}[parts[-1]]  # fmt: skip
            some = own.uniform(0.5, 1.5, x.tensor.shape[1]).astype(np.float32)
            some[0] = 1e4
            squares[f"blk.{parts[2]}.{stem}.weight"] = some
    save(tmp / name, Importance({**squares, **odd}, 2048), "text.txt")
    return tmp / name


@pytest.mark.parametrize("name", FORMS)
def test_what_is_written_comes_back_by_libggufs_reader_and_ours(name: str, tmp_path: Path) -> None:
    wanted = {"blk.0.attn_q.weight": np.array([1.0, 4.0, 9.0], np.float32), "blk.1.ffn_up.weight": np.array([0.5, 0.0], np.float32)}
    save(tmp_path / name, Importance(wanted, 1536), "text.txt")
    for found in (libgguf.load_imatrix(tmp_path / name), load(tmp_path / name).squares):
        assert found.keys() == wanted.keys()
        assert all(np.allclose(found[n], wanted[n], rtol=1e-6) for n in wanted)
    assert is_imatrix(tmp_path / name)
    assert load(tmp_path / name).tokens == (512 if name == "m.dat" else 1536)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_the_gguf_form_has_the_words_that_llama_cpp_looks_for(tmp_path: Path) -> None:
    found = gguf.GGUFReader(written(tmp_path, "m.gguf"))
    said = {k: found.fields[k].contents() for k in ("general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size")}
    assert said == {
        "general.type": "imatrix", "imatrix.datasets": ["text.txt"], "imatrix.chunk_count": 4, "imatrix.chunk_size": 512,
    }  # fmt: skip
    shapes = {t.name: t.shape.tolist() for t in found.tensors}
    assert (shapes["blk.0.attn_q.weight.in_sum2"], shapes["blk.0.attn_q.weight.counts"]) == ([256, 1], [1, 1])


def test_a_model_a_broken_file_and_a_text_are_no_matrix(tmp_path: Path) -> None:
    tiny_gguf(tmp_path / "model.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\3")
    (tmp_path / "t.txt").write_text("general.type imatrix")
    assert not any(is_imatrix(p) for p in (*tmp_path.iterdir(), tmp_path, tmp_path / "none.imatrix"))


def test_methods_that_look_at_inputs_take_it_for_calibration(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SOTU)
    x = next(x for x in layers(checkpoint) if x.name.endswith("0.mlp.up_proj"))
    found = calibration(written(tmp_path), checkpoint, [x], {"inputs"}, "parallel", Job())
    h = found.seen[x.name].hessian
    assert h is not None
    w = read(x.tensor).float()
    for method in ("ggml", "slim", "awq"):
        plan = Plan(layers={x.name: Choice(quantize=method, bits=3)})
        made = [compress(checkpoint, [x], plan, c, Store(tmp_path / "store"), Job()) for c in (found, None)]
        assert [m.outcomes[x.name].blind for m in made] == [False, True]
        left = [float(loss(w, m.stored(x).dense().float(), h)) for m in made]
        assert left[0] < 0.5 * left[1], method


def test_an_export_is_calibrated_on_it_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["--quantize", "ggml", "--bits", "3", "--format", "gguf", "--limit", "128", "--tune", "off"]
    assert main(["export", str(SOTU), "--out", str(tmp_path / "out.gguf"), *plan, "--calibrate", str(written(tmp_path))]) == 0
    assert "Calibrated on m.imatrix: 28 layers" in capsys.readouterr().out


def test_the_squares_are_those_of_every_token_alike_and_llama_cpps_own_quantizer_uses_them(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SOTU)
    network = attach(checkpoint)
    data = calibrating(SOTU / "heldout.txt", network, None, None, 1024).whole
    found = collected(network, checkpoint, data, Job())
    save(tmp_path / "m.dat", found, "text")  # the form the installed llama-quantize knows
    x = next(x for x in layers(checkpoint) if x.name.endswith("0.mlp.up_proj"))
    assert network.module is not None
    sums = []
    hook = network.module.get_submodule(x.name).register_forward_pre_hook(lambda _, a: sums.append(a[0].flatten(0, -2).square()))
    weights = {n: read(t).float() for n, t in checkpoint.tensors.items()}
    with torch.inference_mode():
        for batch in data.items:
            network.forward(weights, batch)
    hook.remove()
    assert torch.allclose(torch.from_numpy(found.squares["blk.0.ffn_up.weight"]), torch.cat(sums).mean(0), rtol=1e-4)
    whole = compress(checkpoint, layers(checkpoint), Plan(), None, Store(tmp_path / "store"), Job())
    save_model(whole, tmp_path / "in.gguf", targets["gguf"](dtype="F32"), Job())
    tool = Path(ik_llama_cpp.__file__).parent / "bin" / "llama-quantize"
    subprocess.run([tool, "--imatrix", tmp_path / "m.dat", tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_0", "1"],
                   check=True, capture_output=True)  # fmt: skip
    theirs = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "out.gguf").tensors}["blk.0.ffn_up.weight"]
    mine = libgguf.quantize_rows(weights[x.tensor.name].numpy(), gguf.GGMLQuantizationType.Q4_0, found.squares["blk.0.ffn_up.weight"])
    assert (theirs == mine).mean() > 0.9
    assert (theirs == libgguf.quantize_rows(weights[x.tensor.name].numpy(), gguf.GGMLQuantizationType.Q4_0)).mean() < 0.9


def test_slim_imatrix_writes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imatrix", str(SOTU), "--out", str(tmp_path / "m.gguf"), "--tokens", "512"]) == 0
    found = load(tmp_path / "m.gguf")
    assert len(found.squares) == 29  # of them the output layer, which is the embedding
    assert f"29 layers, {found.tokens:,} tokens" in capsys.readouterr().out
    assert main(["open", str(tmp_path / "m.gguf")]) == 2
    assert "importance matrix, not a model; give it as calibration data" in capsys.readouterr().err


def test_what_is_no_matrix_of_this_model_is_one_sentence(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SOTU)
    found = [x for x in layers(checkpoint) if x.kind == "linear"]
    save(tmp_path / "other.imatrix", Importance({"blk.9.attn_q.weight": np.ones(64, np.float32)}, 512), "text")
    with pytest.raises(BadFile, match="another model: it names none of the layers"):
        calibration(tmp_path / "other.imatrix", checkpoint, found, {"inputs"}, "parallel", Job())
    wide = written(tmp_path, "wide.imatrix", **{"blk.0.attn_q.weight": np.ones(64, np.float32)})
    with pytest.raises(BadFile, match="has 256 inputs and there 64"):
        calibration(wide, checkpoint, found, {"inputs"}, "parallel", Job())
    with pytest.raises(BadPlan, match="choose a calibration text for methods that ask for grads"):
        calibration(wide, checkpoint, found, {"inputs", "grads"}, "parallel", Job())
    with pytest.raises(BadPlan, match="choose a calibration text for sequential order"):
        calibration(wide, checkpoint, found, {"inputs"}, "sequential", Job())
    bad = written(tmp_path, "bad.imatrix", **{"blk.0.attn_q.weight": np.full(256, np.nan, np.float32)})
    with pytest.raises(BadFile, match="negative or not finite"):
        load(bad)


@pytest.mark.parametrize("raw", [b"", b"\1", struct.pack("<i", -1), struct.pack("<ii", 1, 2**31 - 1), struct.pack("<ii", 2**31 - 1, 1)])
def test_a_broken_file_is_one_sentence(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(raw)
    with pytest.raises(BadFile, match="not a whole importance matrix"):
        load(tmp_path / "m.dat")


@pytest.mark.parametrize("name", FORMS)
def test_a_file_cut_off_anywhere_is_one_sentence(name: str, tmp_path: Path) -> None:
    whole = written(tmp_path, name).read_bytes()
    for n in range(4, len(whole) - 40, max(1, len(whole) // 12)):
        (tmp_path / name).write_bytes(whole[:n])
        with pytest.raises(BadFile):
            load(tmp_path / name)
