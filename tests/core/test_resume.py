"""A walk that was killed goes on where it was, and ends with the bytes of one that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.compress import Compressed, compress
from core.formats import open_checkpoint
from core.job import Job
from core.layers import layers
from core.plans import MODEL, Scope, edit
from core.resources import root
from core.store import Store
from core.types import Plan

SAMPLE = root() / "samples" / "sotu-lm"
PLAN = edit(Plan(), MODEL, bits=3, amount=0.3, knobs={"rtn.group_size": 32, "rtn.grid": "mse"})
DONE = 5  # layers before the process is killed

# Stops inside the sixth layer: after five points, the next look at the job says so and waits for a line that never comes.
CHILD = """
import sys
from pathlib import Path
import torch
from core.job import Job
from core.store import Store
from tests.core.test_resume import DONE, walked

torch.set_num_threads(1)

class Waiting(Job):
    done = 0
    def point(self, value):
        self.done += 1
    def check(self):
        if self.done == DONE:
            print("inside", flush=True)
            sys.stdin.readline()

walked(Store(Path(sys.argv[1])), Waiting())
"""


def walked(store: Store, job: Job, plan: Plan = PLAN) -> Compressed:
    checkpoint = open_checkpoint(SAMPLE)
    return compress(checkpoint, layers(checkpoint), plan, None, store, job)


def content(found: Compressed) -> dict[str, dict[str, bytes]]:
    return {x.name: {k: t.numpy().tobytes() for k, t in found.stored(x).parts()[0].items()} for x in found.layers}


def killed(store: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "inside\n"
        child.kill()
    assert child.returncode == -9


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_walk_loses_only_the_layer_in_flight(tmp_path: Path) -> None:
    killed(tmp_path / "killed")
    job = Job()
    found = walked(Store(tmp_path / "killed"), job)
    assert [o.reused for o in found.outcomes.values()] == [i < DONE for i in range(len(found.outcomes))]
    assert f"{DONE} of {len(found.outcomes)} layers were taken from the layer store" in job.notes
    assert content(found) == content(walked(Store(tmp_path / "whole"), Job()))


def test_what_a_crash_left_half_written_is_never_taken_for_a_layer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = walked(store, Job())
    files = sorted(tmp_path.glob("*/*.safetensors"))
    files[0].write_bytes(files[0].read_bytes()[:-10])
    files[1].rename(files[1].with_suffix(".123.tmp"))
    found = walked(store, Job())
    assert sum(not o.reused for o in found.outcomes.values()) == 2
    assert content(found) == content(first)


def test_a_layer_edited_back_is_not_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = walked(store, Job())
    one = next(iter(first.outcomes))
    edited = walked(store, Job(), edit(PLAN, Scope("layers", (one,)), bits=5))
    assert [n for n, o in edited.outcomes.items() if not o.reused] == [one]
    assert all(o.reused for o in walked(store, Job()).outcomes.values())


def test_clearing_the_store_frees_what_it_said_it_held(tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = walked(store, Job())
    count, size = store.stats()
    assert count == len(found.outcomes)
    assert size == sum(f.stat().st_size for f in tmp_path.glob("*/*"))
    assert store.clear() == (count, size)
    assert store.stats() == (0, 0)
    assert not any(o.reused for o in walked(store, Job()).outcomes.values())
