"""Sizes come from shapes alone and are the bytes on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.formats import open_checkpoint, targets
from core.formats.packed import PackedTarget
from core.layers import layers
from core.plans import MODEL, edit, resolve
from core.resources import root
from core.size import size
from core.types import Plan

SAMPLES = root() / "samples"


@pytest.mark.parametrize("name", ["sotu-lm", "digits-cnn", "fashion-vit"])
def test_the_original_is_what_lies_on_disk(name: str) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    found = layers(checkpoint)
    assert (
        size(checkpoint, found, resolve(Plan(), found), targets["dense"]()).original
        == (SAMPLES / name / "model.safetensors").stat().st_size
    )


def test_packed_bytes_fall_with_bits_and_dense_bytes_with_the_type() -> None:
    checkpoint = open_checkpoint(SAMPLES / "sotu-lm")
    found = layers(checkpoint)
    at = [size(checkpoint, found, resolve(edit(Plan(), MODEL, bits=b), found), PackedTarget()).total for b in (16, 8, 4, 3, 2)]
    assert at == sorted(at, reverse=True)
    assert len(set(at)) == 5
    full = size(checkpoint, found, resolve(Plan(), found), targets["dense"](dtype="F32"))
    half = size(checkpoint, found, resolve(Plan(), found), targets["dense"](dtype="BF16"))
    assert sum(full.layers.values()) == 2 * sum(half.layers.values())


def test_sizes_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.formats import open_checkpoint, targets; from core.layers import layers;"
        "from core.plans import resolve, edit, MODEL; from core.types import Plan; from core.size import size;"
        f"c = open_checkpoint(Path({str(SAMPLES / 'sotu-lm')!r})); x = layers(c);"
        "print(size(c, x, resolve(edit(Plan(), MODEL, bits=4), x), targets['packed']()).total); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
