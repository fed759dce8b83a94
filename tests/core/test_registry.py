"""Registries fill themselves from their package; knobs refuse what is out of range."""

from __future__ import annotations

import pytest

from core.errors import BadPlan
from core.formats import readers, targets
from core.prune import pruners
from core.quantize import quantizers
from core.registry import knobs, make


def test_every_method_of_the_first_issue_is_found() -> None:
    assert {"magnitude", "random", "gradient", "nm"} <= set(pruners)
    assert "rtn" in quantizers
    assert {"dense", "packed"} <= set(targets)


def test_readers_and_targets_share_a_package_and_only_files_that_carry_their_graph_are_both() -> None:
    assert set(readers) & set(targets) == {"gguf", "pt2"}
    assert not set(quantizers) & set(targets), "a knob on the command line belongs to one of them"


@pytest.mark.parametrize("method", [*pruners.values(), *quantizers.values(), *targets.values()])
def test_every_method_explains_itself_and_takes_its_own_defaults(method: type) -> None:
    assert method.__doc__
    assert make(method, {k.name: k.default for k in knobs(method)}) == method()


@pytest.mark.parametrize("value", [63, "64", 64.5, True])
def test_a_value_that_is_no_choice_is_refused(value: object) -> None:
    with pytest.raises(BadPlan, match="group_size"):
        make(quantizers["rtn"], {"group_size": value})  # type: ignore[dict-item]


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(BadPlan, match="magnitude"):
        pruners["magic"]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        pruners("magnitude")(type("Other", (), {}))
