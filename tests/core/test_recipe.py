"""Recipes read back what they wrote, and name what they don't know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadPlan
from core.recipe import Recipe, dumps, load, loads, save
from core.resources import root
from core.types import Choice, Plan

HEAD = 'version = 1\n[model]\npath = "m"\n'
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SIZES = st.sampled_from([16, 32, 64, 128])
SCOPES = st.sampled_from(["layer", "global"])
KNOBS = st.fixed_dictionaries({}, optional={"rtn.group_size": SIZES, "rtn.symmetric": st.booleans(), "magnitude.scope": SCOPES})
CHOICES = st.builds(
    Choice, st.none() | st.sampled_from(["magnitude", "random"]), st.none() | st.floats(0, 0.95), st.none() | st.just("rtn"),
    st.none() | st.sampled_from([2, 3, 4, 8, 16]), KNOBS, st.none() | st.booleans(),
)  # fmt: skip
MODELS = st.builds(
    Choice, st.just("magnitude"), st.floats(0, 0.95), st.just("rtn"), st.sampled_from([2, 4, 16]), KNOBS
)  # fmt: skip
PLANS = st.builds(
    Plan, MODELS, st.dictionaries(NAMES, CHOICES, max_size=3), st.dictionaries(NAMES, CHOICES, max_size=3), st.integers(0, 2**31)
)


ENERGY = st.fixed_dictionaries(
    {},
    optional={
        "device": st.sampled_from(["phone", "h100", "here"]), "watts": st.floats(1, 900), "region": st.sampled_from(["DEU", "CHN"]),
        "intensity": st.floats(0, 900), "pue": st.floats(1, 2), "phase": st.sampled_from(["decode", "prefill"]),
        "batch": st.integers(1, 64), "context": st.integers(1, 4096), "daily": st.floats(1, 1e9),
    },
)  # fmt: skip


@settings(deadline=None)
@given(PLANS, st.none() | st.integers(2, 10**6), ENERGY)
def test_what_is_written_reads_back(plan: Plan, limit: int | None, energy: dict[str, Any]) -> None:
    block = None if limit is None else 126 + limit
    recipe = Recipe(Path("m"), plan, Path("d.txt"), limit, "dense", {"dtype": "F16"}, Path("o"), block=block, energy=energy)
    assert loads(dumps(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[plan]\nbitz = 4", "did you mean 'bits'"),
        ('[plan]\nprune = "magnitud"', "did you mean 'magnitude'"),
        ('[plan]\nquantize = "gptqq"', "'gptqq' is unknown"),
        ('[plan.knobs]\n"rtn.group_siez" = 64', "did you mean 'group_size'"),
        ('[plan.knobs]\n"rtn.group_size" = 65', "group_size can't be 65"),
        ("[plan]\namount = 0.96", "amount = 0.96"),
        ("[plan]\nbits = 9", "bits = 9"),
        ("[plan]\nbits = true", "bits must be"),
        ("[plan]\namount = nan", "amount = nan"),
        ('[plan.layers."a.b"]\nprotekt = true', "did you mean 'protect'"),
        ("[evaluate]\nlimit = 1", "limit = 1"),
        ('[energy]\ndevise = "phone"', "'devise' is an unknown key"),
        ('[energy]\ndevice = "fridge"', "no device 'fridge'"),
        ('[energy]\nphase = "both"', "it is decode"),
        ("[energy]\nbatch = 0", "batch = 0"),
        ("[energy]\ncontext = 1.5", "context can't be 1.5"),
        ("[energy]\npue = nan", "pue can't be nan"),
        ("[calibrate]\nblock = 64", "block = 64 is too few inputs"),
        ('[export]\nformat = "pakced"', "did you mean 'packed'"),
        ('[export]\nformat = "dense"\ndtype = "F8"', "dtype can't be 'F8'"),
        ("[exports]", "did you mean 'export'"),
        ("[plan.groups]\na = 4", "must be a table"),
        ("= 3", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(text: str, named: str) -> None:
    with pytest.raises(BadPlan, match=named.replace("(", r"\(")):
        loads(HEAD + text)


def test_another_version_is_refused() -> None:
    with pytest.raises(BadPlan, match="version = 2"):
        loads(HEAD.replace("= 1", "= 2"))


def test_knobs_may_be_written_with_or_without_quotes() -> None:
    assert loads(HEAD + "[plan.knobs]\nrtn.group_size = 32").plan == loads(HEAD + '[plan.knobs]\n"rtn.group_size" = 32').plan


def test_what_the_model_does_not_say_keeps_its_default() -> None:
    assert loads(HEAD).plan == Plan()


def test_paths_start_at_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    recipe = Recipe(tmp_path / "model", data=tmp_path / "deep" / "d.txt", out=tmp_path / "out", factory=f"{tmp_path / 'net.py'}:build")
    save(recipe, tmp_path / "deep" / "r.toml")
    assert 'path = "../model"' in (tmp_path / "deep" / "r.toml").read_text()
    assert load(tmp_path / "deep" / "r.toml") == recipe


@pytest.mark.parametrize("name", ["sotu-lm", "smollm2-4bit"])
def test_the_bundled_recipes_load(name: str) -> None:
    recipe = load(root() / "recipes" / f"{name}.toml")
    assert recipe.target == "packed"
    assert recipe.plan.model.bits == 4


def test_parsing_needs_no_torch() -> None:
    code = f"import sys, core.recipe as r; r.load(r.Path({str(root() / 'recipes' / 'sotu-lm.toml')!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cuts_come_back_as_they_were_written() -> None:
    plan = Plan(cuts={"ffn": 0.5, "blocks": 2, "method": "taylor", "compensate": False})
    assert loads(dumps(Recipe(Path("/m"), plan))).plan == plan


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fnn = 0.5", "'fnn' is an unknown key of the recipe; did you mean 'ffn'"), ("ffn = 1.5", "ffn = 1.5 is outside 0 to 0.9"),
        ('method = "luck"', "method can't be 'luck'"), ("heads = [1]", "heads must be a number"),
    ],
)  # fmt: skip
def test_a_cut_that_makes_no_sense_is_named(line: str, why: str) -> None:
    with pytest.raises(BadPlan, match=why):
        loads(f"{HEAD}[plan.cuts]\n{line}\n")
