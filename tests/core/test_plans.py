"""Plans are inherited from model to group to layer, and protection is lifted only by name."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.plans import MODEL, Scope, edit, reset, resolve
from core.types import Choice, Layer, Plan, TensorInfo
from core.types import Kind as LayerKind


def layer(name: str, kind: LayerKind = "linear", protected: str = "", dtype: str = "F32", shape: tuple[int, ...] = (4, 4)) -> Layer:
    from core.layers import group_of

    return Layer(name, TensorInfo(name, shape, dtype, 64, Path("m")), kind, group_of(name), protected)


BLOCKS = [layer(f"m.{i}.{role}") for i in range(3) for role in ("q", "down")]
HEAD = layer("head", "head", "output layer")


def test_an_empty_plan_leaves_everything_alone() -> None:
    assert all(s.idle for s in resolve(Plan(), BLOCKS).values())


def test_a_layer_overrides_its_group_and_a_group_the_model() -> None:
    plan = edit(Plan(), MODEL, bits=8)
    plan = edit(plan, Scope("group", ("m.*.q",)), bits=6)
    plan = edit(plan, Scope("layers", ("m.1.q",)), bits=3)
    said = resolve(plan, BLOCKS)
    assert [said[n].bits for n in ("m.0.down", "m.0.q", "m.1.q")] == [8, 6, 3]
    assert [said[n].origin["bits"] for n in ("m.0.down", "m.0.q", "m.1.q")] == ["model", "group", "own"]


def test_a_glob_may_single_out_one_block() -> None:
    plan = Plan(Choice("magnitude", 0.0, "rtn", 4), {"m.0.*": Choice(bits=8)})
    assert {n: s.bits for n, s in resolve(plan, BLOCKS).items()} == {x.name: 8 if ".0." in x.name else 4 for x in BLOCKS}


def test_protection_holds_until_it_is_lifted_by_name() -> None:
    plan = edit(Plan(), MODEL, bits=4)
    assert resolve(plan, [HEAD])["head"].protected == "output layer"
    assert resolve(edit(plan, Scope("layers", ("head",)), protect=False), [HEAD])["head"].bits == 4
    mine = resolve(edit(plan, Scope("layers", ("m.0.q",)), protect=True), BLOCKS)
    assert mine["m.0.q"].idle
    assert mine["m.1.q"].bits == 4


def test_integers_and_vectors_stay_whatever_is_said() -> None:
    counts, norm = layer("n.count", "other", "not a weight", "I64"), layer("n", "norm", "normalisation", shape=(4,))
    plan = Plan(Choice("magnitude", 0.5, "rtn", 4), layers={x.name: Choice(protect=False) for x in (counts, norm)})
    assert all(s.idle and s.protected for s in resolve(plan, [counts, norm]).values())


def test_a_method_gets_only_its_own_knobs() -> None:
    plan = edit(Plan(), MODEL, bits=4, amount=0.5, knobs={"rtn.group_size": 32, "magnitude.scope": "global"})
    said = resolve(plan, BLOCKS)["m.0.q"]
    assert (said.quantize_knobs, said.prune_knobs) == ({"group_size": 32}, {"scope": "global"})


@given(st.sampled_from(["model", "group", "layers"]), st.floats(0.01, 0.95), st.integers(2, 8))
def test_reset_undoes_what_one_scope_said(kind: str, amount: float, bits: int) -> None:
    names = {"model": (), "group": ("m.*.q",), "layers": ("m.0.q", "m.2.q")}[kind]
    scope = Scope(kind, names)  # type: ignore[arg-type]
    assert reset(edit(Plan(), scope, amount=amount, bits=bits), scope) == Plan()


def test_edits_leave_the_plan_they_started_from() -> None:
    before = Plan()
    edit(before, Scope("layers", ("m.0.q",)), bits=4)
    assert before == Plan()
