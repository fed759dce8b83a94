"""Layers folded into a tree: like blocks become one branch, its groups the rows, their layers the leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.layers import groups
from core.types import Layer

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


@dataclass(eq=False, slots=True)
class Node:
    """A row of the tree: a branch, a group of like layers, or one layer."""

    label: str
    layers: tuple[Layer, ...] = ()
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    natural: list[Node] = field(default_factory=list)  # children in the model's own order
    row: int = 0

    def add(self, child: Node) -> Node:
        child.parent, child.row = self, len(self.children)
        self.children.append(child)
        self.natural.append(child)
        return child

    def arrange(self, children: list[Node]) -> None:
        self.children = children
        for i, child in enumerate(children):
            child.row = i


@dataclass(eq=False, slots=True)
class _Part:
    """A step of the dotted, starred names while they are being gathered."""

    own: list[Layer] = field(default_factory=list)
    below: dict[str, _Part] = field(default_factory=dict)


def fold(layers: Iterable[Layer]) -> Node:
    """The root of the tree over these layers."""
    top = _Part()
    for group, found in groups(layers).items():
        part = top
        for step in steps(group):
            part = part.below.setdefault(step, _Part())
        part.own += found
    root = Node("")
    _grow(root, top, "", 0)
    _gather(root)
    return root


def steps(group: str) -> list[str]:
    """ "model.layers.*.mlp" as ["model", "layers.*", "mlp"]: a star belongs to what it numbers."""
    out: list[str] = []
    for part in group.split("."):
        if part == "*" and out:
            out[-1] += ".*"
        else:
            out.append(part)
    return out


def _grow(node: Node, part: _Part, prefix: str, stars: int) -> None:
    for step, below in part.below.items():
        label, depth = prefix + step, stars + (prefix + step).count("*")
        if below.own:
            _leaves(node, label, below.own, stars)
            _grow(node, _Part(below=below.below), label + ".", stars)
        elif len(below.below) == 1 and "*" not in step:
            _grow(node, below, label + ".", stars)
        else:
            _grow(node.add(Node(_numbered(label, _all(below), stars))), below, "", depth)


def _leaves(node: Node, label: str, own: list[Layer], stars: int) -> None:
    if len(own) == 1:
        node.add(Node(_numbered(label, own, stars), (own[0],)))
        return
    group = node.add(Node(_numbered(label, own, stars)))
    for x in own:
        group.add(Node(f"{'.'.join(NUMBER.findall(x.name))} · {x.role}", (x,)))


def _numbered(label: str, own: list[Layer], stars: int) -> str:
    """Each star of the label as the numbers it stands for: "layers.0-29"."""
    while "*" in label:
        found = sorted({int(NUMBER.findall(x.name)[stars]) for x in own})
        text = str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"
        label, stars = label.replace("*", text if len(found) == found[-1] - found[0] + 1 else text.replace("-", "…"), 1), stars + 1
    return label


def _all(part: _Part) -> list[Layer]:
    return part.own + [x for p in part.below.values() for x in _all(p)]


def _gather(node: Node) -> tuple[Layer, ...]:
    """Give every branch the layers beneath it."""
    if node.children:
        node.layers = tuple(x for child in node.children for x in _gather(child))
    return node.layers
