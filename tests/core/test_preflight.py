"""What a run will take is said before it, from headers, and a run that would not fit is refused with what would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import cached, preflight
from core.errors import BadPlan
from core.formats import open_checkpoint
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit
from core.preflight import Preflight
from core.recipe import Recipe
from core.resources import root
from core.run import foresee, run
from core.types import Checkpoint, Plan, TensorInfo

SAMPLE = root() / "samples" / "sotu-lm"
RTN = edit(Plan(), MODEL, bits=4, quantize="rtn", knobs={"rtn.group_size": 32})
GPTQ = edit(Plan(), MODEL, bits=4, quantize="gptq")


def llama(hidden: int, ffn: int, blocks: int, vocabulary: int) -> Checkpoint:
    """The header of a Llama of this shape; no weights exist."""
    file = SAMPLE / "model.safetensors"
    shapes = {"model.embed_tokens": (vocabulary, hidden), "lm_head": (vocabulary, hidden)}
    for i in range(blocks):
        at = f"model.layers.{i}."
        shapes |= {f"{at}self_attn.{p}_proj": (hidden if p in "qo" else hidden // 4, hidden) for p in "qkvo"}
        shapes |= {f"{at}mlp.{p}_proj": (ffn, hidden) for p in ("gate", "up")} | {f"{at}mlp.down_proj": (hidden, ffn)}
    infos = {f"{n}.weight": TensorInfo(f"{n}.weight", s, "BF16", 2 * s[0] * s[1], file) for n, s in shapes.items()}
    return Checkpoint(SAMPLE, "folder", infos, {"vocab_size": vocabulary, "model_type": "llama", "architectures": ["LlamaForCausalLM"]})


def told(checkpoint: Checkpoint, plan: Plan, gigabytes: float, tokens: int | None = None) -> Preflight:
    return preflight.preflight(checkpoint, layers(checkpoint), plan, tokens, True, int(gigabytes * 1e9), 30e9)


def test_an_8b_model_streams_without_data_in_far_less_than_its_size() -> None:
    big = llama(4096, 14336, 32, 128_256)
    found = told(big, RTN, 8)
    assert found.fits
    assert found.peak_bytes < 4e9 < big.nbytes
    assert not found.scores
    assert "accuracy is not measured" in found.told


def test_a_run_that_does_not_fit_is_told_what_would() -> None:
    big = llama(4096, 14336, 32, 128_256)
    found = told(big, GPTQ, 1.5)
    assert not found.fits
    assert "need no data" in found.proposal
    assert told(big, RTN, 1.5).fits
    assert "exclude the largest" in told(big, RTN, 0.2).proposal


def test_fewer_tokens_are_proposed_where_the_hidden_states_are_what_is_too_much() -> None:
    flat = llama(4096, 4096, 2, 32_000)
    whole, few = (told(flat, GPTQ, 64, n) for n in (400_000, 50_000))
    found = told(flat, GPTQ, (max(few.parts["statistics"], few.parts["compressing"]) + 1e8) / 0.95e9, 400_000)
    assert whole.parts["statistics"] - few.parts["statistics"] == 2 * 350_000 * 4 * 4096
    assert found.proposal == f"calibrate on {found.tokens} tokens instead of 400000"
    assert told(flat, GPTQ, (found.peak_bytes + 1e8) / 0.95e9, 400_000).tokens == 0, "nothing is proposed where all fits"
    again = told(flat, GPTQ, (max(few.parts["statistics"], few.parts["compressing"]) + 1e8) / 0.95e9, found.tokens)
    assert max(again.parts["statistics"], again.parts["compressing"]) <= 0.95 * again.available, "what is proposed fits"


def test_smaller_blocks_are_proposed_where_the_second_moments_are_what_is_too_much() -> None:
    big = llama(4096, 14336, 32, 128_256)
    found = told(big, GPTQ, 4.5, 1024)
    assert not found.fits
    assert (found.block, found.tokens) == (4096, 0)
    assert found.proposal == "calibrate in blocks of 4096 inputs, so that a wide layer is solved in parts"
    again = preflight.preflight(big, layers(big), GPTQ, 1024, True, int(4.5e9), 30e9, found.block)
    assert again.fits
    assert again.seconds < found.seconds
    whole = preflight.preflight(big, layers(big), GPTQ, 1024, True, int(64e9), 30e9, 16_384)
    assert whole.peak_bytes > 2 * again.peak_bytes


def test_more_blocks_take_longer_but_no_more_memory() -> None:
    small, large = (told(llama(1024, 4096, n, 32_000), GPTQ, 64) for n in (4, 32))
    assert small.parts["statistics"] == large.parts["statistics"]
    assert small.parts["compressing"] == large.parts["compressing"]
    assert large.seconds > 4 * small.seconds


def test_a_cut_is_foreseen_with_its_passes() -> None:
    """More blocks, more data and more that goes take longer; a cut that looks at nothing takes no time."""
    checkpoint = open_checkpoint(SAMPLE)

    def seconds(tokens: int = 4096, **cuts: Any) -> float:
        return told(checkpoint, replace(Plan(), cuts=cuts), 8, tokens).seconds

    plain = seconds()
    assert seconds(ffn=0.5, method="magnitude", compensate=False) == plain
    assert plain < seconds(ffn=0.25) < seconds(ffn=0.25, heads=0.5) < seconds(ffn=0.25, heads=0.5, blocks=1)
    assert seconds(ffn=0.25) - plain < seconds(8192, ffn=0.25) - seconds(8192)
    assert told(checkpoint, replace(Plan(), cuts={"ffn": 0.25}), 8).parts["cutting"] > 4 * checkpoint.parameters


def test_a_network_too_large_to_be_cut_is_told_so() -> None:
    big = llama(4096, 14336, 32, 128_256)
    found = told(big, replace(Plan(), cuts={"ffn": 0.25}), 16)
    assert not found.fits
    assert "cut" in found.proposal


def test_foreseeing_needs_no_torch() -> None:
    code = f"""
import sys
from pathlib import Path
from core.formats import open_checkpoint
from core.layers import layers
from core.recipe import Recipe
from core.run import foresee
path = Path({str(SAMPLE)!r})
checkpoint = open_checkpoint(path)
assert foresee(Recipe(path), checkpoint, layers(checkpoint)).fits
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_says_what_it_takes_before_it_begins_and_is_refused_when_it_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    points: list[object] = []
    monkeypatch.setattr(preflight, "free_bytes", lambda: 100_000_000)
    with pytest.raises(BadPlan, match=r"needs about .* of memory \(100 MB free\).*: .*exclude the largest"):
        run(Recipe(SAMPLE, RTN, limit=256), Job(point=points.append))
    assert [type(p) for p in points] == [Preflight]


def test_the_machine_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    assert preflight.known_speed() == preflight.SPEED
    measured = preflight.measured_speed()
    assert measured > 1e8
    assert preflight.known_speed() == measured == preflight.measured_speed()
    (tmp_path / "speed.json").write_text(json.dumps({"rate": 9e9, "cores": os.cpu_count()}), encoding="utf-8")
    assert preflight.known_speed() == preflight.SPEED, "from before it was the quickest round that counts"
    (tmp_path / "speed.json").write_text("{}", encoding="utf-8")
    assert preflight.known_speed() == preflight.SPEED


def seconds(checkpoint: Checkpoint, plan: Plan, tokens: int, **more: Any) -> float:
    return preflight.preflight(checkpoint, layers(checkpoint), plan, tokens, False, speed=38e9, **more).seconds


@pytest.mark.parametrize(
    ("method", "took"), [({"quantize": "slim", "bits": 3}, 108), ({"prune": "admm", "amount": 0.5, "bits": 16}, 358)]
)
def test_the_time_of_smollm2_is_foreseen_as_it_was_measured(method: dict[str, Any], took: float) -> None:
    """CPU seconds of statistics and layers in tests/benchmarks/results (86.4 + 21.6 in time.json; 86.4 + 272 with quality.json), on a core
    of 38e9 multiply-adds a second; its shapes."""
    smollm2 = llama(576, 1536, 30, 49_152)
    assert seconds(smollm2, edit(Plan(), MODEL, **method), 16_384) == pytest.approx(took, rel=0.2)


def test_tuning_and_other_orders_of_the_calibration_are_foreseen_with_their_passes() -> None:
    smollm2, slim = llama(576, 1536, 30, 49_152), edit(Plan(), MODEL, quantize="slim", bits=3)
    plain, *orders = (seconds(smollm2, slim, 16_384, order=o) for o in ("parallel", "sequential", "corrected"))
    assert plain < orders[0] < orders[1]
    assert seconds(smollm2, slim, 16_384, steps=56) - plain == pytest.approx(264, rel=0.25), "as in time.json"
    checkpoint = open_checkpoint(SAMPLE)
    tuned, not_tuned = (foresee(Recipe(SAMPLE, replace(slim, tune=t)), checkpoint, layers(checkpoint)).seconds for t in (True, False))
    assert tuned > not_tuned


@pytest.mark.parametrize("method", ["slim", "awq"])
def test_the_time_of_the_sample_is_foreseen(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a factor of three: a busy machine's caches make CPU seconds half as long again, and a run may be a second in all."""
    import torch

    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    plan = edit(Plan(), MODEL, quantize=method, bits=4, knobs={f"{method}.group_size": 32})
    recipe = Recipe(SAMPLE, replace(plan, tune=False), limit=256, tokens=4096)
    points: list[object] = []
    torch.set_num_threads(1)
    attach(open_checkpoint(SAMPLE))  # what it imports is not counted
    start = time.process_time()
    run(recipe, Job(point=points.append))
    took = time.process_time() - start
    told = next(p.seconds for p in points if isinstance(p, Preflight))
    assert told / 3 < took < told * 3 + 2


def test_the_sample_is_foreseen_with_its_own_data() -> None:
    checkpoint = open_checkpoint(SAMPLE)
    found = foresee(Recipe(SAMPLE, GPTQ), checkpoint, layers(checkpoint))
    assert found.scores
    assert {"compressing", "statistics", "scoring", "exporting"} <= set(found.parts)


def test_the_cache_shows_and_lets_go_of_each_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from core.calibrate import kept
    from core.store import Store
    from core.stored import Dense

    torch = pytest.importorskip("torch")
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    Store.default().put("a" * 64, Dense(torch.zeros(1000)))
    kept.default().keep("b" * 64, {"0": torch.zeros(2000)}, {})
    counts = {s.name: (s.count, s.nbytes >= 4000) for s in cached.shelves()}
    assert counts == {"layers": (1, True), "statistics": (1, True), "checkpoints": (0, False)}
    assert cached.clear("statistics") >= 8000
    assert {s.name: s.count for s in cached.shelves()} == {"layers": 1, "statistics": 0, "checkpoints": 0}
    assert cached.clear() >= 4000
    with pytest.raises(BadPlan, match="layers, statistics, checkpoints"):
        cached.clear("all")


def test_a_cap_of_the_user_is_kept_and_what_is_over_it_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from core.store import Store

    torch = pytest.importorskip("torch")
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    for i in range(4):
        Store.default().keep(f"{i}" * 64, {"0": torch.zeros(1_000_000)}, {})
    cached.set_cap("layers", 10_000_000)
    found = {s.name: s for s in cached.shelves()}
    assert (found["layers"].cap, found["layers"].count) == (10_000_000, 2), "nine tenths of the cap are kept"
    assert Store.default().cap == 10_000_000
    folders = [tmp_path / "derived" / f"{i}" for i in range(3)]
    for f in folders:
        f.mkdir(parents=True)
        (f / "model.safetensors").write_bytes(bytes(6_000_000))
    cached.set_cap("checkpoints", 13_000_000)
    assert sum(f.exists() for f in folders) == 2
    with pytest.raises(BadPlan, match="too few"):
        cached.set_cap("layers", 5)
    assert Store.default().cap == 10_000_000, "a refused cap changes nothing"
