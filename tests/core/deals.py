"""Small models with hand-made prices, for the tests of the budget solver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.formats import targets
from core.layers import layers
from core.plans import MODEL, edit, resolve
from core.predict import Predictor
from core.registry import make
from core.search import table
from core.sensed import Front, Option, Sensed, Sensitivity
from core.size import size
from core.types import Checkpoint, Choice, Layer, Plan, Setting, TensorInfo

ROLES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
WIDTHS = (2, 3, 4, 5, 6, 8)
SLIM = Plan(Choice("magnitude", 0.0, "slim", 16, {"slim.group_size": 32, "slim.symmetric": True}))
PACKED: Any = make(targets["packed"], {})


def llama(path: Path, blocks: int, width: int = 256) -> Checkpoint:
    """A headers-only decoder; its one file is as long as its tensors."""
    shapes = {r: (width, 2 * width) if "down" in r else (2 * width, width) if r.startswith("mlp") else (width, width) for r in ROLES}
    names = {f"model.layers.{i}.{r}.weight": s for i in range(blocks) for r, s in shapes.items()}
    names |= {"model.embed_tokens.weight": (500, width), "model.norm.weight": (width,)}
    tensors = {n: TensorInfo(n, s, "BF16", 2 * int(np.prod(s)), path / "m") for n, s in names.items()}
    with (path / "m").open("wb") as f:
        f.truncate(sum(t.nbytes for t in tensors.values()))
    config = {"num_hidden_layers": blocks, "hidden_size": width, "num_attention_heads": 4, "num_key_value_heads": 4}
    return Checkpoint(path, "safetensors", tensors, config)


def sensed(
    found: list[Layer], seed: int = 0, widths: tuple[int, ...] = WIDTHS, groups: tuple[int, ...] = (32,), **alpha: float
) -> Sensitivity:
    """Every linear layer with a price of its own; `alpha` by a part of the name sets one."""
    rng = np.random.default_rng(seed)
    out = {}
    for x in found:
        if x.kind != "linear":
            continue
        price = next((v for k, v in alpha.items() if k in x.name.replace(".", "_")), float(rng.lognormal(-3, 1)))
        made = [(b, g, 2 * 4.0**-b * (g / 32) ** 0.3 * float(rng.lognormal(0, 0.1))) for g in groups for b in widths]
        even = {"symmetric": True}
        options = [Option(Setting(quantize="slim", bits=b, quantize_knobs={"group_size": g, **even}), "obs", e, e) for b, g, e in made]
        out[x.name] = Sensed(x.name, price, 0.2, "measured", tuple(options))
    return Sensitivity(out, "hand-made", "kl", float("inf"), len(out), len(out))


class Case:
    """A model, what was sensed of it, and a plan that asks for slim."""

    def __init__(self, path: Path, blocks: int = 3, plan: Plan = SLIM, width: int = 256, **sensing: Any) -> None:
        self.checkpoint = llama(path, blocks, width)
        self.layers = tuple(layers(self.checkpoint))
        self.plan = plan
        self.predictor = Predictor.of(sensed(list(self.layers), **sensing))

    def table(self, **asked: Any) -> Any:
        return table(self.checkpoint, self.layers, self.plan, PACKED, self.predictor, **asked)

    def uniform(self, bits: int) -> tuple[int, float]:
        """Bytes and prediction of the same bits everywhere."""
        even = resolve(edit(self.plan, MODEL, bits=bits), self.layers)
        return size(self.checkpoint, self.layers, even, PACKED).total, self.predictor.estimate(even).value

    def resolved(self, f: Front) -> dict[str, Setting]:
        return resolve(f.plan, self.layers)
