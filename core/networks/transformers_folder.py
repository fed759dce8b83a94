"""Builds the network of a transformers config, without running any code that came with the checkpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import CannotRun, DoesNotFit
from ..formats.folder import table
from ..job import Job
from ..types import Checkpoint, Task
from . import Network, Run, Step, networks

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

APART = "config.json and weights don't fit: "
RESTORE = "restore the config.json that belongs to them"
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "pixel_values")


@networks("transformers")
class TransformersFolder:
    """Anything with a config.json that the installed transformers knows."""

    @staticmethod
    def matches(checkpoint: Checkpoint) -> bool:
        return bool(checkpoint.config.get("model_type"))

    @staticmethod
    def task_of(checkpoint: Checkpoint) -> Task:
        return task_of(checkpoint)

    @staticmethod
    def build(checkpoint: Checkpoint, job: Job) -> Network:
        if "auto_map" in checkpoint.config:
            raise CannotRun("This model needs Python code of its own, which the studio never runs; it can be slimmed, not evaluated")
        if "quantization_config" in checkpoint.config:
            raise CannotRun("This checkpoint is already quantized, so it can't be scored here; open the original instead")
        task = task_of(checkpoint)
        module = skeleton(checkpoint)
        names = matched(module, checkpoint)
        if spare := sorted(set(checkpoint.tensors) - set(names.values())):
            job.note(f"{len(spare)} stored tensors have no place in the network and do not count in its score: {', '.join(spare[:3])}")
        raw = _raw(module, names, task)
        forward = _pooling(raw) if task == "encoder" else raw
        reads = tokenizer(checkpoint, task)
        step = _stepping(module, names) if task == "causal-lm" else None
        return Network(task, forward, raw, reads, labels(checkpoint), context(checkpoint), module, names, pictures(checkpoint), step)


def skeleton(checkpoint: Checkpoint, drawn: bool = False) -> PreTrainedModel:
    """The module in eval mode; parameters are never initialised (untouched memory costs none), unless they are to be `drawn`."""
    import transformers

    given = {k: v for k, v in checkpoint.config.items() if k not in ("quantization_config", "torch_dtype", "dtype")}
    name = (given.get("architectures") or [""])[0]
    cls = getattr(transformers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)):
        raise CannotRun(f"transformers {transformers.__version__} doesn't know {name or '(no architecture)'}; update it or open another")
    try:
        config = transformers.AutoConfig.for_model(**given)
        with contextlib.nullcontext() if drawn else _uninitialised():
            module = cls(config)
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as e:
        raise CannotRun(f"config.json doesn't describe a working {name} ({str(e)[:120]}); restore it") from None
    module.eval().requires_grad_(False)  # float32: torch's default type, which the config no longer overrides
    return module


@contextlib.contextmanager
def _uninitialised() -> Iterator[None]:
    """Build without drawing random weights: they would be thrown away."""
    from transformers import initialization

    with initialization.no_init_weights():
        yield


def task_of(checkpoint: Checkpoint) -> Task:
    name = (checkpoint.config.get("architectures") or [""])[0]
    if name.endswith(("CausalLM", "LMHeadModel")):
        return "causal-lm"
    if name.endswith("ImageClassification"):
        return "image-classification"
    if name.endswith("Model") and "vocab_size" in checkpoint.config:
        return "encoder"
    raise CannotRun(f"The studio can't score a {name or 'nameless network'}; it can be slimmed and exported, not evaluated")


def matched(module: PreTrainedModel, checkpoint: Checkpoint) -> dict[str, str]:
    """Module name -> tensor name; CannotRun names the first parameter that has no tensor of its shape."""
    wanted = {**dict(module.named_parameters(remove_duplicate=False)), **_persistent(module)}
    stored = _renamed(module, checkpoint, wanted)
    out = {}
    for name, p in wanted.items():
        found = stored.get(name) or checkpoint.tied.get(name) or stored.get(getattr(module, "all_tied_weights_keys", {}).get(name, ""))
        if not found and _unused(name, module):
            p.zero_()  # an encoder saved without its pooler: the mean over tokens does not use it
            continue
        if not found:
            raise DoesNotFit(f"{APART}the network wants {name} {list(p.shape)} and the file doesn't have it; {RESTORE}")
        if checkpoint.tensors[found].shape != tuple(p.shape):
            have = list(checkpoint.tensors[found].shape)
            raise DoesNotFit(f"{APART}{name} should be {list(p.shape)} and is {have} in the file; {RESTORE}")
        out[name] = found
    return out


def _renamed(module: PreTrainedModel, checkpoint: Checkpoint, wanted: Mapping[str, Any]) -> dict[str, str]:
    """Module name -> stored name, by the renamings transformers itself applies when it loads (ViT's layers have new names since 5.0)."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming, rename_source_key

    renamings = [r for r in get_model_conversion_mapping(module) if isinstance(r, WeightRenaming)]
    base = getattr(module, "base_model_prefix", "")
    out: dict[str, str] = {}
    for name in checkpoint.tensors:
        new, _ = rename_source_key(name, renamings, [], base, dict(wanted))
        plain, _ = rename_source_key(name, [], [], base, dict(wanted))
        out[new if new in wanted or plain not in wanted else plain] = name
    return out


def _unused(name: str, module: nn.Module) -> bool:
    return name.endswith("num_batches_tracked") or ("pooler" in name and type(module).__name__.endswith("Model"))


def _persistent(module: nn.Module) -> dict[str, Tensor]:
    kept = set(module.state_dict())
    return {n: b for n, b in module.named_buffers() if n in kept and "position_ids" not in n}


def _raw(module: nn.Module, names: dict[str, str], task: Task) -> Run:
    """The skeleton with given weights: logits, or an encoder's last hidden state."""
    import torch

    def forward(weights: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
        inputs = {k: v for k, v in batch.items() if k in INPUTS}
        found = _placed(weights, names)
        extra = {"return_dict": True} | ({"use_cache": False} if task == "causal-lm" else {})
        out = torch.func.functional_call(module, found, kwargs={**inputs, **extra}, tie_weights=False)
        return out.last_hidden_state if task == "encoder" else out.logits

    return forward


def _placed(weights: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    """Weights by the module's names, in float32."""
    return {n: weights[t].float() if weights[t].is_floating_point() else weights[t] for n, t in names.items()}


def _stepping(module: nn.Module, names: dict[str, str]) -> Step | None:
    """The skeleton reading a few tokens behind those it has read already; None where the architecture keeps no such cache, or one
    (of Mamba and its like) behind which it reads single tokens only."""
    import inspect

    import torch

    if "cache" not in inspect.signature(module.forward).parameters or getattr(module, "_is_stateful", False):
        return None

    def step(weights: dict[str, Tensor], ids: Tensor, past: Any) -> tuple[Tensor, Any]:
        kwargs = {"input_ids": ids, "cache": past, "use_cache": True, "return_dict": True}
        out = torch.func.functional_call(module, _placed(weights, names), kwargs=kwargs, tie_weights=False)
        return out.logits, out.cache

    return step


def _pooling(raw: Run) -> Run:
    return lambda weights, batch: _pooled(raw(weights, batch), batch["attention_mask"])


def _pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens, normalised (as sentence-transformers does)."""
    m = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * m).sum(1) / m.sum(1).clamp(min=1)
    return mean / mean.norm(dim=-1, keepdim=True)


def tokenizer(checkpoint: Checkpoint, task: Task) -> Any:
    """The checkpoint's tokenizer; None for networks without text."""
    from transformers import AutoTokenizer

    if task == "image-classification":
        return None
    try:
        if checkpoint.format == "gguf":
            return AutoTokenizer.from_pretrained(checkpoint.path.parent, gguf_file=checkpoint.path.name)
        return AutoTokenizer.from_pretrained(checkpoint.path, local_files_only=True)
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as e:
        raise CannotRun(f"Its tokenizer can't be loaded ({str(e).splitlines()[0][:120]}); put tokenizer.json beside config.json") from None


def labels(checkpoint: Checkpoint) -> tuple[str, ...]:
    return tuple(str(v) for v in checkpoint.config.get("id2label", {}).values())


def pictures(checkpoint: Checkpoint) -> dict[str, Any]:
    """Size and channels out of config.json, under what preprocessor_config.json says of pictures."""
    said = {k: checkpoint.config[k] for k in ("image_size", "num_channels") if k in checkpoint.config}
    file = next((s for s in checkpoint.sides if s.name == "preprocessor_config.json"), None)
    return said | (table(file) if file else {})


def context(checkpoint: Checkpoint) -> int:
    return int(checkpoint.config.get("max_position_embeddings") or 512)
