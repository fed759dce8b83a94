"""The tree of layers: folding, Qt's model contract, ten thousand tensors, and the selection both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt

from core import plans
from core.layers import layers as layers_of
from core.resources import root
from core.types import Checkpoint, Layer, Outcome, Plan, TensorInfo
from studio.engine import Engine
from studio.layers.model import BITS, DRAW, ERROR, PLANNED, STORED, LayersModel
from studio.layers.nodes import Node, fold
from studio.layers.view import LayersView
from studio.session import Session
from studio.snapshot import Snapshot


def checkpoint(names: dict[str, tuple[int, ...]]) -> Checkpoint:
    infos = {n: TensorInfo(n, s, "F32", 4 * s[0] * (s[1] if len(s) > 1 else 1), Path("x.safetensors")) for n, s in names.items()}
    return Checkpoint(Path("x.safetensors"), "safetensors", infos)


def llama(blocks: int, parts: tuple[str, ...] = ("self_attn.q_proj", "mlp.down_proj")) -> Snapshot:
    names: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (100, 16), "model.norm.weight": (16,)}
    names |= {f"model.layers.{i}.{p}.weight": (16, 16 + len(p)) for i in range(blocks) for p in parts}
    found = checkpoint(names)
    layers = tuple(layers_of(found))
    return Snapshot(checkpoint=found, layers=layers, settings=plans.resolve(Plan(), layers))


def labels(node: Node) -> list[str]:
    return [n.label for n in node.children]


@pytest.fixture
def session() -> Iterator[Session]:
    engine = Engine()
    made = Session(engine)
    yield made
    made.close()
    engine.close()


@pytest.fixture
def opened(session: Session, qtbot: Any) -> Session:
    with qtbot.waitSignal(session.changed, timeout=120_000, check_params_cb=lambda s: s.size is not None):
        session.open(root() / "samples" / "fashion-vit")
    return session


def test_like_blocks_become_one_branch_of_groups_of_layers() -> None:
    top = fold(llama(30).layers).children[0]
    blocks = next(n for n in top.children if "layers" in n.label)
    assert blocks.label == "layers.0-29"
    assert sorted(labels(blocks)) == ["mlp.down_proj", "self_attn.q_proj"]
    assert labels(blocks.children[0])[:2] == [f"0 · {blocks.children[0].layers[0].role}", f"1 · {blocks.children[0].layers[0].role}"]
    assert len(blocks.layers) == 60


def test_every_tensor_is_in_the_tree_exactly_once() -> None:
    names = {
        "conv.weight": (4, 4),
        "conv.bias": (4,),
        "a.0.e.1.w.weight": (4, 4),
        "a.0.e.3.w.weight": (4, 4),
        "a.2.e.1.w.weight": (4, 4),
        "b": (2, 2),
    }
    found = layers_of(checkpoint(names))
    assert sorted(x.name for x in fold(found).layers) == sorted(x.name for x in found)


def test_qt_accepts_the_model(qtmodeltester: Any) -> None:
    model = LayersModel()
    model.show_snapshot(llama(4))
    qtmodeltester.check(model)


def test_sorting_keeps_every_index_on_its_layer(qtbot: Any) -> None:
    model = LayersModel()
    model.show_snapshot(llama(12))
    from PySide6.QtCore import QPersistentModelIndex

    held = {name: QPersistentModelIndex(model.at(node)) for name, node in model.leaves.items()}
    model.sort(STORED, Qt.SortOrder.DescendingOrder)
    sizes = [model.value(n, STORED) for n in model.root.children[0].children]
    assert sizes == sorted(sizes, reverse=True)
    assert all(model.node(index).layers[0].name == name for name, index in held.items())


def test_unknown_figures_are_dashes_and_measured_ones_appear(qtbot: Any) -> None:
    model, shot = LayersModel(), llama(3)
    model.show_snapshot(shot)
    name = "model.layers.1.mlp.down_proj"
    assert model.data(model.at(model.leaves[name], ERROR)) == "–"
    model.show_snapshot(replace(shot, outcomes={name: Outcome(shot.settings[name], 0.0123, 0.5)}))
    assert model.data(model.at(model.leaves[name], ERROR)) == "0.0123"
    group = model.leaves[name].parent
    assert group is not None
    assert model.data(model.at(group, ERROR), DRAW) == ("line", (0.0, 0.0123, 0.0))
    plan = plans.edit(Plan(), plans.MODEL, bits=4)
    model.show_snapshot(replace(model.snapshot, plan=plan, settings=plans.resolve(plan, shot.layers)))
    assert model.data(model.at(group, ERROR), DRAW) is None, "two of three are not measured yet and must not be drawn as zero"


def test_the_plan_column_marks_what_a_layer_says_itself(qtbot: Any) -> None:
    model, shot = LayersModel(), llama(2)
    name = "model.layers.1.mlp.down_proj"
    plan = plans.edit(plans.edit(Plan(), plans.MODEL, bits=4), plans.Scope("layers", (name,)), bits=8)
    model.show_snapshot(replace(shot, plan=plan, settings=plans.resolve(plan, shot.layers)))
    assert model.data(model.at(model.leaves[name], BITS)) == "● 8"
    assert model.data(model.at(model.leaves["model.layers.0.mlp.down_proj"], BITS)) == "4"


def test_ten_thousand_tensors_stay_fluid(qtbot: Any, session: Session) -> None:
    """Bounds ten times what two busy cores need, so only a wrong order of growth fails."""
    shot = llama(1250, tuple(f"mlp.part{i}" for i in range(8)))
    assert len(shot.layers) > 10_000
    view = LayersView(session)
    qtbot.addWidget(view)
    started = time.perf_counter()
    view.show(shot)
    view.show()
    view.tree.expandAll()
    view.grab()
    assert time.perf_counter() - started < 5
    plan = plans.edit(Plan(), plans.MODEL, bits=4)
    started = time.perf_counter()
    view.show(replace(shot, plan=plan, settings=plans.resolve(plan, shot.layers)))
    view.grab()
    assert time.perf_counter() - started < 2


def test_one_change_is_one_signal_per_parent(qtbot: Any) -> None:
    model, shot = LayersModel(), llama(50)
    model.show_snapshot(shot)
    heard: list[Any] = []
    model.dataChanged.connect(lambda *a: heard.append(a))
    model.refresh()
    assert len(heard) == len(list(model.branches()))


def test_selecting_rows_and_being_told_a_selection_agree_without_a_loop(opened: Session, qtbot: Any) -> None:
    view = LayersView(opened)
    qtbot.addWidget(view)
    opened.changed.connect(view.show)
    told: list[tuple[str, ...]] = []
    opened.changed.connect(lambda s: told.append(s.selection))
    group = [x.name for x in opened.snapshot.layers if x.name.endswith("attention.key")]
    opened.select(group)
    assert set(view.selected()) == set(group)
    assert len(view.tree.selectionModel().selectedRows()) == 1
    assert {frozenset(t) for t in told} == {frozenset(group)}
    leaf = view.model.leaves[group[1]]
    view.tree.setCurrentIndex(view.model.at(leaf))
    assert opened.snapshot.selection == (group[1],)


def test_digits_and_brackets_edit_the_selection_as_undo_steps(opened: Session, qtbot: Any) -> None:
    view = LayersView(opened)
    qtbot.addWidget(view)
    opened.changed.connect(view.show)
    name = next(x.name for x in opened.snapshot.layers if x.name.endswith("attention.key"))
    opened.select((name,))
    qtbot.keyClicks(view.tree, "4")
    qtbot.keyClicks(view.tree, "]")
    assert (opened.snapshot.settings[name].bits, opened.snapshot.settings[name].amount) == (4, 0.05)
    opened.undo()
    assert (opened.snapshot.settings[name].bits, opened.snapshot.settings[name].amount) == (4, 0.0)


def test_select_similar_takes_the_same_role_in_every_block(opened: Session, qtbot: Any) -> None:
    view = LayersView(opened)
    qtbot.addWidget(view)
    opened.changed.connect(view.show)
    like: list[Layer] = [x for x in opened.snapshot.layers if x.role == "key"]
    opened.select((like[0].name,))
    view.select_similar()
    assert set(opened.snapshot.selection) == {x.name for x in like}


def test_search_waits_for_the_hand_and_then_keeps_only_matches(opened: Session, qtbot: Any) -> None:
    view = LayersView(opened)
    qtbot.addWidget(view)
    qtbot.keyClicks(view.box, "query")
    assert any("key" in n for n in view.model.leaves)
    qtbot.waitUntil(lambda: all("query" in n for n in view.model.leaves), timeout=120_000)
    assert view.model.leaves


def test_planned_bytes_are_the_sessions_own(opened: Session, qtbot: Any) -> None:
    view = LayersView(opened)
    qtbot.addWidget(view)
    node = view.model.root.children[0]
    size = opened.snapshot.size
    assert size is not None
    assert view.model.value(node, PLANNED) == sum(size.layers[x.name] for x in node.layers)
