"""A wheel holds all the studio needs: both commands, the samples, the recipes and the translations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel in it; what the wheel needs is lent by the environment of the tests."""
    home = tmp_path_factory.mktemp("install")
    built = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(home), str(ROOT)]
    done = subprocess.run(built, capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip(f"hatchling is not served here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    venv.create(home / "env", with_pip=False, symlinks=True)
    python = home / "env" / "bin" / "python"
    into = next((home / "env").glob("lib/python*/site-packages"))
    wheel = next(home.glob("slim_studio-*.whl"))
    put = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(put, check=True)
    (into / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "env" / "bin"


def ran(command: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"SLIM_CACHE": str(folder / "cache")}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return done


WHERE = """
import json, core
from core.resources import root
from core.samples import samples
print(json.dumps([core.__file__, str(root()), [str(s.path) for s in samples()], [p.name for p in root().rglob("*.toml")]]))
"""


def test_the_samples_and_recipes_are_found_in_the_installed_wheel(installed: Path, tmp_path: Path) -> None:
    code, resources, samples, recipes = json.loads(ran([installed / "python", "-c", WHERE], tmp_path).stdout)
    home = str(installed.parent)
    assert code.startswith(home)
    assert resources.startswith(home)
    assert len(samples) == 4
    assert all(s.startswith(home) and (Path(s) / "model.safetensors").is_file() for s in samples)
    assert {"sotu-lm.toml", "smollm2-4bit.toml", "minilm-4bit.toml"} <= set(recipes)


def test_both_commands_are_there_and_a_sample_goes_the_whole_way(installed: Path, tmp_path: Path) -> None:
    assert (installed / "slim-studio").is_file()
    sample = next(installed.parent.glob("lib/python*/site-packages/core/_resources/samples/digits-cnn"))
    (tmp_path / "r.toml").write_text(
        f'version = 1\n[model]\npath = "{sample}"\n[plan]\namount = 0.3\n[evaluate]\nlimit = 50\n[export]\nformat = "dense"\n'
    )
    told = ran([installed / "slim", "run", "r.toml", "--out", tmp_path / "out"], tmp_path).stdout
    assert "exported and verified by transformers" in told
    assert (tmp_path / "out" / "report.html").is_file()


def test_the_window_of_the_wheel_opens_with_its_icons_and_translations(installed: Path, tmp_path: Path) -> None:
    code = (
        "from studio.app import build; app, window = build(); window.show(); window.grab(); window.engine.close()\n"
        "from core.resources import root\n"
        "assert list((root() / 'icons').glob('*.svg'))\n"
        "assert list((root() / 'translations').glob('*.qm'))\n"
    )
    ran([installed / "python", "-c", code], tmp_path)
