"""Whether a server can be reached and is the one whose root certificate was given: asked before Flower is, which would retry in silence."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

from ..errors import BadFile, BadPlan, CannotRun
from ..job import Job

PAUSE = 0.2  # seconds between two tries
TIMEOUT = 5.0  # seconds of one try


def place(address: str) -> tuple[str, int]:
    """HOST:PORT taken apart; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadPlan(f"{address!r} is no address; write HOST:PORT, as in 127.0.0.1:8443")
    return host.strip("[]"), int(port)


def reach(address: str, root: Path, patience: float, job: Job) -> bytes:
    """The root certificate, once a server that it vouches for answers; tries for `patience` seconds, as a server may still be starting."""
    host, port = place(address)
    context, raw = _trusting(root)
    until = time.monotonic() + patience
    for _ in job.track(iter(int, 1), "Looking for the server"):
        try:
            with socket.create_connection((host, port), timeout=TIMEOUT) as s, context.wrap_socket(s, server_hostname=host):
                return raw
        except ssl.SSLCertVerificationError as e:
            raise CannotRun(f"{address} is not the server {root.name} vouches for ({e.verify_message}); get its ca.pem anew") from None
        except ssl.SSLError as e:
            raise CannotRun(f"{address} answers, but not as a federation's server does ({e.reason}); check the port") from None
        except OSError as e:
            if time.monotonic() > until:
                raise CannotRun(f"No server at {address} ({e.strerror or e}); start it, or check the address") from None
            time.sleep(PAUSE)
    raise AssertionError


def _trusting(root: Path) -> tuple[ssl.SSLContext, bytes]:
    """A context that trusts this root alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    try:
        raw = root.read_bytes()
        context.load_verify_locations(cadata=raw.decode("ascii"))
    except (OSError, UnicodeDecodeError, ssl.SSLError, ValueError) as e:
        raise BadFile(f"{root}: no certificate can be read from it ({e}); give the ca.pem that the server's owner made") from None
    return context, raw
