"""Functions of the engine as Ray tasks, for what outgrows one machine; where and when a task runs is Ray's business."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import environment
from .errors import CannotRun, SlimError
from .job import Job

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

AHEAD = 2  # tasks under way for each that can run: one runs, the next one's data travels
POLL = 0.05  # seconds between two looks at the cancel flag
ANSWER = 5  # seconds a cluster may take to accept a connection
HEAD = Path(tempfile.gettempdir()) / "ray" / "ray_current_cluster"  # written by `ray start --head`


@contextmanager
def cluster(address: str) -> Iterator[Cluster]:
    """Connected while it lasts. "auto": the cluster that runs here (or that RAY_ADDRESS names), else one started for the occasion, with
    as many tasks at a time as there are cores and deaf to other machines. CannotRun when Ray is missing or doesn't answer."""
    if importlib.util.find_spec("ray") is None:
        raise CannotRun('Ray is not installed, so nothing can run on a cluster; install it with pip install "ray>=2.55,<3"')
    environment.prepare()
    found = _found(address)
    if not found:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on every system: listen on the loopback interface only
    import ray
    from ray.exceptions import RayError

    how: dict[str, Any] = {"address": found} if found else {"address": "local", "include_dashboard": False}
    try:
        ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RayError, RuntimeError, ValueError) as e:
        said = "".join(str(e).strip().splitlines()[:1])[:120]
        raise CannotRun(f"The Ray cluster at {found or 'this machine'} can't be used ({said}); restart it or run without --ray") from None
    try:
        _travel_light()
        yield Cluster()
    finally:
        ray.shutdown()


def _found(address: str) -> str:
    """Where a cluster answers; "" when one is to be started here. Asked before Ray is, which would try for minutes and then end us."""
    if address != "auto":
        return _answering(address)
    if named := os.environ.get("RAY_ADDRESS", ""):
        return _answering(named)
    with suppress(OSError, CannotRun):  # left over from a cluster that is gone: as if there were none
        return _answering(HEAD.read_text(encoding="utf-8").strip())
    return ""


def _answering(address: str) -> str:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError, ValueError):
        raise CannotRun(f"No Ray cluster answers at {address}; give HOST:PORT of one that runs (ray start --head tells it)") from None
    return address


class Cluster:
    """What a connected cluster can do for a walk or an evaluation.

    A task has as many threads as this process (OMP_NUM_THREADS), and as many cores are reserved for it: a float64 Cholesky or a long sum
    on another number of threads ends in other last bits, and then the bytes would differ from a run without a cluster."""

    def __init__(self) -> None:
        import ray
        import torch

        cores = [int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]]
        self.threads = torch.get_num_threads()
        each = max(1, min(self.threads, max(cores, default=1)))
        self.slots = max(1, sum(n // each for n in cores))
        self._task = ray.remote(max_retries=1, num_cpus=each)(_there)

    def share(self, value: Any) -> Any:
        """Put once where every task can reach it; pass what comes back as an argument. CannotRun for what can't travel."""
        import pickle

        import ray

        try:
            return ray.put(value)
        except (TypeError, AttributeError, RuntimeError, pickle.PicklingError) as e:
            raise CannotRun(f"This network can't be sent to a cluster ({str(e).strip().splitlines()[0][:120]})") from None

    def each(self, function: str, calls: Iterable[tuple[str, tuple[Any, ...]]], job: Job) -> Iterator[tuple[str, Any]]:
        """("package.module:function", name -> arguments) as (name, result), in the order they finish; the function gets a job last.

        A call's arguments are asked for when there is room for it, so that making them overlaps with the tasks under way."""
        import ray

        waiting, flying, more = iter(calls), dict[Any, str](), True
        try:
            while more or flying:
                if more and len(flying) < self.slots * AHEAD:
                    if (call := next(waiting, None)) is None:
                        more = False
                    else:
                        flying[self._task.remote(code(), self.threads, function, *call[1])] = call[0]
                job.check()
                room = more and len(flying) < self.slots * AHEAD
                for ref in ray.wait(list(flying), timeout=0 if room else POLL)[0] if flying else ():
                    name = flying.pop(ref)
                    result, notes = _received(ref, name)
                    for note in notes:
                        job.note(note)
                    yield name, result
        finally:
            # only what still runs: Ray 2.60 ends the whole process when it is told to cancel a task whose answer it is just taking in;
            # by force, because an interrupt in the middle of `import torch` leaves a worker that fails every task after it
            for ref in ray.wait(list(flying), num_returns=len(flying), timeout=0)[1] if flying else ():
                ray.cancel(ref, force=True)


def _received(ref: Any, name: str) -> tuple[Any, list[str]]:
    """A task's answer, or its failure as one sentence; a worker that died has been replaced once by Ray itself."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as e:
        cause = e.cause
        if isinstance(cause, SlimError):
            raise cause from None
        if "No module named 'core" in str(e):
            raise CannotRun("A machine of the cluster doesn't have slim-studio; install the same version on all of them") from None
        raise SlimError(f"{name} failed on the cluster ({type(cause).__name__}: {str(cause)[:200]}); please report this") from None
    except RayError as e:
        raise SlimError(
            f"The cluster lost {name} twice ({type(e).__name__}); give its machines more memory or run without --ray, what is done is kept"
        ) from None


def _there(known: str, threads: int, function: str, *args: Any) -> tuple[Any, list[str]]:
    """On the worker: the function's result and the notes it left."""
    import torch

    environment.prepare()
    if known != code():
        raise CannotRun("A machine of the cluster has another version of slim-studio, torch or numpy; install the same on all of them")
    _travel_light()
    torch.set_num_threads(threads)
    job = Job()
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(*args, job), job.notes


@cache
def code() -> str:
    """Of the engine's own text and of what computes for it: two machines that agree on it give the same bytes."""
    import numpy
    import torch

    home = Path(__file__).resolve().parent
    text = hashlib.sha256(f"{torch.__version__} {numpy.__version__}".encode())
    for path in sorted(home.rglob("*.py")):
        text.update(path.relative_to(home).as_posix().encode() + path.read_bytes())
    return text.hexdigest()


def _travel_light() -> None:
    """Tensors travel as their own bytes (not with the whole file they are mapped from) and arrive without a copy, read-only; a network's
    parameters are places for weights and travel as nothing but their shapes."""
    import torch
    from ray.util import register_serializer

    register_serializer(torch.Tensor, serializer=_bytes, deserializer=_tensor)
    register_serializer(torch.nn.Parameter, serializer=_place, deserializer=_parameter)


def _bytes(t: Tensor) -> tuple[Any, torch.dtype, tuple[int, ...]]:
    import torch

    return t.detach().reshape(-1).contiguous().view(torch.uint8).numpy(), t.dtype, tuple(t.shape)


def _tensor(sent: tuple[Any, torch.dtype, tuple[int, ...]]) -> Tensor:
    import torch

    flat, dtype, shape = sent
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(flat).view(dtype).view(shape)


def _place(p: nn.Parameter) -> tuple[torch.dtype, tuple[int, ...]]:
    return p.dtype, tuple(p.shape)


def _parameter(sent: tuple[torch.dtype, tuple[int, ...]]) -> nn.Parameter:
    import torch

    return torch.nn.Parameter(torch.empty(sent[1], dtype=sent[0]), requires_grad=False)
