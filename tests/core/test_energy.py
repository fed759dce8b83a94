"""The energy model moves with what a kernel can use, and with nothing else."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.energy import estimate
from core.energy.model import READ, READING
from core.formats import open_checkpoint
from core.layers import layers
from core.resources import root
from core.types import Checkpoint, Energy, Setting, Size, TensorInfo

SAMPLES = root() / "samples"
DENSE, PACKED = SimpleNamespace(key="dense"), SimpleNamespace(key="packed")


def llama(blocks: int, width: int = 2048) -> Checkpoint:
    """A headers-only language model far larger than any cache."""
    names = {f"model.layers.{i}.mlp.{r}.weight": (width, width) for i in range(blocks) for r in ("up_proj", "down_proj", "gate_proj")}
    tensors = {n: TensorInfo(n, s, "F32", 4 * s[0] * s[1], Path("m")) for n, s in names.items()}
    config = {"num_hidden_layers": blocks, "num_attention_heads": 16, "num_key_value_heads": 8, "hidden_size": width}
    return Checkpoint(Path("m"), "safetensors", tensors, config)


def energy(checkpoint: Checkpoint, share: float = 1.0, target: object = DENSE, setting: Setting | None = None) -> Energy:
    found = layers(checkpoint)
    sizes = {x.name: int(x.tensor.nbytes * share) for x in found}
    settings = {x.name: setting or Setting() for x in found}
    task = "causal-lm" if "num_hidden_layers" in checkpoint.config and "patch_size" not in checkpoint.config else "image-classification"
    return estimate(checkpoint, found, settings, Size(sum(sizes.values()), sizes, checkpoint.nbytes), target, task)  # type: ignore[arg-type]


def test_decoding_a_large_model_costs_its_bytes_over_the_bandwidth() -> None:
    checkpoint = llama(10)
    assert energy(checkpoint).parts["weights"] == pytest.approx(checkpoint.nbytes / READ * READING, rel=0.05)


def test_half_the_stored_bytes_is_about_half_the_energy_of_a_token() -> None:
    ratio = energy(llama(10), 0.5).joules / energy(llama(10)).joules
    assert 0.45 < ratio < 0.55


def test_zeros_save_nothing() -> None:
    pruned = Setting(prune="magnitude", amount=0.9)
    assert energy(llama(4), setting=pruned) == energy(llama(4))


def test_a_compute_bound_sample_gains_nothing_from_smaller_weights() -> None:
    whole = energy(open_checkpoint(SAMPLES / "fashion-vit"))
    small = energy(open_checkpoint(SAMPLES / "fashion-vit"), 0.25)
    assert whole.parts["arithmetic"] > whole.parts["weights"]
    assert small.parts["arithmetic"] == pytest.approx(whole.parts["arithmetic"], rel=0.05)


def test_parts_add_up_and_the_range_is_stated() -> None:
    e = energy(llama(4))
    assert sum(e.parts.values()) == pytest.approx(e.joules)
    assert (e.low, e.high) == pytest.approx((e.joules / 2.2, e.joules * 2.2))
    assert e.unit == "token"
    assert e.how.startswith("Modelled")


def test_packed_weights_say_that_transformers_unpacks_them() -> None:
    assert "unpacks" in energy(llama(2), 0.3, PACKED).how
    assert "unpacks" not in energy(llama(2)).how


def test_the_image_side_comes_from_the_data_beside_the_checkpoint() -> None:
    assert "one image of 32 pixels" in energy(open_checkpoint(SAMPLES / "digits-cnn")).how


def test_500_layers_take_under_four_milliseconds() -> None:
    checkpoint = llama(167, 64)
    found = layers(checkpoint)
    sizes = {x.name: x.tensor.nbytes for x in found}
    size, settings = Size(sum(sizes.values()), sizes, 0), {x.name: Setting() for x in found}
    times = []
    for _ in range(9):
        start = time.perf_counter()
        estimate(checkpoint, found, settings, size, DENSE, "causal-lm")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.004


def test_the_model_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, core.energy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
