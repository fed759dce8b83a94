"""The command line in fresh processes, on the bundled samples."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import main
from core.report import from_json
from core.resources import root

SAMPLES = root() / "samples"


def slim(*args: object, cache: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SLIM_CACHE": str(cache)}
    return subprocess.run([sys.executable, "-m", "core", *map(str, args)], capture_output=True, text=True, env=env, check=False)


def test_open_folds_blocks_and_counts_parameters(tmp_path: Path) -> None:
    rows = json.loads(slim("open", SAMPLES / "sotu-lm", "--json", cache=tmp_path).stdout)
    down = next(r for r in rows if r["layers"] == "model.layers.*.mlp.down_proj")
    assert down["shape"] == [256, 768]
    assert down["parameters"] == down["count"] * 256 * 768
    assert down["bytes"] == 2 * down["parameters"]


def test_methods_lists_every_knob(tmp_path: Path) -> None:
    told = slim("methods", cache=tmp_path).stdout
    assert "rtn.group_size = 32" in told
    assert "prune magnitude" in told
    assert "format packed" in told


@pytest.mark.parametrize(
    "args",
    [
        ("open", "nowhere.gguf"),
        ("export", SAMPLES / "sotu-lm", "--out", "x", "--amount", "2"),
        ("export", SAMPLES / "sotu-lm", "--out", "x", "--bits", "4", "--knob", "rtn.group_siez=64"),
        ("export", SAMPLES / "sotu-lm", "--out", "x", "--cut", "fnn=0.5"),
        ("export", SAMPLES / "sotu-lm", "--out", "x", "--cut", "channels=0.5"),
        ("compare", "nowhere", SAMPLES / "sotu-lm"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    args: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIM_CACHE", str(tmp_path))
    assert main([*map(str, args)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("slim: ")
    assert said.count("\n") == 1


def test_a_process_ends_with_the_status_of_its_mistake(tmp_path: Path) -> None:
    done = slim("run", "nowhere.toml", cache=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("slim: ")
    assert done.stderr.count("\n") == 1


def test_a_recipe_with_code_of_its_own_asks_first(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    (tmp_path / "r.toml").write_text(f'version = 1\n[model]\npath = "{SAMPLES / "digits-cnn"}"\nfactory = "net.py:build"\n')
    done = slim("run", tmp_path / "r.toml", cache=tmp_path / "cache")
    assert done.returncode == 2
    assert "--trust" in done.stderr
    assert not (tmp_path / "ran").exists()


def recipe(folder: Path) -> Path:
    text = (
        f'version = 1\n[model]\npath = "{SAMPLES / "digits-cnn"}"\n[plan]\nprune = "random"\namount = 0.2\nquantize = "rtn"\n'
        "bits = 6\nseed = 5\n"
        '[plan.knobs]\n"rtn.granularity" = "channel"\n[evaluate]\nlimit = 100\n[export]\nformat = "dense"\n'
    )
    (folder / "r.toml").write_text(text)
    return folder / "r.toml"


def test_the_same_recipe_and_seed_give_identical_bytes(tmp_path: Path) -> None:
    first = slim("run", recipe(tmp_path), "--out", tmp_path / "a", cache=tmp_path / "cache-a")
    assert first.returncode == 0, first.stderr
    again = slim("run", tmp_path / "a" / "recipe.toml", "--out", tmp_path / "b", cache=tmp_path / "cache-b")
    assert again.returncode == 0, again.stderr
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b
    told = from_json((tmp_path / "a" / "report.json").read_text())
    assert told.verdict is not None
    assert told.verdict.passed
    assert told.variant.score is not None
    assert told.variant.score.n == 100
    assert told.original.size.total == (SAMPLES / "digits-cnn" / "model.safetensors").stat().st_size
    lines = slim("compare", SAMPLES / "digits-cnn", tmp_path / "a", cache=tmp_path).stdout.splitlines()
    pruned = next(x for x in lines if "stages.0.layers.0.layer.0.convolution.weight" in x)
    assert float(pruned.split("zeros")[1].split("%")[0]) >= 20
    untouched = next(x for x in lines if "classifier.1.weight" in x)
    assert untouched.split("error")[1].split()[0] == "0"


def test_bare_weights_are_slimmed_and_exported_without_a_score(tmp_path: Path) -> None:
    (tmp_path / "bare.safetensors").write_bytes((SAMPLES / "digits-cnn" / "model.safetensors").read_bytes())
    out = tmp_path / "slim.safetensors"
    done = slim("export", tmp_path / "bare.safetensors", "--out", out, "--amount", "0.3", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert out.is_file()
    told = from_json((tmp_path / "slim.report.json").read_text())
    assert told.variant.score is None
    assert any("accuracy can't be measured" in n for n in told.notes)


def test_a_part_of_the_cache_is_given_another_cap_and_only_a_named_one(tmp_path: Path) -> None:
    assert "20,000,000 bytes" in slim("cache", "--only", "layers", "--cap", "0.02", cache=tmp_path).stdout
    refused = slim("cache", "--cap", "0.02", cache=tmp_path)
    assert refused.returncode == 2
    assert "--only" in refused.stderr


def test_ctrl_c_leaves_nothing_and_says_130(tmp_path: Path) -> None:
    env = {**os.environ, "SLIM_CACHE": str(tmp_path / "cache")}
    args = [sys.executable, "-m", "core", "export", str(SAMPLES / "sotu-lm"), "--out", str(tmp_path / "out"), "--bits", "4"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a suite in the background ignores it
    with subprocess.Popen(args, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **heard) as child:
        assert child.stderr is not None
        line = child.stderr.readline()  # the first phase is told when the work has begun
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130, line + rest
    assert not (tmp_path / "out").exists()
