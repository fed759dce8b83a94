"""What each tensor is, from the samples' own names and from those of networks people bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.formats import open_checkpoint
from core.layers import group_of, groups, layers
from core.resources import root
from core.types import Checkpoint, TensorInfo


def of(*tensors: tuple[str, tuple[int, ...]], **config: object) -> dict[str, tuple[str, str]]:
    infos = {n: TensorInfo(n, s, "F32", 0, Path("m")) for n, s in tensors}
    return {x.name: (x.kind, x.protected) for x in layers(Checkpoint(Path("m"), "safetensors", infos, config))}


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("model.embed_tokens.weight", (9, 4), "embedding"),
        ("lm_head.weight", (9, 4), "head"),
        ("model.layers.0.mlp.gate_proj.weight", (8, 4), "linear"),
        ("model.norm.weight", (4,), "norm"),
        ("bert.embeddings.word_embeddings.weight", (9, 4), "embedding"),
        ("embeddings.position_embeddings.weight", (9, 4), "embedding"),
        ("embeddings.LayerNorm.weight", (4,), "norm"),
        ("encoder.layer.0.attention.output.dense.weight", (4, 4), "linear"),
        ("encoder.layer.0.output.dense.weight", (4, 4), "linear"),
        ("pooler.dense.weight", (4, 4), "linear"),
        ("pooler.dense.bias", (4,), "bias"),
        ("classifier.1.weight", (10, 4), "head"),
        ("classifier.weight", (10, 4), "head"),
        ("fc.weight", (10, 4), "head"),
        ("layer1.0.conv1.weight", (4, 4, 3, 3), "conv"),
        ("vit.embeddings.cls_token", (1, 1, 4), "other"),
        ("vit.embeddings.position_embeddings", (1, 5, 4), "other"),
        ("bn1.running_mean", (4,), "other"),
        ("bn1.num_batches_tracked", (), "other"),
        ("transformer.wte.weight", (9, 4), "embedding"),
        ("transformer.h.0.attn.c_attn.weight", (4, 12), "linear"),
    ],
)
def test_a_tensor_is_known_by_its_name_and_shape(name: str, shape: tuple[int, ...], kind: str) -> None:
    assert of((name, shape))[name.removesuffix(".weight")][0] == kind


def test_a_gate_is_a_router_only_among_experts() -> None:
    gate = ("model.layers.0.mlp.gate.weight", (8, 4))
    assert of(gate)["model.layers.0.mlp.gate"][0] == "linear"
    assert of(gate, num_experts=8)["model.layers.0.mlp.gate"][0] == "router"


def test_only_the_first_convolution_is_protected() -> None:
    found = of(("conv1.weight", (4, 1, 3, 3)), ("layer1.0.conv1.weight", (4, 4, 3, 3)))
    assert "first layer" in found["conv1"][1]
    assert found["layer1.0.conv1"][1] == ""


@pytest.mark.parametrize("sample", ["sotu-lm", "digits-cnn", "fashion-vit"])
def test_what_is_free_in_a_sample_is_a_matrix_inside_it(sample: str) -> None:
    found = layers(open_checkpoint(root() / "samples" / sample))
    free = [x for x in found if not x.protected]
    assert {x.kind for x in free} <= {"linear", "conv"}
    assert sum(x.tensor.parameters for x in free) > 0.7 * sum(x.tensor.parameters for x in found)
    assert all(x.prunable for x in free)


def test_like_layers_share_a_group_in_the_order_of_the_blocks() -> None:
    assert group_of("model.layers.10.mlp.down_proj") == "model.layers.*.mlp.down_proj"
    assert group_of("resnet.stages.0.layers.1.conv") == "resnet.stages.*.layers.*.conv"
    named = [(f"model.layers.{i}.q.weight", (4, 4)) for i in (10, 2, 0)]
    infos = {n: TensorInfo(n, s, "F32", 0, Path("m")) for n, s in named}
    (found,) = groups(layers(Checkpoint(Path("m"), "safetensors", infos))).values()
    assert [x.name for x in found] == [f"model.layers.{i}.q" for i in (0, 2, 10)]
