"""The server of a real federation: Flower's own server carries the messages, core.recover.federated does the rounds.

Flower calls `start_server` deprecated in favour of SuperLink, which sends its clients code to run (the app's bundle) and starts a process
for every message; here a client gets arrays and a description, and nothing else. The version is pinned in pyproject."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING, Any

from flwr.common import Code, EvaluateIns, FitIns, FitRes, GetPropertiesIns, GetPropertiesRes, Parameters, ReconnectIns, Status
from flwr.server import Server, ServerConfig, SimpleClientManager, start_server
from flwr.server.client_proxy import ClientProxy
from flwr.server.history import History

from ..errors import CannotRun
from ..job import Job
from ..recover.answers import fingerprint
from ..recover.fit import Learned
from ..recover.local import Answer, Fitted, Local
from ..recover.update import packed as message
from ..types import Checkpoint
from .keys import SIZE, proved
from .parcel import packed

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # bytes of a message: gRPC's own limit
PIECE = 2**28  # bytes of the model, or of a round's numbers, in one
LONGEST = 100  # letters of a client's name
UNKNOWN = "it has no key of this federation; its owner makes one for each client, which the client gives with --key"
AT_MOST = 30.0  # seconds a stranger may take to prove who it is, or anyone to leave: the others wait for it
FIRST, LEAST, TIMES = 3600.0, 600.0, 4.0  # seconds a round may take a client: the first, any later one, and of the slowest so far
LOOK = 0.2  # seconds between two looks at the job's cancel flag


@dataclass(frozen=True)
class Listening:
    """Where clients are waited for, how many of them, and what this federation is called."""

    address: str
    clients: int
    certificates: tuple[bytes, bytes, bytes]
    name: str  # of this federation: an interrupted one goes on under the same
    secret: bytes = b""  # what clients' keys are made of; empty: whoever reaches the port takes part
    patience: float | None = None  # seconds a client may take for a round; None: as `Remote.patience` says


class Remote:
    """Clients at the other ends of Flower's connections (core.recover.local.Crowd)."""

    def __init__(self, listening: Listening, checkpoint: Checkpoint) -> None:
        self.listening, self.checkpoint = listening, checkpoint
        self.manager = Waiting()
        self.known: dict[str, tuple[str, int, ClientProxy]] = {}  # connection -> (name, samples, client)
        self.slowest = 0.0  # seconds of a round that was answered

    @property
    def patience(self) -> float:
        """Seconds a client may take for a round before it counts as silent."""
        if self.listening.patience is not None:
            return self.listening.patience
        return max(LEAST, TIMES * self.slowest) if self.slowest else FIRST

    @property
    def fingerprint(self) -> str:
        return self.listening.name

    def meet(self, work: Callable[[], Learned], local: Local, job: Job) -> Learned:
        """Listen, do the work while the server stands, send everybody home."""
        self.model(local)
        logging.getLogger("flwr").setLevel(logging.CRITICAL)

        def gathered() -> Learned:
            self._gather(job)
            return work()

        rounds = Rounds(self.manager, gathered)
        try:
            start_server(
                server_address=self.listening.address, server=rounds, config=ServerConfig(local.how.rounds, AT_MOST),
                grpc_max_message_length=MOST, certificates=self.listening.certificates,
            )  # fmt: skip
        except (RuntimeError, OSError) as e:
            raise CannotRun(f"Nothing can listen at {self.listening.address} ({e}); choose another --listen") from None
        return rounds.learned()

    def model(self, local: Local) -> None:
        """What newcomers are sent; BadPlan for what can't be."""
        teacher = local.lessons.teacher
        of = fingerprint(teacher.weights) if teacher is not None else ""
        self.parcel = packed(self.checkpoint, local.lessons.network, local.student, local.how, local.seed, of)

    def members(self, job: Job) -> dict[str, int]:
        """Those connected, newcomers greeted: a client may come back in any round."""
        self._greet(job)
        return {name: samples for name, samples, _ in self.known.values()}

    def answers(self, names: list[str], values: list[Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
        """All of them train at once; their answers in the order of the names."""
        raw, seconds = message(values, [], "float32")[0], self.patience
        clients = {name: client for name, _, client in self.known.values()}
        calls = [partial(self._taught, clients[name], raw, n) for name in names]
        for name, said in zip(names, _together(calls, job, seconds), strict=True):
            yield name, told(said)

    def _taught(self, client: ClientProxy, raw: bytes, n: int, seconds: float) -> tuple[FitRes, bytes]:
        """A client's round; numbers in pieces both ways, as many as they take."""
        began, last = time.monotonic(), _sent(client, "numbers", raw, seconds)
        said = client.fit(FitIns(last, {"round": n}), seconds, n)
        self.slowest = max(self.slowest, time.monotonic() - began)
        arrived = list(said.parameters.tensors)
        for at in range(1, min(int(said.metrics.get("of", 1)), len(raw) // PIECE + 2)):  # no change is longer than the numbers
            arrived.append(_asked(client, {"more": at}, seconds).properties["piece"])  # type: ignore[arg-type]
        return said, b"".join(arrived)

    def over(self, values: list[Tensor], job: Job) -> Iterator[tuple[str, Fitted | str]]:
        """All at once, as in a round."""
        raw, known = message(values, [], "float32")[0], list(self.known.values())
        calls = [partial(_fitted, client, raw) for _, _, client in known]
        for (name, samples, _), said in zip(known, _together(calls, job, self.patience) if calls else [], strict=True):
            yield name, Fitted(said[0], said[1], samples) if isinstance(said, tuple) else said

    def owed(self) -> dict[str, list[Tensor]]:
        """What packing took off stays with each client."""
        return {}

    def _gather(self, job: Job) -> None:
        """Wait until as many clients as asked for have been greeted."""
        want = self.listening.clients
        for _ in job.track(iter(int, 1), f"Waiting for {want} clients"):
            self._greet(job)
            if len(self.known) >= want:
                return
            job.detail(f"{len(self.known)} of {want} are here")
            with self.manager.changed:
                if not self._new():
                    self.manager.changed.wait(LOOK)

    def _new(self) -> list[ClientProxy]:
        return [c for cid, c in list(self.manager.all().items()) if cid not in self.known]

    def _greet(self, job: Job) -> None:
        """Forget who has gone; send newcomers the model, all at once, and hear their names and how many samples they hold."""
        present = self.manager.all()
        self.known = {cid: x for cid, x in self.known.items() if cid in present}
        if not (new := self._new()):
            return
        calls = [partial(self._welcome, c) for c in new]
        for client, said in zip(new, _together(calls, job, max(LEAST, self.patience)), strict=True):
            self._met(client, said, job)

    def _welcome(self, client: ClientProxy, seconds: float) -> GetPropertiesRes:
        """Who it is, proved where this federation has keys, and only then the model, piece by piece; its own words in the end."""
        known: dict[str, Any] = {}
        if self.listening.secret:
            nonce = os.urandom(SIZE)
            said = _asked(client, {"nonce": nonce}, AT_MOST)
            known = {"name": str(said.properties.get("name", ""))}
            if not proved(self.listening.secret, known["name"], nonce, said.properties.get("proof")):
                _asked(client, {"refused": UNKNOWN}, AT_MOST)
                return GetPropertiesRes(Status(Code.GET_PROPERTIES_NOT_IMPLEMENTED, UNKNOWN), known)
        view, of = memoryview(self.parcel), math.ceil(len(self.parcel) / PIECE)
        for at in range(of):
            said = _asked(client, {"parcel": bytes(view[at * PIECE : (at + 1) * PIECE]), "at": at, "of": of}, seconds)
            if said.status.code != Code.OK:
                break
        return GetPropertiesRes(said.status, said.properties | known)

    def _met(self, client: ClientProxy, said: Any, job: Job) -> None:
        """A newcomer's own words: taken in, or sent home."""
        if isinstance(said, str):
            self.manager.unregister(client)
            return job.note(f"A client {said} before it had taken part")
        name, samples = str(said.properties.get("name", client.cid))[:LONGEST], int(said.properties.get("samples", 0))
        refused = said.status.message if said.status.code != Code.OK else ""
        if not refused and name in {x[0] for x in self.known.values()}:
            refused = f"another client is called {name!r}; start this one with another --name"
            _together([partial(_asked, client, {"refused": refused})], job, AT_MOST)
        if refused:
            _together([lambda seconds: client.reconnect(ReconnectIns(None), seconds, None)], job, AT_MOST)
            self.manager.unregister(client)
            return job.note(f"{name} can't take part: {refused}")
        self.known[client.cid] = (name, samples, client)
        job.note(f"{name} takes part with {samples:,} samples")
        return None


class Waiting(SimpleClientManager):
    """Flower's list of connected clients, which tells when it has grown."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = Condition()

    def register(self, client: ClientProxy) -> bool:
        known = super().register(client)
        with self.changed:
            self.changed.notify_all()
        return known


class Rounds(Server):
    """Flower's server, whose rounds are ours."""

    def __init__(self, manager: Waiting, work: Callable[[], Learned]) -> None:
        super().__init__(client_manager=manager)
        self.work = work
        self.found: Learned | None = None
        self.failed: BaseException | None = None

    def fit(self, num_rounds: int, timeout: float | None) -> tuple[History, float]:
        """The work; what it raises is kept until the clients have been sent home."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Flower's would end the process before the state is told
        try:
            self.found = self.work()
        except BaseException as e:  # noqa: BLE001 (raised again by `learned`, once the clients are free)
            self.failed = e
        return History(), 0.0

    def disconnect_all_clients(self, timeout: float | None) -> None:
        """A client that has gone is no reason to fail."""
        if self.failed is None:
            super().disconnect_all_clients(timeout)

    def learned(self) -> Learned:
        if self.failed is not None:
            raise self.failed
        assert self.found is not None
        return self.found


def _asked(client: ClientProxy, what: dict[str, Any], seconds: float) -> GetPropertiesRes:
    """An answer within so many seconds. Never without a limit: Flower would keep that of the question before."""
    return client.get_properties(GetPropertiesIns(what), seconds, None)


def _sent(client: ClientProxy, what: str, raw: bytes, seconds: float) -> Parameters:
    """All pieces but the last are with the client; the last, for the message that says what to do with them."""
    view, of = memoryview(raw), math.ceil(len(raw) / PIECE)
    for at in range(of - 1):
        _asked(client, {what: bytes(view[at * PIECE : (at + 1) * PIECE]), "at": at}, seconds)
    return Parameters([bytes(view[(of - 1) * PIECE :])], "safetensors")


def _fitted(client: ClientProxy, raw: bytes, seconds: float) -> tuple[float, float] | str:
    """The client's loss with its own batch norms, and with the server's."""
    said = client.evaluate(EvaluateIns(_sent(client, "numbers", raw, seconds), {}), seconds, None)
    if said.status.code != Code.OK:
        return f"could not make its own model ({said.status.message})"
    return float(said.loss), float(said.metrics.get("shared", math.nan))


def _together(calls: Sequence[Callable[[float], Any]], job: Job, seconds: float) -> list[Any]:
    """What the clients say, asked all at once, each within so many seconds; in words why one says nothing. A cancel is heard meanwhile."""
    pool = ThreadPoolExecutor(len(calls))
    try:
        futures = [pool.submit(_said, c, seconds) for c in calls]
        while wait(futures, LOOK).not_done:
            job.check()
        return [f.result() for f in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who still waits for a client ends with its connection


def _said(call: Callable[[float], Any], seconds: float) -> Any:
    began = time.monotonic()
    try:
        return call(seconds)
    except Exception as e:  # noqa: BLE001 (Flower's closed connection has no public name; whatever it is, the round goes on)
        return why(e, time.monotonic() - began, seconds)


def why(e: Exception, took: float, seconds: float) -> str:
    """In words, why a client says nothing."""
    if type(e).__name__ != "GrpcBridgeClosed":
        return f"could not be heard ({e!r})"
    return "is gone" if took < seconds else f"was silent for {seconds:,.4g} s"


def told(heard: Any) -> Answer | str:
    """What a client sent, held to its form before anything is made of it."""
    if isinstance(heard, str):
        return heard
    said, raw = heard
    if said.status.code != Code.OK:
        return f"could not train ({said.status.message})"
    loss = said.metrics.get("loss")
    if not raw or not isinstance(loss, float):
        return "sent something that is no answer"
    return Answer(raw, loss, int(said.num_examples))
