"""Keys of the clients: each proves by one that the federation's owner knows it, before it is sent anything of the model.

The server keeps one secret. A client's key is HMAC-SHA256(secret, its name), so that no list is kept and nobody can go by another's name;
what crosses the (encrypted) wire is HMAC-SHA256(key, a number drawn by the server for this once), never the key (RFC 2104)."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import BadFile, BadPlan, CannotWrite

SECRET, SUFFIX = "clients.secret", ".key.json"
SAID = b"slim federation, client: "
SIZE = 32  # bytes of a secret, a key, a number drawn once


@dataclass(frozen=True)
class Key:
    """What a client shows, without giving it away."""

    name: str
    value: bytes

    def proof(self, nonce: bytes) -> bytes:
        return hmac.digest(self.value, SAID + nonce, "sha256")


def key(secret: bytes, name: str) -> Key:
    return Key(name, hmac.digest(secret, name.encode(), "sha256"))


def proved(secret: bytes, name: str, nonce: bytes, proof: object) -> bool:
    """Whether it was made with the key of this name."""
    return isinstance(proof, bytes) and hmac.compare_digest(key(secret, name).proof(nonce), proof)


def made(folder: Path, names: Iterable[str]) -> list[Path]:
    """A file for each client's hands; from the first one on the server takes in nobody without."""
    secret, names = secret_of(folder) or os.urandom(SIZE), tuple(dict.fromkeys(names))
    if bad := [n for n in names if not n or Path(n).name != n]:
        raise BadPlan(f"{bad[0]!r} can't be a client's name: its key lies in a file called so; leave out slashes")
    paths = [folder / f"{n}{SUFFIX}" for n in names]
    if present := [p for p in paths if p.exists()]:
        raise CannotWrite(f"{present[0]} is there already; it is the client's key")
    if not (folder / SECRET).exists():
        _write(folder / SECRET, secret.hex())
    for name, p in zip(names, paths, strict=True):
        _write(p, json.dumps({"name": name, "key": key(secret, name).value.hex()}))
    return paths


def secret_of(folder: Path) -> bytes:
    """The server's secret; empty where no client was given a key. BadFile for one that can't be read."""
    path = folder / SECRET
    try:
        return _bytes(path.read_text(encoding="ascii")) if path.exists() else b""
    except (OSError, ValueError) as e:
        raise BadFile(f"{path} can't be read ({e}); make certificates and keys anew in another folder") from None


def read(path: Path) -> Key:
    """A client's key; BadFile for what is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Key(str(said["name"]), _bytes(said["key"]))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadFile(f"{path.name} is no key of a federation's client ({e}); ask the server's owner for one") from None


def _bytes(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != SIZE:
        raise ValueError(f"{len(found)} bytes instead of {SIZE}")
    return found


def _write(path: Path, text: str) -> None:
    """For its owner's eyes only."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        raise CannotWrite(f"{path} can't be written ({e.strerror}); choose another folder") from None
