"""A student on its way to a client: what describes the network and every number that runs it, as one safetensors file without code."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import BadFile, BadPlan
from ..export import beside
from ..formats import open_checkpoint
from ..job import Job
from ..networks import Network, attach
from ..recover.methods import Federated
from ..recover.parts import Counted, Factors, Full, Grid, LowRank, Plain, Scales, Table
from ..recover.student import Student
from ..registry import make
from ..stored import Blocks, Codebook, Dense, Quantized, whole
from ..types import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 3  # raise it when server and client would not understand each other
PARTS = {x.__name__: x for x in (Plain, Counted, Factors, Scales, Table, Grid, Full, LowRank)}
STORED = (Dense, Quantized, Codebook, Blocks)
FILES = (".json", ".txt", ".model", ".jinja")  # of the model's folder: configs and tokenizers, no weights and no code


@dataclass(frozen=True)
class Parcel:
    """Who trains how, unpacked: the network with the student on it, the server's knobs and seed."""

    network: Network
    student: Student
    how: Federated
    seed: int
    teacher: str  # fingerprint of the values of the model that answers at the client, too; "": none does


def packed(checkpoint: Checkpoint, network: Network, student: Student, how: Federated, seed: int, teacher: str = "") -> bytes:
    """The parcel; BadPlan for a model whose network can't be described without code."""
    from safetensors.torch import save

    if checkpoint.factory or not checkpoint.config.get("model_type"):
        raise BadPlan("Clients get a model's description, never its code: a federation needs a model with a config.json")
    tensors = {f"fixed/{n}": _lean(t) for n, t in student.fixed.items()}
    said = {"version": VERSION, "how": asdict(how), "seed": seed, "teacher": teacher, "tensors": dict(student.tensors)}
    parts = {n: _taken(p, f"part/{n}", tensors) for n, p in student.parts.items()}
    said |= {"parts": parts, "files": _files(checkpoint, network), "config": dict(checkpoint.config)}
    return save({k: t.contiguous().clone() for k, t in tensors.items()}, {"slim": json.dumps(said)})


def opened(path: Path, folder: Path, job: Job) -> Parcel:
    """Unpack into a folder and build the network; the file goes. BadFile for what is no parcel of this version."""
    tensors, said = _read(path)
    if said.get("version") != VERSION:
        raise BadFile(f"The server speaks version {said.get('version')}, this client {VERSION}; install the same slim-studio on both sides")
    try:
        parts = {n: _given(x, tensors) for n, x in said["parts"].items()}
        fixed = {n.removeprefix("fixed/"): t.float() if t.is_floating_point() else t for n, t in tensors.items() if n.startswith("fixed/")}
        student = Student(fixed, parts, said["tensors"])
        how, seed = make(Federated, said["how"]), int(said["seed"])
        teacher = str(said["teacher"])
        _folder(folder, said, student)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise BadFile(f"The server sent a model that can't be put together ({e!r}); install the same slim-studio on both sides") from None
    return Parcel(attach(open_checkpoint(folder, job), job), student, how, seed, teacher)


def kept(student: Student, folder: Path, out: Path) -> None:
    """The student as it is now, of the network described in `folder`, as a folder that transformers and the studio open: whole or not at
    all. CannotWrite where it can't be."""
    with beside(out) as aside:
        for p in sorted(p for p in folder.iterdir() if p.suffix in FILES):
            shutil.copy(p, aside)
        _weights(student, aside)
        aside.rename(out)


def _files(checkpoint: Checkpoint, network: Network) -> dict[str, str]:
    """Name -> text of what lies beside the weights; a GGUF's tokenizer as the files transformers keeps of it."""
    if checkpoint.format != "gguf" or network.tokenizer is None:
        return {s.name: s.read_text(encoding="utf-8") for s in checkpoint.sides if s.suffix in FILES}
    with tempfile.TemporaryDirectory(prefix="slim-tokenizer-") as folder:
        network.tokenizer.save_pretrained(folder)
        return {p.name: p.read_text(encoding="utf-8") for p in sorted(Path(folder).iterdir()) if p.suffix in FILES}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as f:
            found = {k: f.get_tensor(k) for k in f.keys()}, json.loads(f.metadata()["slim"])  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise BadFile("The server sent something that is no model; check that it is a slim server") from None
    path.unlink()
    return found


def _folder(folder: Path, said: Mapping[str, Any], student: Student) -> None:
    """The model as any transformers folder: what the network is built from."""
    for name, text in said["files"].items():
        if PurePath(name).name != name or PurePath(name).suffix not in FILES:
            raise ValueError(f"a file named {name!r}")
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(said["config"]), encoding="utf-8")
    _weights(student, folder)


def _weights(student: Student, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    with torch.no_grad():
        save_file({n: t.contiguous() for n, t in student.weights().items()}, folder / "model.safetensors", {"format": "pt"})


def _lean(t: Tensor) -> Tensor:
    """In half the bytes where that is exact, as for the weights of a 16-bit checkpoint."""
    import torch

    for dtype in (torch.bfloat16, torch.float16) if t.dtype == torch.float32 else ():
        if bool((t.to(dtype).float() == t).all()):
            return t.to(dtype)
    return t


def _taken(x: Any, at: str, tensors: dict[str, Tensor]) -> Any:
    """A part as JSON; its tensors go where `at` says."""
    import torch

    if isinstance(x, torch.Tensor):
        tensors[at] = x.detach()
        return {"tensor": at, "free": x.requires_grad}
    if isinstance(x, torch.dtype):
        return {"dtype": str(x).removeprefix("torch.")}
    if isinstance(x, STORED):
        found, meta = x.parts()
        tensors.update({f"{at}/{k}": t for k, t in found.items()})
        return {"stored": meta, "tensors": {k: f"{at}/{k}" for k in found}}
    if is_dataclass(x):
        return {"part": type(x).__name__, "fields": {f.name: _taken(getattr(x, f.name), f"{at}/{f.name}", tensors) for f in fields(x)}}
    return x


def _given(x: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The reverse of `_taken`; only the parts of a student can come of it."""
    import torch

    if not isinstance(x, dict):
        return x
    if "tensor" in x:
        return tensors[x["tensor"]].clone().requires_grad_(bool(x["free"]))
    if "dtype" in x:
        found = getattr(torch, x["dtype"])
        if not isinstance(found, torch.dtype):
            raise ValueError(f"a type named {x['dtype']!r}")
        return found
    if "stored" in x:
        return whole({k: tensors[at] for k, at in x["tensors"].items()}, x["stored"])
    return PARTS[x["part"]](**{k: _given(v, tensors) for k, v in x["fields"].items()})
