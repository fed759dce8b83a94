"""Programs of torch.export: opened from their tables, run by their graph, slimmed, and written so that torch.export.load runs them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from core import data
from core.calibrate import observe
from core.cli import main
from core.compress import compress, original
from core.data.calibration import calibrating
from core.errors import BadFile, Cancelled, CannotRun, CannotWrite
from core.evaluate import Reference, judge
from core.export import _write, save, settings_of
from core.formats import open_checkpoint, pt2_write, read, targets
from core.formats.pt2 import archive
from core.job import Job, Progress
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit
from core.size import size
from core.store import Store
from core.types import Checkpoint, Plan, Score
from core.verify_pt2 import probe
from tests.core.programs import DIGITS, SOTU, Small, beside, changed, digits, exported, loaded, small, table

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def cnn(folder: Path) -> Path:
    (folder / "cnn").mkdir()
    path = exported(digits(), (torch.zeros(2, 1, 32, 32),), folder / "cnn" / "digits.pt2", ({0: Dim("batch")},))
    return beside(path, DIGITS)


@pytest.fixture(scope="module")
def lm(folder: Path) -> Path:
    (folder / "lm").mkdir()
    return small(folder / "lm")


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


def slimmed(path: Path, tmp: Path, **changes: Any) -> Any:
    checkpoint = open_checkpoint(path)
    return compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, **changes), None, Store(tmp / "store"), Job())


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


# What a file from elsewhere may hold: each runs a command when torch.export.load (or what it makes) gets it.


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def _sample_inputs(records: dict[str, bytes], command: str) -> None:
    import io

    raw = io.BytesIO()
    torch.save(((Payload(command),), {}), raw)
    records[next(n for n in records if "sample_inputs" in n)] = raw.getvalue()


def _constant(records: dict[str, bytes], command: str) -> None:
    said = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    table(records, "constants_config.json", lambda t: t["config"].update(evil=said))
    prefix = next(iter(records)).split("/")[0]
    records[f"{prefix}/data/constants/opaque_obj_0"] = pickle.dumps(Payload(command))


def _weight(records: dict[str, bytes], command: str) -> None:
    import io

    raw = io.BytesIO()
    torch.save(Payload(command), raw)
    records[next(n for n in records if n.endswith("weight_3"))] = raw.getvalue()

    def picked(t: Any) -> None:
        next(w for w in t["config"].values() if w["path_name"] == "weight_3")["use_pickle"] = True

    table(records, "weights_config.json", picked)


def _expression(records: dict[str, bytes], command: str) -> None:
    def edit(t: Any) -> None:
        sizes = next(v["sizes"] for v in t["graph_module"]["graph"]["tensor_values"].values() if "as_expr" in str(v["sizes"][:1]))
        sizes[0]["as_expr"]["expr_str"] = f"__import__('os').system({command!r}) * 0 + 2"

    table(records, "models/model.json", edit)


def _guard(records: dict[str, bytes], command: str) -> None:
    table(records, "models/model.json", lambda t: t.update(guards_code=[f"__import__('os').system({command!r}) == 0"]))


def _operation(records: dict[str, bytes], command: str) -> None:
    def edit(t: Any) -> None:
        argument = {"name": "command", "arg": {"as_string": command}, "kind": 1}
        call = {"target": "torch.os.system", "inputs": [argument], "outputs": [], "metadata": {}, "name": "x"}
        t["graph_module"]["graph"]["nodes"].insert(0, {**call, "is_hop_single_tensor_return": None})

    table(records, "models/model.json", edit)


EVIL = {"sample inputs": _sample_inputs, "a constant": _constant, "a weight": _weight, "a size": _expression, "a guard": _guard,
        "an operation": _operation}  # fmt: skip


@pytest.mark.parametrize("kind", EVIL)
def test_nothing_in_a_program_is_run_when_it_is_opened_tried_or_exported(cnn: Path, tmp_path: Path, kind: str) -> None:
    proof = tmp_path / "was-run"
    path = changed(cnn, tmp_path / "evil.pt2", lambda r: EVIL[kind](r, f"touch {proof}"))
    said = "" if kind != "a weight" else "pickled"
    try:
        checkpoint = open_checkpoint(path)
        why = targets["pt2"]().unfit(checkpoint)
        assert bool(why) == (kind != "sample inputs"), why
        network = attach(checkpoint)
        weights = {n: read(t).float() for n, t in checkpoint.tensors.items()}
        assert network.forward(weights, {"pixel_values": torch.zeros(2, 1, 32, 32)}).shape == (2, 10)
    except (BadFile, CannotRun) as e:
        said = str(e)
        assert kind in ("a weight", "a constant", "an operation")
    if kind == "sample inputs":
        save(slimmed(path, tmp_path, bits=8), tmp_path / "out.pt2", targets["pt2"](), Job())
        assert loaded(tmp_path / "out.pt2").example_inputs is None
    assert not proof.exists(), said
    if kind in ("sample inputs", "a size"):  # that it was no empty threat
        try:
            loaded(path)
        except Exception as e:  # noqa: BLE001  whatever it raises afterwards
            print(e)
        assert proof.exists()


def _older(r: dict[str, bytes]) -> None:
    r.clear()
    r.update({"version": b"8.2", "serialized_exported_program.json": b"{}", "serialized_state_dict.pt": b""})


def _compiled(r: dict[str, bytes]) -> None:
    r.pop(next(n for n in r if "/models/" in n))
    r[next(iter(r)).split("/")[0] + "/data/aotinductor/model/x.so"] = b""


BAD: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "an older torch": (_older, "written by torch 2.8 or older"),
    "compiled": (_compiled, "machine code and no graph"),
    "another version": (lambda r: table(r, "models/model.json", lambda t: t["schema_version"].update(major=9)), "in version 9"),
    "no weights": (lambda r: table(r, "weights_config.json", lambda t: t["config"].clear()), "has no weights"),
    "no graph in it": (lambda r: table(r, "models/model.json", lambda t: t.pop("graph_module")), "not what torch.export writes"),
    "no table": (lambda r: r.pop(next(n for n in r if "weights_config" in n)) and None, "is missing"),
    "a shape that lies": (
        lambda r: table(r, "weights_config.json", lambda t: t["config"]["table"]["tensor_meta"]["sizes"][0].update(as_int=10**6)),
        "should have 128000000 bytes",
    ),
    "a type nobody knows": (
        lambda r: table(r, "weights_config.json", lambda t: t["config"]["table"]["tensor_meta"].update(dtype=99)), "type number 99",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_program_is_named_in_a_sentence(lm: Path, tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(lm, tmp_path / "bad.pt2", BAD[case][0])
    assert main(["open", str(path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert BAD[case][1] in said[-1]


def test_a_program_cut_off_anywhere_is_refused(lm: Path, tmp_path: Path) -> None:
    raw = lm.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.pt2").write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(BadFile, match="cut off or not a program"):
            open_checkpoint(tmp_path / "cut.pt2")


def test_a_compressed_zip_is_refused(lm: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(lm) as z, zipfile.ZipFile(tmp_path / "z.pt2", "w", zipfile.ZIP_DEFLATED) as to:
        for name in z.namelist():
            to.writestr(name, z.read(name))
    with pytest.raises(BadFile, match="compressed"):
        open_checkpoint(tmp_path / "z.pt2")


def test_an_operation_nobody_knows_leaves_the_weights_to_be_slimmed(lm: Path, tmp_path: Path) -> None:
    def odd(t: Any) -> None:
        node = next(n for n in t["graph_module"]["graph"]["nodes"] if n["target"].endswith("gelu.default"))
        node["target"] = "torch.ops.mine.gelu.default"

    path = beside(changed(lm, tmp_path / "odd.pt2", lambda r: table(r, "models/model.json", odd)), SOTU)
    with pytest.raises(CannotRun, match=r"torch.ops.mine.gelu.default, which I don't run"):
        attach(open_checkpoint(path))
    save(slimmed(path, tmp_path, bits=8), tmp_path / "out.safetensors", targets["dense"](), Job())
    assert (tmp_path / "out.safetensors").exists()


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f, self.drop = nn.Linear(6, 4), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.f(self.drop(x))
        return found


def test_inputs_that_no_data_fit_are_named(tmp_path: Path) -> None:
    path = exported(Odd(), (torch.zeros(3, 6),), tmp_path / "odd.pt2")
    with pytest.raises(CannotRun, match="neither images"):
        attach(open_checkpoint(path))
    with pytest.raises(CannotRun, match="its tokenizer"):
        attach(open_checkpoint(exported(Small(), (torch.zeros(1, 8, dtype=torch.long),), tmp_path / "alone.pt2")))


class Parts(nn.Module):
    """Graphs within the graph, and a buffer that every call counts up."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            mean = x.mean()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.c(x - mean)
        self.calls.add_(1)  # type: ignore[operator]
        y = self.f(y.float().mean((2, 3)))
        return {"logits": torch.cond(y.sum() > 0, lambda y: y * 2, lambda y: -y, (y,)), "mean": mean}


def test_graphs_within_the_graph_run_and_no_weight_is_written_into(tmp_path: Path) -> None:
    module = Parts()
    checkpoint = open_checkpoint(exported(module, (torch.zeros(2, 3, 8, 8),), tmp_path / "parts.pt2"))
    weights, x = {n: read(t).clone() for n, t in checkpoint.tensors.items()}, torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(attach(checkpoint).forward(weights, {"pixel_values": x}), module(x)["logits"])
    assert weights["calls"] == 0
    assert not targets["pt2"]().unfit(checkpoint)
