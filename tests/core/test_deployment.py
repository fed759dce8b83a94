"""What a federation's server and clients send each other, without processes: the parcel, keys, pieces, silence, what a client keeps."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from core.errors import BadData, BadFile, BadPlan, SlimError
from core.evaluate import Reference
from core.federation import keys, parcel
from core.federation.certificates import made
from core.federation.holding import Holding
from core.formats import open_checkpoint
from core.formats import read as values
from core.job import Job
from core.networks import attach
from core.recover.clients import holder, holders
from core.recover.federated import Federation
from core.recover.fit import Lessons
from core.recover.local import Here, Local
from core.recover.methods import Federated
from core.recover.student import student
from core.types import Choice
from tests.core.test_federated import DIGITS, holdings
from tests.core.test_train import SAMPLES, Pupil

WORDS = SAMPLES / "sotu-lm"
WAIT = 150  # seconds, of a machine that does much else besides

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
    (tmp_path / "p").write_bytes(parcel.packed(pupil.checkpoint, pupil.network, here.student, here.how, 3, "of"))
    there = parcel.opened(tmp_path / "p", tmp_path, Job())
    assert (there.how, there.seed, there.teacher) == (here.how, 3, "of")
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
    (tmp_path / "p").write_bytes(raw)
    with pytest.raises(BadFile, match=why):
        parcel.opened(tmp_path / "p", tmp_path, Job())


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
    (tmp_path / "p").write_bytes(save(tensors, {"slim": json.dumps(said | changes)}))
    with pytest.raises(SlimError):
        parcel.opened(tmp_path / "p", inside, Job())
    assert not (tmp_path / "evil.txt").exists()


def test_code_is_not_sent(digits: Pupil) -> None:
    here = local(digits)
    with pytest.raises(BadPlan, match=r"config\.json"):
        parcel.packed(replace(digits.checkpoint, factory="net.py:build"), digits.network, here.student, here.how, 0)


class TestWithFlower:
    """Flower's server and client objects, without processes: what a client says goes straight to the server."""

    pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Flower's imports of click

    def joined(
        self, digits: Pupil, folder: Path, *holdings: Holding, secret: bytes = b"", shown: Sequence[keys.Key | None] = (), here: Any = None
    ) -> tuple[Any, Job, list[Any]]:
        """A server's crowd after it has met these clients, each with the key it shows."""
        from flwr.server.client_proxy import ClientProxy

        from core.federation.client import Taught
        from core.federation.server import Listening, Remote

        class Wire(ClientProxy):
            def __init__(self, name: str, taught: Any) -> None:
                super().__init__(name)
                self.taught, self.limits = taught, list[float | None]()

            def get_properties(self, ins: Any, seconds: float | None, _: Any) -> Any:
                self.limits.append(seconds)
                return self.taught.get_properties(ins)

            def fit(self, ins: Any, seconds: float | None, _: Any) -> Any:
                self.limits.append(seconds)
                return self.taught.fit(ins)

            def evaluate(self, ins: Any, seconds: float | None, _: Any) -> Any:
                self.limits.append(seconds)
                return self.taught.evaluate(ins)

            def get_parameters(self, *_: Any) -> Any: ...
            def reconnect(self, *_: Any) -> Any: ...

        job, there = Job(), []
        crowd = Remote(Listening("127.0.0.1:1", len(holdings), (b"", b"", b""), "x", secret), digits.checkpoint)
        crowd.model(here or local(digits, rate=0.01))
        for i, h in enumerate(holdings):
            (own := folder / f"client{i}").mkdir()
            there.append(Taught(h, Job(), own, shown[i] if shown else None))
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
        told = self.federation(digits, crowd)._round(1, job)
        assert sorted(told.losses) == ["a"]
        assert told.absent == {"b": "sent numbers that are not finite"}

    def test_only_clients_with_their_own_key_are_sent_the_model(self, digits: Pupil, tmp_path: Path) -> None:
        holdings(tmp_path / "clients", {"a": 4})
        a, b = keys.made(made(tmp_path / "keys"), ["a", "b"])
        assert a.stat().st_mode & 0o077 == 0
        secret, (stranger,) = keys.secret_of(tmp_path / "keys"), keys.made(made(tmp_path / "other"), ["c"])
        shown = [keys.read(a), None, keys.read(stranger), replace(keys.read(b), name="d")]
        names = [Holding(n, tmp_path / "clients" / "a") for n in "abcd"]
        crowd, job, there = self.joined(digits, tmp_path, *names, secret=secret, shown=shown)
        assert crowd.members(job) == {"a": 4}
        for client, name in zip(there[1:], "bcd", strict=True):
            assert "it has no key of this federation" in str(client.failed)
            assert any(f"{name} can't take part: it has no key" in n for n in job.notes)
            assert not any(client.folder.iterdir()), "nothing of the model was sent"

    def test_a_model_in_many_pieces_is_one_again_and_the_teachers_copy_at_the_client_answers(
        self, digits: Pupil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its change is the simulation's, whose teacher is the server's own; numbers and changes go in pieces, too."""
        from core.federation import client, server

        monkeypatch.setattr(server, "PIECE", 50_000)
        monkeypatch.setattr(client, "PIECE", 60_000)
        holdings(tmp_path / "clients", {"a": 20})
        data, here = tmp_path / "clients" / "a", local(digits, rate=0.01, share=1.0)
        here.lessons = replace(here.lessons, teacher=Reference(digits.network, digits.weights, digits.seen))
        names = [Holding("a", data, teacher=DIGITS), Holding("b", data), Holding("c", data, teacher=WORDS)]
        crowd, job, there = self.joined(digits, tmp_path, *names, here=here)
        assert len(crowd.parcel) > 4 * server.PIECE
        assert list(crowd.members(job)) == ["a"]
        assert "give your own copy of it with --teacher" in str(there[1].failed)
        assert "is not the model that the server's training follows" in str(there[2].failed)
        values = [p.detach().clone() for p in here.params]
        (said,) = crowd.answers(["a"], values, 1, job)
        assert said[1] == here.answer(holder("a", data, digits.network, None, job), values, 1, job)
        assert len(said[1].message) > 4 * client.PIECE

    def test_a_client_with_too_little_text_says_so(self, words: Pupil, tmp_path: Path) -> None:
        (tmp_path / "short.txt").write_text("Too little.")
        with pytest.raises(BadData, match=r"short\.txt: too short to train on"):
            Holding("a", tmp_path / "short.txt").client(words.network, Job())

    def test_pooled_norms_of_clients_over_the_wire_are_the_simulations(self, digits: Pupil, tmp_path: Path) -> None:
        holdings(tmp_path / "clients", {"a": 12, "b": 8})
        crowd, job, _ = self.joined(
            digits, tmp_path, *(Holding(n, tmp_path / "clients" / n) for n in "ab"), here=local(digits, rate=0.01, norms="weighted")
        )
        found = []
        for there in (crowd, Here(holders(tmp_path / "clients", digits.network, None, job))):
            f = self.federation(digits, there, norms="weighted")
            for n in (1, 2):
                f._round(n, job)
            found.append(f.server)
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))

    def federation(self, digits: Pupil, crowd: Any, **knobs: object) -> Federation:
        """A server of these clients."""
        own = local(digits, rate=0.01, **knobs)
        f = Federation(own.student, Lessons(digits.network, digits.seen, None), own.how, 3, digits.store, "b" * 64)
        f.crowd, f.empty, crowd.local = crowd, set(), f.local
        return f

    def test_a_client_that_is_connected_and_silent_is_named_and_the_round_goes_on(self, digits: Pupil, tmp_path: Path) -> None:
        holdings(tmp_path / "clients", {"a": 10, "b": 10})
        crowd, job, _ = self.joined(digits, tmp_path, *(Holding(n, tmp_path / "clients" / n) for n in "ab"))
        crowd.listening = replace(crowd.listening, patience=0.01)
        f = self.federation(digits, crowd)
        with silence() as b:
            crowd.known["1"] = ("b", 10, b)
            told = f._round(1, job)
        assert sorted(told.losses) == ["a"]
        assert job.notes[-1] == "Round 1: b was silent for 0.01 s and was left out"

    def test_patience_is_an_hour_then_four_times_the_slowest_and_ten_minutes_at_least(self, digits: Pupil, tmp_path: Path) -> None:
        """Every question has a limit: Flower keeps the last one it was given."""
        holdings(tmp_path / "clients", {"a": 10})
        crowd, job, _ = self.joined(digits, tmp_path, Holding("a", tmp_path / "clients" / "a"))
        wire, f = crowd.known["0"][2], self.federation(digits, crowd)
        f._round(1, job)
        assert all(isinstance(s, float) for s in wire.limits)
        assert wire.limits[-1] == 3600
        f._round(2, job)
        assert wire.limits[-1] == crowd.patience == 600
        crowd.slowest = 1000.0
        assert crowd.patience == 4000
        crowd.listening = replace(crowd.listening, patience=7.0)
        assert crowd.patience == 7

    def test_a_client_keeps_its_own_model_only_where_norms_are_its_own_and_nothing_is_overwritten(
        self, digits: Pupil, tmp_path: Path
    ) -> None:
        holdings(tmp_path / "clients", {"a": 10})
        own = Holding("a", tmp_path / "clients" / "a", keep=tmp_path / "own")
        crowd, job, there = self.joined(digits, tmp_path, own)
        assert crowd.members(job) == {}
        assert "leave --keep out" in str(there[0].failed)
        here = local(digits, rate=0.01, norms="local")
        crowd, job, there = self.joined(digits, tmp_path / "clients", own, here=here)
        f = self.federation(digits, crowd, norms="local")
        f._round(1, job)
        ((name, found),) = crowd.over(f.server, job)
        assert (name, found) == ("a", f.local.fitted(there[0].client, f.server, job))
        kept, item = open_checkpoint(tmp_path / "own"), there[0].client.pieces.items[0]
        weights = {n: values(t) for n, t in kept.tensors.items()}
        assert torch.equal(attach(kept).forward(weights, dict(item)), digits.network.forward(f.local.student.weights(), dict(item)))
        ((_, why),) = crowd.over(f.server, job)
        assert "could not be written" in why
        assert {n: values(t) for n, t in open_checkpoint(tmp_path / "own").tensors.items()}.keys() == weights.keys()


@contextlib.contextmanager
def silence() -> Iterator[Any]:
    """Flower's own connection to a client from which nothing ever comes."""
    from flwr.server.superlink.fleet.grpc_bidi.flower_service_servicer import FlowerServiceServicer

    from core.federation.server import Waiting

    class Call:
        """What gRPC tells Flower of a connection."""

        def add_callback(self, ended: Any) -> None:
            self.ended = ended

        def abort(self, code: Any, details: str) -> None:
            self.ended()
            raise EOFError(details)

    def nothing() -> Iterator[Any]:
        over.wait()
        yield from ()

    def serve() -> None:
        with contextlib.suppress(EOFError):
            list(FlowerServiceServicer(manager).Join(nothing(), Call()))

    manager, over, thread = Waiting(), threading.Event(), threading.Thread(target=serve)
    thread.start()
    with manager.changed:
        assert manager.changed.wait_for(manager.all, WAIT)
    try:
        yield next(iter(manager.all().values()))
    finally:
        over.set()
        thread.join()
