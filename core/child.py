"""Runs one function of the engine in a fresh process: its death is a message, not a crash of the studio."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from typing import Any

from . import environment, errors
from .errors import SlimError
from .job import Job

POLL = 0.05  # seconds between looks at the cancel flag


def run(function: str, args: dict[str, Any], job: Job) -> Any:
    """Call "core.module:function"(**args) there; arguments and result are JSON. A SlimError comes back as itself."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(
            [sys.executable, "-m", "core.child", function], stdin=subprocess.PIPE, stdout=out, stderr=err, text=True
        )  # fmt: skip
        try:
            _feed(child, json.dumps(args), job)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        out.seek(0)
        err.seek(0)
        return _answer(function, child.returncode, out.read(), err.read())


def _feed(child: subprocess.Popen[str], text: str, job: Job) -> None:
    waiting: str | None = text
    while True:
        try:
            child.communicate(waiting, timeout=POLL)
            return
        except subprocess.TimeoutExpired:
            waiting = None
            job.check()


def _answer(function: str, code: int, out: str, err: str) -> Any:
    lines = [x for x in out.splitlines() if x.startswith('{"slim":')]
    if not lines:
        last = (err.strip().splitlines() or ["no message"])[-1]
        why = "out of memory?" if code == -9 else last[:200]
        raise SlimError(f"The process for {function} stopped unexpectedly (status {code}: {why}); nothing was changed, try again")
    found = json.loads(lines[-1])["slim"]
    if "error" in found:
        raise getattr(errors, found["error"], SlimError)(found["text"])
    return found["result"]


def main() -> None:
    """The child's side: one call, one line of JSON."""
    environment.prepare()
    module, _, name = sys.argv[1].partition(":")
    try:
        result = getattr(importlib.import_module(module), name)(**json.loads(sys.stdin.read()))
        answer: dict[str, Any] = {"result": result}
    except SlimError as e:
        answer = {"error": type(e).__name__, "text": str(e)}
    print(json.dumps({"slim": answer}), flush=True)


if __name__ == "__main__":
    main()
