"""The server of a real federation: Flower's own server carries the messages, core.recover.federated does the rounds.

Flower calls `start_server` deprecated in favour of SuperLink, which sends its clients code to run (the app's bundle) and starts a process
for every message; here a client gets arrays and a description, and nothing else. The version is pinned in pyproject."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from threading import Condition
from typing import TYPE_CHECKING, Any

from flwr.common import Code, FitIns, GetPropertiesIns, GetPropertiesRes, Parameters, ReconnectIns, Status
from flwr.server import Server, ServerConfig, SimpleClientManager, start_server
from flwr.server.client_proxy import ClientProxy
from flwr.server.history import History

from ..errors import BadPlan, CannotRun
from ..job import Job
from ..recover.answers import fingerprint
from ..recover.fit import Learned
from ..recover.local import Answer, Local
from ..recover.update import packed as message
from ..types import Checkpoint
from .keys import SIZE, proved
from .parcel import packed

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # bytes of a message: gRPC's own limit
SPARE = 2**20  # of them, for names and frames
PIECE = 2**28  # bytes of the model in a message
LONGEST = 100  # letters of a client's name
UNKNOWN = "it has no key of this federation; its owner makes one for each client, which the client gives with --key"
AT_MOST = 30.0  # seconds a stranger may take to prove who it is: the others wait for it
LOOK = 0.2  # seconds between two looks at the job's cancel flag


@dataclass(frozen=True)
class Listening:
    """Where clients are waited for, how many of them, and what this federation is called."""

    address: str
    clients: int
    certificates: tuple[bytes, bytes, bytes]
    name: str  # of this federation: an interrupted one goes on under the same
    secret: bytes = b""  # what clients' keys are made of; empty: whoever reaches the port takes part
    patience: float | None = None  # seconds a client may take for a round; None: as long as its connection holds


class Remote:
    """Clients at the other ends of Flower's connections (core.recover.local.Crowd)."""

    def __init__(self, listening: Listening, checkpoint: Checkpoint) -> None:
        self.listening, self.checkpoint = listening, checkpoint
        self.manager = Waiting()
        self.known: dict[str, tuple[str, int, ClientProxy]] = {}  # connection -> (name, samples, client)

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
                server_address=self.listening.address, server=rounds, config=ServerConfig(local.how.rounds, self.listening.patience),
                grpc_max_message_length=MOST, certificates=self.listening.certificates,
            )  # fmt: skip
        except (RuntimeError, OSError) as e:
            raise CannotRun(f"Nothing can listen at {self.listening.address} ({e}); choose another --listen") from None
        return rounds.learned()

    def model(self, local: Local) -> None:
        """What newcomers are sent; BadPlan for what can't be."""
        if (size := 4 * sum(t.numel() for t in local.state)) > MOST - SPARE:
            gigabytes = f"{size / 1e9:.1f}"
            raise BadPlan(
                f"{gigabytes} GB of numbers would be sent each round, and a message holds 2.1; "
                "train fewer of them (federated.train = scales)"
            )
        teacher = local.lessons.teacher
        of = fingerprint(teacher.weights) if teacher is not None else ""
        self.parcel = packed(self.checkpoint, local.lessons.network, local.student, local.how, local.seed, of)

    def members(self, job: Job) -> dict[str, int]:
        """Those connected, newcomers greeted: a client may come back in any round."""
        self._greet(job)
        return {name: samples for name, samples, _ in self.known.values()}

    def answers(self, names: list[str], values: list[Tensor], n: int, job: Job) -> Iterator[tuple[str, Answer | str]]:
        """All of them train at once; their answers in the order of the names."""
        asked = FitIns(Parameters([message(values, [], "float32")[0]], "safetensors"), {"round": n})
        clients = {name: client for name, _, client in self.known.values()}
        calls = [partial(clients[name].fit, asked, self.listening.patience, n) for name in names]
        for name, said in zip(names, _together(calls, job), strict=True):
            yield name, _answer(said)

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
        for client, said in zip(new, _together([partial(self._welcome, c) for c in new], job), strict=True):
            self._met(client, said, job)

    def _welcome(self, client: ClientProxy) -> GetPropertiesRes:
        """Who it is, proved where this federation has keys, and only then the model, piece by piece; its own words in the end."""
        known: dict[str, Any] = {}
        if self.listening.secret:
            nonce = os.urandom(SIZE)
            said = _asked(client, {"nonce": nonce}, AT_MOST)
            known = {"name": str(said.properties.get("name", ""))}
            if not proved(self.listening.secret, known["name"], nonce, said.properties.get("proof")):
                _asked(client, {"refused": UNKNOWN})
                return GetPropertiesRes(Status(Code.GET_PROPERTIES_NOT_IMPLEMENTED, UNKNOWN), known)
        view, of = memoryview(self.parcel), math.ceil(len(self.parcel) / PIECE)
        for at in range(of):
            said = _asked(client, {"parcel": bytes(view[at * PIECE : (at + 1) * PIECE]), "at": at, "of": of})
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
            _together([partial(_asked, client, {"refused": refused})], job)
        if refused:
            _together([partial(client.reconnect, ReconnectIns(None), None, None)], job)
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


def _asked(client: ClientProxy, what: dict[str, Any], seconds: float | None = None) -> GetPropertiesRes:
    return client.get_properties(GetPropertiesIns(what), seconds, None)


def _together(calls: Sequence[Callable[[], Any]], job: Job) -> list[Any]:
    """What the clients say, asked all at once; in words why one says nothing. A cancel is heard meanwhile."""
    pool = ThreadPoolExecutor(len(calls))
    try:
        futures = [pool.submit(_said, c) for c in calls]
        while wait(futures, LOOK).not_done:
            job.check()
        return [f.result() for f in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # who still waits for a client ends with its connection


def _said(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as e:  # noqa: BLE001 (Flower's closed connection has no public name; whatever it is, the round goes on)
        return "is gone" if type(e).__name__ == "GrpcBridgeClosed" else f"could not be heard ({e!r})"


def _answer(said: Any) -> Answer | str:
    """What a client sent, held to its form before anything is made of it."""
    if isinstance(said, str):
        return said
    if said.status.code != Code.OK:
        return f"could not train ({said.status.message})"
    loss = said.metrics.get("loss")
    if len(said.parameters.tensors) != 1 or not isinstance(loss, float):
        return "sent something that is no answer"
    return Answer(said.parameters.tensors[0], loss, int(said.num_examples))
