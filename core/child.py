"""Runs one function in a fresh process: what may crash, hang or must be seen by fresh eyes happens there."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from . import environment, errors
from .errors import SlimError
from .job import Job, Progress

POLL = 0.05  # seconds between two looks at the cancel flag


def run(function: str, args: Mapping[str, Any], job: Job | None = None) -> Any:
    """Call "package.module:function"(**args) there, with a `job` if it takes one; the answer is JSON, a SlimError comes back as itself."""
    job = job or Job()
    job.check()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        with _started(log) as process:
            lines = _lines(process)
            _send(process, {"function": function, "args": dict(args)})
            answer = _followed(lines, job)
            code = process.wait()
        log.seek(0)
        said = log.read().strip().splitlines()
    if answer is None:
        last = said[-1][:200] if said else "no message"
        why = "signal 9: out of memory?" if code == -9 else f"signal {-code}: {last}" if code < 0 else f"status {code}: {last}"
        raise SlimError(f"The process for {function} stopped unexpectedly ({why}); nothing was changed, close other programs and try again")
    if "error" in answer:
        name, text = answer["error"]
        raise getattr(errors, name, SlimError)(text)
    return answer["result"]


@contextlib.contextmanager
def _started(log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, killed on the way out if it still runs. `-P`: nothing is imported from the folder the user stands in."""
    home = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(p for p in (home, os.environ.get("PYTHONPATH", "")) if p)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        env={**environment.VARIABLES, **os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}, text=True, encoding="utf-8",
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to a process that has ended


def _send(process: subprocess.Popen[str], message: Mapping[str, Any]) -> None:
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):  # it died at once; the exit code tells
        process.stdin.write(json.dumps(message))
        process.stdin.close()


def _lines(process: subprocess.Popen[str]) -> queue.Queue[str]:
    """What the child says, line by line, then "" at its end (a thread reads, because Windows can't wait for a pipe)."""
    found: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    assert stdout

    def pump() -> None:
        for line in stdout:
            found.put(line)
        found.put("")

    threading.Thread(target=pump, daemon=True).start()
    return found


def _followed(lines: queue.Queue[str], job: Job) -> dict[str, Any] | None:
    """The last word of the child (None when it died without one), its progress and notes passed on to the job."""
    answer = None
    while True:
        job.check()
        try:
            line = lines.get(timeout=POLL)
        except queue.Empty:
            continue
        if not line:
            return answer
        said = json.loads(line)
        if "progress" in said:
            phase, done, total, detail = said["progress"]
            started = {"started": job.progress.started} if job.progress.phase == phase else {}
            job._report(Progress(phase, done, total, detail=detail, **started))
        elif "note" in said:
            job.note(said["note"])
        else:
            answer = said


def main() -> None:
    """The child's side: one message in, lines out; what libraries print goes to the log instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")

    job = Job(tell=lambda p: say(progress=[p.phase, p.done, p.total, p.detail]))
    asked = json.loads(sys.stdin.read())
    try:
        result = _called(asked["function"], asked["args"], job)
        for note in job.notes:
            say(note=note)
        say(result=result)
    except SlimError as e:
        say(error=[type(e).__name__, str(e)])
    except Exception as e:  # noqa: BLE001  the process ends here: whatever it was must reach the parent
        say(error=["SlimError", f"{asked['function']} failed ({type(e).__name__}: {e}); please report this"])


def _called(function: str, args: dict[str, Any], job: Job) -> Any:
    module, _, name = function.partition(":")
    found = getattr(importlib.import_module(module), name)
    return found(**args, job=job) if "job" in inspect.signature(found).parameters else found(**args)


if __name__ == "__main__":
    main()
