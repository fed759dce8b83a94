"""Programs of torch.export: opened from their tables, run by their graph, slimmed, and written so that torch.export.load runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn
from torch.export import Dim

from core import data
from core.calibrate import observe
from core.cli import main
from core.compress import original
from core.data.calibration import calibrating
from core.errors import Cancelled, CannotRun, CannotWrite
from core.evaluate import Reference, judge
from core.export import _write, export, save, settings_of
from core.formats import open_checkpoint, pt2_write, read, targets
from core.formats.onnx_file import MODEL as FILE
from core.formats.pt2 import archive
from core.job import Job, Progress
from core.layers import layers
from core.networks import attach
from core.size import size
from core.store import Store
from core.types import Checkpoint, Score
from core.verify_pt2 import probe
from tests.core.programs import DIGITS, Small, digits, exported, loaded, slimmed, small

torch.set_num_threads(1)


def scored(checkpoint: Checkpoint, path: Path, limit: int) -> Score:
    network = attach(checkpoint)
    weights = original(checkpoint, layers(checkpoint), Store(path.parent / "store")).weights(Job())
    return judge(Reference(network, weights, data.load(path, network, limit)), None, Job())


def test_opening_reads_tables_alone_without_torch_and_in_milliseconds(cnn: Path) -> None:
    code = """
import sys, time, pathlib
from core.formats import open_checkpoint
open_checkpoint(pathlib.Path(sys.argv[1]))
start = time.process_time()  # of our own: other processes may have the cores
checkpoint = open_checkpoint(pathlib.Path(sys.argv[1]))
print(checkpoint.parameters, time.process_time() - start, "torch" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code, str(cnn)], capture_output=True, text=True, check=True).stdout.split()
    checkpoint = open_checkpoint(cnn)
    assert float(said[1]) < 0.1
    assert said[2] == "False"
    assert int(said[0]) == checkpoint.parameters == sum(p.numel() for p in digits().state_dict().values())


def test_every_weight_is_read_as_it_was_exported(cnn: Path, lm: Path) -> None:
    for path, module in ((cnn, digits()), (lm, Small())):
        checkpoint = open_checkpoint(path)
        for name, tensor in module.state_dict().items():
            assert torch.equal(read(checkpoint.tensors[checkpoint.tied.get(name, name)]), tensor)


def test_layers_are_known_by_what_the_graph_does_with_them(lm: Path) -> None:
    checkpoint = open_checkpoint(lm)
    kinds = {x.name: x.kind for x in layers(checkpoint)}
    assert checkpoint.tied == {"table": "last.weight"} or checkpoint.tied == {"last.weight": "table"}
    assert kinds[next(iter(checkpoint.tied.values())).removesuffix(".weight")] == "embedding"
    assert {kinds[f"blocks.{i}.{n}"] for i in (0, 1) for n in ("qkv", "back", "up", "down")} == {"linear"}
    assert kinds["blocks.0.a"] == "norm"
    assert kinds["blocks.0.qkv.bias"] == "bias"


def test_a_cnn_scores_as_the_module_it_was_exported_from(cnn: Path) -> None:
    mine = scored(open_checkpoint(cnn), cnn.parent / "heldout.npz", 200)
    theirs = scored(open_checkpoint(DIGITS), DIGITS / "heldout.npz", 200)
    assert mine.metrics["top1"] == theirs.metrics["top1"]
    network = attach(open_checkpoint(cnn))
    batch = data.load(cnn.parent / "heldout.npz", network, 50).items[0]
    weights = {n: read(t) for n, t in open_checkpoint(cnn).tensors.items()}
    with torch.inference_mode():
        assert torch.equal(network.forward(weights, batch), digits()(batch["pixel_values"]))


def test_a_language_model_scores_by_the_tokenizer_beside_it(lm: Path) -> None:
    score, module = scored(open_checkpoint(lm), lm.parent / "heldout.txt", 300), Small().eval()
    ids = data.load(lm.parent / "heldout.txt", attach(open_checkpoint(lm)), 300).items
    with torch.inference_mode():
        losses = [nn.functional.cross_entropy(module(i["input_ids"])[0, :-1], i["input_ids"][0, 1:], reduction="sum") for i in ids]
    n = sum(i["input_ids"].shape[1] - 1 for i in ids)
    assert score.task == "causal-lm"
    assert score.metrics["perplexity"].value == pytest.approx(float(torch.stack(losses).sum().div(n).exp()), rel=1e-4)


def test_a_network_that_looks_ahead_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="hang on later tokens"):
        attach(open_checkpoint(small(tmp_path, causal=False)))


def test_a_program_of_fixed_sizes_answers_batches_of_any_size(lm: Path, tmp_path: Path) -> None:
    fixed, free = (attach(open_checkpoint(p)) for p in (small(tmp_path, name="fixed.pt2", dynamic=False), lm))
    assert fixed.context == 24
    weights = {n: read(t) for n, t in open_checkpoint(lm).tensors.items()}
    for rows, tokens in ((1, 24), (2, 7), (5, 24)):
        batch = {"input_ids": torch.arange(rows * tokens).reshape(rows, tokens) % 2048}
        with torch.inference_mode():
            assert torch.allclose(fixed.forward(weights, batch), free.forward(weights, batch), atol=1e-4)


def test_a_program_in_core_aten_runs_and_its_linears_are_seen(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4, bias=False))
    checkpoint = open_checkpoint(exported(module, (torch.zeros(2, 3, 4, 4),), tmp_path / "core.pt2", ({0: Dim("b")},), True))
    assert all(not n["target"].endswith("linear.default") for n in archive(checkpoint.path).program["graph_module"]["graph"]["nodes"])
    network, x = attach(checkpoint), torch.randn(5, 3, 4, 4)
    with torch.inference_mode():
        found = network.forward({n: read(t) for n, t in checkpoint.tensors.items()}, {"pixel_values": x})
        assert torch.allclose(found, module(x), atol=1e-5)
    assert {n: x.kind for x in layers(checkpoint) if (n := x.name) in "14"} == {"1": "linear", "4": "head"}
    assert network.module is not None
    assert [type(m) for m in network.module.modules()].count(nn.Linear) == 2


def test_calibration_meets_in_the_graph_what_it_meets_in_the_module(cnn: Path) -> None:
    seen = []
    for path in (DIGITS, cnn):
        checkpoint = open_checkpoint(path)
        network = attach(checkpoint)
        met = calibrating(DIGITS / "calibrate.npz", network, tokens=100)
        found = observe(network, checkpoint, met, layers(checkpoint), {"inputs"}, Job()).seen
        seen.append({n.removeprefix("model."): found[n].hessian for n in found})
    assert seen[0].keys() == seen[1].keys()
    assert len([h for h in seen[0].values() if h is not None]) == 16
    for name, hessian in seen[0].items():
        assert hessian is not None
        assert torch.equal(hessian, seen[1][name]), name


def test_a_slimmed_cnn_is_written_verified_and_runs_in_torch_export(cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.pt2"
    assert main(["export", str(cnn), "--format", "pt2", "--out", str(out), "--bits", "8", "--amount", "0.4", "--knob", "pt2.dtype=F16",
                 "--limit", "100"]) == 0  # fmt: skip
    said = json.loads(out.with_name("out.report.json").read_text())
    assert {c["name"] for c in said["verdict"]["checks"] if c["passed"]} == {
        "file size", "opens in torch.export", "bytes as written", "untouched tensors", "same answers",
    }  # fmt: skip
    assert said["variant"]["size"]["total"] == out.stat().st_size < 0.6 * cnn.stat().st_size
    program = loaded(out)
    weight = program.state_dict["model.resnet.encoder.stages.1.layers.0.layer.0.convolution.weight"]
    assert weight.dtype == torch.float16
    assert 0.39 < float((weight == 0).float().mean()) < 0.5
    again = open_checkpoint(out)
    batch = data.load(cnn.parent / "heldout.npz", attach(again), 100).items[0]
    with torch.inference_mode():
        theirs, before = program.module()(batch["pixel_values"]), digits()(batch["pixel_values"])
        mine = attach(again).forward({n: read(t).float() for n, t in again.tensors.items()}, batch)
    assert torch.allclose(mine, theirs, atol=1e-4)
    assert float((theirs.argmax(1) == before.argmax(1)).float().mean()) > 0.97
    assert not torch.equal(theirs, before)


def test_a_slimmed_language_model_keeps_its_tie_and_is_answered_alike(lm: Path, tmp_path: Path) -> None:
    made = slimmed(lm, tmp_path, bits=4, amount=0.2, knobs={"rtn.group_size": 32}, protect=False)
    target, out, network = targets["pt2"](), tmp_path / "out.pt2", attach(made.checkpoint)
    save(made, out, target, Job())
    program, weights = loaded(out), made.weights(Job())
    assert torch.equal(program.state_dict["table"], program.state_dict["last.weight"])
    assert torch.equal(program.state_dict["blocks.0.up.weight"], weights["blocks.0.up.weight"])
    ids = torch.arange(60).reshape(3, 20)
    with torch.inference_mode():
        assert torch.allclose(program.module()(ids), network.forward(weights, {"input_ids": ids}), atol=1e-4)
    assert out.stat().st_size == size(made.checkpoint, made.layers, settings_of(made), target).total


def test_what_a_plan_leaves_alone_is_the_same_program(lm: Path, tmp_path: Path) -> None:
    save(slimmed(lm, tmp_path), tmp_path / "same.pt2", targets["pt2"](), Job())
    shutil.copy(lm, lm.with_name("other.pt2"))  # a program that is not ours
    before, after = archive(lm), archive(tmp_path / "same.pt2")
    assert before.program == after.program
    assert {n: before.weights[n]["tensor_meta"] for n in before.weights} == {n: after.weights[n]["tensor_meta"] for n in after.weights}
    assert after.bytes("data/sample_inputs/model.pt") == before.bytes("data/sample_inputs/model.pt")
    save(slimmed(lm, tmp_path), tmp_path / "same.pt2", targets["pt2"](), Job())  # our own file may be replaced
    with pytest.raises(CannotWrite, match="can't be replaced"):
        save(slimmed(lm, tmp_path), lm.with_name("other.pt2").resolve(), targets["pt2"](), Job())


def test_weights_in_channels_last_keep_their_order(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 10))
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = exported(module, (torch.zeros(2, 3, 8, 8),), tmp_path / "last.pt2")
    checkpoint = open_checkpoint(path)
    assert checkpoint.tensors["1.weight"].strides
    assert torch.equal(read(checkpoint.tensors["1.weight"]), module[1].weight)
    save(slimmed(path, tmp_path, bits=8, knobs={"rtn.granularity": "channel"}), tmp_path / "out.pt2", targets["pt2"](), Job())
    found = loaded(tmp_path / "out.pt2").state_dict["1.weight"].detach()
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert 0 < float((found - module[1].weight.detach()).abs().max()) < 0.01


def test_a_changed_weight_is_caught_and_a_cancelled_export_leaves_nothing(lm: Path, tmp_path: Path) -> None:
    made, target = slimmed(lm, tmp_path, bits=8), targets["pt2"]()
    written = _write(made, tmp_path, tmp_path / "out.pt2", target, Job())
    place = archive(tmp_path / "out.pt2").place("weights", "blocks.1.up.weight")
    with (tmp_path / "out.pt2").open("r+b") as f:
        f.seek(place.offset + 2)
        f.write(b"\x01\x02")
    entries = [[e.name, e.dtype, list(e.shape)] for e in written.entries]
    found = probe(file=str(tmp_path / "out.pt2"), source=str(lm), total=written.nbytes, checksums=written.checksums, entries=entries,
                  also={}, untouched={}, answers="")  # fmt: skip
    assert [name for name, passed, _ in found["checks"] if not passed] == ["bytes as written"]

    def stop(p: Progress) -> None:
        if p.phase == "Writing" and p.done > 3:
            job.cancel()

    job = Job(tell=stop)
    with pytest.raises(Cancelled):
        save(made, tmp_path / "there" / "out.pt2", target, job)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("limit", [500, 2_000, 1 << 31])
def test_the_size_is_known_before_also_beyond_what_a_plain_zip_holds(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    lengths = [("a/b", 10), ("a/data/weights/weight_0", 1_000), ("a/data/weights/weight_1", 477), ("a/e", 0), ("a/f", 1_999)]

    def record(n: int) -> Callable[[], list[memoryview]]:
        return lambda: [memoryview(bytes(n))]

    pt2_write.write(tmp_path / "x.zip", [(name, n, record(n)) for name, n in lengths], Job())
    assert (tmp_path / "x.zip").stat().st_size == pt2_write.total(lengths)
    with zipfile.ZipFile(tmp_path / "x.zip") as z:
        assert z.testzip() is None


@pytest.mark.parametrize("fixed", [False, True])
def test_a_program_becomes_an_onnx_file_that_onnxruntime_answers_alike(fixed: bool, lm: Path, tmp_path: Path) -> None:
    path = small(tmp_path, name="fixed.pt2", dynamic=False) if fixed else lm
    made, target = slimmed(path, tmp_path, bits=4, knobs={"rtn.group_size": 32}), targets["onnx"]()
    network = attach(made.checkpoint)
    verdict = export(made, tmp_path / "out", target, network, data.load(path.parent / "heldout.txt", network, 48), Job())
    assert {"same network in float32", "same answers", "same weights"} <= {c.name for c in verdict.checks if c.passed}
    dims = onnx.load(tmp_path / "out" / FILE).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ([2, 24] if fixed else ["batch", "sequence"])
    up = next(x for x in made.layers if x.name == "blocks.0.up")
    assert target.form(made.checkpoint, up, settings_of(made)[up.name]).kind == "nbits"


def test_a_cnn_without_its_source_becomes_an_onnx_file(cnn: Path, tmp_path: Path) -> None:
    made = slimmed(cnn, tmp_path, bits=8, knobs={"rtn.granularity": "channel"})
    network = attach(made.checkpoint)
    verdict = export(made, tmp_path / "out", targets["onnx"](), network, data.load(cnn.parent / "heldout.npz", network, 16), Job())
    assert {"same network in float32", "same answers"} <= {c.name for c in verdict.checks if c.passed}
