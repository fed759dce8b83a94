"""Reads a transformers folder: config.json beside one safetensors file or many shards with their index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from ..errors import BadFile
from ..job import Job
from ..types import Checkpoint, TensorInfo
from . import readers
from .safetensors_file import header
from .shards import INDEX, WHOLE
from .torchzip import copied

OLD_INDEX = "pytorch_model.bin.index.json"
SIDES = (
    "tokenizer*", "vocab*", "merges*", "special_tokens_map*", "added_tokens*", "generation_config*", "preprocessor_config*",
    "processor_config*", "*.model", "chat_template*", "modules.json", "sentence_bert_config*", "config_sentence_transformers*", "1_Pooling",
)  # fmt: skip


@readers("folder")
class Folder:
    """A transformers folder, or any folder of safetensors files."""

    suffixes: ClassVar = ("a transformers folder",)
    dtypes: ClassVar = ()

    @staticmethod
    def matches(path: Path) -> bool:
        return path.is_dir()

    @staticmethod
    def open(path: Path, job: Job) -> Checkpoint:
        config = table(path / "config.json") if (path / "config.json").exists() else {}
        tensors = _stored(path, job)
        sides = {p for pattern in SIDES for p in path.glob(pattern)}
        return Checkpoint(path, "folder", tensors, config, sides=tuple(sorted(sides)), tied=tied(config, tensors))


def _stored(path: Path, job: Job) -> dict[str, TensorInfo]:
    """Safetensors where there are any, else PyTorch's .bin files through their safetensors copies."""
    if (path / INDEX).exists():
        return _sharded(path)
    old = sorted(path.glob("pytorch_model*.bin"))
    if not old or any(path.glob("*.safetensors")):
        return _single(path)
    if (path / OLD_INDEX).exists():
        _shards(path, OLD_INDEX)
    return {name: t for f in job.track(old, "Reading PyTorch files") for name, t in copied(f, job).items()}


def table(path: Path) -> dict[str, Any]:
    """A JSON object from disk."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise BadFile(f"{path.name}: not readable as JSON ({e}); restore it from where you got the model") from None
    if not isinstance(found, dict):
        raise BadFile(f"{path.name}: holds no JSON object; restore it from where you got the model")
    return found


def tied(config: dict[str, Any], tensors: dict[str, TensorInfo]) -> dict[str, str]:
    """The output layer that is not stored because it shares the embedding."""
    embed = next((n for n in tensors if n.endswith("embed_tokens.weight")), "")
    shares = embed and config.get("tie_word_embeddings", True) and "lm_head.weight" not in tensors
    return {"lm_head.weight": embed} if shares and "CausalLM" in str(config.get("architectures")) else {}


def _single(path: Path) -> dict[str, TensorInfo]:
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise BadFile(f"{path.name}: no .safetensors in this folder; choose the folder that holds the weights")
    if len(files) > 1 and (path / WHOLE).exists():
        files = [path / WHOLE]
    return {name: t for f in files for name, t in header(f).items()}


def _sharded(path: Path) -> dict[str, TensorInfo]:
    """The tensors the index names, each checked to be in its shard."""
    where = _shards(path, INDEX)
    shards = {f: header(path / f) for f in sorted(set(where.values()))}
    lost = next((n for n, f in where.items() if n not in shards[f]), None)
    if lost:
        raise BadFile(f"{path.name}: {lost} should be in {where[lost]} and isn't; download that shard again")
    return {n: shards[f][n] for n, f in where.items()}


def _shards(path: Path, index: str) -> dict[str, str]:
    """Tensor name -> shard, every shard there."""
    where = table(path / index).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(v, str) and v and Path(v).name == v for v in where.values()):
        raise BadFile(f"{index}: its weight_map is no table of file names; restore it from where you got the model")
    files = set(where.values())
    missing = sorted(f for f in files if not (path / f).is_file())
    if missing:
        raise BadFile(f"{path.name}: the shard {missing[0]} is missing ({len(missing)} of {len(files)}); download it into this folder")
    return where
