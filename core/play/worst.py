"""The held-out samples on which a variant is farthest from the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..evaluate import Reference, answer, compare
from ..job import Job
from ..types import CLASSIFIERS
from . import Sample, Side
from .look import named, shown

if TYPE_CHECKING:
    from torch import Tensor

MOST = 20
PASSAGE = 32  # tokens of a text that count as one sample: a whole window hides where it goes wrong
SHORT = 160  # characters of a passage in the list


def worst(reference: Reference, after: Side, job: Job, most: int = MOST) -> tuple[Sample, ...]:
    """The samples that lose most, dearest first: pictures, frames, sentences, or passages of 32 tokens with their window before them."""
    import torch

    task = reference.network.task
    find = {"causal-lm": _passages, **dict.fromkeys(CLASSIFIERS, _pictures)}.get(task)
    with torch.inference_mode():
        if find is None:
            return _sentences(reference, after, job, most)
        best: list[Sample] = []
        for i, item in enumerate(job.track(reference.batches.items, "Looking for the worst samples")):
            a, b = reference.answer(i, job), answer(after.network, after.weights, item, job)
            best += find(reference.network, i, item, a, b, compare(task, a, b, item)["kl"])
            best = sorted(best, key=lambda s: (-s.loss, s.where))[:most]
    return tuple(best)


def _passages(network: Any, window: int, item: dict[str, Tensor], a: Tensor, b: Tensor, kl: Tensor) -> list[Sample]:
    """The passages of one window; `kl` (tokens - 1,) speaks of the tokens from the second on."""
    ids, out = item["input_ids"][0].tolist(), []
    for at in range(0, len(kl), PASSAGE):
        part = kl[at : at + PASSAGE]
        if len(part) < PASSAGE // 2 and at:
            continue  # the few tokens at a window's end are no passage
        dearest = at + int(part.argmax())
        text = " ".join(network.tokenizer.decode(ids[at + 1 : at + 1 + len(part)]).split())
        note = f"{network.tokenizer.decode([ids[dearest + 1]])!r} {float(kl[dearest]):.3g}"
        out.append(Sample((window, at), float(part.mean()), text[:SHORT], note, (network.tokenizer.decode(ids[: at + 1 + len(part)]),)))
    return out


def _pictures(network: Any, batch: int, item: dict[str, Tensor], a: Tensor, b: Tensor, kl: Tensor) -> list[Sample]:
    labels, seen, now = network.labels, a.argmax(-1).tolist(), b.argmax(-1).tolist()
    right = item["labels"].tolist() if "labels" in item else []
    out = []
    for row, loss in enumerate(kl.tolist()):
        note = named(labels, seen[row]) if seen[row] == now[row] else f"{named(labels, seen[row])} → {named(labels, now[row])}"
        text = named(labels, right[row]) if right else f"{batch + 1}.{row + 1}"
        out.append(Sample((batch, row), loss, text, note, (), shown(item[CLASSIFIERS[network.task]][row])))
    return out


def _sentences(reference: Reference, after: Side, job: Job, most: int) -> tuple[Sample, ...]:
    """Each with the other sentence whose similarity to it has changed most."""
    import torch

    tokenizer = reference.network.tokenizer
    texts, befores, afters = [], [], []
    for i, item in enumerate(job.track(reference.batches.items, "Looking for the worst samples")):
        befores.append(reference.answer(i, job))
        afters.append(answer(after.network, after.weights, item, job))
        texts += [tokenizer.decode(ids, skip_special_tokens=True) for ids in item["input_ids"]]
    a, b = torch.cat(befores), torch.cat(afters)
    loss = 1 - (a * b).sum(-1)
    was, now = a @ a.T, b @ b.T
    other = (now - was).abs().fill_diagonal_(-1.0).argmax(-1).tolist()
    rows = loss.topk(min(most, len(loss))).indices.tolist()
    width = len(befores[0])
    return tuple(
        Sample((r // width, r % width), float(loss[r]), texts[r][:SHORT], f"{float(was[r, other[r]]):.3f} → {float(now[r, other[r]]):.3f}",
               (texts[r], texts[other[r]]))
        for r in rows
    )  # fmt: skip
