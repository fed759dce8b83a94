"""Sizes come from shapes alone and are the bytes on disk."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.formats import open_checkpoint, targets
from core.formats.packed import PackedTarget
from core.formats.safetensors_write import header_bytes
from core.formats.shards import index, limit, shards
from core.layers import layers
from core.plans import MODEL, Scope, edit, resolve
from core.resources import root
from core.size import size
from core.types import Checkpoint, Entry, Layer, Plan, Setting, TensorInfo

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


def slowly(checkpoint: Checkpoint, found: list[Layer], settings: dict[str, Setting], target: Any) -> tuple[int, dict[str, int]]:
    """The size by writing every header and the index."""
    entries = target.entries(checkpoint, found, settings)
    per: dict[str, int] = {}
    for e in entries:
        per[e.layer] = per.get(e.layer, 0) + e.nbytes
    parts = shards(entries, limit(checkpoint, target))
    headers = sum(len(header_bytes(s.entries)) for s in parts)
    return headers + sum(per.values()) + (len(index(parts)) if len(parts) > 1 else 0), per


@pytest.mark.parametrize("name", ["sotu-lm", "digits-cnn", "fashion-vit"])
@pytest.mark.parametrize("target", ["dense", "packed"])
def test_the_quick_sum_is_the_length_of_the_real_header_for_any_plan(name: str, target: str) -> None:
    checkpoint = open_checkpoint(SAMPLES / name)
    found = layers(checkpoint)
    draw = random.Random(0)
    for split in (5.0, 5.0, 0.001, 0.002) * 3:
        plan = edit(Plan(), MODEL, bits=draw.choice((16, 8, 3)), amount=draw.choice((0.0, 0.5)))
        some = tuple(x.name for x in draw.sample(found, len(found) // 3))
        plan = edit(plan, Scope("layers", some), bits=draw.choice((16, 4, 2)), knobs={"rtn.symmetric": draw.random() < 0.5})
        for shown in (found, found[::2]):
            settings, how = resolve(plan, shown), targets[target](shard_gb=split)
            fast = size(checkpoint, shown, settings, how)
            assert (fast.total, fast.layers) == slowly(checkpoint, shown, settings, how)


SHAPES = st.lists(st.integers(0, 3000), max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # other processes take the cores
@given(st.lists(st.tuples(st.text(max_size=9), SHAPES, st.sampled_from(["F32", "F16", "U8"])), max_size=9))
def test_any_names_and_shapes_have_the_size_their_header_says(tensors: list[tuple[str, list[int], str]]) -> None:
    infos = {n: TensorInfo(n, tuple(shape), kind, 0, Path(__file__)) for n, shape, kind in tensors}
    checkpoint = Checkpoint(Path(), "safetensors", infos)
    found = layers(checkpoint)
    settings = resolve(Plan(), found)
    assert size(checkpoint, found, settings, targets["dense"]()).total == slowly(checkpoint, found, settings, targets["dense"]())[0]


def test_50_ticks_on_10_000_layers_ask_the_target_twice() -> None:
    """Counted in calls of the target, not in time: alike layers are asked about once for each way of being stored."""
    infos = {n: TensorInfo(n, (64, 64), "F16", 8192, Path(__file__)) for n in (f"layers.{i}.up_proj.weight" for i in range(10_000))}
    checkpoint = Checkpoint(Path(), "safetensors", infos, {"architectures": ["LlamaForCausalLM"]})
    found = layers(checkpoint)
    asked: list[str] = []

    class Counting(PackedTarget):
        def entries(self, checkpoint: Checkpoint, layers: Iterable[Layer], settings: Mapping[str, Setting]) -> list[Entry]:
            asked.extend(x.name for x in layers)
            return super().entries(checkpoint, layers, settings)

    for tick in range(50):
        size(checkpoint, found, resolve(edit(Plan(), MODEL, bits=(4, 3)[tick % 2], amount=tick / 100), found), Counting())
    assert len(asked) == 2


def test_sizes_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.formats import open_checkpoint, targets; from core.layers import layers;"
        "from core.plans import resolve, edit, MODEL; from core.types import Plan; from core.size import size;"
        f"c = open_checkpoint(Path({str(SAMPLES / 'sotu-lm')!r})); x = layers(c);"
        "print(size(c, x, resolve(edit(Plan(), MODEL, bits=4), x), targets['packed']()).total); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
