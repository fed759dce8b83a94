"""What a GGUF file says of its network: read from the GGUF that was opened, or made from a transformers config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import BadFile, CannotWrite
from ..types import Checkpoint
from .gguf_header import STRING, Field, read
from .gguf_shape import ARCHITECTURES, CRASHES, HEADS, SPARE, UNUSED, shape
from .gguf_tokenizer import U32, tokenizer

LEFT = ("general.alignment", "general.file_type", "general.quantization_version", "split.")  # of the opened file: said anew
MADE_BY = "Slim Studio"
LONGEST = 63  # bytes of a tensor's name: GGML_MAX_NAME with its end


@dataclass(frozen=True)
class Described:
    """A checkpoint in GGUF's words; `why` is the reason when it has none."""

    why: str
    architecture: str
    fields: Mapping[str, Field]
    names: Mapping[str, str]  # tensor name -> GGUF's; "" = left out
    heads: Mapping[str, int]  # GGUF's name of q or k -> heads, where the rows of each are interleaved
    raised: frozenset[str] = frozenset()  # GGUF's names of gains that are stored plus 1


def described(checkpoint: Checkpoint) -> Described:
    """Worked out once for a checkpoint; a slider asks again at every tick."""
    found: Described | None = checkpoint.kept.get("gguf")
    if found is None:
        try:
            found = _described(checkpoint)
        except (BadFile, CannotWrite) as e:
            found = Described(str(e), "", {}, {}, {})
        checkpoint.kept["gguf"] = found
    return found


def named(checkpoint: Checkpoint) -> Mapping[str, str]:
    """GGUF's name of every tensor, also where no GGUF file could be written (a tokenizer is missing); CannotWrite without any names."""
    found = described(checkpoint)
    if found.names:
        return found.names
    arch = ARCHITECTURES.get(str(checkpoint.config.get("model_type") or ""), "")
    if not arch:
        raise CannotWrite(f"{found.why}: its layers have no names in llama.cpp's files")
    return _names(checkpoint, arch, int(checkpoint.config.get("num_hidden_layers") or 0))


def _described(checkpoint: Checkpoint) -> Described:
    fields = _opened(checkpoint) if checkpoint.format == "gguf" else _made(checkpoint)
    arch = str(fields["general.architecture"].value)
    depth = fields.get(f"{arch}.block_count", Field(0, U32)).value
    names = _names(checkpoint, arch, int(depth))
    fields |= {f"general.{k}": Field(v, U32) for k, v in (("quantization_version", 2), ("file_type", 0))}
    fields |= {"general.quantized_by": Field(MADE_BY, STRING)}
    gains = checkpoint.format != "gguf" and arch == "gemma3"
    raised = frozenset(n for n in names.values() if gains and n.endswith("norm.weight"))
    return Described("", arch, fields, names, _heads(checkpoint, arch, fields, names), raised)


def _opened(checkpoint: Checkpoint) -> dict[str, Field]:
    """The opened file's own words, with the shape of the network as it is now."""
    found = {k: f for k, f in read(checkpoint.path)[0].items() if not k.startswith(LEFT)}
    if not isinstance(found.get("general.architecture", Field(None, 0)).value, str):
        raise CannotWrite("The opened GGUF doesn't name its architecture, which llama.cpp wants to know; take another file")
    arch = found["general.architecture"].value
    numbers = shape(checkpoint.config, arch) if checkpoint.config else {}
    return found | {k: f for k, f in numbers.items() if k in found or k.endswith((".key_length", ".value_length"))}


def _made(checkpoint: Checkpoint) -> dict[str, Field]:
    config = checkpoint.config
    kind = str(config.get("model_type") or "")
    if kind in CRASHES:
        raise CannotWrite(f"{CRASHES[kind]}; export it dense")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CannotWrite(f"GGUF describes networks by name, and the studio can write {known}, not {kind or 'weights without a config'}")
    arch, head = ARCHITECTURES[kind], str((config.get("architectures") or [""])[0])
    if not head.endswith(HEADS.get(arch, "CausalLM")):
        told = "is written for language models" if arch not in HEADS else f"holds a {HEADS[arch]}"
        raise CannotWrite(f"GGUF {told}, and this network has another head ({head or 'unnamed'}); export it dense or packed")
    said = {"architecture": arch, "type": "model", "name": checkpoint.path.name}
    return {f"general.{k}": Field(v, STRING) for k, v in said.items()} | shape(config, arch) | tokenizer(checkpoint)


def _names(checkpoint: Checkpoint, arch: str, depth: int) -> dict[str, str]:
    """GGUF's name of every tensor, by the `gguf` package's table; CannotWrite names the first that has none."""
    import gguf

    known = {name: a for a, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(known[arch], depth) if arch in known else None
    out = {}
    for name in checkpoint.tensors:
        if arch in UNUSED and UNUSED[arch].search(name):
            out[name] = ""
            continue
        found = table.get_name(name, (".weight", ".bias")) if table else None
        found = found or (name if checkpoint.format == "gguf" else "")
        if not found and not name.endswith(SPARE):
            raise CannotWrite(f"GGUF has no place for {name} in a {arch} network; export it dense or packed")
        if len(found.encode()) > LONGEST:
            raise CannotWrite(f"{found} has {len(found.encode())} letters and ggml's names {LONGEST} at most; export it dense or packed")
        out[name] = found
    if twice := next((n for n in out.values() if n and list(out.values()).count(n) > 1), ""):
        raise CannotWrite(f"Two tensors of this model would be called {twice} in GGUF; export it dense or packed")
    return out


def _heads(checkpoint: Checkpoint, arch: str, fields: Mapping[str, Field], names: Mapping[str, str]) -> dict[str, int]:
    """llama's q and k are stored with the two halves of each head interleaved."""
    if arch != "llama":
        return {}
    q = fields["llama.attention.head_count"].value
    many = {"attn_q": q, "attn_k": fields.get("llama.attention.head_count_kv", Field(q, U32)).value}
    return {n: many[part] for n in names.values() if (part := n.split(".")[2] if n.count(".") == 3 else "") in many}
