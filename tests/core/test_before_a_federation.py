"""What a federation's server and clients say before they meet: certificates, keys, bad input, the ledger."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cli import main
from core.errors import BadFile, BadPlan, CannotRun, CannotWrite
from core.federation import keys
from core.federation.certificates import loaded, made
from core.federation.holding import Holding
from core.federation.reach import reach
from core.federation.rounds import Writer, beside, read
from core.job import Job
from core.lessons import Round
from core.recover.fit import Course, Learned
from tests.core.test_federated import DIGITS


def test_certificates_let_in_the_right_server_only(tmp_path: Path) -> None:
    ours, other = made(tmp_path / "ours"), made(tmp_path / "other")
    assert (ours / "server.key").stat().st_mode & 0o077 == 0
    with pytest.raises(CannotWrite, match="already"):
        made(ours)
    with listening(ours) as address:
        assert reach(address, ours / "ca.pem", 5, Job()).startswith(b"-----BEGIN CERTIFICATE")
        with pytest.raises(CannotRun, match=r"is not the server ca\.pem vouches for"):
            reach(address, other / "ca.pem", 5, Job())
    with pytest.raises(CannotRun, match="No server at 127"):
        reach(address, ours / "ca.pem", 0, Job())
    with pytest.raises(BadFile, match="no certificate can be read"):
        reach(address, ours / "server.key", 0, Job())
    with pytest.raises(BadFile, match="make certificates with"):
        loaded(tmp_path)


def test_keys_are_made_once_for_each_client_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    assert keys.secret_of(tmp_path) == b"", "nobody was given one"
    (a,) = keys.made(tmp_path, ["a"])
    secret = keys.secret_of(tmp_path)
    (b,) = keys.made(tmp_path, ["b"])
    assert keys.secret_of(tmp_path) == secret, "those given before still hold"
    assert keys.proved(secret, "a", b"1", keys.read(a).proof(b"1"))
    for name, nonce, shown in (("b", b"1", a), ("a", b"2", a), ("a", b"1", b)):
        assert not keys.proved(secret, name, nonce, keys.read(shown).proof(b"1"))
    assert not keys.proved(secret, "a", b"1", b"")
    with pytest.raises(CannotWrite, match="already"):
        keys.made(tmp_path, ["a"])
    with pytest.raises(BadPlan, match="slashes"):
        keys.made(tmp_path, ["../a"])
    a.write_text('{"name": "a", "key": "00"}')
    with pytest.raises(BadFile, match="1 bytes instead of 32"):
        keys.read(a)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flower's imports of click
def test_a_client_whose_server_goes_away_says_so(tmp_path: Path) -> None:
    from core.federation.client import take_part

    ours = made(tmp_path / "ours")
    with listening(ours) as address, pytest.raises(CannotRun, match=r"The server is gone .* it keeps its finished rounds"):
        take_part(address, (ours / "ca.pem").read_bytes(), Holding("a", DIGITS), Job())


@contextlib.contextmanager
def listening(keys: Path) -> Iterator[str]:
    """A TLS server that only shakes hands."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as s:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with s.accept()[0] as c, contextlib.suppress(ssl.SSLError):
                        context.wrap_socket(c, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{s.getsockname()[1]}"
        s.shutdown(socket.SHUT_RDWR)
        thread.join()


SAID: dict[str, tuple[list[str], str]] = {
    "no server": (
        ["client", "--data", "{digits}", "--server", "127.0.0.1:1", "--root", "{keys}/ca.pem", "--patience", "0"],
        "No server at 127.0.0.1:1",
    ),
    "no port": (["client", "--data", "{digits}", "--server", "here", "--root", "{keys}/ca.pem"], "write HOST:PORT"),
    "no data": (["client", "--data", "{keys}/nothing", "--server", "h:1", "--root", "{keys}/ca.pem"], "there is nothing there"),
    "empty": (["client", "--data", "{keys}/empty", "--server", "h:1", "--root", "{keys}/ca.pem"], "is empty"),
    "part": (["client", "--data", "{digits}", "--server", "h:1", "--root", "{keys}/ca.pem", "--part", "3/2"], "is no share"),
    "no key": (["client", "--data", "{digits}", "--server", "h:1", "--root", "{keys}/ca.pem", "--key", "{keys}/ca.pem"], "is no key of"),
    "other name": (
        ["client", "--data", "{digits}", "--server", "h:1", "--root", "{keys}/ca.pem", "--key", "{keys}/a.key.json", "--name", "b"],
        "is not the name this key was made for",
    ),
    "no model": (["server", "--certificates", "{keys}", "--out", "{keys}/out"], "Which model?"),
    "no place": (["server", "--model", "{digits}", "--certificates", "{keys}"], "Where should the result go?"),
    "no knob": (["server", "--model", "{digits}", "--out", "{keys}/out", "--certificates", "{keys}", "--knob", "rat=1"], "no knob 'rat'"),
    "no time": (
        ["server", "--model", "{digits}", "--out", "{keys}/out", "--certificates", "{keys}", "--patience", "0"],
        "leaves no client time to answer",
    ),
    "kept already": (
        ["client", "--data", "{digits}", "--server", "h:1", "--root", "{keys}/ca.pem", "--keep", "{keys}"],
        "give --keep another place",
    ),
    "no keys": (["server", "--model", "{digits}", "--out", "{keys}/out", "--certificates", "{keys}/empty"], "make certificates with"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flower's imports of click
@pytest.mark.parametrize("what", sorted(SAID))
def test_bad_input_is_one_sentence_and_leaves_nothing(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["federated", "certificates", str(tmp_path / "keys"), "--client", "a"]) == 0
    (tmp_path / "keys" / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    args, why = SAID[what]
    assert main(["federated", *(a.format(digits=DIGITS, keys=tmp_path / "keys") for a in args)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("slim: ")
    assert why in said[-1]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_ledger_is_read_while_it_grows_and_an_interrupted_federation_goes_on_under_its_name(tmp_path: Path) -> None:
    path, head = beside(tmp_path / "out"), {"model": "m", "clients": 2, "how": {"rate": 0.1}}
    first = Writer(path, head)
    first.heard(Course("at", 0, 2.0))
    first.heard(Round(1, 3, {"a": 1.5}, 1.8, 2.0, {"a": 100}, {"b": "is gone"}))
    with path.open("a") as f:
        f.write('{"round": {"round": 2, "rou')
    found = read(path)
    assert (found.before, found.after, [r.held for r in found.rounds], found.rounds[0].absent) == (2.0, None, [1.8], {"b": "is gone"})
    again = Writer(path, head)
    assert again.id == first.id
    again.heard(Round(2, 3, {"a": 1.2}, 1.6, 2.0, {"a": 100}))
    again.heard(Learned(2.0, 1.6))
    assert [r.round for r in read(path).rounds] == [1, 2]
    assert read(path).after == 1.6
    assert Writer(path, head).id != first.id, "what is over begins anew"
    path.write_text("{}\n")
    with pytest.raises(BadFile, match=r"\.rounds\.jsonl"):
        read(path)
