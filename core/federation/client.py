"""A client of a real federation: it gets the model, trains on its own samples each round, and sends its change; the samples stay here."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.client import Client as FlowerClient
from flwr.client import start_client
from flwr.common import Code, FitIns, FitRes, GetPropertiesIns, GetPropertiesRes, Parameters, Status

from ..errors import BadData, CannotRun, SlimError
from ..job import Job
from ..recover.fit import Lessons
from ..recover.local import Local
from .holding import Holding
from .keys import Key
from .parcel import Parcel, opened

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # bytes of a message: gRPC's own limit
PARCEL = "parcel.safetensors"
FINE = Status(Code.OK, "")


class Taught(FlowerClient):
    """Answers Flower's messages with core.recover.local's work."""

    def __init__(self, holding: Holding, job: Job, folder: Path, key: Key | None = None) -> None:
        self.holding, self.job, self.folder, self.key = holding, job, folder, key
        self.failed: SlimError | None = None
        self.local: Local | None = None

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """Prove who this is; take the model in, piece by piece; then the name and how many samples are here."""
        name: dict[str, Any] = {"name": self.holding.name}
        try:
            if "refused" in ins.config:
                raise CannotRun(f"The server can't take this client in: {ins.config['refused']!s}")
            if "nonce" in ins.config:
                nonce: Any = ins.config["nonce"]
                return GetPropertiesRes(FINE, name | {"proof": self.key.proof(nonce) if self.key else b""})
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
        teacher = self.holding.reference(parcel.teacher, self.client.pieces, self.job)
        self.local = Local(parcel.student, Lessons(parcel.network, self.client.pieces, teacher), parcel.how, parcel.seed)
        self.rounds = parcel.how.rounds

    def fit(self, ins: FitIns) -> FitRes:
        """One round."""
        n = int(ins.config.get("round", 0))
        try:
            if self.local is None:
                raise CannotRun("The server asked for a round before it had sent the model")
            for _ in self.job.track(range(1), f"Round {n} of {self.rounds}"):
                answer = self.local.answer(self.client, _numbers(ins.parameters, self.local.state), n, self.job)
        except SlimError as e:
            self.failed = e
            return FitRes(Status(Code.FIT_NOT_IMPLEMENTED, str(e)), Parameters([], ""), 0, {})
        self.job.detail(f"loss {answer.loss:.4g}, {len(answer.message):,} bytes sent")
        return FitRes(FINE, Parameters([answer.message], "safetensors"), answer.samples, {"loss": float(answer.loss)})


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
                raise CannotRun(f"The server is gone ({str(said)[:90]}); it keeps its finished rounds: start it, then this again") from None
        if me.failed is not None:
            raise me.failed


def _numbers(sent: Parameters, like: list[Tensor]) -> list[Tensor]:
    """The server's values of what is trained."""
    from ..recover.update import unpacked

    if len(sent.tensors) != 1:
        raise BadData("The server sent no list of numbers")
    try:
        return unpacked(sent.tensors[0], like, "float32")
    except BadData as e:
        raise BadData(f"The server {e}; install the same slim-studio on both sides") from None


