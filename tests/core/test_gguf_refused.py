"""What a GGUF file can't hold or a disk can't take is one sentence that says what to do, and nothing is left half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import CannotWrite
from core.export import save
from core.formats import targets
from core.formats.gguf_write import write
from core.job import Job, Progress
from core.types import Entry
from tests.core.test_bad_input import full_disk
from tests.core.test_gguf import SOTU, slimmed

__all__ = ["full_disk"]

torch.set_num_threads(1)


def refused(path: Path, tmp: Path, file: str = "out.gguf") -> str:
    """The sentence; neither the file nor anything beside it is there afterwards."""
    before = {p.name for p in tmp.iterdir()} | {"store"}
    with pytest.raises(CannotWrite) as found:
        save(slimmed(path, tmp, bits=16), tmp / file, targets["gguf"](), Job())
    assert {p.name for p in tmp.iterdir()} <= before
    said = str(found.value)
    assert "\n" not in said
    return said


def changed(tmp: Path, **tensors: torch.Tensor) -> Path:
    """The sample with more tensors."""
    folder = shutil.copytree(SOTU, tmp / "in")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, **tensors}, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_a_fused_tensor_that_the_architecture_has_no_place_for(tmp_path: Path) -> None:
    folder = changed(tmp_path, **{"model.layers.0.self_attn.qkv_proj.weight": torch.zeros(768, 256)})
    said = refused(folder, tmp_path)
    assert "GGUF has no place for model.layers.0.self_attn.qkv_proj.weight in a llama network; export it dense or packed" in said


def test_two_tensors_that_would_share_a_name(tmp_path: Path) -> None:
    weights = load_file(SOTU / "model.safetensors")
    folder = changed(tmp_path, **{"transformer.wte.weight": weights["model.embed_tokens.weight"].clone()})
    assert "Two tensors of this model would be called token_embd.weight in GGUF" in refused(folder, tmp_path)


def test_a_name_longer_than_ggml_holds(tmp_path: Path) -> None:
    w = gguf.GGUFWriter(tmp_path / "in.gguf", "strange")
    w.add_tensor("a" * 64, np.zeros((2, 32), np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    said = refused(tmp_path / "in.gguf", tmp_path)
    assert "has 64 letters and ggml's names 63 at most; export it dense or packed" in said


def test_a_disk_that_another_program_fills_while_the_file_is_written(full_disk: Path, tmp_path: Path) -> None:
    def fill(p: Progress) -> None:
        if p.phase == "Writing" and p.done == 1:
            with contextlib.suppress(OSError), (full_disk / "theirs").open("wb", buffering=0) as f:
                while f.write(bytes(1 << 16)):
                    pass

    made = slimmed(SOTU, tmp_path, bits=4, knobs={"ggml.encoder": "llama.cpp"})
    with pytest.raises(CannotWrite, match=r"could not be written \(No space left on device\); nothing was left behind"):
        save(made, full_disk / "out.gguf", targets["gguf"](), Job(tell=fill))
    assert [p.name for p in full_disk.iterdir()] == ["theirs"]


def test_an_earlier_export_stays_when_the_new_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(slimmed(SOTU, tmp_path, bits=8), tmp_path / "out.gguf", targets["gguf"](), Job())
    before = (tmp_path / "out.gguf").read_bytes()

    def in_use(a: Path, b: Path) -> None:  # what Windows says of a file that llama.cpp has mapped
        raise PermissionError(errno.EACCES, "Permission denied", str(b))

    monkeypatch.setattr(os, "replace", in_use)
    assert "could not be written (Permission denied)" in refused(SOTU, tmp_path)
    assert (tmp_path / "out.gguf").read_bytes() == before


def test_a_tensor_of_another_length_than_planned_stops_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="planned 256 bytes, made 128"):
        write(tmp_path / "a.gguf", b"head", [Entry("w", "F32", (8, 8))], lambda _: {"w": torch.zeros(32)}, Job())
