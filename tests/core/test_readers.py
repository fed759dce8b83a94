"""Readers open what is whole, from headers alone, and say in one sentence what is wrong with what is not."""

from __future__ import annotations

import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from core.errors import BadFile
from core.formats import open_checkpoint, read, suffixes
from core.formats.gguf_file import BLOCKS, NETWORKS, PLAIN, named
from core.formats.safetensors_file import header
from core.samples import samples
from tests.real import smollm2


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path / "cache"))


def written(path: Path, head: Any, data: bytes = b"") -> Path:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_every_sample_reads_the_numbers_that_safetensors_reads() -> None:
    assert len(samples()) == 4
    for sample in samples():
        checkpoint = open_checkpoint(sample.path)
        assert checkpoint.config.get("model_type") or sample.path.name == "pitch-crepe"
        for name, tensor in load_file(sample.path / "model.safetensors").items():
            assert torch.equal(read(checkpoint.tensors[name]), tensor)


def test_every_type_is_read_as_written(tmp_path: Path) -> None:
    kinds = "float32 float16 bfloat16 float64 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool float8_e4m3fn float8_e5m2"
    types = [*kinds.split()]
    given_ = {f"t.{t}": torch.arange(6).reshape(2, 3).to(getattr(torch, t)) for t in types} | {
        "none": torch.zeros(0, 4),
        "one": torch.tensor(3.0),
    }
    save_file(given_, tmp_path / "a.safetensors")
    opened = open_checkpoint(tmp_path / "a.safetensors")
    for name, tensor in given_.items():
        found = read(opened.tensors[name])
        assert found.dtype == tensor.dtype
        assert torch.equal(found.to(torch.float64), tensor.to(torch.float64))


def test_16_gb_in_shards_open_in_less_than_a_second(tmp_path: Path) -> None:
    where = {}
    for shard in range(8):
        file = f"model-{shard + 1:05}-of-00008.safetensors"
        names = [f"model.layers.{shard * 4 + i}.mlp.{p}_proj.weight" for i in range(4) for p in ("gate", "up", "down")]
        nbytes = 2 * 4096 * 20_480
        written(tmp_path / file, {n: entry(i * nbytes, (i + 1) * nbytes, [20_480, 4096], "BF16") for i, n in enumerate(names)})
        os.truncate(tmp_path / file, (tmp_path / file).stat().st_size + nbytes * len(names))
        where |= dict.fromkeys(names, file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    start = time.process_time()  # of our own: other processes may have the cores
    checkpoint = open_checkpoint(tmp_path)
    assert time.process_time() - start < 1
    assert checkpoint.nbytes > 16e9
    assert read(checkpoint.tensors["model.layers.31.mlp.down_proj.weight"])[-1, -1] == 0


BROKEN = {
    "empty": (b"", b"", "header can't be read"),
    "a list": ([], b"", "no table"),
    "a type nobody knows": ({"a": entry(0, 4, [1], "F13")}, b"1234", "F13"),
    "a type that is a list": ({"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}, b"1234", "don't know"),
    "a shape that lies": ({"a": entry(0, 4, [2])}, b"1234", "header lies"),
    "overlap": ({"a": entry(0, 4, [1]), "b": entry(0, 4, [1])}, b"1234", "overlaps"),
    "a gap": ({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, b"123412341234", "gap"),
    "cut off": ({"a": entry(0, 8, [2])}, b"1234", "cut off"),
    "more than said": ({"a": entry(0, 4, [1])}, b"12345", "cut off"),
    "a name twice": (
        b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
        b"",
        "twice",
    ),
    "negative": ({"a": entry(4, 0, [-1])}, b"1234", "no number"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [1]}}, b"1234", "incomplete"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_header_is_named(tmp_path: Path, case: str) -> None:
    head, data, says = BROKEN[case]
    with pytest.raises(BadFile, match=says):
        open_checkpoint(written(tmp_path / "a.safetensors", head, data))


def sharded(folder: Path) -> dict[str, Any]:
    save_file({"x": torch.ones(2)}, folder / "one.safetensors")
    save_file({"y": torch.ones(2)}, folder / "two.safetensors")
    return {"x": "one.safetensors", "y": "two.safetensors"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"z": "three.safetensors"}, "shard three.safetensors is missing"),
        ({"z": "two.safetensors"}, "z should be in two.safetensors"),
        ({"z": "../two.safetensors"}, "no table of file names"),
        ({"z": 7}, "no table of file names"),
    ],
)
def test_an_index_and_its_shards_must_agree(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    where = sharded(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    assert set(open_checkpoint(tmp_path).tensors) == {"x", "y"}
    index.write_text(json.dumps({"weight_map": where | change}))
    with pytest.raises(BadFile, match=says):
        open_checkpoint(tmp_path)


def test_a_config_that_is_no_json_is_named(tmp_path: Path) -> None:
    sharded(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadFile, match=r"config\.json"):
        open_checkpoint(tmp_path)


def test_nothing_and_nonsense_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadFile, match="nothing there"):
        open_checkpoint(tmp_path / "away.safetensors")
    with pytest.raises(BadFile, match=r"\.gguf"):
        open_checkpoint(tmp_path / "notes.txt")
    assert ".safetensors" in suffixes()


def test_a_file_that_shrank_after_opening_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.ones(100_000)}, tmp_path / "a.safetensors")
    info = open_checkpoint(tmp_path / "a.safetensors").tensors["x"]
    info.file.unlink()
    with pytest.raises(BadFile, match="open the file again"):
        read(info)


VALID = json.dumps({"a": entry(0, 8, [2]), "b": entry(8, 12, [2, 1], "F16")}).encode()
WHOLE = struct.pack("<Q", len(VALID)) + VALID + b"0" * 12


def mutated(change: tuple[int, bytes]) -> bytes:
    at, put = change
    return WHOLE[: at % len(WHOLE)] + put + WHOLE[at % len(WHOLE) + len(put) :]


def framed(table: Any) -> bytes:
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + b"1234"


pieces = st.tuples(
    st.integers(0, len(WHOLE) - 1), st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"-1", b"[]", b"{}", b'"']))
)
tables = st.recursive(
    st.one_of(st.none(), st.integers(), st.floats(), st.text()), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=9
)
entries = st.fixed_dictionaries({"dtype": tables | st.just("F32"), "shape": tables, "data_offsets": tables | st.just([0, 4])})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(), pieces.map(mutated), entries.map(lambda e: framed({"a": e})), tables.map(framed)))
def test_no_bytes_get_past_the_header_check_but_as_bad_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "fuzz.safetensors"
    path.write_bytes(data)
    try:
        found = header(path)
    except BadFile as e:
        assert ";" in str(e)  # noqa: PT017
    else:
        assert all(read(t).shape == t.shape for t in found.values())


def test_a_torch_file_is_unwrapped_and_only_its_tensors_are_kept(tmp_path: Path) -> None:
    w = torch.randn(4, 3)
    half = w.t().to(torch.bfloat16)  # not contiguous
    torch.save({"epoch": 3, "state_dict": {"fc.weight": w, "tied.weight": w, "half": half, "note": "hi"}}, tmp_path / "m.pt")
    checkpoint = open_checkpoint(tmp_path / "m.pt")
    assert set(checkpoint.tensors) == {"fc.weight", "tied.weight", "half"}
    assert torch.equal(read(checkpoint.tensors["fc.weight"]), w)
    assert torch.equal(read(checkpoint.tensors["half"]), half)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"w": torch.ones(1), "x": Evil(trace)}, tmp_path / "evil.pt")
    with pytest.raises(BadFile, match="would run code"):
        open_checkpoint(tmp_path / "evil.pt")
    assert not trace.exists()


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 not a zip"])
def test_what_is_no_torch_file_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(data)
    with pytest.raises(BadFile, match="PyTorch file"):
        open_checkpoint(tmp_path / "m.bin")


def test_a_folder_with_bin_weights_opens_like_any_other(tmp_path: Path) -> None:
    torch.save({"model.embed_tokens.weight": torch.ones(4, 2)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True}))
    (tmp_path / "tokenizer.json").write_text("{}")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.tied == {"lm_head.weight": "model.embed_tokens.weight"}
    assert [p.name for p in checkpoint.sides] == ["tokenizer.json"]


def tiny_gguf(path: Path, arch: str = "llama") -> dict[str, np.ndarray]:
    """A llama of one block: hidden 64, 4 heads, 2 of them for keys."""
    rng = np.random.default_rng(1)
    made = {"token_embd.weight": (32, 64), "blk.0.attn_q.weight": (64, 64), "blk.0.attn_k.weight": (32, 64), "output_norm.weight": (64,)}
    weights = {n: rng.standard_normal(s, np.float32) for n, s in made.items()}
    w = gguf.GGUFWriter(path, arch)
    for key, value in (("block_count", 1), ("embedding_length", 64), ("feed_forward_length", 128), ("context_length", 256)):
        w.add_uint32(f"{arch}.{key}", value)
    w.add_head_count(4)
    w.add_head_count_kv(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(500_000.0)
    w.add_token_list([f"t{i}" for i in range(32)])
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, x in weights.items():
        q = name == "token_embd.weight"
        w.add_tensor(name, gguf.quants.quantize(x, q8) if q else x, raw_dtype=q8 if q else None)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return weights


def permuted(x: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's converter does to q and k."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def test_a_gguf_llama_gets_its_names_config_and_row_order_back(tmp_path: Path) -> None:
    weights = tiny_gguf(tmp_path / "m.gguf")
    c = open_checkpoint(tmp_path / "m.gguf")
    assert c.tied == {"lm_head.weight": "model.embed_tokens.weight"}
    assert (c.config["hidden_size"], c.config["num_key_value_heads"], c.config["head_dim"], c.config["vocab_size"]) == (64, 2, 16, 32)
    assert c.config["rope_parameters"] == {"rope_type": "default", "rope_theta": 500_000.0}
    for part, heads in (("q", 4), ("k", 2)):
        found = read(c.tensors[f"model.layers.0.self_attn.{part}_proj.weight"]).numpy()
        assert np.array_equal(permuted(found, heads), weights[f"blk.0.attn_{part}.weight"])
    embed = read(c.tensors["model.embed_tokens.weight"]).numpy()
    assert 0 < np.abs(embed - weights["token_embd.weight"]).max() < 0.05


def test_a_gguf_of_another_architecture_opens_without_a_config(tmp_path: Path) -> None:
    tiny_gguf(tmp_path / "m.gguf", "falcon")
    c = open_checkpoint(tmp_path / "m.gguf")
    assert c.config == {}
    assert "blk.0.attn_q.weight" in c.tensors


def test_our_names_agree_with_ggufs_own_table() -> None:
    ends = (
        "attn_norm",
        "ffn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "attn_q_norm",
        "attn_k_norm",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    )
    for arch in NETWORKS:
        table = gguf.get_tensor_name_map(next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch), 3)
        for name in ["token_embd", "output_norm", "output", *(f"blk.2.{e}" for e in ends)]:
            assert table.get_name(named(f"{name}.weight").removesuffix(".weight")) in (
                name,
                None if "_q_norm" in name or "_k_norm" in name else name,
            )


def test_our_type_numbers_are_ggmls() -> None:
    assert all(gguf.GGMLQuantizationType(n).name == name for n, name in (PLAIN | BLOCKS).items())


@pytest.mark.real
def test_smollm2_reads_what_ggufs_own_reader_dequantizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the fetched package lies in the user's cache, not in this test's own
    path = smollm2()
    start = time.process_time()  # of our own: other processes may have the cores
    c = open_checkpoint(path)
    assert time.process_time() - start < 1
    assert c.parameters == 134_515_008
    theirs = {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert {named(n) for n in theirs} == set(c.tensors)
    for name in ("token_embd.weight", "blk.0.attn_q.weight", "blk.7.attn_k.weight", "blk.29.ffn_down.weight", "output_norm.weight"):
        expected = gguf.quants.dequantize(theirs[name].data, theirs[name].tensor_type)
        info = c.tensors[named(name)]
        found = read(info).numpy()
        assert np.array_equal(permuted(found, info.heads) if info.heads else found, expected)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damaged_gguf_gets_past_the_reader_but_as_bad_file(tmp_path: Path, data: st.DataObject) -> None:
    whole = tmp_path / "whole.gguf"
    if not whole.exists():
        tiny_gguf(whole)
    raw = bytearray(whole.read_bytes())
    at = data.draw(st.integers(0, 1600))
    raw[at : at + 4] = data.draw(st.binary(min_size=1, max_size=8))
    path = tmp_path / "fuzz.gguf"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    try:
        found = open_checkpoint(path)
    except BadFile as e:
        assert ";" in str(e)  # noqa: PT017
    else:
        assert all(t.offset + t.nbytes <= path.stat().st_size for t in found.tensors.values())
