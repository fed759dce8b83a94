"""A recording heard by both: the pitch each hears every 10 ms, how sure each is of it, and how far apart their answers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.sounds import framed, samples
from ..errors import BadData, CannotRun
from ..evaluate import compare, heard
from ..job import Job
from ..pitch import HOP, RATE, SURE, WINDOW, frequency
from ..pitch import heard as pitch
from . import Heard, Instant, Side

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 10.0  # seconds: of a longer recording the beginning is heard
AT_ONCE = 25  # frames: a cancel is heard within a second also by the largest CREPE
SHOWN = 3  # pitches beside an instant's KL


def hear(before: Side, after: Side, file: Path, job: Job) -> Heard:
    """What both hear in a recording, streamed as it grows. Raises BadData for what is no recording of a voice's length."""
    import torch

    network = before.network
    if network.task != "audio-classification":
        raise BadData(f"{file.name}: this network is for {network.task} and can't listen; open a network that hears, such as CREPE")
    x = samples(file, LONGEST + WINDOW / RATE)
    found = framed(x, HOP)
    if not len(found):
        raise BadData(f"{file.name} is shorter than one frame of {1000 * WINDOW // RATE} ms; choose a longer recording")
    said = Heard(file.name, WINDOW / 2 / RATE, HOP / RATE)
    with torch.inference_mode(), heard(network, job):
        for part in job.track(found.split(AT_ONCE), "Listening"):
            said = Heard(said.name, said.first, said.step, (*said.instants, *_instants(before, after, part)))
            job.point(said)
    return Heard(said.name, said.first, said.step, said.instants, whole=True)


def _instants(before: Side, after: Side, frames: Tensor) -> Iterator[Instant]:
    """What both make of some frames."""
    import torch

    a, b = (s.network.forward(s.weights, {"input_values": frames}).float() for s in (before, after))
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise CannotRun("The network answers with infinities or NaN: these weights are broken; use more bits or prune less")
    kl = compare("audio-classification", torch.log_softmax(a, -1), torch.log_softmax(b, -1), {})["kl"].tolist()
    for i, nats in enumerate(kl):
        p, q = (x[i].exp() for x in (a, b))
        yield Instant(nats, pitch(p.tolist()), pitch(q.tolist()), float(p.max()), float(q.max()), likeliest(p), likeliest(q))


def likeliest(activations: Tensor) -> tuple[tuple[str, float], ...]:
    """The strongest pitches with their activations."""
    top = activations.topk(SHOWN)
    return tuple((f"{frequency(i):.4g} Hz", p) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True))


def lines(said: Heard) -> list[str]:
    """For the command line: every tenth of a second, then what they share."""
    rows = [f"{'s':>7} {'original':>12} {'variant':>12} {'KL':>9}"]
    for i in range(0, len(said.instants), round(0.1 / said.step)):
        n = said.instants[i]
        one, two = (f"{hz:.1f} Hz" if sure >= SURE else "-" for hz, sure in ((n.before, n.sure), (n.after, n.sure_after)))
        rows.append(f"{said.first + i * said.step:7.2f} {one:>12} {two:>12} {n.kl:9.4g}")
    apart = f"{said.apart:.1f} cents apart in the median" if said.apart is not None else "no voice was heard by both"
    alike = f"{said.alike:.1%} of the frames alike within a quarter tone or both silent"
    return [*rows, f"KL {said.mean:.4g} nats a frame; {apart}; {alike}, measured"]
