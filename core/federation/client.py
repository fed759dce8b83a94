"""A client of a real federation: it gets the model, trains on its own samples each round, and sends its change; the samples stay here."""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.client import Client as FlowerClient
from flwr.client import start_client
from flwr.common import Code, EvaluateIns, EvaluateRes, FitIns, FitRes, GetPropertiesIns, GetPropertiesRes, Parameters, Status

from ..errors import BadData, CannotRun, SlimError
from ..job import Job
from ..recover.fit import Lessons
from ..recover.local import Local
from ..recover.update import unpacked
from .holding import Holding
from .keys import Key
from .parcel import Parcel, kept, opened

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # bytes of a message: gRPC's own limit
PIECE = 2**28  # bytes of a change in one
PARCEL = "parcel.safetensors"
FINE = Status(Code.OK, "")


class Taught(FlowerClient):
    """Answers Flower's messages with core.recover.local's work."""

    def __init__(self, holding: Holding, job: Job, folder: Path, key: Key | None = None) -> None:
        self.holding, self.job, self.folder, self.key = holding, job, folder, key
        self.failed: SlimError | None = None
        self.local: Local | None = None
        self.early: list[bytes] = []  # pieces of the server's numbers, before the last
        self.message = b""

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """Prove who this is; take the model in, piece by piece; then the name and how many samples are here."""
        name: dict[str, Any] = {"name": self.holding.name}
        try:
            if "refused" in ins.config:
                raise CannotRun(f"The server can't take this client in: {ins.config['refused']!s}")
            if "nonce" in ins.config:
                nonce: Any = ins.config["nonce"]
                return GetPropertiesRes(FINE, name | {"proof": self.key.proof(nonce) if self.key else b""})
            if "more" in ins.config:
                return GetPropertiesRes(FINE, {"piece": self._piece(int(ins.config["more"]))})
            if "numbers" in ins.config:
                self.early = [*self.early[: int(ins.config["at"])], ins.config["numbers"]]  # type: ignore[list-item]
                return GetPropertiesRes(FINE, {})
            if not self._arrived(ins.config):
                return GetPropertiesRes(FINE, name)
            self._begin(opened(self.folder / PARCEL, self.folder, self.job))
        except SlimError as e:
            self.failed = e
            return GetPropertiesRes(Status(Code.GET_PROPERTIES_NOT_IMPLEMENTED, str(e)), name)
        self.job.detail(f"{self.client.samples:,} samples")
        return GetPropertiesRes(FINE, name | {"samples": self.client.samples})

    def _arrived(self, said: dict[str, Any]) -> bool:
        """Keep a piece of the model; whether it was the last one."""
        with (self.folder / PARCEL).open("ab" if said["at"] else "wb") as f:
            f.write(said["parcel"])
        return int(said["at"]) + 1 == said["of"]

    def _begin(self, parcel: Parcel) -> None:
        """The samples as the model reads them, and its teacher's answers to them."""
        self.client = self.holding.client(parcel.network, self.job)
        if self.holding.keep and parcel.how.norms != "local":
            raise CannotRun("This federation's clients have nothing of their own to keep (federated.norms is not local): leave --keep out")
        teacher = self.holding.reference(parcel.teacher, self.client.pieces, self.job)
        self.local = Local(parcel.student, Lessons(parcel.network, self.client.pieces, teacher), parcel.how, parcel.seed)
        self.rounds = parcel.how.rounds

    def fit(self, ins: FitIns) -> FitRes:
        """One round."""
        n = int(ins.config.get("round", 0))
        try:
            local, values = self._numbers(ins.parameters)
            for _ in self.job.track(range(1), f"Round {n} of {self.rounds}"):
                answer = local.answer(self.client, values, n, self.job)
        except SlimError as e:
            self.failed = e
            return FitRes(Status(Code.FIT_NOT_IMPLEMENTED, str(e)), Parameters([], ""), 0, {})
        self.job.detail(f"loss {answer.loss:.4g}, {len(answer.message):,} bytes sent")
        self.message, of = answer.message, math.ceil(len(answer.message) / PIECE)
        return FitRes(FINE, Parameters([self._piece(0)], "safetensors"), answer.samples, {"loss": float(answer.loss), "of": of})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """After the last round: how well its numbers do with the batch norms of this client, whose own model that is."""
        try:
            local, values = self._numbers(ins.parameters)
            found = local.fitted(self.client, values, self.job)
            if self.holding.keep:
                kept(local.student, self.folder, self.holding.keep)
        except SlimError as e:
            self.failed = e
            return EvaluateRes(Status(Code.EVALUATE_NOT_IMPLEMENTED, str(e)), 0.0, 0, {})
        return EvaluateRes(FINE, float(found.own), found.samples, {"shared": float(found.shared)})

    def _piece(self, at: int) -> bytes:
        return self.message[at * PIECE : (at + 1) * PIECE]

    def _numbers(self, sent: Parameters) -> tuple[Local, list[Tensor]]:
        """The server's values of what is trained."""
        if self.local is None:
            raise CannotRun("The server asked for a round before it had sent the model")
        raw, self.early = b"".join([*self.early, *sent.tensors]), []
        try:
            return self.local, unpacked(raw, self.local.state, "float32")
        except BadData as e:
            raise BadData(f"The server {e}; install the same slim-studio on both sides") from None


def take_part(address: str, root: bytes, holding: Holding, job: Job, key: Key | None = None) -> None:
    """Join and stay until the server says that it is over; CannotRun when it goes away before."""
    import grpc

    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="slim-client-") as folder:
        me = Taught(holding, job, Path(folder), key)
        try:
            start_client(
                server_address=address, client=me, root_certificates=root, insecure=False, grpc_max_message_length=MOST, max_retries=0
            )
        except grpc.RpcError as e:
            if me.failed is None:
                said = getattr(e, "details", lambda: "")() or type(e).__name__
                if getattr(e, "code", lambda: None)() == grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise CannotRun("The server goes on without this client, which took too long (--patience); start it again") from None
                raise CannotRun(f"The server is gone ({str(said)[:90]}); it keeps its finished rounds: start it, then this again") from None
        if me.failed is not None:
            raise me.failed


