"""What recovery made of a model, in the layer store: whole or not at all, under everything it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..compress import Compressed
from ..data import Batches
from ..derived import identity
from ..formats import read
from ..plans import resolve
from ..store import key
from ..stored import Dense, Stored
from ..types import Layer, Outcome, Setting

if TYPE_CHECKING:
    from torch import Tensor


def base(kind: str, code: str, compressed: Compressed, pieces: Batches, how: Any) -> str:
    """What a recovered tensor depends on beside its own source: the model, every layer, the data, the settings (JSON), the code."""
    outcomes = sorted((n, o.key) for n, o in compressed.outcomes.items())
    data = hashlib.sha256()
    for item in pieces.items:
        for name in sorted(item):
            data.update(item[name].contiguous().numpy().tobytes())
    text = json.dumps([code, identity(compressed.checkpoint), how, outcomes, data.hexdigest(), compressed.plan.seed])
    return f"{kind}:" + hashlib.sha256(text.encode()).hexdigest()


def part(base: str, what: str) -> str:
    """The key of something that belongs to a recovery as a whole: its verdict, the state it has reached."""
    return hashlib.sha256(f"{base}:{what}".encode()).hexdigest()


def put(compressed: Compressed, base: str, found: Mapping[str, Stored], figures: Iterable[float], said: Mapping[str, str]) -> Compressed:
    """The model with these layers (Layer.name -> as they are stored now), kept with the figures that speak for it; {} = as it was."""
    import torch

    outcomes, settings = dict(compressed.outcomes), _settings(compressed)
    for x in (x for x in compressed.layers if x.name in found):
        stored, at = found[x.name], key(x.tensor, settings[x.name], base)
        outcome = _outcome(x, settings[x.name], stored.dense().float(), at)
        compressed.store.put(at, stored, {"error": repr(outcome.error), "sparsity": repr(outcome.sparsity)})
        outcomes[x.name] = outcome
    verdict = Dense(torch.tensor(list(figures), dtype=torch.float64))
    compressed.store.put(part(base, "verdict"), verdict, {**said, "layers": json.dumps(sorted(found))})
    return replace(compressed, outcomes=outcomes) if found else compressed


def get(compressed: Compressed, base: str) -> tuple[Compressed, list[float], dict[str, str]] | None:
    """What an earlier recovery of the same kept, with its figures and words; None where there is none, or a layer of it is gone."""
    at = part(base, "verdict")
    verdict, said = compressed.store.get(at), compressed.store.said(at)
    if verdict is None or said is None:
        return None
    outcomes, settings = dict(compressed.outcomes), _settings(compressed)
    names = set(json.loads(said["layers"]))
    for x in (x for x in compressed.layers if x.name in names):
        own = key(x.tensor, settings[x.name], base)
        if (told := compressed.store.said(own)) is None:
            return None
        outcomes[x.name] = Outcome(settings[x.name], float(told["error"]), float(told["sparsity"]), own, True)
    return (replace(compressed, outcomes=outcomes) if names else compressed), verdict.dense().tolist(), said


def _settings(compressed: Compressed) -> dict[str, Setting]:
    return {**resolve(compressed.plan, compressed.layers), **compressed.settings}


def _outcome(x: Layer, setting: Setting, q: Tensor, at: str) -> Outcome:
    w = read(x.tensor).float()
    error = float((w - q).square().sum() / w.square().sum().clamp(min=1e-30))
    return Outcome(setting, error, 1 - float(q.count_nonzero()) / max(1, q.numel()), at, False)
