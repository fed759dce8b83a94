"""A federation of real processes: Flower over TLS on loopback, a client killed on the way, the same weights as the simulation."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from core.data import load
from core.evaluate import Reference, judge
from core.federation import keys
from core.federation.certificates import made
from core.federation.rounds import beside, read
from core.formats import open_checkpoint
from core.formats import read as values
from core.job import Job
from core.networks import attach
from core.recipe import Recipe, dumps
from core.recover.clients import holders
from core.recover.local import Answer, Fitted, Here
from core.run import run
from core.store import Store
from core.types import Choice, Plan
from tests.core.test_federated import DIGITS, holdings

WAIT = 150  # seconds, of a machine that does much else besides

# Loads torch and transformers once (five seconds), then forks the processes; each is the command line's own, with a log of its own. The
# client "c" is one, too, but its job kills it without a word at the beginning of its second round. A stranger ends
# before the next is born.
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
    from core.federation.keys import read
    address, root, data, key = args[2:]
    job = Job(tell=lambda p: os.kill(os.getpid(), signal.SIGKILL) if p.phase.startswith("Round 2") else None)
    take_part(address, reach(address, Path(root), 140, job), Holding("c", Path(data)), job, read(Path(key)))

born, ends = [], {}
def end(pid):
    if pid not in ends:
        ends[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ends[pid]

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
    if "stranger" in args:
        end(pid)
print(json.dumps([end(pid) for pid in born]))
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

    def over(self, values: list[torch.Tensor], job: Job) -> Iterator[tuple[str, Fitted | str]]:
        for name, found in super().over(values, job):
            if name == "a":
                self.own = {n: w.detach().clone() for n, w in self.local.student.weights().items()}
            yield name, found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_three_clients_over_tls_one_killed_give_the_simulations_weights_to_the_bit(tmp_path: Path) -> None:
    holdings(tmp_path / "clients", {"a": 48, "b": 32, "c": 16})
    knobs = {"clients": 3, "rounds": 3, "rate": 0.003, "update": "int8", "norms": "local"}
    plan = Plan(Choice("magnitude", 0.5, "rtn", 4), tune=False, recover="federated", recovery=knobs)
    recipe = Recipe(DIGITS, plan, limit=100, out=tmp_path / "out")
    (tmp_path / "recipe.toml").write_text(dumps(recipe))
    tls, address = made(tmp_path / "keys"), f"127.0.0.1:{free_port()}"
    shown = dict(zip("abc", keys.made(tls, "abc"), strict=True))
    serving = ["federated", "server", "--recipe", str(tmp_path / "recipe.toml"), "--clients", "3", "--listen", address]
    joining, root = ["federated", "client", "--patience", "140", "--server", address, "--root"], str(tls / "ca.pem")
    codes, said = lived(
        tmp_path, [*serving, "--certificates", str(tls)],
        [*joining, root, "--data", str(tmp_path / "clients" / "a"), "--name", "stranger"],
        *([*joining, root, "--data", str(tmp_path / "clients" / n), "--key", str(shown[n]), "--keep", str(tmp_path / n)] for n in "ab"),
        ["federated", "dying", address, root, str(tmp_path / "clients" / "c"), str(shown["c"])],
    )  # fmt: skip
    assert codes == [0, 2, 0, 0, -signal.SIGKILL], "\n".join(said)
    assert "slim: The server can't take this client in: it has no key of this federation" in said[1]
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
    here = Mortal(clients)
    done = run(Recipe(recipe.source, recipe.plan, limit=100), Job(), Store(folder / "store"), crowd=lambda _: here).compressed
    weights, own = done.weights(Job()), {n: values(t) for n, t in open_checkpoint(folder / "a").tensors.items()}
    assert all(torch.equal(own[n], w) for n, w in here.own.items()), "the model that the client kept, with its own batch norms"
    assert len(done.outcomes) > 10
    for name, w in weights.items():
        assert torch.equal(found[name].float() if w.is_floating_point() else found[name], w), name
    score = judge(Reference(network, weights, load(DIGITS / "heldout.npz", network, 50)), None, Job())
    assert score.metrics["top1"].value > 0.5
