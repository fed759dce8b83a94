"""A rotation leaves the network's function as it is, is refused where it could not, and says what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.errors import BadPlan
from core.formats import open_checkpoint, read, targets
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import resolve
from core.resources import root
from core.rotate import Turn, hadamard, planned, price, refuses, rotated
from core.size import size
from core.types import Checkpoint, Plan

torch.set_num_threads(1)
SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 24, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))


def tiny(folder: Path, kind: str, **more: Any) -> Checkpoint:
    """A small network whose gains and biases are anything but ones and zeros."""
    config = getattr(transformers, f"{kind}Config")(**SIZES, **more)
    torch.manual_seed(3)
    module = getattr(transformers, f"{kind}ForCausalLM")(config)
    g = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in module.parameters():
            if p.ndim == 1:
                p.copy_(0.5 + torch.rand(p.shape, generator=g))
    module.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((root() / "samples" / "sotu-lm" / "tokenizer.json").read_bytes())
    (folder / "tokenizer_config.json").write_bytes((root() / "samples" / "sotu-lm" / "tokenizer_config.json").read_bytes())
    return open_checkpoint(folder)


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    ids = torch.randint(0, 64, (1, 32), generator=torch.Generator().manual_seed(5))
    weights = {n: read(t).float() for n, t in checkpoint.tensors.items()}
    with torch.inference_mode():
        return attach(checkpoint).forward(weights, {"input_ids": ids})


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Llama", {"tie_word_embeddings": True}),
        ("Llama", {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True}),
        ("Qwen2", {"tie_word_embeddings": True}),
        ("Qwen3", {"tie_word_embeddings": False}),
    ],
)
def test_a_rotated_network_answers_as_before(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    """Widths of 48 and 24 are no powers of two, so the blocks of 16 and 8 are at work."""
    before = tiny(tmp_path / "model", kind, **more)
    after = rotated(before, 7, Job())
    a, b = logits(before), logits(after)
    assert float((a - b).abs().max()) < 1e-4 * float(a.abs().max())
    moved = [n for n in before.tensors if "proj.weight" in n and not torch.equal(read(before.tensors[n]), read(after.tensors[n]))]
    assert len(moved) == 14
    assert all(bool((read(t) == 1).all()) for n, t in after.tensors.items() if n.endswith("layernorm.weight"))


def test_the_bundled_language_model_differs_by_its_own_rounding_only() -> None:
    before = open_checkpoint(root() / "samples" / "sotu-lm")
    exact, stored = logits(rotated(before, 0, Job(), "F32")), logits(rotated(before, 0, Job()))
    a = logits(before)
    assert float((a - exact).abs().max()) < 1e-5 * float(a.abs().max())
    assert float((a - stored).abs().max()) < 2e-3 * float(a.abs().max())


def test_the_same_seed_is_the_same_rotation_and_another_is_not(tmp_path: Path) -> None:
    before = tiny(tmp_path / "model", "Llama")
    assert rotated(before, 1, Job()) == rotated(before, 1, Job())
    a, b = (Turn.of(before, s) for s in (1, 2))
    assert not torch.equal(a.signs, b.signs)


@pytest.mark.parametrize("n", [1, 2, 64])
def test_hadamard_matrices_are_orthogonal_and_flat(n: int) -> None:
    h = hadamard(n)
    assert torch.allclose(h @ h.T, torch.eye(n, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(h.abs(), torch.full_like(h, n**-0.5))


def test_an_outlier_is_spread_over_its_block(tmp_path: Path) -> None:
    turn = Turn.of(tiny(tmp_path / "model", "Llama"), 0)
    w = torch.zeros(1, 48, dtype=torch.float64)
    w[0, 5] = 4.0
    assert float(turn.columns(w).abs().max()) == pytest.approx(1.0)
    assert float(turn.columns(w).norm()) == pytest.approx(4.0)


def test_a_tied_output_layer_costs_a_matrix_and_the_plan_knows_it_exactly() -> None:
    before = open_checkpoint(root() / "samples" / "sotu-lm")
    plan, after = planned(before), rotated(before, 0, Job())
    assert price(before) == 2048 * 256 * 2 == after.nbytes - before.nbytes
    target = targets["dense"]()
    exact = [size(c, layers(c), resolve(Plan(), layers(c)), target).total for c in (plan, after)]
    assert exact[0] == exact[1]
    assert price(after) == 0


def test_networks_it_can_not_turn_are_refused_with_the_reason(tmp_path: Path) -> None:
    before = tiny(tmp_path / "model", "Llama")
    bert = replace(before, config={"architectures": ["BertModel"], "layer_norm_eps": 1e-12})
    assert "subtracts the mean" in refuses(bert)
    assert "Gemma" in refuses(replace(before, config={"architectures": ["GemmaForCausalLM"]}))
    strange = dict(before.tensors) | {"model.layers.0.adapter.weight": before.tensors["model.norm.weight"]}
    assert "adapter" in refuses(replace(before, tensors=strange))
    with pytest.raises(BadPlan, match="switch rotation off"):
        rotated(bert, 0, Job())
    assert not refuses(before)
