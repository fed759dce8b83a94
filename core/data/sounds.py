"""Recordings as frames for networks that hear: a .wav or a folder of them, with the true pitch in a .csv beside each where it is known."""

from __future__ import annotations

import csv
import hashlib
import wave
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadData
from ..job import Job
from ..pitch import BINS, RATE, WINDOW, frequency, place
from . import Batches
from .arrays import PER_BATCH

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, Any]

SUFFIX = ".wav"
MOST = 1000  # frames when no limit is given: a minute
APART = WINDOW / RATE / 2  # seconds: a frame takes its pitch from no line farther from its middle
QUIET = 1e-10  # of a frame's deviation, as torchcrepe has it: a silent frame stays silent


def load(path: Path, limit: int | None, job: Job) -> Batches:
    """Up to `limit` frames of 64 ms side by side, from all recordings in turn; with labels (the voiced frames alone) where each has a .csv.

    Frames do not overlap, so that those beyond a limit were not scored and each counts for itself."""
    import torch

    files = recordings(path)[: limit or MOST]
    seen, most = hashlib.sha256(repr(limit).encode()), limit or MOST
    told = [f.with_suffix(".csv").is_file() for f in files]
    if any(told) and not all(told):
        bare = files[told.index(False)].name
        raise BadData(f"{path.name}: {bare} has no .csv with its pitch beside it and others have; give all of them one, or none")
    read = [_frames(f, most, all(told), seen) for f in job.track(files, "Reading recordings")]
    turns = [x for row in zip_longest(*read) for x in row if x is not None][:most]
    if len(turns) < 2:
        voiced = " with a voice" if all(told) else ""
        raise BadData(f"{path.name} is too short to score (fewer than two frames of 64 ms{voiced}); choose a longer recording")
    x, y = torch.stack([f for f, _ in turns]), torch.tensor([at for _, at in turns])
    pairs = zip(x.split(PER_BATCH), y.split(PER_BATCH), strict=True)
    items = tuple({"input_values": a.contiguous(), **({"labels": b} if all(told) else {})} for a, b in pairs)
    return Batches("sounds", items, len(turns), "frames", path.name, seen.hexdigest())


def recordings(path: Path) -> list[Path]:
    """The file, or all .wav files below a folder in the order of their names."""
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() == SUFFIX) if path.is_dir() else [path]
    if not files:
        raise BadData(f"{path.name}: no .wav file in this folder; choose a folder of recordings")
    return files


def _frames(file: Path, most: int, labelled: bool, seen: Any) -> list[tuple[Tensor, int]]:
    """(frame, its bin or -1), and what they come from added to the hash."""
    x = samples(file, most * WINDOW / RATE if not labelled else None)
    seen.update(x.tobytes())
    rows = framed(x[: len(x) // WINDOW * WINDOW], WINDOW)
    if not labelled:
        return [(r, -1) for r in rows]
    raw = file.with_suffix(".csv")
    seen.update(raw.read_bytes())
    return [(r, at) for r, at in zip(rows, _bins(raw, len(rows))) if at >= 0]


def samples(file: Path, seconds: float | None = None) -> Array:
    """(samples,) float32 in [-1, 1) at 16 kHz, one channel: rates are changed, channels averaged. BadData for what is no PCM .wav."""
    import numpy as np

    try:
        with wave.open(str(file), "rb") as w:
            rate, wide, channels = w.getframerate(), w.getsampwidth(), w.getnchannels()
            raw = w.readframes(w.getnframes() if seconds is None else min(w.getnframes(), int(seconds * rate) + 1))
    except (wave.Error, EOFError, OSError, RuntimeError) as e:
        why = str(e) or "it ends too early"
        raise BadData(f"{file.name} can't be read as a recording ({why}); save it as .wav with 16-bit PCM") from None
    whole = len(raw) // (wide * channels) * wide * channels
    if not whole or rate <= 0:
        raise BadData(f"{file.name} holds no sound; choose another recording")
    x = _numbers(raw[:whole], wide).reshape(-1, channels).mean(1)
    return _resampled(x, rate).astype(np.float32)


def _numbers(raw: bytes, wide: int) -> Array:
    """PCM integers of 1 to 4 bytes as numbers in [-1, 1)."""
    import numpy as np

    if wide == 1:
        return np.frombuffer(raw, np.uint8) / 128.0 - 1
    if wide == 3:
        parts = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        padded = np.concatenate([np.zeros((len(parts), 1), np.uint8), parts], 1)
        return np.ascontiguousarray(padded).view("<i4").ravel() / 2.0**31
    return np.frombuffer(raw, f"<i{wide}") / 2.0 ** (8 * wide - 1)


def _resampled(x: Array, rate: int) -> Array:
    """At 16 kHz, nothing above half the lower rate left (by the Fourier transform of the whole)."""
    import numpy as np

    if rate == RATE:
        return x
    n = max(1, round(len(x) * RATE / rate))
    out: Array = np.fft.irfft(np.fft.rfft(x), n) * (n / len(x))
    return out


def framed(x: Array, hop: int) -> Tensor:
    """(frames, 1024) float32, each of mean 0 and deviation 1, as CREPE was trained."""
    import torch

    if len(x) < WINDOW:
        return torch.empty(0, WINDOW)
    rows = torch.from_numpy(x).unfold(0, WINDOW, hop).clone()
    rows -= rows.mean(1, keepdim=True)
    return rows / rows.std(1, keepdim=True).clamp(min=QUIET)


def _bins(file: Path, count: int) -> list[int]:
    """The bin of the true pitch in the middle of each frame, -1 where there is no voice."""
    import numpy as np

    times, pitches = _table(file)
    middles = (np.arange(count) + 0.5) * WINDOW / RATE
    at = np.abs(times[None] - middles[:, None]).argmin(1)
    close = np.abs(times[at] - middles) <= APART
    return [round(place(pitches[i])) if near and pitches[i] > 0 else -1 for i, near in zip(at, close, strict=True)]


def _table(file: Path) -> tuple[Array, Array]:
    """Seconds and Hz (0 = no voice) out of lines of "time,frequency", as CREPE and mir_eval write them; a header is skipped."""
    import numpy as np

    try:
        rows = [r for r in csv.reader(file.read_text(encoding="utf-8-sig").splitlines()) if r]
        found = np.array([[float(v) for v in r[:2]] for r in rows[1 if rows and not _number(rows[0][0]) else 0 :]])
    except (OSError, ValueError, csv.Error) as e:
        raise BadData(f"{file.name} is no table of pitches ({e}); write lines of seconds and Hz: 0.01,220.5") from None
    if found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all():
        raise BadData(f"{file.name} is no table of pitches; write lines of seconds and Hz: 0.01,220.5")
    voiced = found[found[:, 1] > 0, 1]
    if len(voiced) and not 0 <= round(place(voiced.min())) <= round(place(voiced.max())) < BINS:
        found_at = f"pitches run from {voiced.min():.4g} to {voiced.max():.4g} Hz"
        raise BadData(f"{file.name}: {found_at}, and CREPE knows {frequency(0):.4g} to {frequency(BINS - 1):.4g} Hz; mend it")
    return found[:, 0], found[:, 1]


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
