"""What every method of the quality benchmark is given, and the one scorer of what each leaves on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.resources import cache_root, root

if TYPE_CHECKING:
    from torch import Tensor

    from core.evaluate import Reference
    from core.networks import Network

AT = 28_300  # characters of the held-out text that may be scored; calibration begins behind them


@dataclass(frozen=True)
class Model:
    """A checkpoint and how much of the text it is calibrated and scored on (tokens, sentences or images)."""

    name: str
    path: Callable[[], Path]
    tokens: int
    limit: int | None
    half: bool = False  # ours starts from a float16 copy, so that scales are stored in 16 bits as everybody's are counted


def _sample(name: str) -> Callable[[], Path]:
    return lambda: root() / "samples" / name


def _smollm2() -> Path:
    from tests.real import smollm2

    return smollm2()


def _minilm() -> Path:
    from tests.real import minilm

    return minilm()


MODELS = {
    m.name: m
    for m in (
        Model("smollm2", _smollm2, 16_384, 4096), Model("minilm", _minilm, 512, 256, half=True),
        Model("sotu-lm", _sample("sotu-lm"), 2048, 1024),
        Model("digits-cnn", _sample("digits-cnn"), 256, None), Model("fashion-vit", _sample("fashion-vit"), 256, None),
    )
}  # fmt: skip


@dataclass
class Stage:
    """One model's files: the checkpoint as ours opens it, as a float32 folder for the field, and the data of both."""

    model: Model
    home: Path
    source: Path
    folder: Path  # float32, written by our own dense export
    scored: Path
    calibrate: str  # "" = the calibration images beside the sample
    data: Path  # the field's: token rows, or pixels of the scored images
    tokens: int
    _kept: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(model: Model, quick: bool) -> Stage:
        """Everything written once."""
        home = cache_root() / "quality"
        home.mkdir(parents=True, exist_ok=True)
        source, folder = model.path(), home / f"{model.name}-f32"
        if not folder.exists():
            _dense(source, folder, "F32")
        if model.half and not (half := home / f"{model.name}-f16").exists():
            _dense(source, half, "F16")
        source = home / f"{model.name}-f16" if model.half else source
        images = (folder.parent / "none", "")
        if (source / "heldout.npz").is_file():
            images = (source / "heldout.npz", str(source / "calibrate.npz"))
        scored, calibrate = images if images[1] else _texts(home)
        stage = Stage(model, home, source, folder, scored, calibrate, home / f"{model.name}.npz", model.tokens)
        if not stage.data.exists():
            stage.deal()
        return stage

    @property
    def limit_of_run(self) -> int | None:
        """A recipe scores what it made; here that is the scorer's work, so it gets the least."""
        return 2 if self.calibrate.endswith(".txt") else None

    @cached_property
    def network(self) -> Network:
        from core.formats import open_checkpoint
        from core.networks import attach

        return attach(open_checkpoint(self.folder))

    @cached_property
    def reference(self) -> Reference:
        """The float32 original on the scored data."""
        from core.compress import original
        from core.data import load
        from core.evaluate import Reference
        from core.formats import open_checkpoint
        from core.job import Job
        from core.layers import layers
        from core.store import Store

        checkpoint = open_checkpoint(self.folder)
        weights = original(checkpoint, layers(checkpoint), Store.default()).weights(Job())
        return Reference(self.network, weights, load(self.scored, self.network, self.model.limit))

    def deal(self) -> None:
        """The field's data: rows of token ids without padding, or the pixels of the images as our loader feeds them."""
        import numpy as np

        from core.data import load

        if not self.calibrate.endswith(".txt"):
            np.savez(self.data, pixels=np.concatenate([i["pixel_values"].numpy() for i in load(self.scored, self.network).items]))
            return
        rows = []
        for item in load(Path(self.calibrate), self.network, self.tokens).items:
            masks = item.get("attention_mask")
            rows += [r if masks is None else r[masks[i].bool()] for i, r in enumerate(item["input_ids"])]
        np.savez(self.data, **{f"r{i:05d}": r.numpy() for i, r in enumerate(rows)})


def _texts(home: Path) -> tuple[Path, str]:
    """The bundled State of the Union addresses: the first part is scored, the rest is calibrated on."""
    text = (root() / "samples" / "sotu-lm" / "heldout.txt").read_text(encoding="utf-8")
    at = text.index(" ", AT)
    for name, part in (("scored.txt", text[:at]), ("calibration.txt", text[at + 1 :])):
        (home / name).write_text(part, encoding="utf-8")
    return home / "scored.txt", str(home / "calibration.txt")


def _dense(source: Path, folder: Path, dtype: str) -> None:
    from core.compress import original
    from core.export import save
    from core.formats import open_checkpoint, targets
    from core.job import Job
    from core.layers import layers
    from core.store import Store

    checkpoint = open_checkpoint(source)
    save(original(checkpoint, layers(checkpoint), Store.default()), folder, targets["dense"](dtype=dtype), Job())


def score(stage: Stage, out: Path, how: dict[str, Any], method: str) -> dict[str, Any]:
    """Divergence from the original of what lies in `out`, and the bytes its linears take in their packed form."""
    import torch

    torch.set_num_threads(1)
    if "cuts" in how or (out / "logits.npy").exists():
        return _shrunk(stage, out)
    from core.evaluate import judge
    from core.job import Job

    found = _tensors(out)
    changed = {k: t for k, t in found.items() if t.dim() == 2 and k in stage.reference.weights and _busy(k, t, stage.reference.weights[k])}
    metrics = judge(stage.reference, {**stage.reference.weights, **found}, Job()).metrics
    loss = {"one_minus_cos": 1 - metrics["cosine"].value} if "cosine" in metrics else {"kl": metrics["kl"].value}
    loss |= {k: metrics[k].value for k in ("perplexity", "agreement") if k in metrics}
    return {**loss, "bytes": sum(_packed(k, t, how, method) for k, t in changed.items()), "layers": len(changed)}


def _busy(name: str, t: Tensor, before: Tensor) -> bool:
    return "embed" not in name and "pooler" not in name and not bool((t == before).all())


def _packed(name: str, t: Tensor, how: dict[str, Any], method: str) -> int:
    """Bytes of one linear: codes, 16-bit scales, zero points (16 bits for HQQ's real ones); or 16-bit survivors and a bitmask.

    What lies on the disk is held against it: no group of 64 may have more values than its bits can tell apart.
    """
    if not how.get("bits"):
        return t.numel() // 8 + 2 * int(t.count_nonzero())
    bits, groups = int(how["bits"]), t.unflatten(1, (-1, 64)).flatten(0, 1)
    different = int((groups.sort(-1).values.diff(dim=-1) > 1e-6 * groups.abs().amax(-1, keepdim=True)).sum(-1).max()) + 1
    if different > 2**bits:
        raise SystemExit(f"{method}: {name} has {different} values in a group, {bits} bits tell {2**bits} apart")
    return (t.numel() * bits + len(groups) * (16 + (16 if method == "hqq" else bits))) // 8


def _tensors(out: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for file in sorted(out.glob("*.safetensors")):
        found |= {k: t.float() for k, t in load_file(file).items()}
    return found


def _shrunk(stage: Stage, out: Path) -> dict[str, Any]:
    """A network of other widths: the peer's answers lie beside it, ours are computed by the skeleton its folder describes."""
    import numpy as np
    import torch

    from core.evaluate import answer
    from core.job import Job

    items = stage.reference.batches.items
    before = torch.cat([stage.reference.answer(i, Job()) for i in range(len(items))])
    labels = torch.cat([i["labels"] for i in items])
    if (out / "logits.npy").exists():
        after = torch.log_softmax(torch.from_numpy(np.load(out / "logits.npy")), -1)
        nbytes = None
    else:
        from core.formats import open_checkpoint
        from core.networks import attach

        net = attach(open_checkpoint(out))
        after = torch.cat([answer(net, _tensors(out), i, Job()) for i in items])
        nbytes = 4 * sum(t.numel() for t in _tensors(out).values())
    right = [float((x.argmax(-1) == labels).float().mean()) for x in (before, after)]
    kl = float((before.exp() * (before - after)).sum(-1).mean())
    return {"kl": kl, "top1": right[1], "top1_drop": right[0] - right[1], **({"bytes": nbytes} if nbytes else {})}
