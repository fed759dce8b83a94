"""ONNX files hold exactly what a plan says, and onnxruntime answers as the studio does."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.numpy_helper import from_array, to_array

from core import data
from core.compress import Compressed, compress
from core.data.calibration import calibrating
from core.errors import CannotWrite
from core.export import export, save, settings_of
from core.formats import onnx_target, open_checkpoint, targets
from core.formats.onnx_file import MODEL as FILE
from core.formats.onnx_graph import traced
from core.job import Job
from core.layers import layers
from core.networks import Network, attach
from core.onnx_ranges import _best
from core.onnx_trace import _exported, trace
from core.onnx_write import write_onnx
from core.plans import MODEL, Scope, edit, resolve
from core.resources import root
from core.size import size
from core.store import Store
from core.types import Checkpoint, Plan, Setting
from core.verify_onnx import verify_onnx

SAMPLES = root() / "samples"
CHANNEL = {"rtn.granularity": "channel"}


def slimmed(name: str, tmp: Path, **changes: Any) -> Compressed:
    checkpoint = open_checkpoint(SAMPLES / name)
    return compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, **changes), None, Store(tmp / "store"), Job())


def written(made: Compressed, folder: Path, **knobs: Any) -> Path:
    save(made, folder, targets["onnx"](**knobs), Job())
    return folder / FILE


def asked(file: Path, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """onnxruntime's answer, in this process."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    fed = {i.name: batch[i.name].numpy() if i.name in batch else np.ones_like(next(iter(batch.values()))) for i in session.get_inputs()}
    return torch.from_numpy(session.run(None, fed)[0])


def operators(file: Path) -> Counter[str]:
    """What onnxruntime makes of a graph before it runs it."""
    options, fused = onnxruntime.SessionOptions(), file.parent.with_name("fused.onnx")
    options.optimized_model_filepath, options.log_severity_level = str(fused), 3
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return Counter(n.op_type for n in onnx.load(fused).graph.node)


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    p, q = p.double().log_softmax(-1), q.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.parametrize(
    ("name", "plan", "knobs"),
    [
        ("digits-cnn", {"bits": 8, "amount": 0.3, "knobs": CHANNEL}, {"activations": "static"}),
        ("fashion-vit", {"bits": 8, "quantize": "int8dynamic"}, {}),
        ("sotu-lm", {"bits": 4, "knobs": {"rtn.symmetric": False, "rtn.group_size": 64}}, {}),
    ],
)
def test_every_sample_is_run_by_onnxruntime_as_its_plan_says(name: str, plan: Any, knobs: Any, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    settings = resolve(edit(Plan(), MODEL, **plan), layers(checkpoint))
    linear = {n for n, s in settings.items() if s.quantize == "int8dynamic"}
    conv = next((x.name for x in layers(checkpoint) if x.kind == "conv" and x.name in linear), "")
    made = slimmed(name, tmp_path, **plan) if not conv else _linear(checkpoint, plan, tmp_path)
    network = attach(checkpoint)
    held = next(f for f in (SAMPLES / name / n for n in ("heldout.txt", "heldout.npz")) if f.exists())
    target = targets["onnx"](**knobs)
    verdict = export(
        made, tmp_path / "out", target, network, data.load(held, network, 64), Job(), lambda: calibrating(None, network, held).whole
    )
    integers = {"integers as rounded step by step"} if knobs.get("activations") == "static" else set()
    assert {c.name for c in verdict.checks if c.passed} == integers | {
        "file size", "a sound ONNX graph", "tensors as written", "untouched tensors", "same weights", "opens in onnxruntime",
        "same network in float32", "same answers", "speed",
    }  # fmt: skip
    assert verdict.tool.startswith("onnxruntime")
    assert (tmp_path / "out" / FILE).stat().st_size == size(checkpoint, made.layers, settings_of(made), target).total
    if integers:
        run = operators(tmp_path / "out" / FILE)  # after onnxruntime has fused what it can
        assert (run["QLinearConv"], run["Conv"], run["BatchNormalization"]) == (14, 1, 0)
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {FILE, "config.json", "slim-studio.json"}
    assert (tmp_path / "out" / "tokenizer.json").exists() == (name == "sotu-lm")


def _linear(checkpoint: Checkpoint, plan: Any, tmp: Path) -> Compressed:
    """The plan without its convolutions."""
    found = layers(checkpoint)
    said = edit(edit(Plan(), MODEL, **plan), Scope("layers", tuple(x.name for x in found if x.kind == "conv")), bits=16)
    return compress(checkpoint, found, said, None, Store(tmp / "store"), Job())


def test_batch_and_sequence_are_free(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=16)
    file, network = written(made, tmp_path / "out"), attach(made.checkpoint)
    for batch, tokens in ((1, 1), (1, 7), (3, 20)):
        ids = torch.arange(batch * tokens).view(batch, tokens) % 2000
        mine = network.forward(made.weights(Job()), {"input_ids": ids})
        assert (asked(file, {"input_ids": ids}) - mine).abs().max() < 1e-3 * mine.std()
    shape = onnx.load(file).graph.input[0].type.tensor_type.shape
    assert [d.dim_param for d in shape.dim] == ["batch", "sequence"]


@pytest.mark.parametrize(
    ("plan", "kinds"),
    [
        ({"bits": 4}, {"MatMulNBits"}),
        ({"bits": 3, "knobs": {"rtn.group_size": 16, "rtn.symmetric": False}}, {"MatMulNBits"}),
        ({"bits": 2, "knobs": CHANNEL}, {"MatMulNBits"}),
        ({"bits": 8, "knobs": {"rtn.granularity": "channel", "rtn.symmetric": False}}, set()),
        ({"bits": 6, "knobs": {"rtn.group_size": 128}}, set()),
        ({"bits": 4, "knobs": {"rtn.granularity": "tensor"}}, {"MatMulNBits"}),
    ],
)
def test_whatever_the_grid_onnxruntime_multiplies_by_the_plans_own_values(plan: Any, kinds: set[str], tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, **plan)
    file, network, target, at = written(made, tmp_path / "out"), attach(made.checkpoint), targets["onnx"](), settings_of(made)
    weights = {x.tensor.name: target.values(x, at[x.name], made.stored(x)) for x in made.layers}
    batch = {"input_ids": torch.arange(64).view(2, 32)}
    mine = network.forward(weights, batch)
    assert (asked(file, batch) - mine).abs().max() < 1e-3 * mine.std()
    assert {n.op_type for n in onnx.load(file).graph.node} & {"MatMulNBits", "MatMulInteger"} == kinds
    assert file.stat().st_size == size(made.checkpoint, made.layers, at, target).total


def test_with_dynamic_activations_8_bit_layers_run_in_integers_and_answer_almost_alike(tmp_path: Path) -> None:
    made = slimmed("sotu-lm", tmp_path, bits=8, knobs=CHANNEL)
    file, network = written(made, tmp_path / "out", activations="dynamic"), attach(made.checkpoint)
    batch = {"input_ids": torch.arange(64).view(2, 32)}
    assert 0 < kl(network.forward(made.weights(Job()), batch), asked(file, batch)) < 0.01
    assert sum(n.op_type == "MatMulInteger" for n in onnx.load(file).graph.node) == 28


def test_any_mixed_plan_has_the_bytes_that_were_shown(tmp_path: Path) -> None:
    checkpoint, draw = open_checkpoint(SAMPLES / "sotu-lm"), random.Random(0)
    found = layers(checkpoint)
    trace(checkpoint, None, Job())
    for i in range(4):
        plan = edit(Plan(), MODEL, bits=draw.choice((16, 8, 4, 3)), amount=draw.choice((0.0, 0.5)))
        for quantize, bits, symmetric in (("rtn", 4, True), ("rtn", 6, False), ("int8dynamic", 8, True)):
            some = tuple(x.name for x in draw.sample(found, 9) if x.kind == "linear")
            plan = edit(plan, Scope("layers", some), quantize=quantize, bits=bits, knobs={"rtn.symmetric": symmetric} if symmetric else {})
        target = targets["onnx"](dtype=draw.choice(("source", "F32", "BF16")), activations=draw.choice(("plan", "dynamic")))
        made = compress(checkpoint, found, plan, None, Store(tmp_path / "store"), Job())
        assert written(made, tmp_path / f"{i}", **{k: getattr(target, k) for k in ("dtype", "activations")}).stat().st_size == size(
            checkpoint, found, settings_of(made), target
        ).total


def test_a_corrupted_scale_is_caught_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = slimmed("sotu-lm", tmp_path, bits=4), targets["onnx"]()
    trace(made.checkpoint, None, Job())
    at, file = settings_of(made), tmp_path / FILE

    def tensors(name: str) -> dict[str, torch.Tensor]:
        x = next(x for x in made.layers if x.name == name)
        found: dict[str, torch.Tensor] = target.tensors(made.checkpoint, x, at[name], made.stored(x))
        return found

    said = write_onnx(made, file, target, at, tensors, Job())
    model = onnx.load(file)
    scale = next(t for t in model.graph.initializer if t.name == "model.layers.1.mlp.up_proj.weight_scale")
    values = to_array(scale).copy()
    values[3, 2] *= np.float16(1.01)
    scale.CopyFrom(from_array(values, scale.name))
    onnx.save(model, file)
    verdict = verify_onnx(file, None, said, made, at, target, None, None, Job())
    bad = next(c for c in verdict.checks if not c.passed)
    assert bad.name == "tensors as written"
    assert "layers.1.mlp.up_proj.weight_scale" in bad.detail


@pytest.mark.parametrize(
    ("plan", "kind"),
    [({"bits": 4}, "nbits"), ({"bits": 8, "quantize": "int8dynamic"}, "integer"), ({"bits": 8, "knobs": CHANNEL}, "folded")],
)
def test_a_wrong_scale_that_was_written_faithfully_is_caught_too(plan: Any, kind: str, tmp_path: Path) -> None:
    made, target = slimmed("sotu-lm", tmp_path, **plan), targets["onnx"]()
    trace(made.checkpoint, None, Job())
    at, file, layer = settings_of(made), tmp_path / FILE, "model.layers.1.mlp.up_proj"

    def tensors(name: str) -> dict[str, torch.Tensor]:
        x = next(x for x in made.layers if x.name == name)
        found: dict[str, torch.Tensor] = target.tensors(made.checkpoint, x, at[name], made.stored(x))
        return {k: t * 2 if k == f"{layer}.weight_scale" else t for k, t in found.items()}

    assert target.form(made.checkpoint, next(x for x in made.layers if x.name == layer), at[layer]).kind == kind
    said = write_onnx(made, file, target, at, tensors, Job())
    verdict = verify_onnx(file, None, said, made, at, target, None, None, Job())
    assert [c.name for c in verdict.checks if not c.passed] == ["same weights"]


def test_16_bit_floats_and_codes_of_convolutions_become_float32_when_loaded(tmp_path: Path) -> None:
    made = slimmed("digits-cnn", tmp_path, bits=4, amount=0.3, knobs={"rtn.granularity": "channel", "rtn.symmetric": False})
    target, at = targets["onnx"](dtype="F16"), settings_of(made)
    file, network = written(made, tmp_path / "out", dtype="F16"), attach(made.checkpoint)
    weights = {x.tensor.name: target.values(x, at[x.name], made.stored(x)) for x in made.layers}
    batch = {"pixel_values": torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))}
    mine = network.forward(weights, batch)
    assert (asked(file, batch) - mine).abs().max() < 1e-3 * mine.std()
    assert set(operators(file)) == {"Conv", "MaxPool", "ReorderOutput", "ReduceMean", "Reshape", "Gemm"}


def test_static_activations_without_data_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="measured on data"):
        save(slimmed("digits-cnn", tmp_path, bits=8, knobs=CHANNEL), tmp_path / "out", targets["onnx"](activations="static"), Job())
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_the_range_of_an_activation_gives_up_an_outlier_for_what_is_common() -> None:
    draw = np.random.default_rng(0)
    even = draw.uniform(0, 1, 4000).astype(np.float32)
    scale, zero = _best(even, 0.0, float(even.max()))
    assert zero == 0
    assert 250 < even.max() / scale < 260
    tails = draw.laplace(0, 1, 400_000).astype(np.float32)
    scale, zero = _best(tails, float(tails.min()), float(tails.max()))
    assert 9 < scale * (255 - zero) < 0.95 * tails.max()  # theory cuts a Laplace at 9.9 for 8 bits
    assert zero > 0


def test_weights_without_a_network_are_refused_in_one_sentence(tmp_path: Path) -> None:
    alone = SAMPLES / "digits-cnn" / "model.safetensors"
    checkpoint = open_checkpoint(alone)
    assert "without a description of theirs" in targets["onnx"]().unfit(checkpoint)
    made = compress(checkpoint, layers(checkpoint), Plan(), None, Store(tmp_path / "store"), Job())
    with pytest.raises(CannotWrite, match="open the folder with its config"):
        save(made, tmp_path / "out", targets["onnx"](), Job())
    assert not (tmp_path / "out").exists()


def test_without_its_packages_the_format_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_target, "find_spec", lambda name: None if name == "onnxruntime" else object())
    assert "pip install 'slim-studio[onnx]'" in targets["onnx"]().unfit(open_checkpoint(SAMPLES / "digits-cnn"))


def test_a_file_name_is_refused_because_the_export_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"choose a folder.s name without \.onnx"):
        save(slimmed("digits-cnn", tmp_path), tmp_path / "model.onnx", targets["onnx"](), Job())


@pytest.mark.parametrize(("plan", "knobs"), [({"bits": 4}, {}), ({"bits": 8, "knobs": CHANNEL}, {"activations": "static"})])
def test_weights_beyond_what_one_file_holds_lie_in_a_second_one(plan: Any, knobs: Any, tmp_path: Path) -> None:
    """The limit is protobuf's 2 GB; here it is a megabyte."""
    made, target = slimmed("sotu-lm", tmp_path, **plan), targets["onnx"](one_gb=0.001, **knobs)
    network, held = attach(made.checkpoint), SAMPLES / "sotu-lm" / "heldout.txt"
    out = tmp_path / "out"
    few = data.load(held, network, 64)
    verdict = export(made, out, target, network, few, Job(), lambda: calibrating(None, network, held, None, 512).whole)
    assert verdict.passed
    graph, beside = (out / FILE).stat().st_size, (out / f"{FILE}.data").stat().st_size
    assert graph < 400_000 < 1_000_000 < beside
    assert graph + beside == size(made.checkpoint, made.layers, settings_of(made), target).total
    assert not any(p.name.startswith(".") for p in out.iterdir())
    batch = {"input_ids": torch.arange(64).view(2, 32)}
    save(made, tmp_path / "one", targets["onnx"](), Job())
    apart = asked(out / FILE, batch) - asked(tmp_path / "one" / FILE, batch)
    assert knobs or float(apart.abs().max()) == 0
    export(made, out, targets["onnx"](), None, None, Job())
    assert {FILE} == {p.name for p in out.glob("model*")}  # an earlier export of both is replaced whole


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_cannot_be_traced_says_why() -> None:
    checkpoint = open_checkpoint(SAMPLES / "digits-cnn")
    name = next(iter(checkpoint.tensors))

    def branches(weights: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return batch["pixel_values"] if float(batch["pixel_values"].sum()) > 0 else weights[name]

    network = Network("image-classification", branches, branches, names={"w": name})
    with pytest.raises(CannotWrite, match="torch can't turn this network into an ONNX graph"):
        _exported(network, checkpoint, {"pixel_values": torch.zeros(2, 1, 8, 8)}, Job())


def test_what_a_layer_cannot_keep_is_said_before() -> None:
    checkpoint, target = open_checkpoint(SAMPLES / "sotu-lm"), targets["onnx"]()
    found = layers(checkpoint)
    x = next(x for x in found if x.kind == "linear")
    assert "table of values" in target.refuses(checkpoint, x, Setting(quantize="codebook", bits=3))
    assert "choose the format GGUF" in target.refuses(checkpoint, x, Setting(quantize="ggml", bits=4))
    assert not target.refuses(checkpoint, x, Setting(quantize="rtn", bits=3))
    said = target.detail(found, resolve(edit(Plan(), MODEL, bits=3), found))
    assert "28 × 4 bits in MatMulNBits" in said
    assert "28 layers of 3 bits take 4-bit fields" in said
    assert target.form(None, replace(x, kind="conv"), Setting(quantize="rtn", bits=4)).kind == "folded"


def test_sizes_of_onnx_files_need_no_torch(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(SAMPLES / "sotu-lm")
    trace(checkpoint, None, Job())
    assert traced(checkpoint)
    code = (
        "import sys; from pathlib import Path; from core.formats import open_checkpoint, targets; from core.layers import layers;"
        "from core.plans import resolve, edit, MODEL; from core.types import Plan; from core.size import size;"
        f"c = open_checkpoint(Path({str(SAMPLES / 'sotu-lm')!r})); x = layers(c); t = targets['onnx']();"
        "print(size(c, x, resolve(edit(Plan(), MODEL, bits=4), x), t).total, t.pending(c)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "False"
