"""Both go on from one prompt, token by token and with the same noise; then the variant is held to the original's words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from ..errors import BadData, CannotRun
from ..evaluate import compare, heard
from ..job import Job
from . import Ask, Dialogue, Nats, Side, Token

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 512  # tokens of a prompt: of a longer one the end is kept
AT_ONCE = 32  # tokens read at once: both models' answers over a vocabulary of 150 000 are then 40 MB
SHOWN = 3  # guesses beside a token's KL
BROKEN = "The network answers with infinities or NaN: these weights are broken; use more bits or prune less"


@dataclass
class Reader:
    """One side reading on: what it has read stays in its cache, where its network keeps one, else it is read again."""

    side: Side
    past: Any = None
    ids: list[int] = field(default_factory=list)

    def read(self, ids: Sequence[int]) -> Tensor:
        """Logits (len(ids), vocabulary) behind each of these tokens."""
        import torch

        network, weights = self.side.network, self.side.weights
        self.ids += ids
        if network.step is not None:
            out, self.past = network.step(weights, torch.tensor([list(ids)]), self.past)
        else:
            out = network.forward(weights, {"input_ids": torch.tensor([self.ids])})
        rows = out[0, -len(ids) :].float()
        if not bool(rows.isfinite().all()):
            raise CannotRun(BROKEN)
        return rows

    def all(self, ids: Sequence[int]) -> Tensor:
        """Logits (1, vocabulary) behind the last of many tokens."""
        for i in range(0, len(ids), AT_ONCE):
            rows = self.read(ids[i : i + AT_ONCE])
        return rows[-1:]


class Writing:
    """Tokens as text, each with what it adds."""

    def __init__(self, tokenizer: Any, before: Sequence[int]) -> None:
        self.decode: Callable[[list[int]], str] = lambda ids: tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        self.ids = list(before)[-8:]
        self.text = self.decode(self.ids)

    def add(self, at: int) -> str:
        """What one more token adds; "" while a character is not complete."""
        self.ids.append(at)
        text = self.decode(self.ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and not self.decode([at]).strip("\N{REPLACEMENT CHARACTER}"):
            return ""
        added, self.text = text[len(self.text) :], text
        return added


def talk(before: Side, after: Side, ask: Ask, job: Job) -> Dialogue:
    """Both answers and how far apart they are; streams the growing Dialogue. Raises BadData for an empty prompt.

    With a temperature tokens are drawn by adding Gumbel noise to the logits, the same for both at every step: where they agree in their
    probabilities they draw the same token, so what differs differs by compression and not by chance."""
    import torch

    network = before.network
    if network.task != "causal-lm":
        raise BadData(f"This network is for {network.task} and doesn't go on from a prompt; open a language model")
    ids = prompted(network, ask, job)
    with torch.inference_mode(), _listening(before, after, job):
        said = _answered(before, after, ids, ask, job)
        return _held(before, after, ids, said, job)


def prompted(network: Any, ask: Ask, job: Job) -> list[int]:
    """The prompt's tokens, with those that the tokenizer puts before every text."""
    ids = list(network.tokenizer(ask.prompt, verbose=False)["input_ids"]) if ask.prompt.strip() else []
    if not ids:
        raise BadData("There is nothing to go on from; write the beginning of a text first")
    room = min(LONGEST, network.context - ask.tokens)
    if room < 1:
        raise BadData(f"This network reads {network.context} tokens at most, and the answer alone may have {ask.tokens}; ask for fewer")
    if len(ids) > room:
        job.note(f"The prompt has {len(ids)} tokens; both were given its last {room}")
    return ids[-room:]


@contextlib.contextmanager
def _listening(before: Side, after: Side, job: Job) -> Iterator[None]:
    with heard(before.network, job):
        if after.network.module is before.network.module:
            yield
        else:
            with heard(after.network, job):
                yield


def _answered(before: Side, after: Side, ids: list[int], ask: Ask, job: Job) -> Dialogue:
    """Step by step, one token of each side a step, so that both columns grow together."""
    tokenizer = before.network.tokenizer
    noise, ends = _noise(ask), _ends(before.network)
    readers, writers = [Reader(before), Reader(after)], [Writing(tokenizer, ids) for _ in range(2)]
    said: list[list[Token]] = [[], []]
    rows: list[Tensor | None] = [None, None]
    found = Dialogue(ask)
    for step in job.track(range(ask.tokens), "Answering"):
        shift = noise(step)
        for i in range(2):
            if said[i] and said[i][-1].id in ends:
                continue
            rows[i] = (readers[i].all(ids) if step == 0 else readers[i].read([said[i][-1].id]))[-1]
            at = int(shift(rows[i]).argmax())
            said[i].append(Token(at, writers[i].add(at)))
        found = replace(found, before=tuple(said[0]), after=tuple(said[1]))
        found = _marked(found)
        job.point(found)
        if all(s[-1].id in ends for s in said):
            break
    return found


def _noise(ask: Ask) -> Callable[[int], Callable[[Any], Any]]:
    """Step -> what is added to the logits before the largest is taken; the same for both sides."""
    import torch

    if ask.temperature <= 0:
        return lambda step: lambda row: row

    def at(step: int) -> Callable[[Any], Any]:
        seed = torch.Generator().manual_seed(ask.seed * 1_000_003 + step)
        drawn: list[Any] = []

        def shifted(row: Any) -> Any:
            if not drawn:
                drawn.append(-torch.empty(len(row)).exponential_(generator=seed).log())
            return row / ask.temperature + drawn[0]

        return shifted

    return at


def _ends(network: Any) -> frozenset[int]:
    """The tokens after which nothing follows."""
    end = getattr(network.tokenizer, "eos_token_id", None)
    return frozenset() if end is None else frozenset([int(end)])


def _marked(d: Dialogue) -> Dialogue:
    """Each token with whether the other answer has it too, by the longest common runs."""
    runs = SequenceMatcher(None, [t.id for t in d.before], [t.id for t in d.after], autojunk=False).get_matching_blocks()
    one = {r.a + k for r in runs for k in range(r.size)}
    two = {r.b + k for r in runs for k in range(r.size)}
    before = tuple(replace(t, same=i in one) for i, t in enumerate(d.before))
    return replace(d, before=before, after=tuple(replace(t, same=i in two) for i, t in enumerate(d.after)))


def _held(before: Side, after: Side, ids: list[int], said: Dialogue, job: Job) -> Dialogue:
    """The KL of every token of prompt and original answer, both models reading the same text."""
    import torch

    tokenizer = before.network.tokenizer
    whole = [*ids, *(t.id for t in said.before)]
    writing, first, second = Writing(tokenizer, whole[:1]), Reader(before), Reader(after)
    strip: list[Nats] = []
    for i in job.track(range(0, len(whole) - 1, AT_ONCE), "Comparing token by token"):
        part = whole[i : min(i + AT_ONCE, len(whole) - 1)]
        a, b = (torch.log_softmax(r.read(part), -1) for r in (first, second))
        kl = compare("", a, b, {})["kl"].tolist()
        strip += [
            Nats(writing.add(whole[i + k + 1]), kl[k], _likeliest(tokenizer, a[k]), _likeliest(tokenizer, b[k])) for k in range(len(part))
        ]
        said = replace(said, strip=tuple(strip), prompt=min(len(ids) - 1, len(strip)))
        job.point(said)
    return replace(said, whole=True)


def _likeliest(tokenizer: Any, logs: Tensor) -> tuple[tuple[str, float], ...]:
    top = logs.topk(min(SHOWN, len(logs)))
    return tuple((tokenizer.decode([i]), p) for i, p in zip(top.indices.tolist(), top.values.exp().tolist(), strict=True))
