"""The ledger of a federation: a line of JSON for each round, written while the server runs, beside the result; torch- and flwr-free."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import BadFile, CannotWrite
from ..lessons import Round
from ..recover.fit import Course, Learned

VERSION = 1


def beside(out: Path) -> Path:
    """Where the ledger of a result lies."""
    return out.with_name(f"{out.name}.rounds.jsonl")


@dataclass(frozen=True)
class Ledger:
    """What is known of a federation so far."""

    head: Mapping[str, Any]  # "id", "model", "rounds", "clients"
    before: float | None  # loss on the server's own data before the first round
    rounds: tuple[Round, ...]
    after: float | None  # of its best state; None: it is not over
    why: str = ""  # why it ended early


class Writer:
    """Appends; what an interrupted server wrote is kept when the same federation goes on."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path = path
        known = read(path) if path.exists() else None
        going = known is not None and known.after is None and known.head == {"slim": VERSION, "id": known.head["id"], **head}
        self.id = known.head["id"] if known and going else os.urandom(8).hex()
        if going:
            self._mended()
        else:
            self._write({"slim": VERSION, "id": self.id, **head}, "w")

    def _mended(self) -> None:
        """A line that a crash cut off is dropped."""
        whole = self.path.read_bytes()
        with self.path.open("r+b") as f:
            f.truncate(whole.rfind(b"\n") + 1)

    def heard(self, point: Any) -> None:
        """A point of the job: a round, how it began, how it ended."""
        if isinstance(point, Course):
            self._write({"before": point.before})
        elif isinstance(point, Round):
            self._write({"round": asdict(point)})
        elif isinstance(point, Learned):
            self._write({"after": point.after})

    def failed(self, why: str) -> None:
        self._write({"why": why})

    def _write(self, line: Mapping[str, Any], mode: str = "a") -> None:
        try:
            with self.path.open(mode, encoding="utf-8") as f:
                f.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as e:
            raise CannotWrite(f"{self.path} can't be written ({e.strerror}); choose another place for the result") from None


def read(path: Path) -> Ledger:
    """All that was written so far; a last line that is still being written is left for the next look. BadFile for another kind of file."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        said = [json.loads(x) for x in lines]
        if not said or said[0].get("slim") != VERSION:
            raise ValueError("no ledger of this version")
        rounds = {r["round"]["round"]: Round(**r["round"]) for r in said if "round" in r}  # a round done again counts once
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise BadFile(f"{path.name} is no ledger of a federation ({str(e)[:80]}); choose the .rounds.jsonl beside a result") from None
    last = said[-1]
    before = next((x["before"] for x in said if "before" in x), None)
    return Ledger(said[0], before, tuple(rounds[n] for n in sorted(rounds)), last.get("after"), last.get("why", ""))
