"""Certificates of one's own: a root that clients trust and a server's key and certificate, made once for a list of names."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadFile, CannotRun, CannotWrite

if TYPE_CHECKING:
    from cryptography import x509

LOOPBACK = ("localhost", "127.0.0.1", "::1")
DAYS = 365
ROOT, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"


def made(folder: Path, names: Iterable[str] = LOOPBACK) -> Path:
    """ca.pem for the clients, server.pem and server.key for the server, in `folder`; the root's own key is thrown away."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise CannotRun(MISSING) from None
    if present := [n for n in (ROOT, CERTIFICATE, KEY) if (folder / n).exists()]:
        raise CannotWrite(f"{folder / present[0]} is there already; choose an empty folder, as clients may trust the old one")
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, mine = _name("Slim Studio federation"), x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    ca = _begun(issuer, issuer, root.public_key(), mine).add_extension(x509.BasicConstraints(True, 0), True)
    ca = ca.add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)  # signs certificates, no more
    server = _begun(issuer, _name("Slim Studio server"), own.public_key(), mine)
    server = server.add_extension(x509.SubjectAlternativeName([_alternative(n) for n in names]), False)
    server = server.add_extension(x509.BasicConstraints(False, None), True)
    server = server.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
    _write(folder, ca.sign(root, hashes.SHA256()), server.sign(root, hashes.SHA256()), own)
    return folder


def loaded(folder: Path) -> tuple[bytes, bytes, bytes]:
    """(root, certificate, key) as Flower wants them."""
    try:
        root, certificate, key = ((folder / n).read_bytes() for n in (ROOT, CERTIFICATE, KEY))
    except OSError as e:
        raise BadFile(f"{e.filename}: can't be read ({e.strerror}); make certificates with slim federated certificates {folder}") from None
    return root, certificate, key


MISSING = "A federation of real clients needs Flower: pip install 'slim-studio[federated]'"


def _begun(issuer: Any, subject: Any, key: Any, signer: Any) -> Any:
    """What root and server have in common; `signer` is the root's key identifier."""
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    begun = x509.CertificateBuilder().issuer_name(issuer).subject_name(subject).public_key(key).serial_number(x509.random_serial_number())
    begun = begun.not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + datetime.timedelta(days=DAYS))
    begun = begun.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    return begun.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), False)


def _name(text: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(folder: Path, ca: x509.Certificate, server: x509.Certificate, key: Any) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = Encoding.PEM
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ROOT).write_bytes(ca.public_bytes(pem))
        (folder / CERTIFICATE).write_bytes(server.public_bytes(pem))
        at = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # for the server's eyes only
        with os.fdopen(at, "wb") as f:
            f.write(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as e:
        raise CannotWrite(f"{folder} can't be written ({e.strerror}); choose another folder") from None
