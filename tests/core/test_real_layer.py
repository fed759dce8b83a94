"""On layers of SmolLM2 as they are: what the solver wins on tokens that nobody has seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.calibrate import observe
from core.compress import weight_of
from core.data.calibration import calibrating
from core.formats import open_checkpoint
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.quantize import quantizers
from core.solve.factor import alive
from core.solve.polish import loss
from core.types import Seen
from tests.real import smollm2

torch.set_num_threads(1)
LOOKED_AT = ("q_proj", "o_proj", "up_proj")
Met = tuple[torch.Tensor, Seen, torch.Tensor]  # a weight, what it met, and its moments over tokens that no method was shown


@pytest.fixture(scope="module")
def met() -> dict[str, Met]:
    """Layers of the first block after 3k tokens of text, and their moments over windows that no method was shown."""
    checkpoint = open_checkpoint(smollm2())
    network = attach(checkpoint)
    data = calibrating(None, network, tokens=4096)
    half = len(data.held.items) // 2
    shown = replace(data, held=replace(data.held, items=data.held.items[:half]))
    kept = replace(data, solver=replace(data.solver, items=data.solver.items[:1]), held=replace(data.held, items=data.held.items[half:]))
    wanted = [x for x in layers(checkpoint) if x.name.startswith("model.layers.0.") and x.name.endswith(LOOKED_AT)]
    found, unseen = (observe(network, checkpoint, part, wanted, ["inputs"], Job()).seen for part in (shown, kept))
    out = {}
    for x in wanted:
        held = unseen[x.name].held
        assert held is not None
        out[x.name] = weight_of(x), found[x.name], alive(held)
    return out


def error(name: str, layer: Met, bits: int, **knobs: int) -> float:
    """Relative to what the layer answers, on the unseen tokens."""
    w, seen, unseen = layer
    q = replace(quantizers[name](group_size=64, symmetric=False, **knobs), bits=bits)(w, seen, torch.float16)
    return float(loss(w, q.dense(torch.float32), unseen) / loss(w, torch.zeros_like(w), unseen))


@pytest.mark.parametrize(("bits", "win"), [(3, 1.0), (2, 0.85)])
def test_on_real_layers_slim_beats_gptq_and_gptq_beats_rounding_to_nearest(met: dict[str, Met], bits: int, win: float) -> None:
    assert len(met) == len(LOOKED_AT)
    for layer in met.values():
        slim, gptq, rtn = (error(n, layer, bits) for n in ("slim", "gptq", "rtn"))
        assert slim < win * gptq < 0.7 * rtn


def test_on_a_real_layer_a_round_of_the_polish_wins_on_tokens_nobody_has_seen(met: dict[str, Met]) -> None:
    layer = next(iter(met.values()))
    assert error("slim", layer, 2, rounds=1) < 0.98 * error("slim", layer, 2, rounds=0)
