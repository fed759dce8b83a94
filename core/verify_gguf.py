"""Verification of a GGUF export: read again by the `gguf` package and by this studio's reader, and run by llama.cpp, in fresh processes."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child
from .compress import Compressed
from .errors import SlimError
from .formats import open_checkpoint, read
from .formats.gguf_file import NETWORKS
from .formats.gguf_metadata import described
from .job import Job
from .types import Check, Layer, Setting, Verdict

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .data import Batches
    from .networks import Network
    from .verify import Written

APART = 0.02  # nats a token between the studio's answers and llama.cpp's: it rounds activations to 8 bits, which costs some 0.001
WINDOWS, TOKENS = 2, 128  # that llama.cpp answers
AT_ONCE = 16  # that it reads at once: from 32 on the kernels of ik-llama-cpp-python 0.1.5 fail on Q4_1 (KL 2.3, SmolLM2 as published)
SENTENCES, ALIKE = 16, 0.999  # embedded by an encoder, and their least mean cosine to the studio's
ALONE = 16  # tokens it reads one at a time, for the speed of writing
RUNTIME = "ik_llama_cpp"
STRANGE = ("TQ1_0", "TQ2_0", "NVFP4")  # types of llama.cpp's that ik_llama.cpp does not know (it ends the process)
UNRUN = "ik-llama-cpp-python doesn't know {type}, which llama.cpp itself does, so the file was read again but not run"
MISSING = "llama.cpp is not installed here, so the file was read again but not run; pip install 'slim-studio[gguf-run]' has it run too"


def verify_gguf(
    file: Path, written: Written, compressed: Compressed, settings: Mapping[str, Setting], target: Any,
    network: Network | None, batches: Batches | None, job: Job,
) -> Verdict:  # fmt: skip
    """Reopen `file` in fresh processes; every check with what it found."""
    layers = job.track(compressed.layers, "Decoding for comparison")
    values = {n: _crc(v) for n, v in _filed(layers, compressed, settings, target)}
    args = {
        "file": str(file), "total": written.nbytes, "checksums": dict(written.checksums), "values": values,
        "entries": [[e.name, e.dtype, list(e.shape)] for e in written.entries],
    }  # fmt: skip
    found = child.run("core.verify_gguf:probe", args, job)
    tool, checks = found["tool"], tuple(Check(*c) for c in found["checks"])
    if not (network and batches and network.task in ("causal-lm", "encoder") and all(c.passed for c in checks)):
        return Verdict(tool, checks)
    if why := _unrun(written):
        job.note(why)
        return Verdict(f"{tool}; {why}", checks)
    name, more = _run(file, compressed, settings, target, network, batches, job)
    return Verdict(f"{name}, {tool}", checks + more)


def _unrun(written: Written) -> str:
    """Why the file is not run here; "" when it is."""
    if not find_spec(RUNTIME):
        return MISSING
    strange = next((e.dtype for e in written.entries if e.dtype in STRANGE), "")
    return UNRUN.format(type=strange) if strange else ""


def _values(
    layers: Iterator[Layer] | Any, compressed: Compressed, settings: Mapping[str, Setting], target: Any
) -> Iterator[tuple[Layer, Tensor]]:
    """Every stored layer with the values the file has to give back."""
    names = described(compressed.checkpoint).names
    for x in layers:
        if names.get(x.tensor.name):
            yield x, target.values(x, settings[x.name], compressed.stored(x))


def _filed(
    layers: Iterator[Layer] | Any, compressed: Compressed, settings: Mapping[str, Setting], target: Any
) -> Iterator[tuple[str, Tensor]]:
    """By the name that the studio's reader gives it, what it reads of the file."""
    said = described(compressed.checkpoint)
    for x in layers:
        if name := said.names.get(x.tensor.name):
            values = target.filed(compressed.checkpoint, x, settings[x.name], compressed.stored(x))
            yield x.tensor.name if said.architecture in NETWORKS or compressed.checkpoint.format == "gguf" else name, values


def _crc(t: Tensor) -> int:
    import torch

    return zlib.crc32(t.contiguous().flatten().view(torch.uint8).numpy().data)


def probe(**args: Any) -> dict[str, Any]:
    """In the fresh process: the file by the `gguf` package's reader, then by the studio's own."""
    from importlib.metadata import version

    file = Path(args["file"])
    checks = [_tensors(file, args), _bytes(file, args["total"])]
    if all(c.passed for c in checks):
        checks.append(_decoded(file, args["values"]))
    return {"tool": f"gguf {version('gguf')}", "checks": [[c.name, c.passed, c.detail] for c in checks]}


def _tensors(file: Path, args: Mapping[str, Any]) -> Check:
    """Names, types, shapes and bytes of every tensor."""
    import gguf

    try:
        found = gguf.GGUFReader(file).tensors
    except (ValueError, KeyError, IndexError, OverflowError) as e:
        return Check("tensors as written", False, f"the gguf package can't read it: {e}"[:300])
    have = {t.name: (t.tensor_type.name, tuple(int(n) for n in reversed(t.shape)), zlib.crc32(t.data.tobytes())) for t in found}
    plan = {n: (d, tuple(s), args["checksums"][n]) for n, d, s in args["entries"]}
    wrong = sorted(n for n in plan.keys() | have.keys() if plan.get(n) != have.get(n))
    detail = f"{wrong[0]}: planned {plan.get(wrong[0])}, found {have.get(wrong[0])}" if wrong else f"{len(plan)} tensors, bit for bit"
    return Check("tensors as written", not wrong, detail)


def _bytes(file: Path, planned: int) -> Check:
    there = file.stat().st_size
    return Check("file size", there == planned, f"{there} bytes on disk, {planned} planned")


def _decoded(file: Path, wanted: Mapping[str, int]) -> Check:
    """Opened as any GGUF is: every layer under its own name, decoded, its rows in order again."""
    found = open_checkpoint(file).tensors
    have = {n: _crc(read(t).float()) for n, t in found.items()}
    wrong = sorted(n for n in wanted.keys() | have.keys() if have.get(n) != wanted.get(n))
    detail = f"{wrong[0]} decodes to other values" if wrong else f"{len(wanted)} layers decode to the values that were compressed"
    return Check("same weights", not wrong, detail)


def _run(
    file: Path, compressed: Compressed, settings: Mapping[str, Setting], target: Any, network: Network, batches: Batches, job: Job
) -> tuple[str, tuple[Check, ...]]:
    """llama.cpp's answers against the studio's; a crash there is a failed check here."""
    with tempfile.TemporaryDirectory(prefix="slim-verify-") as scratch:
        answers = Path(scratch) / "answers.safetensors"
        windows = _answers(answers, compressed, settings, target, network, batches, job)
        text = network.tokenizer.decode(windows[0], skip_special_tokens=network.task == "encoder") if network.tokenizer else ""
        tokens = network.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        args = {"file": str(file), "answers": str(answers), "windows": windows, "text": text, "tokens": tokens, "task": network.task}
        try:
            found = child.run("core.verify_gguf:runs", args, job)
        except SlimError as e:
            return RUNTIME, (Check("runs in llama.cpp", False, str(e)),)
    return found["tool"], tuple(Check(*c) for c in found["checks"])


def _answers(
    file: Path, compressed: Compressed, settings: Mapping[str, Setting], target: Any, network: Network, batches: Batches, job: Job
) -> list[list[int]]:
    """The studio's logits (an encoder's embeddings) with the weights as the file has them, and the tokens they answer."""
    import torch
    from safetensors.torch import save_file

    layers = job.track(compressed.layers, "Answering for comparison")
    weights = {x.tensor.name: v for x, v in _values(layers, compressed, settings, target)}
    tensors = compressed.checkpoint.tensors
    weights |= {n: read(t) for n, t in tensors.items() if n not in weights}  # what the file leaves out
    if network.task == "encoder":
        batch = batches.items[0]
        with torch.inference_mode():
            save_file({"0": network.forward(weights, batch)[:SENTENCES].float().contiguous()}, str(file))
        return [i[m.bool()].tolist() for i, m in zip(batch["input_ids"][:SENTENCES], batch["attention_mask"])]
    windows = [b["input_ids"][:1, :TOKENS] for b in batches.items[:WINDOWS]]
    with torch.inference_mode():
        out = {str(i): network.forward(weights, {"input_ids": w})[0].float().contiguous() for i, w in enumerate(windows)}
    save_file(out, str(file))
    return [w[0].tolist() for w in windows]


def runs(**args: Any) -> dict[str, Any]:
    """In the fresh process: the same tokens through llama.cpp."""
    from importlib.metadata import version

    from safetensors.numpy import load_file

    tool = f"llama.cpp (ik-llama-cpp-python {version('ik-llama-cpp-python')})"
    if args["task"] == "encoder":
        llama = Llama(args["file"], max(map(len, args["windows"])), embeds=True)
        checks = [_same_tokens(llama, args["text"], args["tokens"]), _embeds(llama, args["windows"], load_file(args["answers"])["0"])]
        return {"tool": tool, "checks": [[c.name, c.passed, c.detail] for c in checks]}
    llama = Llama(args["file"], TOKENS)
    given = load_file(args["answers"])
    started = time.perf_counter()
    mine = [llama.logits(w) for w in args["windows"]]
    fast = sum(map(len, args["windows"])) / (time.perf_counter() - started)
    checks = [_same_tokens(llama, args["text"], args["tokens"])] if args["text"] else []
    checks.append(_agrees(mine, [given[str(i)] for i in range(len(mine))], fast, llama.pace(args["windows"][0])))
    return {"tool": tool, "checks": [[c.name, c.passed, c.detail] for c in checks]}


def _same_tokens(llama: Llama, text: str, wanted: list[int]) -> Check:
    """llama.cpp's own tokenizer on the text of the first window."""
    found = llama.model.tokenize(text, add_bos=False, special=True)
    first = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
    there = f"token {first} is {found[first : first + 3]}, not {wanted[first : first + 3]}"
    detail = f"{len(wanted)} tokens alike" if found == wanted else there
    return Check("same tokens in llama.cpp", found == wanted, detail)


def _agrees(mine: list[np.ndarray], given: list[np.ndarray], fast: float, pace: float) -> Check:
    """Mean KL of llama.cpp's answers to the studio's, and how fast it was."""
    import numpy as np

    p, q = (_log_softmax(np.concatenate(x)) for x in (given, mine))
    kl = float((np.exp(p) * (p - q)).sum(-1).mean())
    same = float((p.argmax(-1) == q.argmax(-1)).mean())
    speed = f"{fast:.0f} tokens/s read, {pace:.0f} written, measured on this machine with 1 thread"
    alike = f"KL {kl:.2e} nats a token, allowed {APART:g}; {same:.1%} of the choices alike"
    return Check("same answers in llama.cpp", kl <= APART, f"{alike}; {speed}")


def _embeds(llama: Llama, windows: list[list[int]], given: np.ndarray) -> Check:
    """Mean cosine of llama.cpp's embeddings to the studio's, and how fast they came."""
    import numpy as np

    started = time.perf_counter()
    mine = np.stack([llama.embedding(w) for w in windows])
    fast = len(windows) / (time.perf_counter() - started)
    cosines = (mine * given).sum(1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(given, axis=1)
    speed = f"{fast:.1f} sentences/s, measured on this machine with 1 thread"
    detail = f"cosine {cosines.mean():.6f} in {len(windows)} sentences, at least {ALIKE:g} wanted; {speed}"
    return Check("same answers in llama.cpp", bool(cosines.mean() >= ALIKE), detail)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    import numpy as np

    x = x.astype(np.float64) - x.max(-1, keepdims=True)
    found: np.ndarray = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return found


class Llama:
    """A model in llama.cpp, one thread; only ever in a process of its own, because ggml ends it when it dislikes a file."""

    def __init__(self, file: str, room: int, embeds: bool = False) -> None:
        from ik_llama_cpp import _ctypes_api as C
        from ik_llama_cpp._internals import IkContext, IkModel

        self.model = IkModel(file)
        pooled = {
            "embeddings": True, "pooling_type": C.LLAMA_POOLING_TYPE_MEAN, "attention_type": C.LLAMA_ATTENTION_TYPE_NON_CAUSAL,
            "flash_attn": False,
        }  # fmt: skip
        self.context = IkContext(self.model, n_ctx=max(256, -(-room // 256) * 256), n_threads=1, **pooled if embeds else {})

    def embedding(self, tokens: list[int]) -> np.ndarray:
        """(width,) the mean over a sentence's tokens."""
        import numpy as np
        from ik_llama_cpp._ctypes_api import llama_batch_free
        from ik_llama_cpp._internals import make_embedding_batch

        self.context.kv_cache_clear()
        batch = make_embedding_batch([tokens])
        if self.context.decode(batch):
            raise SlimError("llama.cpp could not read the tokens; please report this")
        llama_batch_free(batch)
        return np.array(self.context.get_embeddings_seq(0), np.float32)

    def logits(self, tokens: list[int]) -> np.ndarray:
        """(tokens, vocabulary) for a window read from its start."""
        import numpy as np

        self.context.kv_cache_clear()
        return np.concatenate([self._part(tokens[a : a + AT_ONCE], a) for a in range(0, len(tokens), AT_ONCE)])

    def _part(self, tokens: list[int], start: int) -> np.ndarray:
        import numpy as np
        from ik_llama_cpp._ctypes_api import llama_batch_free
        from ik_llama_cpp._internals import make_batch_range

        batch = make_batch_range(tokens, pos_start=start)
        for i in range(len(tokens)):
            batch.logits[i] = 1
        if self.context.decode(batch):
            raise SlimError("llama.cpp could not read the tokens; please report this")
        out = np.stack([np.ctypeslib.as_array(self.context.get_logits(i), (self.model.n_vocab,)) for i in range(len(tokens))])
        llama_batch_free(batch)
        return out

    def pace(self, tokens: list[int]) -> float:
        """Tokens a second when they come one at a time, as in writing."""
        from ik_llama_cpp._internals import make_batch_single

        self.context.kv_cache_clear()
        some = tokens[:ALONE]
        started = time.perf_counter()
        for at, token in enumerate(some):
            self.context.decode(make_batch_single(token, at))
        return len(some) / (time.perf_counter() - started)
