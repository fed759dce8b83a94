"""A federation of real processes: Flower over TLS on loopback, a client killed on the way, the same weights as the simulation."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from core.cli import main
from core.data import load
from core.errors import BadFile, BadPlan, CannotRun, CannotWrite, SlimError
from core.evaluate import Reference, judge
from core.federation import parcel
from core.federation.certificates import loaded, made
from core.federation.holding import Holding
from core.federation.reach import reach
from core.federation.rounds import Writer, beside, read
from core.formats import open_checkpoint
from core.formats import read as values
from core.job import Job
from core.lessons import Round
from core.networks import attach
from core.recipe import Recipe, dumps
from core.recover.clients import holders
from core.recover.federated import Federation
from core.recover.fit import Course, Learned, Lessons
from core.recover.local import Answer, Here, Local
from core.recover.methods import Federated
from core.recover.student import student
from core.run import run
from core.store import Store
from core.types import Choice, Plan
from tests.core.test_federated import DIGITS, holdings
from tests.core.test_train import Pupil

WAIT = 150  # seconds, of a machine that does much else besides

# Loads torch and transformers once (five seconds), then forks the processes; each is the command line's own, with a log of its own. The
# client "c" is one, too, but its job kills it without a word at the beginning of its second round.
NURSERY = """
import json, os, signal, sys
from pathlib import Path
from core import cli, environment
environment.prepare()
import transformers.models.resnet.modeling_resnet
from core.job import Job

def life(args):
    if args[1] != "dying":
        return cli.main(args)
    from core.federation.client import take_part
    from core.federation.holding import Holding
    from core.federation.reach import reach
    address, root, data = args[2:]
    job = Job(tell=lambda p: os.kill(os.getpid(), signal.SIGKILL) if p.phase.startswith("Round 2") else None)
    take_part(address, reach(address, Path(root), 140, job), Holding("c", Path(data)), job)

born = []
for log, args in json.loads(sys.argv[1]):
    if not (pid := os.fork()):
        at = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(at, 1), os.dup2(at, 2)
        try:
            code = life(args)
        finally:
            sys.stdout.flush()
        os._exit(code)
    born.append(pid)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in born]))
"""


def lived(folder: Path, *lives: list[str]) -> tuple[list[int], list[str]]:
    """Exit codes and what each said of processes that live at the same time."""
    logs = [folder / f"{i}.log" for i in range(len(lives))]
    asked = json.dumps([[str(log), args] for log, args in zip(logs, lives, strict=True)])
    nursery = subprocess.Popen([sys.executable, "-c", NURSERY, asked], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        codes = json.loads(nursery.communicate(timeout=WAIT)[0])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(nursery.pid, signal.SIGKILL)
    return codes, [log.read_text() for log in logs]


class Mortal(Here):
    """Simulated clients, of whom c dies in the second round."""

    def members(self, job: Job) -> dict[str, int]:
        return {name: n for name, n in super().members(job).items() if name != "c" or not hasattr(self, "dead")}

    def answers(self, names: list[str], values: list[torch.Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
        alive = [name for name in names if name != "c" or n < 2]
        yield from super().answers(alive, values, n, job)
        if n == 2:
            self.dead = True
            yield "c", "is gone"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_three_clients_over_tls_one_killed_give_the_simulations_weights_to_the_bit(tmp_path: Path) -> None:
    holdings(tmp_path / "clients", {"a": 48, "b": 32, "c": 16})
    knobs = {"clients": 3, "rounds": 3, "rate": 0.01, "update": "int8"}
    plan = Plan(Choice("magnitude", 0.5, "rtn", 4), tune=False, recover="federated", recovery=knobs)
    recipe = Recipe(DIGITS, plan, limit=100, out=tmp_path / "out")
    (tmp_path / "recipe.toml").write_text(dumps(recipe))
    keys, address = made(tmp_path / "keys"), f"127.0.0.1:{free_port()}"
    serving = ["federated", "server", "--recipe", str(tmp_path / "recipe.toml"), "--clients", "3", "--listen", address]
    joining, root = ["federated", "client", "--patience", "140", "--server", address, "--root"], str(keys / "ca.pem")
    codes, said = lived(
        tmp_path, [*serving, "--certificates", str(keys)],
        *([*joining, root, "--data", str(tmp_path / "clients" / name)] for name in "ab"),
        ["federated", "dying", address, root, str(tmp_path / "clients" / "c")],
    )  # fmt: skip
    assert codes == [0, 0, 0, -signal.SIGKILL], "\n".join(said)
    ledger = read(beside(tmp_path / "out"))
    assert [sorted(r.losses) for r in ledger.rounds] == [["a", "b", "c"], ["a", "b"], ["a", "b"]]
    assert [dict(r.absent) for r in ledger.rounds] == [{}, {"c": "is gone"}, {}]
    assert ledger.after is not None
    assert ledger.after < ledger.before
    assert "Round 2: c is gone and was left out" in said[0]
    same_as_the_simulation(recipe, tmp_path)


def same_as_the_simulation(recipe: Recipe, folder: Path) -> None:
    """What the server exported, opened and run, beside the same rounds simulated here."""
    checkpoint = open_checkpoint(folder / "out")
    network = attach(checkpoint)
    found = {n: values(t) for n, t in checkpoint.tensors.items()}
    clients = holders(folder / "clients", network, None, Job())
    done = run(Recipe(recipe.source, recipe.plan, limit=100), Job(), Store(folder / "store"), crowd=lambda _: Mortal(clients)).compressed
    weights = done.weights(Job())
    assert len(done.outcomes) > 10
    for name, w in weights.items():
        assert torch.equal(found[name].float() if w.is_floating_point() else found[name], w), name
    score = judge(Reference(network, weights, load(DIGITS / "heldout.npz", network, 50)), None, Job())
    assert score.metrics["top1"].value > 0.5


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("digits-cnn", Choice("magnitude", 0.5, "rtn", 4, {"rtn.group_size": 16}), tmp_path_factory.mktemp("digits"), 100)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Pupil:
    return Pupil("sotu-lm", Choice("magnitude", 0.0, "slim", 3), tmp_path_factory.mktemp("words"), 600)


def local(pupil: Pupil, **knobs: object) -> Local:
    how = Federated(**knobs)  # type: ignore[arg-type]
    learner = student(pupil.plain, pupil.network, pupil.running(pupil.plain), how)  # type: ignore[arg-type]
    return Local(learner, Lessons(pupil.network, pupil.seen, None), how, 3)


@pytest.mark.parametrize("train", ["scales", "lora", "all"])
@pytest.mark.parametrize("name", ["digits", "words"])
def test_a_model_arrives_at_a_client_to_the_bit(name: str, train: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    pupil: Pupil = request.getfixturevalue(name)
    here = local(pupil, train=train, rate=0.02)
    there = parcel.opened(parcel.packed(pupil.checkpoint, pupil.network, here.student, here.how, 3), tmp_path, Job())
    assert (there.how, there.seed) == (here.how, 3)
    values = [p.detach() + 0.01 for p in here.params]
    far = Local(there.student, Lessons(there.network, pupil.seen, None), there.how, there.seed)
    for x in (here, far):
        x.put(values)
    a, b = here.student.weights(), there.student.weights()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert all(p.requires_grad for p in far.params)
    item = dict(pupil.seen.items[0])
    assert torch.equal(pupil.network.forward(a, item), there.network.forward(b, item))


@pytest.mark.parametrize(
    ("raw", "why"), [(b"", "is no model"), (pickle.dumps([1]), "is no model"), (save({}, {"slim": '{"version": 9}'}), "version 9")]
)
def test_what_is_no_parcel_of_this_version_is_refused(raw: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=why):
        parcel.opened(raw, tmp_path, Job())


@pytest.mark.parametrize(
    "changes",
    [{"files": {"../evil.txt": ""}}, {"files": {"code.py": ""}}, {"parts": {"x": {"part": "Popen", "fields": {}}}}, {"how": {"rate": 9.0}}],
)  # fmt: skip
def test_a_parcel_can_neither_leave_its_folder_nor_bring_code(digits: Pupil, changes: dict[str, Any], tmp_path: Path) -> None:
    here = local(digits, train="scales")
    (tmp_path / "p").write_bytes(parcel.packed(digits.checkpoint, digits.network, here.student, here.how, 0))
    with safe_open(tmp_path / "p", "pt") as f:
        tensors, said = {k: f.get_tensor(k) for k in f.keys()}, json.loads(f.metadata()["slim"])  # noqa: SIM118 (not a dict)
    (inside := tmp_path / "inside").mkdir()
    with pytest.raises(SlimError):
        parcel.opened(save(tensors, {"slim": json.dumps(said | changes)}), inside, Job())
    assert not (tmp_path / "evil.txt").exists()


def test_code_and_teachers_are_not_sent(digits: Pupil) -> None:
    here = local(digits)
    with pytest.raises(BadPlan, match=r"config\.json"):
        parcel.packed(replace(digits.checkpoint, factory="net.py:build"), digits.network, here.student, here.how, 0)


class TestWithFlower:
    """Flower's server and client objects, without processes: what a client says goes straight to the server."""

    pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flower's imports of click

    def joined(self, digits: Pupil, folder: Path, *holdings: Holding) -> tuple[Any, Job, list[Any]]:
        """A server's crowd after it has met these clients."""
        from flwr.server.client_proxy import ClientProxy

        from core.federation.client import Taught
        from core.federation.server import Listening, Remote

        class Wire(ClientProxy):
            def __init__(self, name: str, taught: Any) -> None:
                super().__init__(name)
                self.get_properties = lambda ins, *_: taught.get_properties(ins)  # type: ignore[method-assign]
                self.fit = lambda ins, *_: taught.fit(ins)  # type: ignore[method-assign]

            def get_parameters(self, *_: Any) -> Any: ...
            def evaluate(self, *_: Any) -> Any: ...
            def get_properties(self, *_: Any) -> Any: ...
            def fit(self, *_: Any) -> Any: ...
            def reconnect(self, *_: Any) -> Any: ...

        job, there = Job(), []
        crowd = Remote(Listening("127.0.0.1:1", len(holdings), (b"", b"", b""), "x"), digits.checkpoint)
        crowd.model(local(digits, rate=0.01))
        for i, h in enumerate(holdings):
            (own := folder / f"client{i}").mkdir()
            there.append(Taught(h, Job(), own))
            crowd.manager.register(Wire(str(i), there[-1]))
            crowd.members(job)
        return crowd, job, there

    def test_one_client_without_samples_one_with_too_few_and_one_of_the_same_name(self, digits: Pupil, tmp_path: Path) -> None:
        holdings(tmp_path / "clients", {"a": 20})
        a = tmp_path / "clients" / "a"
        (bad := tmp_path / "labels" / "eleven").mkdir(parents=True)
        Image.new("L", (32, 32)).save(bad / "0.png")
        parts = [Holding(f"part {k}", a, 4, (k, 4), 0.01, 1) for k in (1, 2, 3, 4)]
        crowd, job, there = self.joined(digits, tmp_path, *parts, replace(parts[0], path=a), Holding("b", tmp_path / "labels"))
        members = crowd.members(job)
        assert sorted(members) == [p.name for p in parts]
        assert sum(members.values()) == 4
        assert 0 in members.values(), "one got no share"
        assert any("another client is called 'part 1'" in n for n in job.notes)
        assert "another --name" in str(there[4].failed)
        assert "b can't take part: labels: 'eleven' is no class of this network" in next(n for n in job.notes if n.startswith("b "))
        assert "eleven" in str(there[5].failed)

    def test_a_client_whose_numbers_break_is_named_and_the_other_is_heard(self, digits: Pupil, tmp_path: Path) -> None:
        holdings(tmp_path / "clients", {"a": 10, "b": 10})
        crowd, job, there = self.joined(digits, tmp_path, *(Holding(n, tmp_path / "clients" / n) for n in "ab"))
        there[1].client.pieces.items[0]["pixel_values"][:] = math.nan
        how = local(digits, rate=0.01)
        f = Federation(how.student, Lessons(digits.network, digits.seen, None), how.how, 3, digits.store, "b" * 64)
        f.crowd, f.empty = crowd, set()
        told = f._round(1, job)
        assert sorted(told.losses) == ["a"]
        assert told.absent == {"b": "sent numbers that are not finite"}


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
    "no model": (["server", "--certificates", "{keys}", "--out", "{keys}/out"], "Which model?"),
    "no place": (["server", "--model", "{digits}", "--certificates", "{keys}"], "Where should the result go?"),
    "no knob": (["server", "--model", "{digits}", "--out", "{keys}/out", "--certificates", "{keys}", "--knob", "rat=1"], "no knob 'rat'"),
    "no keys": (["server", "--model", "{digits}", "--out", "{keys}/out", "--certificates", "{keys}/empty"], "make certificates with"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flower's imports of click
@pytest.mark.parametrize("what", sorted(SAID))
def test_bad_input_is_one_sentence_and_leaves_nothing(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["federated", "certificates", str(tmp_path / "keys")]) == 0
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
