"""Calibration samples: never the ones a variant is scored on, cut into a part for the solver and one for its scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadData
from ..formats.imatrix_file import is_imatrix
from ..resources import root
from ..spans import MOST
from ..types import CLASSIFIERS
from . import STORED, Batches, Fed, load, text
from .documents import document

if TYPE_CHECKING:
    from torch import Tensor

TOKENS = 16_384  # full second moments want ten times as many tokens as inputs; beyond 16k the error is flat (algorithms.md 1.9)
SENTENCES, IMAGES = 512, 256  # for networks that read sentences, or look at images or listen to frames
LEAST = 512  # tokens; a rest of the scored text shorter than this is no calibration text
EVERY = 4  # one window of four is held out of the solver's moments and serves the scores


@dataclass(frozen=True)
class Calibrating:
    """What the statistics are collected on: windows of one text dealt to both parts, so that both are of one kind."""

    solver: Batches
    held: Batches
    told: str  # one sentence for the log: which data this is
    block: int = MOST  # inputs of a layer that share one matrix of second moments at most

    @property
    def fingerprint(self) -> str:
        return f"{self.solver.fingerprint}/{EVERY}"

    @property
    def whole(self) -> Batches:
        """Both parts as one, for those who keep nothing apart."""
        items = (*self.solver.items, *self.held.items)
        return replace(self.solver, items=items, n=self.solver.n + self.held.n, fingerprint=self.fingerprint)

    @property
    def size(self) -> str:
        return f"{self.solver.n:,} {self.solver.unit} for the solver, {self.held.n:,} for scores"


def calibrating(
    path: Path | None, network: Fed, scored: Path | None = None, limit: int | None = None, tokens: int | None = None,
    block: int | None = None,
) -> Calibrating:  # fmt: skip
    """Samples of `path`, or, without one, what the scored file holds beyond the first `limit`, or the bundled text; raises BadData.

    `tokens` counts both parts together (for images or sentences: that many images or sentences). `block` inputs of a layer share one
    matrix of second moments at most; None: 8192.
    """
    if tokens is not None and tokens < 2:
        raise BadData(f"{tokens} calibration tokens are too few; give at least 2")
    if path is not None and is_imatrix(path):  # it stands for statistics; whatever needs samples takes them from the rest
        path = None
    if path is not None and (scored is None or not _same(path, scored)):
        found, told = _whole(path, network, tokens), f"Calibrated on {path.name}"
    else:
        found, told = _apart(network, scored, limit, tokens)
    found = replace(found, fingerprint=f"{found.fingerprint}:{found.n}")
    return replace(_dealt(found, told), block=block or MOST)


def calibratable(task: str, path: Path | None, scored: Path | None, limit: int | None) -> bool:
    """Whether there is something to calibrate on, as far as names tell; torch-free."""
    if path is not None or task in ("causal-lm", "encoder"):
        return True
    return scored is not None and (limit is not None or _beside(scored, task) is not None)


def _whole(path: Path, network: Fed, tokens: int | None) -> Batches:
    return load(path, network, tokens or _default(network))


def _default(network: Fed) -> int:
    return {"causal-lm": TOKENS, "encoder": SENTENCES}.get(network.task, IMAGES)


def _same(a: Path, b: Path) -> bool:
    """One file or folder, or a copy of it."""
    if not a.exists() or not b.exists() or a.samefile(b):
        return a.exists() and b.exists()
    return a.is_file() and b.is_file() and a.stat().st_size == b.stat().st_size and a.read_bytes() == b.read_bytes()


def _apart(network: Fed, scored: Path | None, limit: int | None, tokens: int | None) -> tuple[Batches, str]:
    """The samples beside the scored file, its own rest, or the bundled text's."""
    if network.task in CLASSIFIERS:
        return _images(network, scored, limit, tokens or IMAGES)
    wanted = tokens or _default(network)
    bundled = root() / "samples" / "sotu-lm" / "heldout.txt"
    for path in (scored, bundled):
        if path is not None and path.exists() and (rest := _rest(path, network, limit, wanted)):
            return rest, f"Calibrated on the part of {path.name} after what is scored"
    raise BadData("There is no text to calibrate on apart from the scored one; choose a calibration file")


def _images(network: Fed, scored: Path | None, limit: int | None, wanted: int) -> tuple[Batches, str]:
    beside, suffix = _beside(scored, network.task) if scored else None, STORED[network.task]
    if beside is not None:
        return load(beside, network, wanted), f"Calibrated on {beside.parent.name}/{beside.name}"
    if scored is None or limit is None:
        raise BadData(f"Every sample of the held-out file is scored, so none is left to calibrate on; choose a calibration file ({suffix})")
    found = load(scored, network, limit + wanted)
    items = _skip(found.items, limit)
    if not items:
        raise BadData(f"{scored.name} holds no {found.unit} beyond the {limit} that are scored; choose a calibration file ({suffix})")
    n = sum(map(_count, items))
    return replace(found, items=items, n=n), f"Calibrated on the {found.unit} of {scored.name} after the {limit} that are scored"


def _beside(scored: Path, task: str) -> Path | None:
    """The classifier's calibration samples that lie beside the scored ones."""
    found = scored.with_name(f"calibrate{STORED.get(task, '.npz')}")
    return found if found.is_file() else None


def _skip(items: tuple[dict[str, Tensor], ...], n: int) -> tuple[dict[str, Tensor], ...]:
    """The batches without their first n images."""
    out = []
    for item in items:
        size = _count(item)
        if n < size:
            out.append({k: v[n:] for k, v in item.items()})
        n = max(0, n - size)
    return tuple(out)


def _rest(path: Path, network: Fed, limit: int | None, wanted: int) -> Batches | None:
    """The text after its scored part: after a full evaluation's characters even when a preview scores fewer."""
    if network.task == "encoder":
        return _sentences(path, network, limit, wanted)
    whole = document(path, max(text.CHARACTERS, 16 * (limit or 0)) + 16 * wanted)
    rest = whole[max(text.CHARACTERS, _end(whole, network.tokenizer, limit)) :][: 16 * wanted]
    if len(rest) < LEAST * 2:
        return None
    found = text._windows(path, rest, network, wanted)
    return found if found.n >= min(LEAST, wanted // 2) else None


def _end(whole: str, tokenizer: Any, limit: int | None) -> int:
    """Where the first `limit` tokens end."""
    if limit is None:
        return 0
    ids, ends = text._tokens(tokenizer, whole[: limit * 16])
    return (ends[min(limit, len(ends)) - 1] if ends else limit * 16) if ids else 0


def _sentences(path: Path, network: Fed, limit: int | None, wanted: int) -> Batches | None:
    skip = max(limit or 0, text.SENTENCES)
    found = text.load(path, network, skip + wanted)
    items = found.items[-(-skip // text.PER_BATCH) :]
    n = sum(len(i["input_ids"]) for i in items)
    return replace(found, items=items, n=n) if n >= 16 else None


def _dealt(found: Batches, told: str) -> Calibrating:
    """Every fourth batch to the scores; a single one is cut in two."""
    items = found.items if len(found.items) > 1 else _cut(found)
    held = tuple(x for i, x in enumerate(items) if i % EVERY == EVERY - 1) or items[-1:]
    kept = tuple(x for x in items if not any(x is h for h in held))
    parts = [replace(found, items=part, n=sum(_count(x) for x in part), nbytes=()) for part in (kept, held)]
    return Calibrating(parts[0], parts[1], told)


def _count(item: dict[str, Tensor]) -> int:
    """Tokens that are read (padding is none), or images."""
    if "attention_mask" in item:
        return int(item["attention_mask"].sum())
    return item["input_ids"].numel() if "input_ids" in item else len(next(iter(item.values())))


def _cut(found: Batches) -> tuple[dict[str, Tensor], ...]:
    """One batch as two: three quarters of its tokens (or samples), and the rest."""
    item = found.items[0]
    along = 1 if found.kind == "text" else 0
    size = next(iter(item.values())).shape[along]
    if size < 2:
        raise BadData(f"{found.source} is too short to calibrate on ({size} {found.unit}); choose a longer file")
    at = max(1, size * (EVERY - 1) // EVERY)
    return tuple({k: v.narrow(along, a, b - a) for k, v in item.items()} for a, b in ((0, at), (at, size)))
