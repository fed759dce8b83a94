"""The energy model moves with what a kernel can use, and with nothing else."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.energy import Device, Scene, catalogue, device, estimate, ratio
from core.energy.devices import CEILINGS, HERE, RUNS, learn, taught
from core.energy.levels import interval
from core.energy.model import ENGINE, PARTS
from core.errors import BadPlan
from core.formats import open_checkpoint
from core.layers import layers
from core.resources import cache_root, root
from core.types import Checkpoint, Energy, Measured, Setting, Size, TensorInfo

SAMPLES = root() / "samples"
DENSE, PACKED = SimpleNamespace(key="dense"), SimpleNamespace(key="packed")
LAPTOP = catalogue()["laptop"]


def llama(blocks: int, width: int = 2048) -> Checkpoint:
    """A headers-only language model far larger than any cache."""
    names = {f"model.layers.{i}.mlp.{r}.weight": (width, width) for i in range(blocks) for r in ("up_proj", "down_proj", "gate_proj")}
    tensors = {n: TensorInfo(n, s, "F32", 4 * s[0] * s[1], Path("m")) for n, s in names.items()}
    config = {"num_hidden_layers": blocks, "num_attention_heads": 16, "num_key_value_heads": 8, "hidden_size": width}
    return Checkpoint(Path("m"), "safetensors", tensors, config)


def energy(
    checkpoint: Checkpoint, bits: int = 32, target: object = DENSE, setting: Setting | None = None, scene: Scene | None = None
) -> Energy:  # fmt: skip
    """With every layer at so many bits of the file."""
    found = layers(checkpoint)
    sizes = {x.name: x.tensor.parameters * bits // 8 for x in found}
    settings = {x.name: setting or (Setting(quantize="rtn", bits=bits) if bits < 16 else Setting()) for x in found}
    task = "causal-lm" if "num_hidden_layers" in checkpoint.config and "patch_size" not in checkpoint.config else "image-classification"
    size = Size(sum(sizes.values()), sizes, checkpoint.nbytes)
    return estimate(checkpoint, found, settings, size, target, task, scene)  # type: ignore[arg-type]


def test_decoding_a_large_model_costs_its_bytes_over_the_bandwidth() -> None:
    checkpoint = llama(10)
    assert energy(checkpoint).parts["weights"] == pytest.approx(checkpoint.nbytes / LAPTOP.read * LAPTOP.reading, rel=0.05)


def test_four_bits_take_an_eighth_of_the_time_where_a_kernel_takes_them_packed() -> None:
    whole, four = energy(llama(10)), energy(llama(10), 4, PACKED)
    assert four.seconds / whole.seconds == pytest.approx(1 / 8, rel=0.15)
    assert four.joules < whole.joules / 4  # the multiplications stay


def test_bits_that_are_unpacked_when_loaded_save_nothing_and_the_model_says_so() -> None:
    whole, three = energy(llama(4)), energy(llama(4), 3, PACKED)
    assert three.joules == pytest.approx(whole.joules)
    assert "others are unpacked when loaded" in three.how
    assert energy(llama(4), 4, PACKED, scene=Scene(catalogue()["phone"])).joules > 0.4 * energy(
        llama(4), scene=Scene(catalogue()["phone"])
    ).joules  # fmt: skip


def test_a_gpu_takes_eight_bits_packed_and_half_floats_as_they_are() -> None:
    scene = Scene(catalogue()["h100"])
    half = energy(llama(10), 16, scene=scene)
    assert half.joules / energy(llama(10), scene=scene).joules == pytest.approx(0.5, rel=0.1)
    assert energy(llama(10), 8, PACKED, scene=scene).joules / half.joules == pytest.approx(0.5, rel=0.1)


def test_rounded_values_in_a_dense_file_save_nothing() -> None:
    whole = energy(llama(4))
    found = energy(llama(4), 32, DENSE, Setting(quantize="rtn", bits=4))
    assert found.joules == whole.joules


def test_a_files_own_blocks_are_read_as_they_lie() -> None:
    tensors = {n: replace(t, dtype="Q4_1", nbytes=t.nbytes * 5 // 32) for n, t in llama(8).tensors.items()}
    checkpoint = replace(llama(8), tensors=tensors)
    found = layers(checkpoint)
    size = Size(0, {x.name: x.tensor.nbytes for x in found}, 0)
    e = estimate(checkpoint, found, {}, size, None, "causal-lm")
    assert e.seconds == pytest.approx(checkpoint.nbytes / LAPTOP.read, rel=0.2)


def test_zeros_save_nothing() -> None:
    pruned = Setting(prune="magnitude", amount=0.9)
    assert energy(llama(4), setting=pruned) == energy(llama(4))


def test_a_compute_bound_sample_gains_nothing_from_smaller_weights() -> None:
    vit = open_checkpoint(SAMPLES / "fashion-vit")
    whole, small = energy(vit), energy(vit, 4, PACKED)
    assert whole.parts["arithmetic"] > whole.parts["weights"]
    assert small.seconds == pytest.approx(whole.seconds, rel=0.05)
    assert 0.8 * whole.joules < small.joules <= whole.joules


def test_parts_add_up_by_kind_and_by_place_and_the_range_is_stated() -> None:
    e = energy(llama(4))
    assert set(e.parts) == set(PARTS)
    assert sum(e.parts.values()) == pytest.approx(e.joules)
    assert sum(j for parts in e.by.values() for j in parts.values()) == pytest.approx(e.joules)
    assert set(e.by) == {"feed-forward", "kv cache"}
    assert (e.low, e.high) == pytest.approx((e.joules / 2.2, e.joules * 2.2))
    assert (e.unit, e.level, e.device) == ("token", "C", "laptop")
    assert e.how.startswith("Modelled")


def test_joules_are_watts_times_seconds() -> None:
    """W x s = J; 1 kW x 1 h = 3.6 MJ is core.carbon's."""
    checkpoint = llama(10)
    e = energy(checkpoint)
    assert e.joules == pytest.approx(LAPTOP.reading * e.seconds, rel=0.15)  # bound by memory, with some arithmetic beside it
    assert LAPTOP.reading < e.joules / e.seconds < LAPTOP.computing
    assert energy(checkpoint, scene=Scene(LAPTOP.with_watts(56))).joules == pytest.approx(2 * e.joules)


def test_tokens_that_are_there_at_once_share_one_reading_of_the_weights() -> None:
    one, eight = energy(llama(10)), energy(llama(10), scene=Scene(LAPTOP, batch=8))
    assert eight.parts["weights"] < one.parts["weights"] / 6
    assert eight.parts["kv cache"] == pytest.approx(one.parts["kv cache"])
    read = energy(llama(10), scene=Scene(LAPTOP, "prefill"))
    assert read.joules < one.joules / 5
    assert read.parts["arithmetic"] > 0.9 * read.joules  # reading is bound by arithmetic


def test_fewer_bytes_and_less_arithmetic_never_cost_more() -> None:
    for d in catalogue().values():
        for bits in (16, 8, 4, 2):  # a format the table does not know is taken at its bytes: 2 bits are bound by arithmetic on some
            streams = SimpleNamespace(key="streams")
            for width in (64, 512, 2048):
                more, less = (energy(llama(4, width), b, streams, scene=Scene(d)).joules for b in (2 * bits, bits))
                assert less <= more * (1 + 1e-12), (d.key, bits, width)


def test_a_longer_context_costs_its_cached_keys_and_values() -> None:
    far = energy(llama(10), scene=Scene(LAPTOP, context=8192))
    assert far.parts["kv cache"] == pytest.approx(32 * energy(llama(10)).parts["kv cache"], rel=0.2)


def test_the_physics_floor_lies_under_every_device() -> None:
    for d in catalogue().values():
        for phase in ("decode", "prefill"):
            e = energy(llama(4), scene=Scene(d, phase))  # type: ignore[arg-type]
            assert 0 < e.floor < e.low, (d.key, phase)


def test_h100_decode_agrees_with_a_published_measurement() -> None:
    """ML.ENERGY leaderboard: Qwen3-8B in BF16 on an H100, batch 8, 0.604 J a token at 494 W (9.7 ms between tokens)."""
    shapes = {"mlp.gate_proj": (12288, 4096), "mlp.up_proj": (12288, 4096), "mlp.down_proj": (4096, 12288),
              "self_attn.q_proj": (4096, 4096), "self_attn.o_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096),
              "self_attn.v_proj": (1024, 4096)}  # fmt: skip
    tensors = {f"model.layers.{i}.{n}.weight": s for i in range(36) for n, s in shapes.items()} | {"lm_head.weight": (151936, 4096)}
    infos = {n: TensorInfo(n, s, "BF16", 2 * s[0] * s[1], Path("m")) for n, s in tensors.items()}
    config = {"num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096, "head_dim": 128}
    e = energy(Checkpoint(Path("m"), "safetensors", infos, config), 16, scene=Scene(catalogue()["h100"], batch=8, context=4096))
    assert e.low < 0.604 < e.high
    assert e.joules == pytest.approx(0.604, rel=0.4)


def test_the_image_side_comes_from_the_data_beside_the_checkpoint() -> None:
    assert "one image of 32 pixels" in energy(open_checkpoint(SAMPLES / "digits-cnn")).how


def test_ratios_are_tighter_than_either_side_and_one_for_equal_work() -> None:
    whole, four = energy(llama(10)), energy(llama(10), 4, PACKED)
    r = ratio(whole, four)
    assert r.low < r.value == whole.joules / four.joules < r.high
    assert r.high / r.low < whole.high / whole.low / 3
    assert ratio(whole, whole).low == ratio(whole, whole).high == 1


def test_every_device_has_its_source_and_an_unknown_one_is_refused() -> None:
    assert set(catalogue()) == {"laptop", "server", "phone", "raspberry", "h100"}
    for d in catalogue().values():
        assert len(d.source) > 40
        assert d.idle < d.reading < d.computing
        assert d.read < d.cached
    with pytest.raises(BadPlan, match="there is here, laptop"):
        device("mainframe")
    with pytest.raises(BadPlan, match="no power"):
        device("laptop", -5)


@pytest.fixture
def own_machine() -> Path:
    """Measured ceilings of this machine in the test's cache; gone afterwards."""
    path = cache_root() / CEILINGS
    found = {"flops": 4e11, "read": 1e10, "cached": 5e10, "cache": 1e7, "integers": 2.0, "launch": 2e-6, "cores": os.cpu_count()}
    path.write_text(json.dumps(found))
    yield path
    for name in (CEILINGS, RUNS):
        (cache_root() / name).unlink(missing_ok=True)


def test_this_machine_is_modelled_at_its_own_ceilings(own_machine: Path) -> None:
    d = device(HERE)
    assert (d.flops, d.read, d.launch, d.level) == (4e11, 1e10, 2e-6, "C")
    assert device(HERE, 100.0).level == "B"
    own_machine.write_text("{")
    assert device(HERE).flops == LAPTOP.flops


def test_a_metered_run_moves_the_model_towards_it_and_narrows_it(own_machine: Path) -> None:
    before = device(HERE)
    learn(3.0, 2.0)
    once = device(HERE)
    assert once.level == "B"
    assert 1.3 < once.factor < 1.5
    for _ in range(2):
        learn(3.0, 2.0)
    thrice = device(HERE)
    assert once.factor < thrice.factor < 1.5
    assert thrice.range < once.range < before.range
    assert thrice.range == pytest.approx(1.25, abs=0.03)  # what the design says a calibrated model is good for
    e = energy(llama(4), scene=Scene(thrice))
    assert e.joules == pytest.approx(thrice.factor * energy(llama(4), scene=Scene(replace(thrice, factor=1.0))).joules)
    assert e.how.startswith("Calibrated")


def test_the_posterior_is_the_conjugate_normal_one() -> None:
    d = taught(LAPTOP, [0.2, 0.4])
    precision = 1 / 0.35**2 + 2 / 0.12**2
    assert math.log(d.factor) == pytest.approx(0.6 / 0.12**2 / precision)
    assert math.log(d.range) == pytest.approx(1.645 * math.sqrt(1 / precision + 0.12**2))


def test_dynamic_int8_is_faster_by_what_this_machine_measured_where_the_engine_runs_it() -> None:
    d: Device = replace(LAPTOP, integers=2.0)
    scene, target = Scene(d, "prefill"), SimpleNamespace(key=ENGINE)
    whole = energy(llama(10), 32, target, scene=scene)
    eight = energy(llama(10), 8, target, Setting(quantize="int8dynamic", bits=8), scene)
    assert whole.seconds / eight.seconds == pytest.approx(2, rel=0.05)
    assert eight.floor < whole.floor


def test_narrow_layers_and_integers_cost_what_the_self_test_found_beside_their_work() -> None:
    slow = replace(LAPTOP, narrow=(0.25, 0.5, 0.5, 1.0))
    before, after = Scene(LAPTOP, "prefill"), Scene(slow, "prefill")
    narrow, wide = (energy(llama(2, w), scene=after).seconds / energy(llama(2, w), scene=before).seconds for w in (64, 2048))
    assert narrow > 1.2
    assert wide == pytest.approx(1)
    d = replace(LAPTOP, integers=2.0, integer_launch=1e-4, rounding=1e-9)
    target, eight = SimpleNamespace(key=ENGINE), Setting(quantize="int8dynamic", bits=8)
    plain = energy(llama(2), 8, target, eight, Scene(replace(LAPTOP, integers=2.0))).seconds
    more = energy(llama(2), 8, target, eight, Scene(d)).seconds - plain
    assert more == pytest.approx(6 * 1e-4 + 6 * (2 * 2048 * 4) * 1e-9)


def test_a_metered_mean_has_its_t_interval_and_the_instruments_error() -> None:
    low, high = interval(Measured(10.0, 0.0), 6)
    assert (low, high) == pytest.approx((9.5, 10.5))
    low, high = interval(Measured(10.0, 1.0), 6)
    assert high - 10 == pytest.approx(math.hypot(2.02, 0.5))


def test_the_self_test_takes_at_most_five_seconds_and_is_kept(monkeypatch: pytest.MonkeyPatch, own_machine: Path) -> None:
    from core import ceilings
    from core.job import Job

    own_machine.unlink()
    asked: list[float] = []
    fastest = ceilings._fastest

    def briefly(call: Callable[[], object], job: Job, seconds: float, clock: Callable[[], float]) -> float:
        asked.append(seconds)
        return fastest(call, job, 0.02, clock)

    monkeypatch.setattr(ceilings, "LARGE", 1 << 22)
    monkeypatch.setattr(ceilings, "_fastest", briefly)
    found = ceilings.ceilings(Job())
    assert sum(asked) < 4, "with what is made ready between, five seconds"
    assert 1e8 < found["read"] < 1e12
    assert 1e8 < found["flops"] < 1e14
    assert 0 < found["launch"] < 1e-3
    assert ceilings.ceilings(Job()) == found
    d = device(HERE)
    assert (d.flops, d.narrow) == (found["flops"], tuple(found["narrow"]))
    assert all(0 < share <= 1 for share in d.narrow)
    again = ceilings.ceilings(Job(), again=True)
    assert all(again["times"][k] <= t for k, t in found["times"].items()), "a disturbed part is mended by a second test"


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
    code = "import sys, core.energy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
