"""A client of a real federation: it gets the model, trains on its own samples each round, and sends its change; the samples stay here."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flwr.client import Client as FlowerClient
from flwr.client import start_client
from flwr.common import Code, FitIns, FitRes, GetPropertiesIns, GetPropertiesRes, Parameters, Status

from ..errors import BadData, CannotRun, SlimError
from ..job import Job
from ..recover.fit import Lessons
from ..recover.local import Local
from .holding import Holding
from .parcel import opened

if TYPE_CHECKING:
    from torch import Tensor

MOST = 2**31 - 1  # bytes of a message: gRPC's own limit
FINE = Status(Code.OK, "")


class Taught(FlowerClient):
    """Answers Flower's messages with core.recover.local's work."""

    def __init__(self, holding: Holding, job: Job, folder: Path) -> None:
        self.holding, self.job, self.folder = holding, job, folder
        self.failed: SlimError | None = None
        self.local: Local | None = None

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """Take the model in; the name and how many samples are here."""
        try:
            if "refused" in ins.config:
                raise CannotRun(f"The server can't take this client in: {ins.config['refused']!s}")
            parcel = opened(bytes(ins.config["parcel"]), self.folder, self.job)  # type: ignore[arg-type]
            self.client = self.holding.client(parcel.network, self.job)
            self.local = Local(parcel.student, Lessons(parcel.network, self.client.pieces, None), parcel.how, parcel.seed)
            self.rounds = parcel.how.rounds
        except SlimError as e:
            self.failed = e
            return GetPropertiesRes(Status(Code.GET_PROPERTIES_NOT_IMPLEMENTED, str(e)), {"name": self.holding.name})
        self.job.detail(f"{self.client.samples:,} samples")
        return GetPropertiesRes(FINE, {"name": self.client.name, "samples": self.client.samples})

    def fit(self, ins: FitIns) -> FitRes:
        """One round."""
        n = int(ins.config.get("round", 0))
        try:
            if self.local is None:
                raise CannotRun("The server asked for a round before it had sent the model")
            for _ in self.job.track(range(1), f"Round {n} of {self.rounds}"):
                answer = self.local.answer(self.client, _numbers(ins.parameters, self.local.params), n, self.job)
        except SlimError as e:
            self.failed = e
            return FitRes(Status(Code.FIT_NOT_IMPLEMENTED, str(e)), Parameters([], ""), 0, {})
        self.job.detail(f"loss {answer.loss:.4g}, {len(answer.message):,} bytes sent")
        return FitRes(FINE, Parameters([answer.message], "safetensors"), answer.samples, {"loss": float(answer.loss)})


def take_part(address: str, root: bytes, holding: Holding, job: Job) -> None:
    """Join and stay until the server says that it is over; CannotRun when it goes away before."""
    import grpc

    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="slim-client-") as folder:
        me = Taught(holding, job, Path(folder))
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


