"""Exported programs for the tests: the digit CNN and a small language model, and what is wrong with others."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from core.compress import Compressed, compress
from core.formats import open_checkpoint, read
from core.job import Job
from core.layers import layers
from core.networks import attach
from core.plans import MODEL, edit
from core.resources import root
from core.store import Store
from core.types import Plan

SAMPLES = root() / "samples"
DIGITS, SOTU = SAMPLES / "digits-cnn", SAMPLES / "sotu-lm"
WORDS, WIDTH = 2048, 32  # of the tokenizer of sotu-lm, and of the small model


def exported(module: nn.Module, inputs: tuple[Any, ...], path: Path, dynamic: Any = None, decomposed: bool = False) -> Path:
    """Export and save as any user does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic)
        torch.export.save(made.run_decompositions() if decomposed else made, path)
    return path


def loaded(path: Path) -> Any:
    """The program as torch.export gives it back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.load(path)


class Logits(nn.Module):
    """A transformers classifier that takes one tensor and gives one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model(x, return_dict=True).logits
        return found


def digits() -> nn.Module:
    """The bundled CNN with its weights, as its author would have it."""
    checkpoint = open_checkpoint(DIGITS)
    network = attach(checkpoint)
    assert network.module is not None
    network.module.load_state_dict({n: read(checkpoint.tensors[t]).clone() for n, t in network.names.items()}, strict=False)
    return Logits(network.module).eval()


def beside(path: Path, source: Path) -> Path:
    """The data and the tokenizer of a sample into the folder of a program."""
    for file in source.iterdir():
        if file.name.startswith(("heldout", "tokenizer", "sample")):
            shutil.copy(file, path.parent)
    return path


class Block(nn.Module):
    """Attention and a feed-forward layer, with names nobody would guess from."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.back = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        q, k, v = (p.unflatten(-1, (4, -1)).transpose(1, 2) for p in self.qkv(self.a(x)).chunk(3, -1))
        met = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + self.back(met.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.b(x))))


class Small(nn.Module):
    """Two blocks; the table of tokens is the output layer, too."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.causal = causal
        self.table = nn.Parameter(torch.randn(WORDS, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.last = nn.Linear(WIDTH, WORDS, bias=False)
        self.last.weight = self.table

    def forward(self, tokens: Tensor) -> Tensor:
        x = nn.functional.embedding(tokens, self.table)
        for block in self.blocks:
            x = block(x, self.causal)
        found: Tensor = self.last(x)
        return found


def small(folder: Path, causal: bool = True, name: str = "small.pt2", dynamic: bool = True) -> Path:
    shapes = ({0: Dim("batch"), 1: Dim("tokens", max=512)},) if dynamic else None
    path = exported(Small(causal), (torch.zeros(2, 24, dtype=torch.long),), folder / name, shapes)
    return beside(path, SOTU)


def changed(source: Path, to: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    """The archive with other records, as a zip that torch still reads."""
    with zipfile.ZipFile(source) as z:
        records = {n: z.read(n) for n in z.namelist()}
    edit(records)
    with zipfile.ZipFile(to, "w") as z:
        for name, raw in records.items():
            z.writestr(zipfile.ZipInfo(name), raw)
    return to


def table(records: dict[str, bytes], end: str, edit: Callable[[Any], Any]) -> None:
    """One JSON record with a change."""
    name = next(n for n in records if n.endswith(end))
    found = json.loads(records[name])
    edit(found)
    records[name] = json.dumps(found).encode()


def slimmed(path: Path, tmp: Path, **changes: Any) -> Compressed:
    checkpoint = open_checkpoint(path)
    return compress(checkpoint, layers(checkpoint), edit(Plan(), MODEL, **changes), None, Store(tmp / "store"), Job())
