"""Everything a user may hand over that is wrong, through the command line: one sentence, status 2, nothing changed, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.cli import main
from core.compress import compress
from core.errors import CannotWrite
from core.export import save
from core.formats import open_checkpoint, targets
from core.job import Job, Progress
from core.layers import layers
from core.resources import root
from core.store import Store
from core.types import Plan

SAMPLES = root() / "samples"
DIGITS, SOTU = SAMPLES / "digits-cnn", SAMPLES / "sotu-lm"
torch.set_num_threads(1)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command that must fail: its one sentence; every file is as it was."""
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))

    def run(*args: object) -> str:
        capsys.readouterr()  # what was told before
        before = standing(tmp_path)
        code = main([*map(str, args)])
        told = capsys.readouterr()
        said = [x for x in told.err.splitlines() if x.startswith("slim: ")]
        assert code == 2, told
        assert len(said) == 1
        assert told.err.splitlines()[-1] == said[0], "the sentence must be the last line, and one line"
        assert told.out == ""
        assert standing(tmp_path) == before
        return said[0]

    return run


def standing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time."""
    return {str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def framed(head: Any, data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


HEADERS = {
    "truncated": ((DIGITS / "model.safetensors").read_bytes()[:-1000], "cut off: it should have 2809936 bytes and has 2808936; download"),
    "cut in its header": ((DIGITS / "model.safetensors").read_bytes()[:500], "cut off or not a safetensors file"),
    "lying shape": (framed({"w": entry(4, [1000, 1000])}, b"1234"), "the header lies"),
    "huge header": (struct.pack("<Q", 2**62), "cut off or not a safetensors file"),
    "unknown type": (framed({"w": entry(4, [1], "F13")}, b"1234"), "'F13', which I don't know; convert it"),
}


@pytest.mark.parametrize("command", ["open", "export"])
@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_is_cut_or_lies(case: str, command: str, refused: Callable[..., str], tmp_path: Path) -> None:
    raw, says = HEADERS[case]
    (tmp_path / "m.safetensors").write_bytes(raw)
    more = ("--out", tmp_path / "out.safetensors", "--bits", 4) if command == "export" else ()
    assert says in refused(command, tmp_path / "m.safetensors", *more)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_a_pickle_that_would_run_code(refused: Callable[..., str], tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "x": Evil(tmp_path / "trace")}, tmp_path / "evil.pt")
    assert "would run code; save its state_dict instead" in refused("export", tmp_path / "evil.pt", "--out", tmp_path / "o.safetensors")


def test_a_training_checkpoint_without_a_state_dict(refused: Callable[..., str], tmp_path: Path) -> None:
    torch.save({"step": 3, "model_state": {"w": torch.ones(1)}, "optimizer_state": {}}, tmp_path / "t.pt")
    assert "(step, model_state, optimizer_state); save 'model_state' alone" in refused("open", tmp_path / "t.pt")
    torch.save(torch.ones(3), tmp_path / "t.pt")
    assert "no table of tensors but a Tensor" in refused("open", tmp_path / "t.pt")


def test_a_shard_that_is_missing(refused: Callable[..., str], tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "m")
    tensors = load_file(tmp_path / "m" / "model.safetensors")
    (tmp_path / "m" / "model.safetensors").unlink()
    where = {n: f"model-{i % 3 + 1:05}-of-00003.safetensors" for i, n in enumerate(tensors)}
    for file in set(where.values()):
        save_file({n: t for n, t in tensors.items() if where[n] == file}, tmp_path / "m" / file)
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (tmp_path / "m" / "model-00002-of-00003.safetensors").unlink()
    says = "the shard model-00002-of-00003.safetensors is missing (1 of 3); download it"
    assert says in refused("open", tmp_path / "m")
    assert says in refused("export", tmp_path / "m", "--out", tmp_path / "o", "--bits", 4)


def spoiled(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """The digit reader with other weights."""
    shutil.copytree(DIGITS, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


CONV = "resnet.encoder.stages.0.layers.0.layer.0.convolution"


def test_nan_weights(refused: Callable[..., str], tmp_path: Path) -> None:
    m = spoiled(tmp_path / "m", lambda t: t[f"{CONV}.weight"][0, 0].fill_(float("nan")))
    channel = ("--knob", "rtn.granularity=channel")
    said = refused("export", m, "--out", tmp_path / "o", "--bits", 4, *channel)
    assert f"{CONV} holds NaN or infinite weights; repair the checkpoint or exclude this layer" in said or "answers with" in said


def test_an_empty_tensor(refused: Callable[..., str], tmp_path: Path) -> None:
    save_file({"a.weight": torch.ones(8, 64), "b.weight": torch.empty(0, 64)}, tmp_path / "m.safetensors")
    said = refused("export", tmp_path / "m.safetensors", "--out", tmp_path / "o.safetensors", "--bits", 4)
    assert "b is empty; exclude it from the plan" in said


def test_a_config_that_does_not_fit_the_weights(refused: Callable[..., str], tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text()) | {"embedding_size": 16}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    said = refused("export", tmp_path / "m", "--out", tmp_path / "o", "--amount", 0.3)
    assert "config.json and weights don't fit" in said
    assert "is [32, 1, 7, 7] in the file; restore the config.json" in said


@pytest.mark.parametrize(
    ("raw", "says"), [(b"", "is empty"), (b" \n\n ", "is empty"), (b"\xff\xfea\x00", "is not UTF-8 text (byte 0)"), (b"a", "too short")]
)
def test_an_evaluation_text_that_is_empty_or_none(raw: bytes, says: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(raw)
    assert says in refused("export", SOTU, "--out", tmp_path / "o", "--bits", 4, "--data", tmp_path / "t.txt")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; needs root and mount, which CI's container has."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "slim-test", str(disk)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(full_disk: Path, refused: Callable[..., str]) -> None:
    said = refused("export", SOTU, "--out", full_disk / "o", "--amount", 0.3, "--limit", 16)
    assert "MB free and the export needs" in said
    assert not any(full_disk.iterdir())


def test_a_disk_that_another_program_fills_while_we_write_leaves_nothing(full_disk: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(DIGITS)
    made = compress(checkpoint, layers(checkpoint), Plan(), None, Store(tmp_path / "store"), Job())

    def fill(p: Progress) -> None:
        if p.phase == "Writing" and p.done == 1:
            with contextlib.suppress(OSError), (full_disk / "theirs").open("wb", buffering=0) as f:
                while f.write(bytes(1 << 16)):
                    pass

    with pytest.raises(CannotWrite, match=r"could not be written \(No space left on device\); nothing was left behind"):
        save(made, full_disk / "o", targets["dense"](), Job(tell=fill))
    assert [p.name for p in full_disk.iterdir()] == ["theirs"]


def test_a_layer_store_on_a_full_disk_is_one_sentence(full_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (full_disk / "theirs").write_bytes(bytes(7_900_000))
    os.environ["SLIM_CACHE"], kept = str(full_disk / "cache"), os.environ["SLIM_CACHE"]
    try:
        code = main(["export", str(DIGITS), "--out", str(tmp_path / "o"), "--amount", "0.3", "--limit", "16"])
    finally:
        os.environ["SLIM_CACHE"] = kept
    said = capsys.readouterr().err.splitlines()
    assert code == 2
    assert said[-1].startswith("slim: ")
    assert "SLIM_CACHE" in said[-1]
    assert not (tmp_path / "o").exists()


def test_a_file_that_may_not_grow_leaves_nothing(refused: Callable[..., str], tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        said = refused("export", DIGITS, "--out", tmp_path / "o", "--amount", 0, "--limit", 16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "could not be written (File too large); nothing was left behind" in said


@pytest.mark.parametrize("out", ["/proc/slim", "/dev/null/slim", "/sys/slim"])
def test_a_folder_that_cannot_be_written(out: str, refused: Callable[..., str]) -> None:
    said = refused("export", DIGITS, "--out", out, "--amount", 0.3, "--limit", 16)
    assert "choose another" in said


def test_a_folder_of_somebody_else(refused: Callable[..., str], tmp_path: Path) -> None:
    if os.geteuid() == 0:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "slim-test", str(tmp_path)], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("root may write anywhere here, and no read-only file system can be mounted")
    else:
        tmp_path.chmod(0o555)
    try:
        said = refused("export", DIGITS, "--out", tmp_path / "o", "--amount", 0.3, "--limit", 16)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(tmp_path)], check=True)
        else:
            tmp_path.chmod(0o755)
    assert "could not be written (Read-only file system)" in said or "Permission denied" in said
