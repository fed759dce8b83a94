"""Programs from elsewhere: nothing in them runs, and what can't be used is named in a sentence."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.cli import main
from core.errors import BadFile, CannotRun
from core.export import save
from core.formats import open_checkpoint, read, targets
from core.job import Job
from core.networks import attach
from tests.core.programs import SOTU, Small, beside, changed, exported, loaded, slimmed, table

torch.set_num_threads(1)


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
